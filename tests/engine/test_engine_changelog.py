"""What an owner finds in its changelog and its source: the exact place of what is wrong, and what is noted."""

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from agents.driver import Driver
from app.engine.changelog import READ_TO, SKIPPED, SOURCE, Last, check_position
from app.engine.errors import PositionError
from app.engine.topic_ids import topic_ids
from app.settings import Settings
from tables.players import PLAYERS
from tables.table import cell_key

if TYPE_CHECKING:
    from app.engine.owned import Owned


class Source:
    """A source topic, as the engine's Offsets would tell of it."""

    def __init__(self, beginning: int, end: int, id_: int) -> None:
        self._beginning, self._end, self._id = beginning, end, id_

    async def beginning(self, _: object) -> int:
        """The first offset that is still there."""
        return self._beginning

    async def ends(self, _: object) -> tuple[int, int]:
        """High watermark and last stable offset."""
        return self._end, self._end

    async def topic_id(self, _: str) -> int:
        """The number of the topic."""
        return self._id


def checked(driver: Driver, source: Source, offset: int | None, **settings: Any) -> None:
    """Step 5 of the order assigned."""
    owned = SimpleNamespace(
        domain=PLAYERS, partition=0, source="players-events", changelog="tidemark-players-changelog",
        engine=SimpleNamespace(offsets=source, settings=Settings(bootstrap_servers="unused", **settings)),
    )  # fmt: skip
    asyncio.run(check_position(cast("Owned", owned), driver.task, offset))


def noted(driver: Driver, name: str) -> bool:
    """Whether the changelog holds a number of the partition's own."""
    return cell_key(None, (name,)) in driver.cells


def folded(events: int) -> Driver:
    """A driver with so many committed records."""
    driver = Driver(PLAYERS)
    for _ in range(events):
        driver.send("ann", b"{")
    driver.settle()
    return driver


def test_the_source_is_noted_with_the_first_totals_and_gives_no_reason_for_a_commit() -> None:
    """A partition without records writes nothing when it is assigned."""
    driver = Driver(PLAYERS)
    checked(driver, Source(0, 0, 77), None)
    assert driver.commit().cells == []
    driver.send("ann", b"{")
    driver.settle()
    assert (noted(driver, SOURCE), driver.task.table.marks[SOURCE]) == (True, 77)
    checked(driver, Source(0, 1, 77), 1)
    assert driver.commit().cells == []


def test_a_source_that_was_created_anew_is_refused_however_long_it_is() -> None:
    """By its id; where brokers tell none, nobody can know, and nothing is forgotten."""
    driver = folded(2)
    checked(driver, Source(0, 2, 77), 2)
    driver.send("ann", b"{")
    driver.settle()
    for end in (0, 3, 500):
        with pytest.raises(PositionError, match="deleted and created anew; `tidemark reset players`"):
            checked(driver, Source(0, end, 78), None)
    checked(driver, Source(0, 3, 0), 3)
    assert driver.task.table.marks[SOURCE] == 77


def test_what_retention_has_overtaken_is_counted_and_only_what_was_the_tables_own() -> None:
    """A new table begins where its source begins; one that has rows has lost something, and remembers how much."""
    fresh = Driver(PLAYERS)
    checked(fresh, Source(40, 50, 77), None)
    assert (fresh.task.position, fresh.task.table.marks.get(SKIPPED)) == (40, None)
    driver = folded(2)
    checked(driver, Source(10, 50, 77), 2)
    assert (driver.task.position, driver.task.table.marks[SKIPPED]) == (10, 8)
    driver.commit()
    assert noted(driver, SKIPPED)
    checked(driver, Source(15, 50, 77), 10)
    assert driver.task.table.marks[SKIPPED] == 13


def test_a_worker_may_stop_where_it_would_have_to_go_on_without_events() -> None:
    """Whoever must not lose one without a decision; a new table has lost nothing."""
    fresh, driver = Driver(PLAYERS), folded(2)
    checked(fresh, Source(40, 50, 77), None, lost_events="stop")
    assert fresh.task.position == 40
    with pytest.raises(PositionError, match=r"8 offsets, from 2 on, were deleted .*TIDEMARK_LOST_EVENTS=skip"):
        checked(driver, Source(10, 50, 77), 2, lost_events="stop")
    assert driver.task.position == 2


def test_a_table_that_was_there_before_its_first_event_has_lost_that() -> None:
    """A committed offset of 0 says that somebody was there when the source was empty."""
    with pytest.raises(PositionError, match="7 offsets, from 0 on, were deleted"):
        checked(Driver(PLAYERS), Source(7, 8, 77), 0, lost_events="stop")
    driver = Driver(PLAYERS)
    checked(driver, Source(7, 8, 77), 0)
    assert (driver.task.position, driver.task.table.marks[SKIPPED]) == (7, 7)


def test_deleted_commit_markers_are_no_loss() -> None:
    """Retention that empties an idle partition takes the marker behind its last record, too."""
    driver = folded(2)
    driver.task.table.note(READ_TO, 3)
    checked(driver, Source(3, 3, 77), 2, lost_events="stop")
    assert (driver.task.position, driver.task.table.marks.get(SKIPPED)) == (3, None)
    driver.commit()
    checked(driver, Source(5, 9, 77), 3)
    assert (driver.task.position, driver.task.table.marks[SKIPPED]) == (5, 2)


def test_an_offset_that_does_not_fit_is_refused_with_both_ways_out() -> None:
    """Set it back, or make the rows anew."""
    with pytest.raises(PositionError, match=r"set the group's offset back to 2, .* `tidemark replay players") as caught:
        checked(folded(2), Source(0, 9, 77), 7)
    assert "committed offset 7, but the rows in tidemark-players-changelog end at 2" in str(caught.value)


def test_a_changelog_that_was_lost_is_not_taken_for_events_that_were() -> None:
    """Retention has moved the source's beginning as usual; the group knows that more had been folded."""
    with pytest.raises(PositionError, match="the changelog has lost records"):
        checked(folded(0), Source(beginning=500, end=2_000, id_=7), 1_000)


def test_the_last_record_of_a_key_is_where_the_cell_is() -> None:
    """A restore keeps no offsets; the second reading does, of one key."""
    log = [SimpleNamespace(offset=number, key=key) for number, key in enumerate((b"a", b"b", b"a", None, b"c"))]
    for key, offset in ((b"a", 2), (b"c", 4), (None, 3), (b"x", None)):
        last = Last(key)
        last.read(cast("Any", log[:2]))
        last.read(cast("Any", log[2:]))
        assert last.offset == offset


def test_a_topic_that_is_created_anew_has_another_id(kafka: str, prefix: str) -> None:
    """Of a real broker; of one that is not there nothing is told."""

    async def id_of(admin: AIOKafkaAdminClient) -> int:
        found = await topic_ids(admin._client, [prefix, f"{prefix}-gone"])
        assert set(found) <= {prefix}
        return found.get(prefix, 0)

    async def until(admin: AIOKafkaAdminClient, *, there: bool) -> int:
        async with asyncio.timeout(20):
            while bool(found := await id_of(admin)) != there:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.05)
        return found

    async def story() -> tuple[int, int]:
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
        await admin.start()
        try:
            ids = []
            for _ in range(2):
                await admin.create_topics([NewTopic(prefix, 1, 1)])
                ids.append(await until(admin, there=True))
                await admin.delete_topics([prefix])
                await until(admin, there=False)
            return ids[0], ids[1]
        finally:
            await admin.close()

    first, second = asyncio.run(story())
    assert first != second
    assert 0 < first < 2**63
