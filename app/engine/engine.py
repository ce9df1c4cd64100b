"""Which partitions this worker owns, and what others may ask of them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from app.engine.errors import FINAL, GenerationError
from app.engine.owned import Owned, State
from app.settings import Settings
from app.topology import topic_name
from tables.domain import Domain
from tables.row import Row

log = logging.getLogger("tidemark.engine")

WATCH_SECONDS = 2.0
ANSWER_SECONDS = 5.0  # a broker that needs longer for an offset is not serving


class Group(Protocol):
    """What the engine needs of the consumer group's member: the transport's consumer."""

    @property
    def generation(self) -> int:
        """The generation of the present assignment."""

    async def committed_offset(self, partition: TopicPartition) -> int | None:
        """The group's committed offset."""

    async def is_member(self) -> bool:
        """Whether the group's coordinator still knows this member, asked now."""


class NotLiveError(Exception):
    """The partition is ours but its rows are being restored: ask again soon."""


class NotOwnedError(Exception):
    """The partition belongs to another worker, or to nobody at the moment."""


class Offsets:
    """The ends of partitions, asked of the broker: high watermark and last stable offset."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._uncommitted: AIOKafkaConsumer | None = None
        self._committed: AIOKafkaConsumer | None = None

    async def start(self) -> None:
        """Connect."""
        kafka = self._settings.kafka()
        self._uncommitted = AIOKafkaConsumer(**kafka, isolation_level="read_uncommitted", enable_auto_commit=False)
        self._committed = AIOKafkaConsumer(**kafka, isolation_level="read_committed", enable_auto_commit=False)
        await asyncio.gather(self._uncommitted.start(), self._committed.start())

    async def stop(self) -> None:
        """Disconnect."""
        consumers = [consumer for consumer in (self._uncommitted, self._committed) if consumer is not None]
        await asyncio.gather(*(consumer.stop() for consumer in consumers))

    async def ends(self, partition: TopicPartition) -> tuple[int, int]:
        """(high watermark, last stable offset); they are equal when no transaction is open."""
        high = await self._end(self._uncommitted, partition)
        return high, await self._end(self._committed, partition)

    async def beginning(self, partition: TopicPartition) -> int:
        """The first offset that is still there."""
        consumer = self._started(self._committed)
        return int((await consumer.beginning_offsets([partition]))[partition])

    async def _end(self, consumer: AIOKafkaConsumer | None, partition: TopicPartition) -> int:
        return int((await self._started(consumer).end_offsets([partition]))[partition])

    @staticmethod
    def _started(consumer: AIOKafkaConsumer | None) -> AIOKafkaConsumer:
        if consumer is None:
            raise RuntimeError("not started")
        return consumer


class Engine:
    """The partitions of this worker. One per Faust app."""

    def __init__(self, settings: Settings, domains: Iterable[Domain]) -> None:
        self.settings = settings
        self.domains = {topic_name(settings, domain, "events"): domain for domain in domains}
        self.owned: dict[tuple[str, int], Owned] = {}
        self.offsets = Offsets(settings)
        self.group: Group | None = None
        self.crash: Callable[[BaseException], Awaitable[None]] | None = None
        self.others: Callable[[Domain, int], Any] = lambda _domain, _partition: None  # all other partitions' totals
        self.work = asyncio.Event()  # something may have become fetchable
        self.unreachable = ""  # since when the brokers do not answer; "" while they do
        self._expected = 0
        self._partitioner = DefaultPartitioner()
        self._all = list(range(settings.partitions))
        self._crashing: set[asyncio.Task[None]] = set()

    def partition_of(self, key: bytes) -> int:
        """The partition of a key by Kafka's default partitioner (murmur2)."""
        return int(self._partitioner(key, self._all, self._all))

    # -- assignment --------------------------------------------------------------------------------------------------

    async def assigned(self, partitions: Iterable[tuple[str, int]], generation: int) -> None:
        """Take partitions over. Returns at once; each becomes live by itself, as soon as it is restored."""
        ours = set(partitions)
        for gone in self.owned.keys() - ours:
            self.owned.pop(gone).drop()
        for topic, partition in sorted(ours):
            owned = self.owned.get((topic, partition))
            if owned is None:
                owned = self.owned[topic, partition] = Owned(self, self.domains[topic], partition)
            owned.start(generation)

    def expect(self, changelogs: int) -> None:
        """Note how many changelog partitions were assigned: each must come with its source partition."""
        self._expected = changelogs

    async def revoked(self) -> None:
        """Let go of all partitions: a classic rebalance takes everything from everyone."""
        await asyncio.gather(*(owned.revoke() for owned in self.owned.values()))

    def check_generation(self, generation: int) -> None:
        """Raise GenerationError unless the assignment still holds."""
        if self.group is None or self.group.generation != generation:
            raise GenerationError(f"generation {generation} is over")

    async def committed_offset(self, partition: TopicPartition) -> int | None:
        """The group's committed offset of a source partition, or None."""
        if self.group is None:
            raise GenerationError("no group")
        return await self.group.committed_offset(partition)

    async def is_member(self) -> bool:
        """Whether the group still knows this worker; one that does not will revoke everything and join again."""
        try:
            return self.group is not None and await self.group.is_member()
        except KafkaError:
            return False

    # -- failures ----------------------------------------------------------------------------------------------------

    def may_retry(self, error: Exception) -> bool:
        """Whether trying again may help."""
        return not isinstance(error, FINAL)

    def on_done(self, run: "asyncio.Task[None]") -> None:
        """Stop the worker when a partition's life ended by an error that trying again does not mend."""
        error = None if run.cancelled() else run.exception()
        if error is not None and self.crash is not None:
            log.critical("%s: %s", run.get_name(), error)
            crashing = asyncio.ensure_future(self.crash(error))
            self._crashing.add(crashing)
            crashing.add_done_callback(self._crashing.discard)

    async def watch(self) -> None:
        """Ask the brokers a small question again and again; say once when they stop answering, and once when they do.

        An idle partition commits nothing, so nothing else would notice.
        """
        partition = TopicPartition(next(iter(self.domains)), 0)
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                await asyncio.wait_for(self.offsets.ends(partition), ANSWER_SECONDS)
            except (KafkaError, TimeoutError, OSError):
                if not self.unreachable:
                    self.unreachable = f"Kafka does not answer since {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
                    log.error("%s at %s; trying again", self.unreachable, self.settings.bootstrap_servers)  # noqa: TRY400
            else:
                if self.unreachable:
                    log.warning("Kafka answers again at %s", self.settings.bootstrap_servers)
                self.unreachable = ""

    def wake(self) -> None:
        """Tell the transport that a partition may want records."""
        self.work.set()

    # -- reading -----------------------------------------------------------------------------------------------------

    def of_domain(self, domain: Domain) -> list[Owned]:
        """The partitions of a domain that are ours, whatever their state, in their order."""
        return [owned for _, owned in sorted(self.owned.items()) if owned.domain is domain]

    def row(self, domain: Domain, entity: str) -> tuple[Owned, Row | None]:
        """The row of an entity, None if there is none.

        Raises:
            NotOwnedError: another worker answers for it.
            NotLiveError: it is being restored.
        """
        key = entity.encode("utf-8", "surrogatepass")
        owned = self.owned.get((topic_name(self.settings, domain, "events"), self.partition_of(key)))
        if owned is None:
            raise NotOwnedError(f"partition {self.partition_of(key)} of {domain.name} is another worker's")
        if not owned.live or owned.task is None:
            raise NotLiveError(f"{owned!r} is being restored")
        return owned, owned.task.table.rows.get(key)

    def reasons_not_ready(self) -> list[str]:
        """Why this worker is not ready, one line per partition; empty when it is."""
        if self.group is None or self.group.generation < 0:
            return ["no partitions have been assigned yet"]
        reasons = [self.unreachable] if self.unreachable else []
        if len(self.owned) < self._expected:
            reasons.append(f"{self._expected - len(self.owned)} of the assigned partitions have no source topic")
        return reasons + [
            f"{owned!r} is {owned.state.value}" + (f": {owned.last_error}" if owned.last_error else "")
            for owned in self.owned.values()
            if owned.state is not State.LIVE
        ]
