"""Which partitions this worker owns, and what others may ask of them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.conn import CloseReason
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from app.engine.errors import GenerationError
from app.engine.freeing import Freeing
from app.engine.owned import Owned, State
from app.engine.standby import Standby
from app.engine.topic_ids import topic_ids
from app.engine.trouble import ANSWER_SECONDS, Watch
from app.partitions import partitioner
from app.refused import explained
from app.settings import Settings
from app.topology import topic_name
from tables.domain import Domain
from tables.row import Row

log = logging.getLogger("tidemark.engine")

ASK_SECONDS = 40.0  # for the end of a partition, as long as clients of Kafka wait by default


class Group(Protocol):
    """What the engine needs of the consumer group's member: the transport's consumer."""

    @property
    def generation(self) -> int:
        """The generation of the present assignment."""

    @property
    def silent_seconds(self) -> float:
        """How long ago the group's coordinator has confirmed this member last: since its answered heartbeat left."""

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
        # A request without an answer closes its connection, and is repeated on a new one until ASK_SECONDS are over.
        kafka = self._settings.kafka() | {"request_timeout_ms": round(ANSWER_SECONDS * 1000)}
        self._uncommitted = AIOKafkaConsumer(**kafka, isolation_level="read_uncommitted", enable_auto_commit=False)
        self._committed = AIOKafkaConsumer(**kafka, isolation_level="read_committed", enable_auto_commit=False)
        for consumer in (self._uncommitted, self._committed):
            consumer._request_timeout_ms = round(ASK_SECONDS * 1000)  # noqa: SLF001 - of its questions as a whole
        await asyncio.gather(self._uncommitted.start(), self._committed.start())

    async def stop(self) -> None:
        """Disconnect."""
        consumers = [consumer for consumer in (self._uncommitted, self._committed) if consumer is not None]
        await asyncio.gather(*(consumer.stop() for consumer in consumers))

    def reconnect(self) -> None:
        """Give the present connections up: whoever waits for an answer on them, or asks next, asks on new ones.

        A connection that a firewall has forgotten looks like brokers that think.
        """
        for consumer in (self._uncommitted, self._committed):
            if consumer is not None:
                for connection in list(consumer._client._conns.values()):  # noqa: SLF001 - likewise
                    connection.close(reason=CloseReason.CONNECTION_TIMEOUT)

    async def ends(self, partition: TopicPartition) -> tuple[int, int]:
        """(high watermark, last stable offset); they are equal when no transaction is open."""
        high = await self._end(self._uncommitted, partition)
        return high, await self._end(self._committed, partition)

    async def beginning(self, partition: TopicPartition) -> int:
        """The first offset that is still there."""
        consumer = self._started(self._committed)
        return await self._asked(partition, consumer.beginning_offsets([partition]))

    async def topic_id(self, topic: str) -> int:
        """A number that tells a topic from a later one of its name; 0 where the brokers do not tell ids."""
        client = self._started(self._committed)._client  # noqa: SLF001 - nothing public asks
        return (await topic_ids(client, [topic])).get(topic, 0)

    async def _end(self, consumer: AIOKafkaConsumer | None, partition: TopicPartition) -> int:
        return await self._asked(partition, self._started(consumer).end_offsets([partition]))

    @staticmethod
    async def _asked(partition: TopicPartition, asking: Awaitable[dict[TopicPartition, int]]) -> int:
        try:
            return int((await asking)[partition])
        except TopicAuthorizationFailedError:
            raise TopicAuthorizationFailedError(partition.topic) from None  # aiokafka does not say which

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
        self.ask_group: Callable[[], Awaitable[None]] | None = None  # raises what has gone wrong in the group
        self.others: Callable[[Domain, int], Any] = lambda _domain, _partition: None  # all other partitions' totals
        self.work = asyncio.Event()  # something may have become fetchable
        self._watch = Watch(self)
        self.standby = Standby(self)
        self.freeing = Freeing()
        self._expected = 0
        self.partition_of = partitioner(settings.partitions)
        self._crashing: asyncio.Future[None] | None = None

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

    async def verdict(self, error: Exception) -> Exception | None:
        """What the worker has to stop for, where trying again does not mend an error; else None."""
        return await self._watch.verdict(error)

    def on_done(self, run: "asyncio.Task[None]") -> None:
        """Stop the worker when a partition's life ended by an error that trying again does not mend."""
        error = None if run.cancelled() else run.exception()
        if error is not None:
            self.stop_for(error, run.get_name())

    def stop_for(self, error: BaseException, where: str) -> None:
        """Stop the worker; said once, however many partitions meet the same."""
        if self.crash is None or self._crashing:
            return
        log.critical("%s: %s", where, explained(error, self.settings, self.domains.values()))
        self._crashing = asyncio.ensure_future(self.crash(error))

    async def group_failed(self, error: KafkaError) -> bool:
        """The consumer group met an error: it passes (True), or the worker stops."""
        return await self._watch.group_failed(error)

    async def fetch_failed(self, error: KafkaError) -> bool:
        """A fetch met an error that is not the group's: it passes (True), or the worker stops."""
        return await self._watch.fetch_failed(error)

    async def watch(self) -> None:
        """Look whether the brokers answer, until cancelled."""
        await self._watch.run()

    @property
    def unreachable(self) -> str:
        """Since when the brokers do not answer, and why; empty while they do."""
        return self._watch.unreachable

    def wake(self) -> None:
        """Tell the transport that a partition may want records."""
        self.work.set()

    # -- reading -----------------------------------------------------------------------------------------------------

    def of_domain(self, domain: Domain) -> list[Owned]:
        """The partitions of a domain that are ours, whatever their state, in their order."""
        return [owned for _, owned in sorted(self.owned.items()) if owned.domain is domain]

    @property
    def confirmed(self) -> bool:
        """Whether the group has confirmed this worker within the session timeout.

        Until then nobody else can own its partitions. After that somebody may, and may have changed rows that this
        worker would still serve: one that was stopped for a while, or cut off, does not know.
        """
        return self.group is not None and self.group.silent_seconds < self.settings.session_timeout_seconds

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
        if not self.confirmed:
            raise NotLiveError(f"the group confirms this worker no more: {owned!r} may be another one's by now")
        return owned, owned.task.table.rows.get(key)

    def reasons_not_ready(self) -> list[str]:
        """Why this worker is not ready, one line per partition; empty when it is."""
        if self.group is None or self.group.generation < 0:
            return ["no partitions have been assigned yet"]
        reasons = [self.unreachable] if self.unreachable else []
        reasons += [f"{name} waits for its commit" for name in sorted(self._watch.waiting)]
        reasons += [f"{owned!r}: {owned.unreadable.reason}" for owned in self.owned.values() if owned.unreadable]
        if len(self.owned) < self._expected:
            reasons.append(f"{self._expected - len(self.owned)} of the assigned partitions have no source topic")
        return reasons + [
            f"{owned!r} is {owned.state.value}" + (f": {owned.last_error}" if owned.last_error else "")
            for owned in self.owned.values()
            if owned.state is not State.LIVE
        ]
