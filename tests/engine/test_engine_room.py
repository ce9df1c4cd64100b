"""A partition that cannot commit keeps no other one waiting, and loses and doubles nothing meanwhile.

No broker is needed: the consumer's thread, its fetches and the commits are played; the agent and its queue are real.
"""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types.tuples import TP

from agents.emit import take
from agents.task import Task
from app import main
from app.clock import now_ms
from app.engine import owned as owned_module
from app.engine import transport
from app.engine.engine import Engine
from app.engine.owned import Owned, State
from app.engine.slices import Slice
from app.engine.transport import Consumer
from app.settings import Settings
from tables.players import PLAYERS
from tables.table import Table
from tests.engine.test_engine_ownership import Fetched

TOPIC = "players-events"
STUCK, WELL = TP(TOPIC, 0), TP(TOPIC, 1)
END = 60
FETCH, SLICE = 6, 2  # records
SECONDS = 10.0


class Record(Fetched):
    """A record of some player who counts in any partition."""

    timestamp = timestamp_type = 0


class Thread:
    """The consumer's thread: it reads on from where it is, and its position moves with what it gives out."""

    def __init__(self) -> None:
        self.positions = dict.fromkeys((STUCK, WELL), 0)

    async def seek_and_wait(self, tp: TP, offset: int) -> None:
        """Seek."""
        self.positions[tp] = offset

    def ends(self, tp: TP) -> tuple[int, int]:
        """High watermark, and where it reads on."""
        return END, self.positions[tp]

    def fetch(self, tps: set[TP]) -> dict[TP, list[Record]]:
        """The next records."""
        fetched = {}
        for tp in tps:
            first, self.positions[tp] = self.positions[tp], min(self.positions[tp] + FETCH, END)
            fetched[tp] = [Record(offset) for offset in range(first, self.positions[tp])]
        return fetched


class Played(Consumer):
    """The transport's consumer with an agent behind a queue like Faust's."""

    def __init__(self, engine: Engine) -> None:  # Faust's own wants an app
        self.app = SimpleNamespace(engine=engine, consumer_generation_id=1)
        self._thread: Any = Thread()
        self._stopped = SimpleNamespace(is_set=lambda: False)
        self.flow_active = True
        self.queue: asyncio.Queue[Any] = asyncio.Queue(main.QUEUED_FETCHES)

    async def run(self) -> None:
        """Fetch, and fold what was fetched, until cancelled."""
        fetcher = SimpleNamespace(_stopped=SimpleNamespace(is_set=lambda: False))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(main._fold(SimpleNamespace(events=self.events)))
            tasks.create_task(self._drain_messages(fetcher))

    async def events(self) -> AsyncIterator[Any]:
        """The agent's stream."""
        while True:
            yield await self.queue.get()

    async def _getmany(self, *, active_partitions: set[TP], **_: Any) -> dict[TP, list[Any]]:
        await asyncio.sleep(0.001)
        return self._thread.fetch(active_partitions)  # type: ignore[no-any-return]

    async def callback(self, message: Any) -> None:
        """Wait until the agent's queue has room."""
        await self.queue.put(message)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An engine that owns two live partitions, of which each has room for a few changes."""
    monkeypatch.setattr(owned_module, "UNCOMMITTED_CHANGES", 1)
    monkeypatch.setattr(transport, "SLICE_RECORDS", SLICE)
    monkeypatch.setattr(main, "PATIENCE_SECONDS", 0.05)
    engine = Engine(Settings(bootstrap_servers="127.0.0.1:1", partitions=2), [PLAYERS])
    for tp in (STUCK, WELL):
        owned = engine.owned[tp] = Owned(engine, PLAYERS, tp.partition)
        owned.task = Task(PLAYERS, tp.partition, Table(PLAYERS, tp.partition), TOPIC, engine.partition_of)
        owned.state, owned.seek_to = State.LIVE, 0
    return engine


def rows(engine: Engine, tp: TP) -> Task:
    """The rows of a partition."""
    task = engine.owned[tp].task
    assert task is not None
    return task


async def committed(engine: Engine, *tps: TP) -> None:
    """Commit the partitions again and again until they have been folded to the end."""
    async with asyncio.timeout(SECONDS):
        while any(rows(engine, tp).position < END for tp in tps):
            await asyncio.sleep(0.005)
            for tp in tps:
                engine.owned[tp].committed = take(rows(engine, tp), now_ms()).position
                engine.wake()


async def test_a_partition_that_cannot_commit_keeps_no_other_one_waiting(engine: Engine) -> None:
    """What it has no room for is given up; when it can commit again, every record is fetched and folded once."""
    stuck, well = engine.owned[STUCK], engine.owned[WELL]
    running = asyncio.create_task(Played(engine).run())
    await committed(engine, WELL)
    held = rows(engine, STUCK).position
    assert 0 < held < FETCH
    assert not stuck.wants_records
    assert stuck.epoch > 0
    assert (stuck.handed_over, stuck.folded_to) == (held, held)
    await committed(engine, STUCK, WELL)
    running.cancel()
    assert (stuck.live, well.live) == (True, True)  # no slice was noticed as lost, or as one that came twice
    for tp in (STUCK, WELL):
        assert sum(rows(engine, tp).table.totals.outcomes) == END


async def test_a_slice_of_a_former_epoch_gives_nothing_up(engine: Engine) -> None:
    """Its partition was lost meanwhile, and may be live again with rows that end elsewhere."""
    owned = engine.owned[STUCK]
    late = Slice(owned, owned.epoch, 0, [Record(0)])
    owned.epoch += 1
    owned.seek_to = owned.handed_over = 40
    late.give_up()
    assert (owned.epoch, owned.seek_to, owned.handed_over) == (1, 40, 40)
