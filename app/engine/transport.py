"""Faust's transport, handing agents whole slices of a partition's records.

The scheme is `tidemark://`. Agents stay Faust agents: `async for event in stream.events()`; the value of an event is a
list of `Slice`s. What Faust would do with offsets, acknowledgements and commits, the engine does (`owned.py`).
"""

import asyncio
from contextlib import suppress
from typing import Any, ClassVar

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from faust.serializers.schemas import Schema
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import TP, ConsumerMessage

from app.clock import elapsed
from app.engine import unreadable
from app.engine.consumer_thread import ConsumerThread
from app.engine.engine import Engine
from app.engine.owned import Owned
from app.engine.slices import Slice

SCHEME = "tidemark"
# Folded without an await in between: 1,000 x 3-5 us = 3-5 ms during which no view is answered.
SLICE_RECORDS = 1_000
# How long one fetch waits for records. Partitions that become live meanwhile join the next fetch.
FETCH_SECONDS = 0.2
ERROR_PAUSE_SECONDS = 1.0  # after a fetch, or the group, met an error that passes


class SliceSchema(Schema):
    """Leaves a slice as it is: decoding is the fold's business."""

    def compile(self, app: Any, **_: Any) -> Any:
        """Faust's hook: the decoder of a message."""

        async def decode(message: Any, *, propagate: bool = False) -> Any:  # noqa: ARG001 - Faust's signature
            return app.create_event(message.key, message.value, message.headers, message)

        return decode


