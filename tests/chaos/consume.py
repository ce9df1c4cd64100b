"""Reading a whole topic as any consumer would: plain aiokafka, committed records only."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, TopicPartition

from app.engine.engine import Offsets
from app.settings import Settings
from tests.oracle.interface import Raw

MARKED_SECONDS = 2.0
Consumed = dict[TopicPartition, list[tuple[int, bytes | None, bytes | None]]]


async def read_raw(settings: Settings, topic: str) -> list[Raw]:
    """Every committed record of a topic, partition by partition, each in its order."""
    partitions = [TopicPartition(topic, number) for number in range(settings.partitions)]
    consumer = AIOKafkaConsumer(
        **settings.kafka(),
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=8 << 20,
    )
    await consumer.start()
    found: list[Raw] = []
    try:
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
            for at, records in (await consumer.getmany(timeout_ms=200, max_records=50_000)).items():
                found += [Raw(at.partition, r.offset, r.key, r.value, r.timestamp, tuple(r.headers)) for r in records]
    finally:
        await consumer.stop()
    return sorted(found, key=lambda record: record[:2])


async def read_all(settings: Settings, topic: str) -> Consumed:
    """(offset, key, value) of every committed record of a topic, by partition."""
    found: Consumed = {TopicPartition(topic, number): [] for number in range(settings.partitions)}
    for record in await read_raw(settings, topic):
        found[TopicPartition(topic, record.partition)].append((record.offset, record.key, record.value))
    return found


async def marked(settings: Settings, topics: Iterable[str]) -> None:
    """Wait for the markers of transactions that are decided: a broker answers before it has written them.

    One that is open stays so: whoever died is not waited for.
    """
    partitions = [TopicPartition(topic, number) for topic in topics for number in range(settings.partitions)]
    offsets = Offsets(settings)
    await offsets.start()
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(MARKED_SECONDS):
                while [one for one in partitions if len(set(await offsets.ends(one))) > 1]:  # noqa: ASYNC110 - no event
                    await asyncio.sleep(0.02)
    finally:
        await offsets.stop()


def latest(consumed: Consumed) -> dict[TopicPartition, dict[bytes | None, bytes]]:
    """What compaction leaves: the last value of every key, unless that is a tombstone."""
    kept: dict[TopicPartition, dict[bytes | None, bytes]] = {}
    for partition, records in consumed.items():
        values: dict[bytes | None, bytes] = {}
        for _, key, value in records:
            if value is None:
                values.pop(key, None)
            else:
                values[key] = value
        kept[partition] = values
    return kept
