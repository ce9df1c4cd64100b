"""A table is what its events say, whatever has happened to it; and what is not is found. No broker."""

from datetime import datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agents.driver import Driver
from agents.restore import Restore
from agents.task import FoldError
from app.verify.difference import Difference, differences
from app.verify.rebuild import Made, Partition, Rebuild, histories, poisoned, restored
from tables.domain import Domain
from tables.event import Outcome, millis
from tables.players import PLAYERS, DamageCell, PlayerHead
from tables.rollups import ROLLUPS
from tables.row import Row
from tables.table import TOTALS_KEY, cell_key
from tests.laws.strategies import EXAMPLES, every_domain, play, stories


def partition(driver: Driver) -> Partition:
    """The driver's, as a task is made of it."""
    return Partition(
        driver.domain,
        driver.partition,
        driver.partitions,
        driver.partition_of,
        driver.task.source,
        driver.key_limit,
        driver.options,
    )


def by_changelog(driver: Driver, now: int) -> Made:
    """The side of the changelog."""
    changelog = Restore()
    changelog.read(driver.changelog)
    return restored(partition(driver), changelog, now)


def by_events(driver: Driver, position: int, now: int, *, ticks: bool = False) -> Made:
    """The side of the events."""
    headers = (letter.headers for letter in driver.dead_letters)
    poison = poisoned(headers, driver.task.source, driver.partition, position)
    rebuild = Rebuild(partition(driver), poison, now, ticks=ticks)
    rebuild.read([record for record in driver.source if record.offset < position])
    return rebuild.finish()


def compared(driver: Driver, now: int, *, ticks: bool = False) -> tuple[int, Difference | None]:
    """What `tidemark verify` would say of the driver's logs."""
    wanted = by_changelog(driver, now)
    made = by_events(driver, wanted.position, now, ticks=ticks)
    return differences(driver.domain, made.cells, wanted.cells)


@every_domain
@EXAMPLES
@given(data=st.data())
def test_no_story_makes_a_difference(data: st.DataObject, domain: Domain) -> None:
    """Batches, commits, crashes, waits, burials: at any moment later the changelog holds what the events say."""
    driver = Driver(domain, key_limit=data.draw(st.integers(0, 4)))
    play(driver, data.draw(stories(domain)))
    driver.fold()
    driver.commit()
    now = driver.now + data.draw(st.sampled_from((0, 1, 60_000, 3_600_000)))
    for ticks in histories(domain):
        assert compared(driver, now, ticks=ticks) == (0, None)


@every_domain
@EXAMPLES
@given(data=st.data())
def test_what_is_folded_and_not_committed_is_no_difference(data: st.DataObject, domain: Domain) -> None:
    """A worker may run meanwhile: the events are folded up to where the changelog's rows end."""
    driver = Driver(domain)
    story = data.draw(stories(domain))
    play(driver, story)
    play(driver, story[: data.draw(st.integers(0, len(story)))])
    driver.fold()
    assert compared(driver, driver.now) == (0, None)


@every_domain
@EXAMPLES
@given(data=st.data())
def test_a_tampered_cell_is_found_and_named(data: st.DataObject, domain: Domain) -> None:
    """A head with another revision: one difference, and both values are told."""
    driver = Driver(domain)
    play(driver, data.draw(stories(domain)))
    driver.settle()
    assume(driver.entities)
    entity = data.draw(st.sampled_from(driver.entities))
    driver.row(entity).head.revision += 7
    driver.row(entity).touch()
    revision = driver.row(entity).head.revision
    driver.commit()
    differing, first = compared(driver, driver.now)
    assert differing == 1
    assert first is not None
    assert (first.entity, first.cell) == (entity, [])
    assert (first.events["revision"], first.changelog["revision"]) == (revision - 7, revision)


@every_domain
@EXAMPLES
@given(data=st.data())
def test_a_lost_event_is_found(data: st.DataObject, domain: Domain) -> None:
    """A record that the fold has counted and the source does not hold, or the other way round."""
    driver = Driver(domain)
    play(driver, data.draw(stories(domain)))
    driver.settle()
    assume(driver.source)
    del driver.source[data.draw(st.integers(0, len(driver.source) - 1))]
    differing, first = compared(driver, driver.now)
    assert differing >= 1  # the outcomes of the totals, if nothing else
    assert first is not None


HIT = {
    "type": "damage",
    "match": "m",
    "seq": 1,
    "player": "ann",
    "match_type": "official",
    "at": "2025-06-01T00:00:00Z",
}


def hit(seq: int = 1, damage: float = 10, at: str = HIT["at"]) -> dict[str, object]:  # type: ignore[assignment]
    """A hit of ann's."""
    return {**HIT, "seq": seq, "damage": damage, "weapon": "WeapPan_C", "reason": "HeadShot", "at": at}


def test_a_missing_cell_and_one_too_many_are_told_apart() -> None:
    """One side says that there is no such cell."""
    driver = Driver(PLAYERS)
    driver.send("ann", hit())
    driver.settle()
    name = ("damage", "WeapPan_C", "HeadShot", "normal")
    cell = driver.row("ann").cells[name]
    del driver.row("ann").cells[name]
    driver.row("ann").touch(name)
    driver.commit()
    differing, first = compared(driver, driver.now)
    assert (differing, first) == (1, Difference("ann", [*name], {"hits": 1, "damage": 10_000_000}, None))
    driver.row("ann").cells[name] = cell
    driver.row("ann").cell(("damage", "WeapPan_C", "LegShot", "normal"), lambda: DamageCell(1, 2))
    driver.commit()
    driver.row("ann").touch(name)
    driver.commit()
    differing, first = compared(driver, driver.now)
    assert differing == 1
    assert first == Difference("ann", ["damage", "WeapPan_C", "LegShot", "normal"], None, {"hits": 1, "damage": 2})
    assert first.as_lines("player") == [
        'player \'ann\', ["damage","WeapPan_C","LegShot","normal"]',
        "  by the events:    no such cell",
        '  by the changelog: {"hits":1,"damage":2}',
    ]


