"""One owned partition of one domain: the three orders that make it exact.

*Assigned*: 1 fence, 2 check the generation, 3 the changelog is stable, 4 restore, 5 read the committed offset,
6 check again and resume. *Commit*: 1 take, 2 send, 3 await delivery, 4 add the offset, 5 commit. *Revoked*: 1 stop
taking batches, 2 commit what is done, 3 release the producer and park the rows, 4 drop them unless the partition
comes back.

Whatever fails, the answer is the same: the rows and the producer are dropped, and the partition is assigned anew from
step 1. Nothing ever goes on with rows that are ahead of the log.
"""

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from aiokafka import TopicPartition

from agents.aggregate import aggregate
from agents.emit import take, waits_for_end
from agents.task import Commit, FoldError, Task
from app.clock import now_ms
from app.engine.changelog import check_position, move_ring, restore, stable_end
from app.engine.errors import PASSING, GenerationError, LostSliceError, PositionError, in_words
from app.engine.failpoints import reach
from app.engine.producer import Batch, PartitionProducer, delivered_to
from app.topology import topic_name
from tables.domain import Domain

if TYPE_CHECKING:
    from app.engine.engine import Engine
    from app.engine.unreadable import Unreadable

log = logging.getLogger("tidemark.engine")

BACKOFF_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)  # between attempts at one partition; the last one repeats
UNCOMMITTED_RECORDS = 100_000  # folded and not yet committed: beyond it the partition waits for its commit
# Likewise: of what they have changed. A new key that buries another one is a row, a dozen tombstones and a row's stats.
UNCOMMITTED_CHANGES = 30_000
UNCOMMITTED_LETTER_BYTES = 32 * 1024 * 1024  # likewise: of dead letters, which may be 1 MiB each
NEVER = -1  # no offset has been committed
FENCE_SECONDS = 30  # a former transaction is aborted within 10 s; without an answer at all the watch says why
REVOKE_SECONDS = 4  # for the last commit, when partitions go: well inside the shortest session timeout (6 s)


class State(Enum):
    """What a partition is doing. Only LIVE rows are ever served."""

    RESTORING = "restoring"
    LIVE = "live"
    PARKED = "parked"


@dataclass(frozen=True)
class Slice:
    """Consecutive records of a partition, as the transport hands them to the agent."""

    owned: "Owned"
    epoch: int
    start: int
    """Where the slice before it ended: a slice that got lost is noticed."""
    records: list[Any]

    @property
    def may_wait(self) -> bool:
        """Whether its partition has no room for it before the next commit. A lost partition has: it folds nothing."""
        return self.epoch == self.owned.epoch and not self.owned.has_room

    def fold(self) -> None:
        """Fold the slice, unless its partition has been lost since it was fetched."""
        self.owned.fold(self)

    def give_up(self) -> None:
        """Leave the slice for later, with all that was fetched behind it."""
        self.owned.give_up(self)


