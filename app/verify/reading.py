"""What a partition's topics hold, read as of one moment by a consumer without a group: nobody is disturbed."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from agents import deadletter
from agents.restore import Restore
from app.engine.fetch import read_to
from app.settings import Settings
from app.topology import topic_name
from app.verify.letters import Letter, letters
from app.verify.rebuild import Publications, published
from tables.domain import Domain
from tables.emission import STATS

Say = Callable[[str], None]


class Reading:
    """Reads the topics of one partition of a domain.

    Args:
        settings: of the installation.
        domain: whose topics they are.
        number: of the partition.
        consumer: of committed records, as `app.engine.fetch.reader` makes it.
        say: told how far it is, often.
    """

    def __init__(
        self, settings: Settings, domain: Domain, number: int, consumer: AIOKafkaConsumer, say: Say = lambda _: None
    ) -> None:
        self._settings = settings
        self._domain = domain
        self._number = number
        self._consumer = consumer
        self._say = say

    def topic(self, role: str) -> TopicPartition:
        """The partition of the domain's topic of a role."""
        return TopicPartition(topic_name(self._settings, self._domain, role), self._number)

    async def beginning(self, role: str) -> int:
        """The first offset that is still there."""
        partition = self.topic(role)
        return int((await self._consumer.beginning_offsets([partition]))[partition])

    async def end(self, role: str) -> int:
        """The last stable offset: this consumer sees committed records only."""
        partition = self.topic(role)
        return int((await self._consumer.end_offsets([partition]))[partition])

    async def offset_at(self, role: str, time: int) -> int | None:
        """The offset of the first record of that time (ms since the epoch) or later; None where there is none."""
        partition = self.topic(role)
        found = (await self._consumer.offsets_for_times({partition: time}))[partition]
        return None if found is None else int(found.offset)

    async def records(self, role: str, end: int, start: int | None = None) -> AsyncIterator[list[Any]]:
        """The committed records from `start` (the first one there is) up to `end`, in lists."""
        partition = self.topic(role)
        self._consumer.assign([partition])
        if start is None:
            await self._consumer.seek_to_beginning(partition)
        else:
            self._consumer.seek(partition, start)
        async for records in self._read_on(partition, end):
            yield records

    async def latest(self, role: str) -> dict[bytes | None, tuple[int, bytes]]:
        """As compaction would have it, as of one last stable offset: key -> (offset, value).

        While a worker runs, a record may be compacted away before it is read, because a newer one of its key lies
        beyond the end that was asked for. So it is read to the end, and then to where that is by then: what was
        compacted while the long first part was read is in the short second one.
        """
        partition = self.topic(role)
        found: dict[bytes | None, tuple[int, bytes]] = {}
        self._consumer.assign([partition])
        await self._consumer.seek_to_beginning(partition)
        for _ in range(2):
            end = await self.end(role)
            async for records in self._read_on(partition, end):
                for record in records:
                    if record.value is None:
                        found.pop(record.key, None)
                    else:
                        found[record.key] = record.offset, record.value
            self._consumer.seek(partition, end)
        return found

    async def changelog(self) -> Restore:
        """The table's cells, at the end of some transaction."""
        cells = Restore()
        cells.cells = {key: value for key, (_, value) in (await self.latest("changelog")).items()}  # type: ignore[misc]
        return cells

    async def dead_letters(self) -> dict[int, Letter]:
        """Offset in the source -> what the dead letter of that record says."""
        source = self.topic("events")
        found: dict[int, Letter] = {}
        async for records in self.records(deadletter.ROLE, await self.end(deadletter.ROLE)):
            found |= letters(records, source.topic, source.partition)
        return found

    async def publications(self) -> Publications:
        """What the stats topic tells of when rows were published."""
        found: dict[int, set[tuple[int, bytes]]] = {}
        async for records in self.records(STATS, await self.end(STATS)):
            for offset, told in published(records).items():
                found.setdefault(offset, set()).update(told)
        return found

    async def _read_on(self, partition: TopicPartition, end: int) -> AsyncIterator[list[Any]]:
        async for records in read_to(self._consumer, partition, end):
            wanted = records  # a fetch brings more than was asked for
            if records and records[-1].offset >= end:
                wanted = [record for record in records if record.offset < end]
            yield wanted
            position = min(end, records[-1].offset + 1) if records else 0
            self._say(f"{partition.topic} partition {partition.partition}: {position:,} of {end:,}")