class Consumer(driver.Consumer):
    """Faust's consumer: fetches for the partitions that are live, and hands their records on in slices."""

    _thread: ConsumerThread

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def engine(self) -> Engine:
        """The app's engine."""
        engine: Engine = self.app.engine
        return engine

    # -- the group, for the engine -----------------------------------------------------------------------------------

    @property
    def generation(self) -> int:
        """The generation of the present assignment; -1 while there is none."""
        return -1 if self.app.rebalancing_now else int(self.app.consumer_generation_id)

    @property
    def silent_seconds(self) -> float:
        """How long ago the group's coordinator has confirmed this member last."""
        return elapsed() - self._thread.confirmed_at

    async def committed_offset(self, partition: TopicPartition) -> int | None:
        """The group's committed offset."""
        return await self._thread.committed_offset(partition)

    async def is_member(self) -> bool:
        """Whether the group's coordinator still knows this member."""
        return await self._thread.is_member()

    async def get_over(self) -> None:
        """Raise what has gone wrong in the group since somebody asked, and let it go on."""
        await self._thread.get_over()

    def lag_records(self, owned: Owned) -> int | None:
        """High watermark minus the consumer's position, in records; None while unknown.

        Where all that was fetched is folded, the position is where the next fetch begins: a log may end in commit
        markers, and the last record's offset would leave a lag of 1 for ever.
        """
        ends = self._thread.ends(TP(owned.source, owned.partition))
        if owned.task is None or ends is None or self.engine.unreachable:
            return None
        return max(0, ends[0] - owned.folded_to)

    # -- fetching ----------------------------------------------------------------------------------------------------

    async def _drain_messages(self, fetcher: Any) -> None:
        while not (self._stopped.is_set() or fetcher._stopped.is_set()):  # noqa: SLF001 - Faust's own loop does so
            if not self.flow_active:
                await self.wait(self.can_resume_flow)
                continue
            wanted = await self._seek_live()
            if not wanted:
                self.engine.work.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.engine.work.wait(), FETCH_SECONDS)
                continue
            records = await self._fetch(wanted)
            if records is None:
                continue
            for partition, fetched in records.items():
                tp = TP(partition.topic, partition.partition)
                await self._hand_over(tp, *wanted[tp], fetched)
            self._note_positions(wanted)

    async def _fetch(self, wanted: dict[TP, tuple[Owned, int]]) -> dict[Any, list[Any]] | None:
        """What has been fetched; None after an error, which passes or stops the worker."""
        try:
            records: dict[Any, list[Any]] = await self._getmany(active_partitions=set(wanted), timeout=FETCH_SECONDS)
        except KafkaError as error:
            await self._fetch_failed(error, wanted)
            return None
        return records

    async def _fetch_failed(self, error: KafkaError, wanted: dict[TP, tuple[Owned, int]]) -> None:
        """Join the group again for an error of its own; for one of a partition let only that wait."""
        # What was taken of other partitions before is lost with it: all go on where their last slice has ended.
        for owned, epoch in wanted.values():
            if owned.epoch == epoch:
                owned.seek_to = owned.handed_over
        try:
            await self._thread.get_over()
        except KafkaError as of_group:
            await self.engine.group_failed(of_group)
        else:
            place = await self._thread.failed_at(wanted, error)
            if place is not None:
                unreadable.note(wanted[place[0]][0], place[1], error)
                return
            await self.engine.fetch_failed(error)
        await asyncio.sleep(ERROR_PAUSE_SECONDS)

    async def _seek_live(self) -> dict[TP, tuple[Owned, int]]:
        """The partitions to fetch for, with their epochs; those that were restored are sought to their position first.

        Seeking and fetching take turns in this one loop, so records from before a seek are never taken for later ones.
        """
        wanted = {}
        for (topic, partition), owned in list(self.engine.owned.items()):
            if not owned.wants_records:
                continue
            tp, epoch = TP(topic, partition), owned.epoch
            if owned.seek_to is not None:
                offset, owned.seek_to = owned.seek_to, None
                await self._thread.seek_and_wait(tp, offset)
            wanted[tp] = owned, epoch
        return wanted

    def _note_positions(self, wanted: dict[TP, tuple[Owned, int]]) -> None:
        """Note how far the consumer is, now that all that it has fetched is handed over.

        At any other time its position may be ahead of that: of records that are still on their way here, or of those
        that a seek is about to bring once more.
        """
        for tp, (owned, epoch) in wanted.items():
            ends = self._thread.ends(tp)
            if ends is not None and owned.epoch == epoch:
                owned.fetched_to = ends[1]
                unreadable.note_position(owned, *ends)

    async def _hand_over(self, tp: TP, owned: Owned, epoch: int, records: list[Any]) -> None:
        if owned.epoch != epoch or not records:
            return  # lost or revoked meanwhile; it will be sought to where its rows end
        # One message for all slices: Faust takes 150 us over each, as much as over the fold of a fifth of a slice.
        slices = []
        for first in range(0, len(records), SLICE_RECORDS):
            part = records[first : first + SLICE_RECORDS]
            slices.append(Slice(owned, epoch, owned.handed_over, part))
            owned.handed_over = part[-1].offset + 1
        last = records[-1]
        # The stream silently drops messages of another generation; a queue of messages full, this waits.
        message = ConsumerMessage(
            tp.topic, tp.partition, last.offset, last.timestamp / 1000, last.timestamp_type, (), None, slices,
            None, 0, 0, tp, generation_id=self.app.consumer_generation_id,
        )  # fmt: skip
        await self.callback(message)

    # -- what Faust would do, and the engine does --------------------------------------------------------------------

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit and park before the base class forgets everything."""
        await self.engine.revoked()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Changelogs are read by restores, each with a consumer of its own: the group's must not fetch them too."""
        await self._thread.pause(tp for tp in assigned if tp.topic not in self.engine.domains)
        await super().on_partitions_assigned(assigned, generation_id)

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: ARG002, FBT001, FBT002
        """Offsets are committed by the partitions' transactions; here only Faust's acknowledgements are forgotten."""
        self._acked.clear()
        self._acked_index.clear()
        return False

    async def wait_empty(self) -> None:
        """Let all partitions go: the app is stopping."""
        await self.engine.revoked()

    async def on_stop(self) -> None:
        """Nothing is left to commit: `wait_empty` came first."""
        await self.engine.revoked()
        self.engine.freeing.stop()
        await self.engine.offsets.stop()
        self.transport._topic_waiters.clear()  # noqa: SLF001 - as the driver does

    async def perform_seek(self) -> None:
        """Seeking is `_seek_live`'s."""

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's livelock detector looks at acknowledgements that we do not use; /health/ready looks at ours."""

    async def create_topic(self, topic: str, *_args: Any, **_options: Any) -> None:
        """Topics are created, with their policies, by `tidemark topics create`."""


class Transport(driver.Transport):
    """The transport of the scheme `tidemark://`."""

    Consumer: ClassVar[type[Consumer]] = Consumer


def register() -> None:
    """Make the scheme known to Faust also where the distribution's entry points are not installed."""
    TRANSPORTS.aliases[SCHEME] = f"{__name__}:Transport"
