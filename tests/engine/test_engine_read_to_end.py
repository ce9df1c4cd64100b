"""Whether a source is known to have been folded to its end: nothing that is on its way may be overlooked.

A week that the clock closes while a record of it is between the consumer and the fold makes that record LATE. No broker
is needed: the consumer's thread and its fetches are played.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from faust.types.tuples import TP

from agents.task import Task
from app.engine.engine import Engine
from app.engine.owned import Owned, State
from app.engine.transport import Consumer
from app.settings import Settings
from tables.players import PLAYERS
from tables.table import Table

SOURCE = TP("players-events", 0)
MARKER = 1  # a log that is written in transactions ends in one


class Fetched:
    """A record as the client's parser makes it; what is in it does not matter here."""

    headers: list[tuple[str, bytes | None]] = []  # noqa: RUF012 - never changed
    key = value = None
    timestamp = timestamp_type = 0

    def __init__(self, offset: int) -> None:
        self.offset = offset


class Thread:
    """The consumer's thread: it gives records out, and its position moves before anybody has them."""

    def __init__(self, end: int) -> None:
        self.end = end
        self.position = 0

    def ends(self, _tp: TP) -> tuple[int, int]:
        """High watermark, and where it reads on."""
        return self.end + MARKER, self.position

    async def seek_and_wait(self, _tp: TP, offset: int) -> None:
        """Seek."""
        self.position = offset

    def fetch(self) -> list[Fetched]:
        """Everything up to the end."""
        first, self.position = self.position, self.end + MARKER
        return [Fetched(offset) for offset in range(first, self.end)]


class Played(Consumer):
    """The transport's consumer for one round of fetching; `look` is called whenever somebody else might look."""

    def __init__(self, engine: Engine, thread: Thread, look: Callable[[], None]) -> None:  # Faust's own wants an app
        self.app = SimpleNamespace(engine=engine, consumer_generation_id=1)
        self._thread, self._look = thread, look  # type: ignore[assignment]
        self.flow_active = True
        rounds = iter((False, True))
        self._stopped = SimpleNamespace(is_set=lambda: next(rounds))

    async def _getmany(self, **_: Any) -> dict[TP, list[Any]]:
        self._look()
        fetched = self._thread.fetch()
        self._look()
        return {SOURCE: fetched}

    async def callback(self, message: Any) -> None:
        """Fold a message, as the agent does, slice by slice."""
        self._look()
        for slice_ in message.value:
            slice_.fold()
            self._look()


def live(position: int) -> Owned:
    """A live partition whose rows hold so many records, as the order *assigned* leaves it."""
    engine = Engine(Settings(bootstrap_servers="127.0.0.1:1", partitions=1), [PLAYERS])
    owned = Owned(engine, PLAYERS, 0)
    owned.task = Task(PLAYERS, 0, Table(PLAYERS, 0), SOURCE.topic, engine.partition_of)
    owned.task.position = owned.seek_to = owned.fetched_to = owned.handed_over = position
    owned.state = State.LIVE
    engine.owned[SOURCE.topic, 0] = owned
    return owned


FETCHER = SimpleNamespace(_stopped=SimpleNamespace(is_set=lambda: False))  # Faust's service around the loop


async def test_records_on_their_way_hold_the_end_back_however_far_the_consumer_is() -> None:
    """Fetched is not folded: at every moment of a round it is what the rows hold that counts, until all is folded."""
    owned = live(0)
    seen = []
    thread = Thread(end=2_500)

    def look() -> None:
        assert owned.task is not None
        assert owned.folded_to == owned.task.position
        seen.append(owned.folded_to)

    await Played(owned.engine, thread, look)._drain_messages(FETCHER)
    assert sorted(set(seen)) == [0, 1_000, 2_000, 2_500]
    assert owned.folded_to == 2_500 + MARKER, "with nothing on its way, markers are passed"


async def test_a_partition_that_is_to_be_sought_back_is_not_at_the_end_where_the_consumer_still_stands() -> None:
    """Its rows were lost after a fetch: until the seek has brought the records once more, they are not folded."""
    owned = live(100)
    thread = Thread(end=500)
    thread.fetch()  # for the rows that were lost
    seen = []
    await Played(owned.engine, thread, lambda: seen.append(owned.folded_to))._drain_messages(FETCHER)
    assert seen == [100, 100, 100, 500]


async def test_without_rows_nothing_is_folded() -> None:
    """Whatever was fetched for the rows before."""
    owned = live(100)
    owned.task = None
    assert owned.folded_to == -1
