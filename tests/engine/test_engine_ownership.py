"""Which rows a worker serves: those of live partitions, and no others. No broker is needed."""

import asyncio

import pytest

from agents.task import Task
from app.engine.changelog import READ_TO
from app.engine.engine import Engine, NotLiveError, NotOwnedError
from app.engine.errors import LostSliceError, PositionError
from app.engine.orders.commit import commit, look_at_source
from app.engine.owned import Owned, State
from app.engine.slices import Slice
from app.main import _faust_settings
from app.settings import Settings
from tables.players import PLAYERS
from tables.table import Table
from tests.web.installation import Member

SETTINGS = Settings(bootstrap_servers="127.0.0.1:1", partitions=1)
SOURCE = "players-events"


@pytest.fixture
def engine() -> Engine:
    """An engine that owns one live, empty partition."""
    engine = Engine(SETTINGS, [PLAYERS])
    owned = Owned(engine, PLAYERS, 0)
    owned.task = Task(PLAYERS, 0, Table(PLAYERS, 0), SOURCE, engine.partition_of)
    owned.state = State.LIVE
    engine.owned[SOURCE, 0] = owned
    return engine


class Fetched:
    """A record as the client's parser makes it."""

    headers: list[tuple[str, bytes | None]] = []  # noqa: RUF012 - never changed
    key: bytes | None = b"ann"

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.value = (
            b'{"type":"damage","match":"m","seq":%d,"player":"ann","match_type":"official",'
            b'"damage":1.5,"at":"2026-01-01T00:00:00Z"}' % offset
        )


def fold(owned: Owned, start: int, *offsets: int, epoch: int | None = None) -> None:
    """Hand a slice over as the transport does."""
    Slice(owned, owned.epoch if epoch is None else epoch, start, [Fetched(offset) for offset in offsets]).fold()


async def test_a_live_partition_serves_what_it_has_folded(engine: Engine) -> None:
    """A view sees the row as of the last slice, as long as the group confirms that it is ours."""
    engine.group = Member()
    fold(engine.owned[SOURCE, 0], 0, 0, 1)
    _, row = engine.row(PLAYERS, "ann")
    assert row is not None
    assert row.head.revision == 2
    engine.group = Member(silent_seconds=engine.settings.session_timeout_seconds)
    with pytest.raises(NotLiveError, match="confirms this worker no more"):
        engine.row(PLAYERS, "ann")


async def test_rows_of_a_revoked_partition_are_not_served(engine: Engine) -> None:
    """From the first step of revocation on, the rows are parked: they may be another worker's by now."""
    fold(engine.owned[SOURCE, 0], 0, 0)
    await engine.revoked()
    with pytest.raises(NotLiveError):
        engine.row(PLAYERS, "ann")


async def test_rows_that_do_not_come_back_are_gone_after_the_next_assignment(engine: Engine) -> None:
    """Nothing of a lost partition is left, so nothing of it can be served or written."""
    owned = engine.owned[SOURCE, 0]
    fold(owned, 0, 0)
    await engine.revoked()
    await engine.assigned([], generation=2)
    assert owned.task is None
    with pytest.raises(NotOwnedError):
        engine.row(PLAYERS, "ann")


async def test_a_slice_fetched_before_a_revocation_is_not_folded(engine: Engine) -> None:
    """Slices belong to an epoch of the rows; those under way when it ends are dropped."""
    owned = engine.owned[SOURCE, 0]
    task, before = owned.task, owned.epoch
    await engine.revoked()
    fold(owned, 0, 0, epoch=before)
    assert task is not None
    assert task.position == 0


async def test_a_slice_that_got_lost_is_noticed(engine: Engine) -> None:
    """A slice that does not follow on the last one folds nothing and takes the partition out of service."""
    owned = engine.owned[SOURCE, 0]
    fold(owned, 0, 0)
    fold(owned, 5, 5)
    assert not owned.live
    assert owned.task is not None
    assert owned.task.position == 1


async def test_records_that_are_folded_already_are_not_folded_again(engine: Engine) -> None:
    """A log that was cut off or made anew gives offsets that the rows hold already: the partition stops."""
    owned = engine.owned[SOURCE, 0]
    fold(owned, 0, 0, 1, 2)
    fold(owned, 3, 0, 1)
    assert not owned.live
    assert isinstance(owned.failure, PositionError)
    assert owned.task is not None
    assert owned.task.table.totals.hits == 3


