"""One partition of one domain that this worker owns: its state, what the agent folds into it, its life.

What makes it exact, step by step, are the three orders in `orders/`.
"""

import asyncio
import logging
import time
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING

from aiokafka import TopicPartition

from agents.aggregate import aggregate
from agents.task import Commit, FoldError, Task
from app.clock import now_ms
from app.engine.demands import Demands
from app.engine.errors import PASSING, GenerationError, LostSliceError, PositionError, cancelled_by_us, in_words
from app.engine.failpoints import reach
from app.engine.orders.assigned import assigned
from app.engine.orders.commit import commit_until_revoked
from app.engine.orders.revoked import revoked
from app.engine.slices import Slice
from app.rings import forget
from app.topology import topic_name
from tables.domain import Domain

if TYPE_CHECKING:
    from app.engine.engine import Engine
    from app.engine.producer import PartitionProducer
    from app.engine.unreadable import Unreadable

log = logging.getLogger("tidemark.engine")

BACKOFF_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)  # between attempts at one partition; the last one repeats
UNCOMMITTED_RECORDS = 100_000  # folded and not yet committed: beyond it the partition waits for its commit
# Likewise: of what they have changed. A new key that buries another one is a row, a dozen tombstones and a row's stats.
UNCOMMITTED_CHANGES = 30_000
UNCOMMITTED_LETTER_BYTES = 32 * 1024 * 1024  # likewise: of dead letters, which may be 1 MiB each
NEVER = -1  # no offset has been committed


