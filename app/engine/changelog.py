"""Steps of the order *assigned* that look at the log: is it stable, what are its rows, do they fit the source?"""

import asyncio
import logging
import time
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Protocol

from aiokafka import TopicPartition

from agents.restore import Restore
from agents.ring import resize, wrong_ring
from agents.task import Record, Task
from app.clock import now_ms
from app.engine.errors import OpenTransactionError, PositionError
from app.engine.fetch import consuming, read_to
from app.topology import topic_name
from tables.domain import Domain
from tables.table import CorruptCellError, Table

if TYPE_CHECKING:
    from app.engine.engine import Engine
    from app.engine.owned import Owned

log = logging.getLogger("tidemark.engine")

POLL_SECONDS = 0.1

# Numbers that a partition notes of its source.
SOURCE = "source_topic"  # made of the topic's id
SKIPPED = "skipped"  # offsets that retention had deleted before they were folded, ever
READ_TO = "read_to"  # the offset up to which nothing but commit markers follows the last record that was folded


async def stable_end(owned: "Owned", topic: str) -> int:
    """The end of the partition in a topic that only its owner writes, once no transaction is open on it.

    Raises:
        OpenTransactionError: one stays open longer than any of ours can.
    """
    deadline = time.monotonic() + owned.engine.settings.transaction_timeout_seconds + 2
    partition = TopicPartition(topic, owned.partition)
    while True:
        asked = time.monotonic()
        high_watermark, last_stable = await owned.engine.offsets.ends(partition)
        if high_watermark == last_stable:
            return high_watermark
        deadline += time.monotonic() - asked  # a broker that was paused has ended nothing meanwhile
        if time.monotonic() > deadline:
            raise OpenTransactionError(
                f"{topic} partition {owned.partition} has an open transaction at offset {last_stable} "
                f"(the log ends at {high_watermark}) that is not this table's; find it with: tidemark doctor; end it "
                "with: kafka-transactions.sh find-hanging, then abort"
            )
        await asyncio.sleep(POLL_SECONDS)


def new_task(engine: "Engine", domain: Domain, partition: int, poison: dict[int, str]) -> Task:
    """A task without rows."""
    settings = engine.settings
    table = Table(
        domain,
        partition,
        partitions=settings.partitions,
        key_limit=settings.key_limit,
        options=settings.options,
    )
    return Task(
        domain,
        partition,
        table,
        topic_name(settings, domain, "events"),
        engine.partition_of,
        poison,
        others=partial(engine.others, domain, partition),
    )


async def restore(owned: "Owned", end: int) -> Task:
    """The rows as of the changelog's end, in a new task.

    Raises:
        CorruptCellError: naming topic, partition, offset and cell, and the way out.
    """
    task = new_task(owned.engine, owned.domain, owned.partition, owned.poison)
    restoring = Restore()
    await _read(owned, owned.changelog, end, restoring)
    try:
        for _ in restoring.finish(task, now_ms()):
            await asyncio.sleep(0)  # views of other partitions get their turn
    except CorruptCellError as error:
        raise CorruptCellError(await _explained(owned, end, error), error.key) from error
    return task


async def move_ring(owned: "Owned", task: Task) -> None:
    """Move a ring whose number of slots is another one by now; before anything is folded."""
    if wrong_ring(task):
        ring = Restore()
        topic = topic_name(owned.engine.settings, owned.domain, wrong_ring(task))
        await _read(owned, topic, await stable_end(owned, topic), ring)
        resize(task, ring.cells)


async def _explained(owned: "Owned", end: int, error: CorruptCellError) -> str:
    """Where the record is, and the way out. A restore keeps no offsets, so the changelog is read once more."""
    found = Last(error.key)
    await _read(owned, owned.changelog, end, found)
    at = "" if found.offset is None else f" offset {found.offset}"
    domain, partition = owned.domain.name, owned.partition
    return (
        f"{owned.changelog} partition {partition}{at}: {error}; "
        f"`tidemark doctor {domain}` finds all that is wrong, and `tidemark replay {domain} --partition {partition}` "
        "makes the rows anew from the events"
    )