async def test_whatever_a_fold_raises_its_rows_are_never_committed(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that nobody foresaw leaves rows ahead of their position: the partition is out of service at once."""
    owned = engine.owned[SOURCE, 0]
    monkeypatch.setattr("app.engine.owned.aggregate", raising)
    fold(owned, 0, 0)
    assert not owned.live
    with pytest.raises(ZeroDivisionError):
        await commit(owned)


def raising(*_: object) -> None:
    """Fail."""
    raise ZeroDivisionError


async def test_two_revocations_at_once_take_turns(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that stops during a rebalance: the second must not release the producer of the first's commit."""
    owned, steps = engine.owned[SOURCE, 0], []

    async def slow(_: Owned, *, was_live: bool) -> None:
        steps.append(f"commit {was_live}")
        await asyncio.sleep(0)
        steps.append("committed")

    monkeypatch.setattr("app.engine.orders.revoked.last_commit", slow)
    await asyncio.gather(owned.revoke(), owned.revoke())
    assert steps == ["commit True", "committed", "commit False", "committed"]


async def test_a_client_that_lets_a_cancellation_of_its_own_out_does_not_end_a_partition(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody has cancelled the partition, so it is told, and restored anew; one that is revoked meanwhile ends."""
    owned, attempts, committing = engine.owned[SOURCE, 0], 0, asyncio.Event()

    async def assigned(_owned: Owned, _generation: int) -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            task = asyncio.create_task(asyncio.sleep(60))
            task.cancel()
            await task

    async def commit_until_revoked(_owned: Owned) -> None:
        committing.set()
        await asyncio.sleep(60)

    monkeypatch.setattr("app.engine.owned.assigned", assigned)
    monkeypatch.setattr("app.engine.owned.commit_until_revoked", commit_until_revoked)
    engine.group = Member()
    owned.start(generation=1)
    run = owned.run
    assert run is not None
    async with asyncio.timeout(5):
        await committing.wait()
        assert attempts == 2
        assert "a task of the client was cancelled (CancelledError); its rows are dropped" in caplog.text
        await owned.revoke()
    assert run.cancelled()


def test_a_worker_that_fetches_nothing_stays_in_the_group() -> None:
    """Aiokafka leaves the group after this long without a fetch, for good; a spare worker never fetches."""
    assert _faust_settings(SETTINGS)["broker_max_poll_interval"] > 365 * 86_400


def test_an_engine_without_a_group_is_not_ready() -> None:
    """Before the first assignment the reason says so."""

    async def reasons() -> list[str]:
        return Engine(SETTINGS, [PLAYERS]).reasons_not_ready()

    assert asyncio.run(reasons()) == ["no partitions have been assigned yet"]


class Ends:
    """The source as a broker tells it: where it begins."""

    def __init__(self, beginning: int) -> None:
        self._beginning = beginning

    async def beginning(self, _: object) -> int:
        """The first offset that is still there."""
        return self._beginning


@pytest.mark.parametrize(("beginning", "deleted"), [(2, False), (3, True), (9, True)])
async def test_records_that_were_deleted_before_a_live_worker_came_to_them_are_noticed(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, beginning: int, *, deleted: bool
) -> None:
    """A gap is usual: a commit marker, or what compaction took. One that retention has made is counted by a restore."""
    owned = engine.owned[SOURCE, 0]
    monkeypatch.setattr(engine, "offsets", Ends(beginning))
    fold(owned, 0, 0, 1)
    owned.handed_over = 2
    fold(owned, 2, 9, 10)
    assert owned.task is not None
    assert owned.task.position == 11
    if deleted:
        with pytest.raises(LostSliceError, match="offsets 2 to"):
            await look_at_source(owned, owned.task)
    else:
        await look_at_source(owned, owned.task)
        assert owned.gap_at is None


async def test_markers_behind_the_last_record_are_noted(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the next commit, which there is for their sake; when retention has taken them they are no loss."""
    owned = engine.owned[SOURCE, 0]
    monkeypatch.setattr(engine, "offsets", Ends(0))
    fold(owned, 0, 0, 1)
    owned.handed_over, owned.fetched_to = 2, 3
    assert owned.task is not None
    await look_at_source(owned, owned.task)
    assert owned.task.table.marks[READ_TO] == 3
    assert owned.task.table.totals_changed
    monkeypatch.setattr(engine, "offsets", Ends(3))
    fold(owned, 2, 3)
    await look_at_source(owned, owned.task)
    assert owned.gap_at is None


async def test_a_consumer_that_goes_on_at_the_beginning_is_not_taken_for_one_that_has_passed_markers(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client moves its position without a word when that is gone."""
    owned = engine.owned[SOURCE, 0]
    monkeypatch.setattr(engine, "offsets", Ends(100))
    fold(owned, 0, 0, 1)
    owned.handed_over, owned.fetched_to = 2, 100
    assert owned.task is not None
    with pytest.raises(LostSliceError, match="offsets 2 to 100"):
        await look_at_source(owned, owned.task)
    assert READ_TO not in owned.task.table.marks


def test_a_slice_that_holds_a_record_twice_is_refused(engine: Engine) -> None:
    """Whatever has happened on the way, rows of it are never committed."""
    owned = engine.owned[SOURCE, 0]
    fold(owned, 0, 0, 1, 1)
    assert not owned.live