def test_of_totals_that_differ_the_fields_that_differ_are_shown() -> None:
    """Rows come first; the totals only where no row differs."""
    driver = Driver(PLAYERS)
    driver.send("ann", hit())
    driver.settle()
    driver.task.table.totals.damage += 1
    driver.task.table.totals_changed = True
    driver.commit()
    differing, first = compared(driver, driver.now)
    assert differing == 1
    assert first is not None
    assert first.as_lines("player") == [
        'the partition\'s ["totals"]',
        '  by the events:    {"damage":10000000}',
        '  by the changelog: {"damage":10000001}',
    ]


def test_the_order_in_which_a_map_was_filled_is_no_difference() -> None:
    """Equal maps are equal, whatever their bytes."""
    cells = {TOTALS_KEY: b"\x01nonsense", cell_key("ann", ()): b"\x01nonsense"}
    assert differences(PLAYERS, cells, dict(cells)) == (0, None)
    assert differences(PLAYERS, cells, cells | {TOTALS_KEY: b"\x01other"})[0] == 1


def test_what_was_ahead_of_its_time_is_invalid_on_the_word_of_the_dead_letter() -> None:
    """Now it would be folded; then it was refused, and that is what happened."""
    driver = Driver(PLAYERS)
    driver.send("ann", hit())
    driver.send("ann", hit(seq=2, at="2025-06-18T00:00:00Z"))
    driver.settle()
    assert driver.task.table.totals.outcomes[Outcome.INVALID] == 1
    later = driver.now + 30 * 86_400_000
    assert compared(driver, later) == (0, None)
    driver.published["dead-letters"].clear()
    assert compared(driver, later)[0] > 0


def test_a_record_whose_fold_raised_is_taken_from_the_dead_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect of the domain made it INVALID; without the dead letter the defect shows itself."""
    reduce = PLAYERS.reduce

    def defective(row: Row, event: object, at: int, totals: object) -> object:
        if getattr(event, "seq", 0) == 2:
            raise ZeroDivisionError("a defect")
        return reduce(row, event, at, totals)

    monkeypatch.setitem(PLAYERS.__dict__, "reduce", defective)
    driver = Driver(PLAYERS)
    for seq in (1, 2, 3):
        driver.send("ann", hit(seq=seq))
    driver.settle()
    assert compared(driver, driver.now) == (0, None)
    driver.published["dead-letters"].clear()
    with pytest.raises(FoldError, match="offset 1"):
        compared(driver, driver.now)


def test_dead_letters_of_others_are_nobodys_business() -> None:
    """Another topic, another partition, another outcome, a later offset, an original's own headers, no number."""

    def headers(**said: str) -> list[tuple[str, bytes | None]]:
        all_said = {"topic": "t", "partition": "0", "offset": "1", "outcome": "INVALID", "reason": "r"} | said
        return [(f"tidemark-{name}", value.encode()) for name, value in all_said.items()]

    mine = headers()
    resent = headers() + headers(topic="other", offset="7")
    for letters, found in (
        ([mine], {1: "r"}),
        ([resent], {1: "r"}),
        ([headers(topic="other") + mine], {}),
        ([headers(partition="1")], {}),
        ([headers(outcome="MISROUTED")], {}),
        ([headers(offset="5")], {}),
        ([headers(offset="one")], {}),
        ([[]], {}),
    ):
        assert poisoned(letters, "t", 0, 5) == found


def test_heads_are_decoded_by_their_names() -> None:
    """Nested cells as well: nobody can read arrays. What is no cell at all is shown as text."""
    driver = Driver(PLAYERS)
    driver.send("ann", hit())
    driver.settle()
    head = cell_key("ann", ())
    _, first = differences(PLAYERS, {head: driver.read()[head]}, {head: b"\x01nonsense"})
    assert first is not None
    assert set(first.events) == set(PlayerHead.__struct_fields__)
    assert first.events["classes"][1]["hits"] == 1
    assert first.changelog == "\x01nonsense"
    assert first.as_lines("player")[0] == "player 'ann', head"


SUNDAY, MONDAY = "2025-06-15T10:00:00Z", "2025-06-16T00:06:00Z"


@pytest.mark.parametrize("behind", [False, True], ids=["never behind", "behind"])
def test_a_week_that_the_clock_has_closed_is_closed_in_one_history_or_the_other(*, behind: bool) -> None:
    """A snapshot of Sunday that comes on Monday is LATE for a worker that was there, and not for its backlog."""
    driver = Driver(ROLLUPS)
    sunday = {"env": "ann", "by_status": {}, "by_priority": {}, "progress_distribution": [0] * 10, "timestamp": SUNDAY}
    driver.send("ann", sunday | {"instance_id": "a", "totals": 1})
    if not behind:
        driver.settle()
    driver.now = millis(datetime.fromisoformat(MONDAY))
    if not behind:
        driver.commit()
    driver.wait(60)
    driver.send("ann", sunday | {"instance_id": "b", "totals": 2})
    driver.settle()
    assert driver.task.table.totals.outcomes[Outcome.LATE] == (0 if behind else 1)
    assert (compared(driver, driver.now, ticks=False)[0] == 0) is behind
    assert (compared(driver, driver.now, ticks=True)[0] == 0) is not behind