class Last:
    """The last record of a key in a changelog that is being read."""

    def __init__(self, key: bytes | None) -> None:
        self._key = key
        self.offset: int | None = None

    def read(self, records: Iterable[Record]) -> None:
        """Look at records."""
        for record in records:
            if record.key == self._key:
                self.offset = record.offset


class Reading(Protocol):
    """Who takes the records of a partition in."""

    def read(self, records: Iterable[Record]) -> None:
        """Take records in, in order."""


async def _read(owned: "Owned", topic: str, end: int, into: Reading) -> None:
    partition = TopicPartition(topic, owned.partition)
    async with consuming(owned.engine.settings) as consumer:
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        async for records in read_to(consumer, partition, end):
            into.read(records)


async def check_position(owned: "Owned", task: Task, offset: int | None) -> None:
    """Rows, offset and source belong together: rows and offset were written in one transaction, from that topic.

    Args:
        owned: the partition.
        task: its restored rows.
        offset: the group's committed offset; None where there never was one, or it expired with the group: the rows
            know their position themselves.

    Raises:
        PositionError: naming the source, what was found and what was to be, and the way out.
    """
    source = TopicPartition(owned.source, owned.partition)
    offsets, position = owned.engine.offsets, task.position
    beginning, (end, _) = await offsets.beginning(source), await offsets.ends(source)
    where, rows = f"{owned.source} partition {owned.partition}", f"the rows in {owned.changelog}"
    domain, group = owned.domain.name, owned.engine.settings.application_id
    noted, found = task.table.marks.get(SOURCE, 0), await offsets.topic_id(owned.source)
    if noted and found and noted != found:
        raise PositionError(
            f"{where} is not the topic that {rows} were folded from, up to offset {position}: it was deleted and "
            f"created anew; `tidemark reset {domain}` begins anew with it, and another TIDEMARK_PREFIX keeps these rows"
        )
    if position > end:
        raise PositionError(
            f"{where} ends at {end}, but {rows} hold its records up to {position}: the topic was recreated or cut off; "
            f"`tidemark replay {domain}` makes the rows anew from what it holds, `tidemark reset {domain}` begins anew"
        )
    if offset is not None and offset != position:  # before the next question: a changelog that was lost looks like it
        raise PositionError(
            f"{where}: the group {group} has committed offset {offset}, but {rows} end at {position}: somebody has "
            f"moved the offset, or the changelog has lost records; set the group's offset back to {position}, or make "
            f"the rows anew from the events with `tidemark replay {domain} --partition {owned.partition}`"
        )
    if position < beginning:
        _go_on(owned, task, where, beginning, is_new=offset is None and not position and not task.table.rows)
    if found:
        task.table.note(SOURCE, found)


def first_unread(task: Task) -> int:
    """The offset below which every record of the source is folded; commit markers behind the last one are passed."""
    return max(task.position, task.table.marks.get(READ_TO, 0))


def _go_on(owned: "Owned", task: Task, where: str, beginning: int, *, is_new: bool) -> None:
    """Begin where the source begins now. What retention has deleted unfolded cannot be had back: count it.

    Of a new table, what came before it was never its own.
    """
    first = first_unread(task)
    missing = beginning - first
    if missing > 0:  # else commit markers
        deleted = f"{missing} offsets, from {first} on, were deleted before they could be folded"
        if not is_new:
            if owned.engine.settings.lost_events == "stop":
                raise PositionError(
                    f"{where}: {deleted}; TIDEMARK_LOST_EVENTS=skip instead of stop goes on at {beginning}, without "
                    "them"
                )
            task.table.note(SKIPPED, task.table.marks.get(SKIPPED, 0) + missing)
        log.error("%r: %s; going on at %d", owned, deleted, beginning)
    task.position = beginning
    task.table.totals_changed = True
