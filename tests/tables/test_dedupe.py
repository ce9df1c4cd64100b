"""Bounded memory of what was folded already: what it remembers, and where it ends."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.driver import Driver
from tables.dedupe import KIND, SOURCES, forget_oldest
from tables.event import Outcome
from tables.players import PLAYERS
from tests.tables.inputs import Fields, event, tell, told


def from_match(match: str, seq: int = 0) -> Fields:
    """A kill at a place of a match."""
    return event(match=match, seq=seq)


def applied(driver: Driver) -> int:
    """How many events were APPLIED."""
    return int(driver.task.table.totals.outcomes[Outcome.APPLIED])


def test_an_event_not_above_the_last_of_its_source_is_a_duplicate() -> None:
    """Equal or lower: DUPLICATE, whether the source is at hand or not."""
    driver = told([from_match("a", 5), from_match("a", 5), from_match("a", 4), from_match("b", 1)])
    assert applied(driver) == 2
    tell(driver, from_match("a", 5), from_match("a", 0))
    assert applied(driver) == 2
    tell(driver, from_match("a", 6), from_match("b", 1), from_match("b", 2))
    assert applied(driver) == 4


def test_the_last_500_sources_are_remembered_the_one_at_hand_included() -> None:
    """At the edge of the bound: 500 matches later everything is still known; the 501st makes the oldest forgotten."""
    driver = told(from_match(f"m{number}") for number in range(SOURCES))
    assert applied(driver) == SOURCES
    tell(driver, *(from_match(f"m{number}") for number in range(SOURCES)))
    assert applied(driver) == SOURCES
    tell(driver, from_match("one more"))
    assert len(driver.row("ann").of_kind(KIND)) == SOURCES - 1
    tell(driver, *(from_match(f"m{number}") for number in range(1, SOURCES)))
    assert applied(driver) == SOURCES + 1
    tell(driver, from_match("m0"))
    assert applied(driver) == SOURCES + 2


def test_a_source_is_forgotten_by_its_last_event_not_by_its_first() -> None:
    """A match that goes on is remembered, however long ago it began."""
    driver = told([from_match("long", 0), *(from_match(f"m{number}") for number in range(SOURCES - 1))])
    tell(driver, from_match("long", 1), from_match("new"))
    before = applied(driver)
    tell(driver, from_match("long", 1))
    assert applied(driver) == before
    tell(driver, from_match("m0"))
    assert applied(driver) == before + 1


def test_a_duplicate_does_not_make_its_source_recent() -> None:
    """A DUPLICATE changes nothing, the order of forgetting included."""
    driver = told(from_match(f"m{number}") for number in range(SOURCES))
    tell(driver, from_match("m0"), from_match("new"))
    before = applied(driver)
    tell(driver, from_match("m0"))
    assert applied(driver) == before + 1


def test_one_entity_alternating_between_600_matches_stays_bounded() -> None:
    """Round after round through more sources than are remembered: never more than 500, never a crash of the order."""
    driver = Driver(PLAYERS)
    for round_ in range(3):
        tell(driver, *(from_match(f"m{number}", round_) for number in range(600)))
        driver.commit()
        assert len(driver.row("ann").of_kind(KIND)) == SOURCES - 1
    assert applied(driver) == 1800
    live = driver.read()
    driver.crash()
    assert driver.read() == live


def test_going_back_and_forth_between_known_sources_forgets_none() -> None:
    """With the memory full, a source that is known takes the place of the one at hand."""
    driver = told(from_match(f"m{number}") for number in range(SOURCES))
    for seq in range(1, 50):
        tell(driver, from_match("m0", seq), from_match("m1", seq))
    before = applied(driver)
    tell(driver, *(from_match(f"m{number}") for number in range(SOURCES)))
    assert applied(driver) == before
    assert len(driver.row("ann").of_kind(KIND)) == SOURCES - 1


def test_burial_ends_the_memory_of_a_key() -> None:
    """A buried player that comes back is new: the same event counts again."""
    first = from_match("a")
    driver = tell(Driver(PLAYERS, key_limit=1), first, first, event(player="bob"), first)
    assert driver.task.table.totals.outcomes[Outcome.DUPLICATE] == 1
    assert driver.row("ann").head.revision == 1


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_the_smallest_bounds_hold(limit: int) -> None:
    """With a bound of one, only the source at hand is known."""
    row = told(from_match(name) for name in "abcd").row("ann")
    forget_oldest(row, limit)
    assert [name[1] for name, _ in row.of_kind(KIND)] == ["a", "b", "c"][4 - limit :]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5))))
def test_exactly_the_rising_sequences_of_each_source_count(sent: list[tuple[str, int]]) -> None:
    """However sources interleave: an event counts if and only if it is above all that its source had."""
    last = {"a": -1, "b": -1, "c": -1}
    wanted = 0
    for match, seq in sent:
        wanted += seq > last[match]
        last[match] = max(last[match], seq)
    assert applied(told(from_match(match, seq) for match, seq in sent)) == wanted
