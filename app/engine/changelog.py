"""Steps of the order *assigned* that look at the log: is it stable, what are its rows, do they fit the source?"""

import asyncio
import logging
import time
from functools import partial
from typing import TYPE_CHECKING

from aiokafka import TopicPartition

from agents.restore import Restore
from agents.ring import resize, wrong_ring
from agents.task import Task
from app.clock import now_ms
from app.engine.errors import OpenTransactionError, PositionError
from app.engine.fetch import read_to, reader
from app.engine.starting import start
from app.topology import topic_name
from tables.table import CorruptCellError, Table

if TYPE_CHECKING:
    from app.engine.owned import Owned

log = logging.getLogger("tidemark.engine")

POLL_SECONDS = 0.1


async def stable_end(owned: "Owned", topic: str) -> int:
    """The end of the partition in a topic that only its owner writes, once no transaction is open on it.

    Raises:
        OpenTransactionError: one stays open longer than any of ours can.
    """
    deadline = time.monotonic() + owned.engine.settings.transaction_timeout_seconds + 2
    partition = TopicPartition(topic, owned.partition)
    while True:
        high_watermark, last_stable = await owned.engine.offsets.ends(partition)
        if high_watermark == last_stable:
            return high_watermark
        if time.monotonic() > deadline:
            raise OpenTransactionError(
                f"{topic} partition {owned.partition} has an open transaction at offset {last_stable} "
                f"(the log ends at {high_watermark}) that is not this table's; end it with: "
                "kafka-transactions.sh find-hanging, then abort"
            )
        await asyncio.sleep(POLL_SECONDS)


async def restore(owned: "Owned", end: int) -> Task:
    """The rows as of the changelog's end, in a new task.

    Raises:
        CorruptCellError: naming topic, partition and cell.
    """
    engine = owned.engine
    settings = engine.settings
    table = Table(
        owned.domain,
        owned.partition,
        partitions=settings.partitions,
        key_limit=settings.key_limit,
        options=settings.options,
    )
    task = Task(
        owned.domain,
        owned.partition,
        table,
        owned.source,
        engine.partition_of,
        owned.poison,
        others=partial(engine.others, owned.domain, owned.partition),
    )
    restoring = Restore()
    await _read(owned, owned.changelog, end, restoring)
    try:
        for _ in restoring.finish(task, now_ms()):
            await asyncio.sleep(0)  # views of other partitions get their turn
    except CorruptCellError as error:
        raise CorruptCellError(f"{owned.changelog} partition {owned.partition}: {error}") from error
    if wrong_ring(task):
        ring = Restore()
        topic = topic_name(settings, owned.domain, wrong_ring(task))
        await _read(owned, topic, await stable_end(owned, topic), ring)
        resize(task, ring.cells)
    return task


async def _read(owned: "Owned", topic: str, end: int, into: Restore) -> None:
    partition = TopicPartition(topic, owned.partition)
    consumer = reader(owned.engine.settings.kafka())
    try:
        await start(consumer)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        async for records in read_to(consumer, partition, end):
            into.read(records)
    finally:
        await consumer.stop()


async def check_position(owned: "Owned", task: Task, offset: int | None) -> None:
    """Rows and offset were written in one transaction; if they differ, one of them has been tampered with.

    Args:
        owned: the partition.
        task: its restored rows.
        offset: the group's committed offset; None where there never was one, or it expired with the group: the rows
            know their position themselves.

    Raises:
        PositionError: naming the source, both positions and the way out.
    """
    source = TopicPartition(owned.source, owned.partition)
    offsets, position = owned.engine.offsets, task.position
    beginning, (end, _) = await offsets.beginning(source), await offsets.ends(source)
    if position > end:
        raise PositionError(
            f"{owned.source} partition {owned.partition} ends at {end}, but the rows in {owned.changelog} hold its "
            f"records up to {position}: the topic was recreated or cut off; start another installation with "
            "TIDEMARK_PREFIX"
        )
    if position < beginning:
        # They cannot be had back, and waiting mends nothing: go on, and say so.
        log.error(
            "%r: %d records, from offset %d on, were deleted before they could be folded; going on at %d",
            owned,
            beginning - position,
            position,
            beginning,
        )
        task.position = beginning
        task.table.totals_changed = True
    elif offset is not None and offset != position:
        raise PositionError(
            f"{owned.source} partition {owned.partition}: the group {owned.engine.settings.application_id} has "
            f"committed offset {offset}, but the rows in {owned.changelog} end at {position}; set the group's offset "
            f"back to {position}, or start another installation with TIDEMARK_PREFIX"
        )
