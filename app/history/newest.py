"""Reading the newest records of a topic: committed ones, up to where it ended at the start, in bounded memory."""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from app.engine.fetch import consuming, read_to
from app.settings import Settings
from tables.retention import newest_records, revision_of

# The first look goes so far back for each record wanted, every further one twice as far: what is wanted is usually near
# the end. Offsets have gaps: commit markers, and what was compacted.
FIRST_LOOK = 50
LEAST_LOOK = 1_000  # offsets; a fetch brings more than that anyway

Wanted = Callable[[Any], bool]


class Found(NamedTuple):
    """A record and where it was. `revision`: its place in a ring; 0 elsewhere."""

    record: Any
    partition: int
    revision: int = 0


async def newest(settings: Settings, topic: str, partitions: Iterable[int], limit: int, wanted: Wanted) -> list[Found]:
    """The newest records of a topic that are wanted, in the order of their times; each partition's in its own order."""
    found = []
    async with consuming(settings) as consumer:
        for partition in partitions:
            records = await _newest_of(consumer, TopicPartition(topic, partition), limit, wanted)
            found.append([Found(record, partition) for record in records])
    return _merged(found, limit)


async def _newest_of(consumer: AIOKafkaConsumer, partition: TopicPartition, limit: int, wanted: Wanted) -> list[Any]:
    consumer.assign([partition])
    first = (await consumer.beginning_offsets([partition]))[partition]
    end = (await consumer.end_offsets([partition]))[partition]
    found: deque[Any] = deque()
    look = max(LEAST_LOOK, FIRST_LOOK * limit)
    while end > first and len(found) < limit:
        start = max(first, end - look)
        part: deque[Any] = deque(maxlen=limit - len(found))
        consumer.seek(partition, start)
        async for records in read_to(consumer, partition, end):
            part.extend(record for record in records if record.offset < end and wanted(record))
        found.extendleft(reversed(part))
        end, look = start, 2 * look
    return list(found)


async def newest_of_ring(
    settings: Settings, topic: str, partitions: Iterable[int], limit: int, slot: int | None = None
) -> list[Found]:
    """The newest records of each partition of a ring, by revision; merged by time, each partition's in its own order.

    What compaction has not been at yet holds more than the ring: only the latest of every slot counts.
    """
    found = []
    async with consuming(settings) as consumer:
        for partition in partitions:
            slots = await _slots(consumer, TopicPartition(topic, partition), slot)
            found.append(newest_records(slots, limit, attrgetter("revision")))
    return _merged(found)


async def _slots(consumer: AIOKafkaConsumer, partition: TopicPartition, slot: int | None) -> Iterable[Found]:
    consumer.assign([partition])
    await consumer.seek_to_beginning(partition)
    end = (await consumer.end_offsets([partition]))[partition]
    slots: dict[bytes | None, Found] = {}
    wanted = None if slot is None else b"%d/%d" % (partition.partition, slot)
    async for records in read_to(consumer, partition, end):
        for record in records:
            if record.offset >= end or (wanted is not None and record.key != wanted):
                continue
            slots.pop(record.key, None)
            revision = revision_of(record.value)
            if revision is not None:
                slots[record.key] = Found(record, partition.partition, revision)
    return slots.values()


def _merged(found: list[list[Found]], limit: int | None = None) -> list[Found]:
    """In the order of time, as far as every partition's own order allows."""
    merged: Iterator[Found] = heapq.merge(*found, key=attrgetter("record.timestamp"))
    return list(merged if limit is None else deque(merged, maxlen=limit))
