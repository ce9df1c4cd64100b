"""One partition, read from Kafka at one consistent point and made twice."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.partitioner import DefaultPartitioner

from agents import deadletter
from agents.restore import Restore
from agents.task import FoldError
from app.clock import now_ms
from app.engine.fetch import read_to
from app.settings import Settings
from app.topology import topic_name
from app.verify.difference import Difference, differences
from app.verify.rebuild import Made, Partition, Publications, Rebuild, poisoned, published, restored
from tables.domain import Domain
from tables.emission import STATS
from tables.table import CorruptCellError, UnwritableRowError

SAME, DIFFERENT, UNKNOWN = "same", "different", "unknown"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Verdict:
    """What came of one partition.

    Attributes:
        state: same, different, or unknown (it cannot be compared).
        position: the source offset up to which both sides were made.
        rows: in the changelog.
        cells: in the changelog.
        invalid: records that are INVALID on the word of the dead letters.
        differing: how many cells differ.
        first: the first of them.
        reason: why it is different without a cell to show, or unknown.
    """

    partition: int
    state: str
    position: int = 0
    rows: int = 0
    cells: int = 0
    invalid: int = 0
    differing: int = 0
    first: Difference | None = None
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return self.__dict__ | {"first": None if self.first is None else self.first.as_json()}


class Verifier:
    """Verifies partitions of a domain, one after the other.

    Args:
        settings: of the installation; options and limits have to be those of its workers.
        domain: whose table it is.
        consumer: without a group, of committed records, as `app.engine.fetch.reader` makes it.
        say: told how far it is, often.
    """

    def __init__(self, settings: Settings, domain: Domain, consumer: AIOKafkaConsumer, say: Say) -> None:
        self._settings = settings
        self._domain = domain
        self._consumer = consumer
        self._say = say
        self._partitioner = DefaultPartitioner()
        self._all = list(range(settings.partitions))

    async def verify(self, number: int) -> Verdict:
        """Make one partition twice and compare."""
        domain, settings = self._domain, self._settings
        source = self._topic("events", number)
        partition = Partition(
            domain, number, settings.partitions, self._partition_of, source.topic, settings.key_limit, settings.options
        )
        changelog = await self._changelog(number)
        now = now_ms()  # after the end of what was read: no worker has folded any of it later
        try:
            wanted = restored(partition, changelog, now)
        except CorruptCellError as error:
            return Verdict(number, DIFFERENT, reason=f"{self._topic('changelog', number).topic}: {error}")
        about: dict[str, Any] = {"position": wanted.position, "rows": wanted.rows, "cells": len(wanted.cells)}
        reason = await self._cannot_compare(source, wanted.position)
        if reason:
            return Verdict(number, UNKNOWN, **about, reason=reason)
        poison = await self._dead_letters(source, wanted.position)
        about["invalid"] = len(poison)
        try:
            differing, first = await self._compare(partition, source, poison, wanted, now)
        except (FoldError, UnwritableRowError) as error:
            return Verdict(number, DIFFERENT, **about, reason=f"{error}; no dead letter names that record")
        reason = await self._cannot_compare(source, wanted.position)
        if reason:  # retention has overtaken the reading
            return Verdict(number, UNKNOWN, **about, reason=reason)
        return Verdict(number, DIFFERENT if differing else SAME, **about, differing=differing, first=first)

    async def _compare(
        self, partition: Partition, source: TopicPartition, poison: dict[int, str], wanted: Made, now: int
    ) -> tuple[int, Difference | None]:
        made = await self._rebuilt(Rebuild(partition, poison, now), source, wanted.position)
        found = differences(self._domain, made.cells, wanted.cells)
        if not found[0] or self._domain.at_time is None:
            return found
        # What time has changed between two events may decide about the second one.
        rebuild = Rebuild(partition, poison, now, await self._published(source.partition))
        made = await self._rebuilt(rebuild, source, wanted.position)
        return differences(self._domain, made.cells, wanted.cells)

    async def _rebuilt(self, rebuild: Rebuild, source: TopicPartition, position: int) -> Made:
        async for records in self._read(source, position):
            rebuild.read([record for record in records if record.offset < position])
        return rebuild.finish()

    async def _published(self, number: int) -> Publications:
        stats = self._topic(STATS, number)
        found: dict[int, set[tuple[int, bytes]]] = {}
        async for records in self._read(stats, await self._end(stats)):
            for offset, told in published(records).items():
                found.setdefault(offset, set()).update(told)
        return found

    async def _changelog(self, number: int) -> Restore:
        """The cells as of one last stable offset, at which some transaction had just ended.

        While a worker runs, a cell may be compacted away before it is read, because a newer record of it lies beyond
        the end that was asked for. So it is read to the end, and then to where that is by then: what was compacted
        while the long first part was read is in the short second one.
        """
        partition, cells = self._topic("changelog", number), Restore()
        await self._assign(partition)
        for _ in range(2):
            end = await self._end(partition)
            async for records in self._read_on(partition, end):
                cells.read([record for record in records if record.offset < end])
            self._consumer.seek(partition, end)  # a fetch brings more than was asked for
        return cells

    async def _dead_letters(self, source: TopicPartition, position: int) -> dict[int, str]:
        """Offset -> reason of the records that the worker has found INVALID."""
        letters = self._topic(deadletter.ROLE, source.partition)
        poison: dict[int, str] = {}
        async for records in self._read(letters, await self._end(letters)):
            poison |= poisoned((record.headers for record in records), source.topic, source.partition, position)
        return poison

    async def _cannot_compare(self, source: TopicPartition, position: int) -> str:
        beginning = (await self._consumer.beginning_offsets([source]))[source]
        if beginning and position:
            return (
                f"{source.topic} begins at offset {beginning}: what came before was deleted by its retention, and "
                "cannot be folded again. The changelog by itself is sound"
            )
        end = await self._end(source)
        if end < position:
            return f"{source.topic} ends at offset {end}, before {position}: it was recreated or cut off"
        return ""

    # -- reading -----------------------------------------------------------------------------------------------------

    async def _read(self, partition: TopicPartition, end: int) -> AsyncIterator[list[Any]]:
        await self._assign(partition)
        async for records in self._read_on(partition, end):
            yield records

    async def _read_on(self, partition: TopicPartition, end: int) -> AsyncIterator[list[Any]]:
        async for records in read_to(self._consumer, partition, end):
            yield records
            position = min(end, records[-1].offset + 1) if records else 0
            self._say(f"{partition.topic} partition {partition.partition}: {position:,} of {end:,}")

    async def _assign(self, partition: TopicPartition) -> None:
        self._consumer.assign([partition])
        await self._consumer.seek_to_beginning(partition)

    async def _end(self, partition: TopicPartition) -> int:
        """The last stable offset: this consumer sees committed records only."""
        return int((await self._consumer.end_offsets([partition]))[partition])

    def _topic(self, role: str, number: int) -> TopicPartition:
        return TopicPartition(topic_name(self._settings, self._domain, role), number)

    def _partition_of(self, key: bytes) -> int:
        return int(self._partitioner(key, self._all, self._all))