class State(Enum):
    """What a partition is doing. Only LIVE rows are ever served."""

    RESTORING = "restoring"
    LIVE = "live"
    PARKED = "parked"


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
        self.gap_at: int | None = None  # where the first offset is missing since the last look
        self.revoked_at = 0.0  # when it was last taken from us, by the monotonic clock
        self.committing_since = 0.0  # by the monotonic clock; 0 while no commit is on its way
        self._attempts = 0  # in a row without a commit: a restore alone is no success
        self._revoke_turn = asyncio.Lock()
        self.producer: PartitionProducer | None = None
        self.revoking = asyncio.Event()
        self.hurry = asyncio.Event()  # the next commit is not to wait for its time
        self.demands = Demands()
        self.failure: Exception | None = None
        self.run: asyncio.Task[None] | None = None

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
            self.go_round(error)
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
        if first > position and self.gap_at is None:
            self.gap_at = position

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
        self.task.demanded = True
        self.hurry.set()
        return self.demands.add()

    def carried(self, task: Task, commit: Commit) -> "list[asyncio.Future[int]]":
        """The demands whose record is in the commit; where it could not be made they are cancelled."""
        periodic = self.domain.periodic
        if task.demanded or periodic is None or not self.demands.waiting:
            return []
        if not any(record.role == periodic.role for record in commit.outgoing):
            self._drop_demands()
        return list(self.demands.waiting)

    def _drop_demands(self) -> None:
        if self.task is not None:
            self.task.demanded = False
        self.demands.drop()

    # -- failures ----------------------------------------------------------------------------------------------------

    def go_round(self, error: FoldError) -> None:
        """After the restore, the record that the domain's own code has raised at is a dead letter."""
        log.warning("%r: %s; the record becomes a dead letter", self, error, exc_info=error.__cause__)
        if error.offset not in self.poison:
            self._attempts = 0  # one more is known: many of them in a row cost a restore each, and no long pauses
        self.poison[error.offset] = error.reason
        self.defects += 1

    def _fail(self, error: Exception) -> None:
        self.epoch += 1
        self.state = State.RESTORING
        self.failure = error

    # -- its life ----------------------------------------------------------------------------------------------------

    def start(self, generation: int) -> None:
        """Begin the order *assigned*, and commit from then on, until `revoke`."""
        self.revoking.clear()
        self.state = State.RESTORING
        self.run = asyncio.create_task(self._live(generation), name=f"owned {self!r}")
        self.run.add_done_callback(self.engine.on_done)

    async def _live(self, generation: int) -> None:
        while not self.revoking.is_set():
            try:
                with cancelled_by_us():
                    await assigned(self, generation)
                    await commit_until_revoked(self)
            except GenerationError:
                await self.lose()
                return
            except PASSING as error:
                final = await self.engine.verdict(error)
                if final is not None:
                    raise final from error
                self._tell(error)
                forget(error)
                await self.lose()
                await self._back_off()

    async def _back_off(self) -> None:
        """Wait before the next attempt, and for as long as the group does not confirm that we belong to it.

        To be fenced is no proof of having lost the partition (a slow starter of an older generation can do it), nor
        of having kept it (a process that was stopped for a while is a zombie). Fencing anew is for members only.
        """
        while not self.revoking.is_set():
            pause = BACKOFF_SECONDS[min(self._attempts, len(BACKOFF_SECONDS) - 1)]
            self._attempts += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self.revoking.wait(), pause)
            if await self.engine.is_member():
                return

    def _tell(self, error: Exception) -> None:
        kind = type(error).__name__
        self.last_error = in_words(error)
        # One line per kind, not one per attempt; of brokers that are away the watch has told, once for all partitions.
        level = logging.DEBUG if kind in self._told_of or self.engine.unreachable else logging.WARNING
        log.log(level, "%r: %s; its rows are dropped, it is fenced and restored anew", self, self.last_error)
        self._told_of.add(kind)

    async def lose(self) -> None:
        """Drop everything: rows that may be ahead of the log, and the producer that could not say."""
        self.epoch += 1
        self.state = State.RESTORING
        self.forget()
        self.failure, self.gap_at, self.committing_since = None, None, 0.0
        self._drop_demands()
        producer, self.producer = self.producer, None
        if producer is not None:
            await producer.release()

    def forget(self) -> None:
        """Drop the rows, if there are any."""
        task, self.task = self.task, None
        if task is not None:
            self.engine.freeing.table(task.table)

    # -- what the orders make of it ----------------------------------------------------------------------------------

    def resume(self, task: Task, offset: int | None, changelog_end: int) -> None:
        """Go live with these rows, at their position; the offset is the committed one, if there is one."""
        # What is not committed yet, because it never was or has expired, or because of a gap, is to be committed.
        self.committed = NEVER if offset is None else offset
        self.changelog_end, self.handed_over = changelog_end, task.position
        self.seek_to = self.fetched_to = task.position
        self.epoch += 1
        self.state = State.LIVE
        self.engine.wake()

    def committed_to(self, position: int) -> None:
        """All records below that offset are folded for good."""
        self.committed, self.committing_since = position, 0.0
        self._attempts, self.last_error = 0, ""
        self._told_of.clear()
        for offset in [offset for offset in self.poison if offset < position]:
            del self.poison[offset]
        self.engine.wake()

    def stop_taking(self) -> None:
        """Fold nothing more: the slices that are on their way belong to a former epoch from here on."""
        self.epoch += 1
        self.state = State.PARKED
        self.revoked_at = time.monotonic()

    def park(self) -> None:
        """Keep the rows, unless they were lost, and show them to nobody."""
        self._drop_demands()
        self.state = State.PARKED

    async def committed_offset(self) -> int | None:
        """The group's offset of the source; None: there is none, or it has expired."""
        return await self.engine.committed_offset(TopicPartition(self.source, self.partition))

    async def revoke(self) -> None:
        """Carry out the order *revoked*, up to its last step.

        Asked twice at once (a worker that stops during a rebalance), the second waits and finds nothing left to do.
        """
        async with self._revoke_turn:
            await revoked(self)

    def drop(self) -> None:
        """Its last step: drop the rows of a partition that did not come back."""
        # 4 Drop them unless the partition comes back.
        self.forget()
        reach("revoked.dropped")