class Owned:
    """A partition that this worker owns, or had before this rebalance."""

    def __init__(self, engine: "Engine", domain: Domain, partition: int) -> None:
        self.engine = engine
        self.domain = domain
        self.partition = partition
        self.source = topic_name(engine.settings, domain, "events")
        self.changelog = topic_name(engine.settings, domain, "changelog")
        self.transactional_id = f"{engine.settings.application_id}-{domain.name}-{partition}"
        self.state = State.RESTORING
        self.epoch = 0  # of the rows: whatever was fetched for older ones is not folded
        self.task: Task | None = None
        self.committed = 0  # the source offset of our last commit
        self.changelog_end = 0  # where our last commit left the changelog
        self.handed_over = 0  # the next offset that the transport has not yet handed to the agent
        self.fetched_to = 0  # the consumer's position when all that it had fetched was handed over
        self.seek_to: int | None = None  # for the transport, before it fetches again
        self.unreadable: Unreadable | None = None  # the source cannot be read on; the transport tries again
        self.poison: dict[int, str] = {}
        self.restores = 0  # since the worker started: the rows were read from the changelog
        self.defects = 0  # likewise: records that the domain's own code raised at; each costs a restore
        self.last_error = ""
        self._told_of: set[str] = set()  # kinds of errors, since the last commit
        self._gap_at: int | None = None  # where the first offset is missing since the last look
        self._revoked_at = 0.0  # when it was last taken from us, by the monotonic clock
        self.committing_since = 0.0  # by the monotonic clock; 0 while no commit is on its way
        self._attempts = 0  # in a row without a commit: a restore alone is no success
        self._revoke_turn = asyncio.Lock()
        self._producer: PartitionProducer | None = None
        self._revoking = asyncio.Event()
        self._hurry = asyncio.Event()  # the next commit is not to wait for its time
        self._demands: list[asyncio.Future[int]] = []
        self._failed: Exception | None = None
        self._run: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"{self.domain.name}[{self.partition}]"

    @property
    def live(self) -> bool:
        """Whether its rows may be served and changed."""
        return self.state is State.LIVE

    @property
    def wants_records(self) -> bool:
        """Whether the transport should fetch for it."""
        if not self.live or (self.unreadable is not None and self.unreadable.waits):
            return False
        return self.has_room and self.handed_over - self.committed < UNCOMMITTED_RECORDS

    @property
    def has_room(self) -> bool:
        """Whether what its records have changed, and no commit has taken yet, leaves room for more."""
        task = self.task
        return task is None or (task.waiting < UNCOMMITTED_CHANGES and task.letters_bytes < UNCOMMITTED_LETTER_BYTES)

    @property
    def folded_to(self) -> int:
        """The source offset up to which everything that can be folded is folded; -1 without rows.

        A record on its way to the agent holds it back; commit markers, which nobody ever gets, do not.
        """
        if self.task is None:
            return -1
        position = self.task.position
        return max(position, self.fetched_to) if position == self.handed_over else position

    # -- the agent's side --------------------------------------------------------------------------------------------

    def fold(self, slice_: Slice) -> None:
        """Fold a slice of the present epoch; without an await, so that a commit never sees half of one."""
        if slice_.epoch != self.epoch or self.task is None:
            return
        try:
            self._follows(self.task, slice_)
            aggregate(self.task, slice_.records, now_ms())
        except FoldError as error:
            self._go_round(error)
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - rows may be ahead of the position: whatever it was, never commit them
            self._fail(error)

    def give_up(self, slice_: Slice) -> None:
        """Leave a slice and all that was fetched behind it unfolded: it is fetched again when there is room.

        What is on its way belongs to a former epoch from here on, and the transport seeks to where the rows end.
        """
        if slice_.epoch == self.epoch and self.task is not None:
            self.epoch += 1
            self.seek_to = self.handed_over = self.fetched_to = self.task.position

    def _follows(self, task: Task, slice_: Slice) -> None:
        """Raise unless the slice begins where the rows end; compared with the log's own offsets, too."""
        position, first = task.position, slice_.records[0].offset
        if first < position:
            raise PositionError(
                f"{self.source} partition {self.partition} gave offset {first}, but the rows hold its records up to "
                f"{position}: the topic was recreated or cut off; `tidemark doctor {self.domain.name}` tells more"
            )
        if slice_.start != position:
            raise LostSliceError(f"a slice from {slice_.start}, wanted {position}")
        if slice_.records[-1].offset - first + 1 < len(slice_.records):  # offsets only grow, by one at the least
            raise LostSliceError(f"a slice from {first} has records twice")
        if first > position and self._gap_at is None:
            self._gap_at = position

    # -- on demand ---------------------------------------------------------------------------------------------------

    def demand(self) -> "asyncio.Future[int]":
        """Ask for the periodic record out of turn.

        Returns:
            A future of the record's time in ms since the epoch, done when the commit that carries the record is
            durable; cancelled when the rows are lost, or the partition goes, before anybody knows that it is.

        Raises:
            GenerationError: the rows are not live.
        """
        if not self.live or self.task is None:
            raise GenerationError(f"{self!r} is {self.state.value}")
        demand: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._demands.append(demand)
        self.task.demanded = True
        self._hurry.set()
        return demand

    def _carried(self, task: Task, commit: Commit) -> "list[asyncio.Future[int]]":
        """The demands whose record is in the commit; where it could not be made they are cancelled."""
        periodic = self.domain.periodic
        if task.demanded or periodic is None or not self._demands:
            return []
        if not any(record.role == periodic.role for record in commit.outgoing):
            self._drop_demands()
        return list(self._demands)

    def _answer(self, carried: "list[asyncio.Future[int]]", now: int) -> None:
        self._demands = [demand for demand in self._demands if demand not in carried]
        for demand in carried:
            if not demand.done():  # nobody waits any longer
                demand.set_result(now)

    def _drop_demands(self) -> None:
        demands, self._demands = self._demands, []
        if self.task is not None:
            self.task.demanded = False
        for demand in demands:
            demand.cancel()

    # -- failures ----------------------------------------------------------------------------------------------------

    def _go_round(self, error: FoldError) -> None:
        """After the restore, the record that the domain's own code has raised at is a dead letter."""
        log.warning("%r: %s; the record becomes a dead letter", self, error, exc_info=error.__cause__)
        if error.offset not in self.poison:
            self._attempts = 0  # one more is known: many of them in a row cost a restore each, and no long pauses
        self.poison[error.offset] = error.reason
        self.defects += 1

    def _fail(self, error: Exception) -> None:
        self.epoch += 1
        self.state = State.RESTORING
        self._failed = error

    # -- its life ----------------------------------------------------------------------------------------------------

    def start(self, generation: int) -> None:
        """Begin the order *assigned*, and commit from then on, until `revoke`."""
        self._revoking.clear()
        self.state = State.RESTORING
        self._run = asyncio.create_task(self._live(generation), name=f"owned {self!r}")
        self._run.add_done_callback(self.engine.on_done)

    async def _live(self, generation: int) -> None:
        while not self._revoking.is_set():
            try:
                await self._assigned(generation)
                await self._commit_until_revoked()
            except GenerationError:
                await self._lose()
                return
            except PASSING as error:
                final = await self.engine.verdict(error)
                if final is not None:
                    raise final from error
                self._tell(error)
                await self._lose()
                await self._back_off()

    async def _back_off(self) -> None:
        """Wait before the next attempt, and for as long as the group does not confirm that we belong to it.

        To be fenced is no proof of having lost the partition (a slow starter of an older generation can do it), nor
        of having kept it (a process that was stopped for a while is a zombie). Fencing anew is for members only.
        """
        while not self._revoking.is_set():
            pause = BACKOFF_SECONDS[min(self._attempts, len(BACKOFF_SECONDS) - 1)]
            self._attempts += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._revoking.wait(), pause)
            if await self.engine.is_member():
                return

    def _tell(self, error: Exception) -> None:
        kind = type(error).__name__
        self.last_error = in_words(error)
        # One line per kind, not one per attempt; of brokers that are away the watch has told, once for all partitions.
        level = logging.DEBUG if kind in self._told_of or self.engine.unreachable else logging.WARNING
        log.log(level, "%r: %s; its rows are dropped, it is fenced and restored anew", self, self.last_error)
        self._told_of.add(kind)

    async def _lose(self) -> None:
        """Drop everything: rows that may be ahead of the log, and the producer that could not say."""
        self.epoch += 1
        self.state = State.RESTORING
        self.task, self._failed, self._gap_at, self.committing_since = None, None, None, 0.0
        self._drop_demands()
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.release()

    # -- the order *assigned* ----------------------------------------------------------------------------------------

    async def _assigned(self, generation: int) -> None:
        started = time.monotonic()
        reach("assigned.begun")
        # 1 Fence: the former owner's open transaction is aborted, its later writes are refused.
        settings = self.engine.settings
        self._producer = PartitionProducer(
            settings.kafka(), self.transactional_id, self.partition, settings.transaction_timeout_seconds
        )
        try:
            await asyncio.wait_for(self._producer.fence(), FENCE_SECONDS)
        except TimeoutError:
            raise TimeoutError(f"{self.transactional_id} could not be fenced within {FENCE_SECONDS} s") from None
        reach("assigned.fenced")
        # 2 This assignment must still hold: a slow starter of an older generation goes no further.
        self.engine.check_generation(generation)
        reach("assigned.checked")
        # 3 Nobody else may have a transaction open on the changelog: committed rows above it would be invisible.
        end = await stable_end(self, self.changelog)
        reach("assigned.stable")
        # 4 Restore the rows up to there; parked ones are as good, if nothing has happened since our last commit.
        reused = self.task is not None and (self.changelog_end, self.committed) == (end, await self._committed_offset())
        task, made = self.task if reused else None, ""
        if task is None:
            self.task = None  # not both in memory at once
            task, made = await self.engine.standby.promote(self, end), "promoted"
            if task is None:
                task, made = await restore(self, end), "restored"
                self.restores += 1
            self.task = task
            await move_ring(self, task)
        reach("assigned.restored")
        # 5 Only now read the committed source offset: the rows and it belong together.
        offset = await self._committed_offset()
        await check_position(self, task, offset)
        reach("assigned.offset")
        # 6 Check again, resume.
        self.engine.check_generation(generation)
        # What is not committed yet, because it never was or has expired, or because of a gap, is to be committed.
        self.committed = NEVER if offset is None else offset
        self.changelog_end, self.handed_over = end, task.position
        self.seek_to = self.fetched_to = task.position
        self.epoch += 1
        self.state = State.LIVE
        self.engine.wake()
        reach("assigned.resumed")
        log.info("%r: %s; goes on at offset %d", self, self._told(task, started, made), task.position)

    def _told(self, task: Task, started: float, made: str) -> str:
        rows, now = len(task.table.rows), time.monotonic()
        if not made:
            return f"kept its rows, {rows} of them, paused for {now - self._revoked_at:.2f} s"
        return f"{made}, {rows} rows, in {now - started:.2f} s"

    async def _committed_offset(self) -> int | None:
        return await self.engine.committed_offset(TopicPartition(self.source, self.partition))

    # -- the order *commit* ------------------------------------------------------------------------------------------

    async def _commit_until_revoked(self) -> None:
        interval = self.engine.settings.commit_interval_seconds
        # Staggered: partitions commit one after the other within an interval, not all at once.
        pause = interval * (1 + self.partition % 4) / 4
        while not self._revoking.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), pause)
            self._hurry.clear()
            began = time.monotonic()
            await self._commit()
            owes = self.task is not None and self.task.owes
            pause = 0.0 if owes else max(0.0, interval - (time.monotonic() - began))
        await self._commit()  # what was folded while the last commit was on its way

    async def _commit(self) -> None:
        if self._failed is not None:
            raise self._failed
        task, producer = self.task, self._producer
        if task is None or producer is None:
            raise GenerationError
        reach("commit.begun")
        await self._look_at_source(task)
        # 1 Take the offset, the changed cells and the outgoing records together: no await in here.
        now = now_ms()
        try:
            commit = take(task, now)
        except FoldError as error:  # a row that cannot be written
            self._go_round(error)
            raise
        carried = self._carried(task, commit)
        if not commit.cells and not commit.outgoing and commit.position == self.committed:
            return
        reach("commit.taken")
        self.committing_since = time.monotonic()
        # 2 Send all.
        await producer.begin()
        batches = self._batches(producer, commit)
        sent = {}
        for where, batch in batches.items():
            sent[where] = await producer.send(*where, batch)
            reach("commit.sending")
        reach("commit.sent")
        # 3 Await every delivery: any failure raises, and the transaction is never committed.
        delivered = {where: [await future for future in futures] for where, futures in sent.items()}
        reach("commit.delivered")
        # 4 The source offset becomes part of the transaction.
        if commit.position != self.committed:
            await producer.add_offset(self.source, commit.position, self.engine.settings.application_id)
        reach("commit.offset")
        # 5 Commit: all of it becomes visible at once.
        await producer.commit()
        reach("commit.committed")
        self.committed, self.committing_since = commit.position, 0.0
        self._attempts, self.last_error = 0, ""
        self._told_of.clear()
        self._answer(carried, now)
        for offset in [offset for offset in self.poison if offset < commit.position]:
            del self.poison[offset]
        changelog = self.changelog, self.partition
        if changelog in delivered:
            # The marker that ends the transaction takes one more offset.
            self.changelog_end = delivered_to(delivered[changelog], batches[changelog]) + 1
        self.engine.wake()

    async def _look_at_source(self, task: Task) -> None:
        """Ask what the commit has to know of the source; mostly nothing."""
        if self._gap_at is not None:
            await self._look_into_gap(self._gap_at)
        if waits_for_end(task, now_ms()):
            await self._look_for_end(task)

    async def _look_into_gap(self, first: int) -> None:
        """Offsets were missing from there on: commit markers, or what compaction took, unless retention was there.

        The client goes on at the beginning without a word where its position is gone. To begin anew counts and says it.
        """
        beginning = await self.engine.offsets.beginning(TopicPartition(self.source, self.partition))
        if beginning > first:
            raise LostSliceError(f"offsets {first} to {beginning} were deleted before they could be folded")
        if self._gap_at == first:
            self._gap_at = None

    async def _look_for_end(self, task: Task) -> None:
        """Note that the source has been folded to where it ends now, if it has."""
        asked_at = now_ms()
        end, _ = await self.engine.offsets.ends(TopicPartition(self.source, self.partition))
        if self.task is task and self.folded_to >= end:
            task.read_to_end_at = asked_at

    def _batches(self, producer: PartitionProducer, commit: Commit) -> dict[tuple[str, int], Batch]:
        batches: dict[tuple[str, int], Batch] = {}
        if commit.cells:
            append = batches.setdefault((self.changelog, self.partition), producer.batch()).append
            for change in commit.cells:
                append(change.key, change.value)
        topics = {record.role: topic_name(self.engine.settings, self.domain, record.role) for record in commit.outgoing}
        for role, key, value, headers, partition in commit.outgoing:
            where = topics[role], self.partition if partition is None else partition
            batch = batches.get(where)
            if batch is None:
                batch = batches[where] = producer.batch()
            batch.append(key, value, headers)
        return batches

    # -- the order *revoked* -----------------------------------------------------------------------------------------

    async def revoke(self) -> None:
        """Let the partition go: what was folded is committed, or forgotten; its rows are parked, and not served.

        Asked twice at once (a worker that stops during a rebalance), the second waits and finds nothing left to do.
        """
        async with self._revoke_turn:
            await self._revoked()

    async def _revoked(self) -> None:
        reach("revoked.begun")
        # 1 Stop taking batches: slices that are on their way belong to a former epoch from here on.
        was_live = self.live
        self.epoch += 1
        self.state = State.PARKED
        self._revoked_at = time.monotonic()
        reach("revoked.stopped")
        # 2 Commit what is done (a running commit ends first; the loop makes one more turn).
        try:
            await self._last_commit(was_live=was_live)
            reach("revoked.committed")
            # 3 Release the producer; the rows stay, parked, in case the partition comes straight back.
            producer, self._producer = self._producer, None
            if producer is not None:
                await producer.release()
        except Exception as error:  # noqa: BLE001 - whatever it was, the rows must not outlive it; `on_done` judges it
            log.warning("%r: its last commit failed (%s): the next owner folds those records again", self, error)
            await self._lose()
        self._drop_demands()
        self.state = State.PARKED
        reach("revoked.released")

    async def _last_commit(self, *, was_live: bool) -> None:
        run, self._run = self._run, None
        self._revoking.set()
        self._hurry.set()
        if run is None:
            return
        if not was_live:
            run.cancel()  # a restore, or a pause between attempts: nothing to save
        done, _ = await asyncio.wait([run], timeout=REVOKE_SECONDS)
        if not done:
            run.cancel()
            raise TimeoutError(f"no answer within {REVOKE_SECONDS} s")
        if was_live and not run.cancelled():
            run.result()
            if self.task is None:
                raise GenerationError("the rows were lost on the way")
        elif not was_live:
            await self._lose()

    def drop(self) -> None:
        """4 Drop the rows of a partition that did not come back."""
        self.task = None
        reach("revoked.dropped")
