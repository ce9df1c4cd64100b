"""Bounded memory of what was folded already: what it remembers, and where it ends."""

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.driver import Driver
from tables.dedupe import ID_BYTES, ID_KIND, KIND, SOURCES, IdHead, LastIds, forget_oldest, packed
from tables.event import Outcome
from tables.players import PLAYERS
from tables.row import Row
from tables.table import Table
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


# -- ids ---------------------------------------------------------------------------------------------------------------


def fresh() -> Row:
    """A row that remembers ids."""
    return Row(Table(PLAYERS, 0), "ann", IdHead())


def numbered(number: int) -> bytes:
    """The packed id of that number."""
    return packed(f"id {number}")


@pytest.mark.parametrize(("last", "per_cell"), [(32, 8), (512, 8), (512, 32), (8, 8), (3, 1), (1, 1)])
def test_exactly_the_last_ids_are_remembered(last: int, per_cell: int) -> None:
    """At the edge of the bound, at every fill of ring and head: the last `last` are known, the one before is not."""
    memory, row = LastIds(last, per_cell), fresh()
    for number in range(3 * last + 2 * per_cell + 1):
        assert not memory.knows(row, numbered(number))
        memory.remember(row, numbered(number))
        assert memory.knows(row, numbered(number))
        assert memory.knows(row, numbered(max(0, number - last + 1)))
        if number >= last:
            assert not memory.knows(row, numbered(number - last))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 12), max_size=80), st.sampled_from([(8, 4), (6, 3), (4, 1), (8, 8)]))
def test_ids_are_known_as_a_queue_of_the_last_ones_would(sent: list[int], bounds: tuple[int, int]) -> None:
    """Whatever comes again before or after it was forgotten."""
    memory, row, queue = LastIds(*bounds), fresh(), deque[int](maxlen=bounds[0])
    for number in sent:
        assert memory.knows(row, numbered(number)) == (number in queue)
        if number not in queue:
            memory.remember(row, numbered(number))
            queue.append(number)


def test_a_new_id_writes_no_cell_until_there_are_eight() -> None:
    """One small cell for eight ids, and never more cells than the ring has slots; the head stays small."""
    memory, row = LastIds(32, 8), fresh()
    for number in range(1000):
        row.changed = {}
        memory.remember(row, numbered(number))
        assert len(row.changed) == (number % 8 == 7)
        assert len(row.head.ids) < 8 * ID_BYTES
    assert [len(cell.ids) for _, cell in row.of_kind(ID_KIND)] == [8 * ID_BYTES] * 4


def test_bytes_across_two_ids_are_no_id() -> None:
    """The end of one and the beginning of the next look like a third; only what stands at its place counts."""
    memory, row = LastIds(8, 2), fresh()
    first, second = bytes(range(16)), bytes(range(16, 32))
    across = first[8:] + second[:8]
    for id_ in (first, second, first, second):  # both in a cell
        memory.remember(row, id_)
    assert not memory.knows(row, across)
    memory.remember(row, bytes(16))
    assert not memory.knows(row, bytes(15) + b"\x01")
    memory.remember(row, across)
    assert memory.knows(row, across)


def test_a_uuid_is_its_bytes_and_anything_else_a_digest() -> None:
    """In either case, with dashes or without, a UUID is the same; texts that only look like one are themselves."""
    uuid = "0190163d-8694-739b-aea5-966c26f8ad91"
    digits = uuid.replace("-", "")
    assert packed(uuid) == packed(uuid.upper()) == packed(digits) == bytes.fromhex(digits)
    others = ["", "a", uuid[:-1], uuid + " ", "x" * 36, "-" * 36, uuid.replace("-", " "), "é" * 36, uuid[:-1] + "g"]
    others += [digits[:-2] + "  ", "\uff11" * 32, "{" + uuid + "}"]
    assert len({packed(other) for other in [uuid, *others]}) == len(others) + 1
    assert {len(packed(other)) for other in others} == {ID_BYTES}


@pytest.mark.parametrize(("last", "per_cell"), [(0, 8), (33, 8), (8, 0), (-8, 8)])
def test_a_memory_of_broken_cells_is_refused(last: int, per_cell: int) -> None:
    """Where it is declared, not at the first event."""
    with pytest.raises(ValueError, match="has to be a multiple"):
        LastIds(last, per_cell)
