"""Rows made of cells: what one event writes, under which key, and what is refused when it is read again."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.driver import NOW, Driver
from tables.named import named
from tables.players import PLAYERS, DamageCell
from tables.row import HEAD
from tables.table import TOTALS_KEY, CorruptCellError, Table, cell_key
from tests.tables.inputs import event, tell, told

HOSTILE = ("", "nul\x00", 'quote"', "back\\slash", "a/b", '["ann"]', "ann,", "😀", "\u2028", "null", "x" * 256)


def load(cells: dict[bytes, bytes]) -> Table:
    """A table restored from these cells."""
    table = Table(PLAYERS, 0)
    for _ in table.load(cells.items(), NOW):
        pass
    return table


def refusal(cells: dict[bytes, bytes]) -> str:
    """What is said when these cells are refused."""
    with pytest.raises(CorruptCellError) as caught:
        load(cells)
    return str(caught.value)


def good() -> dict[bytes, bytes]:
    """The cells of two players."""
    return told([event("damage"), event(match="n"), event(player="bob")]).read()


def test_an_event_writes_the_cells_it_touches_and_no_others() -> None:
    """A player with 50 weapons costs what one with a single weapon costs."""
    driver = told([event("damage", weapon=f"w{number}") for number in range(50)])
    driver.commit()
    tell(driver, event("damage", weapon="w7", reason=None))
    written = {change.key for change in driver.commit().cells}
    assert written == {
        cell_key("ann", HEAD),
        cell_key("ann", ("damage", "w7", "Unknown", "normal")),
        cell_key("ann", ("day", "2025-06-15", "normal")),
        TOTALS_KEY,
    }


def test_nothing_changed_writes_nothing() -> None:
    """An idle partition has empty commits."""
    driver = told([event()])
    driver.settle()
    driver.wait(60)
    commit = driver.commit()
    assert (commit.cells, commit.outgoing) == ([], [])


def test_a_duplicate_writes_the_totals_only() -> None:
    """It is counted and moves the position; no row is touched."""
    again = event()
    driver = told([again])
    driver.commit()
    tell(driver, again)
    assert [change.key for change in driver.commit().cells] == [TOTALS_KEY]


def test_a_changelog_key_is_a_json_array_of_entity_and_cell() -> None:
    """Readable in any Kafka tool."""
    assert cell_key("ann", HEAD) == b'["ann"]'
    assert cell_key("ann", ("day", "2025-06-15", "normal")) == b'["ann","day","2025-06-15","normal"]'
    driver = told([event()])
    driver.commit()
    assert all(value[0] == PLAYERS.version for value in driver.cells.values())


text = st.text() | st.sampled_from(HOSTILE)


@settings(max_examples=200)
@given(text, st.lists(text, max_size=4), text, st.lists(text, max_size=4))
def test_different_cells_have_different_keys(one: str, name: list[str], other: str, other_name: list[str]) -> None:
    """Whatever stands in names: quotes, commas, brackets, NUL; and no key is that of the totals."""
    assume_different = (one, name) != (other, other_name)
    keys = cell_key(one, tuple(name)), cell_key(other, tuple(other_name))
    assert (keys[0] != keys[1]) == assume_different
    assert json.loads(keys[0]) == [one, *name]
    assert TOTALS_KEY not in keys


def test_hostile_names_come_back_from_the_changelog() -> None:
    """Players, weapons, reasons and matches called anything at all."""
    hostile = [name for name in HOSTILE if name]
    driver = told(
        event("damage", player=name, weapon=name[:128], reason=name[:128], match=name, match_type=name[:64])
        for name in hostile
        for _ in range(2)
    )
    driver.settle()
    live = driver.read()
    driver.crash()
    assert driver.read() == live == driver.cells
    assert set(driver.entities) == set(hostile)
    assert {f"{name}/all".encode() for name in hostile} == driver.stats.keys()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (b'["ann"]', b"", "is not a cell of this version: its value is empty"),
        (b'["ann"]', b"\x02\x90", "is not a cell of this version: its first byte is 0x02, not 0x01"),
        (b'["ann"]', b"\x01", "truncated"),
        (b'["ann"]', b"\x01\x90garbage", "trailing"),
        (b'["ann"]', b"\x01\x94\xa1x\x00\x00\x00", "Expected `int`"),
        (b'["ann","damage","w","r","normal"]', b"\x01\x92\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\x00", "Expected `int`"),
        (b'["ann","mystery","w"]', b"\x01\x90", "mystery"),
        (b'["ann",null]', b"\x01\x90", "Expected `str`"),
        (b'["ann","damage",7]', b"\x01\x90", "Expected `str`"),
        (b"[]", b"\x01\x90", ""),
        (b"ann", b"\x01\x90", "malformed"),
        (b"\xff", b"\x01\x90", ""),
        (TOTALS_KEY, b"\x01\x81\xa4hits\xa1x", "hits"),
        (b'[null,"x"]', b"\x01\x80", ""),
    ],
)
def test_a_corrupt_cell_is_refused_with_its_place(key: bytes, value: bytes, said: str) -> None:
    """Never a wrong number: the key is named, and what is wrong with it."""
    message = refusal(good() | {key: value})
    assert message.startswith(named(key))
    assert said in message


def test_a_record_without_a_key_is_refused() -> None:
    """It cannot be a cell; compaction would not even take it."""
    driver = told([event()])
    driver.commit()
    driver.changelog.append(driver.changelog[0]._replace(key=None))
    with pytest.raises(CorruptCellError, match="a record without a key is not a cell"):
        driver.restored()


def test_cells_without_their_head_are_refused() -> None:
    """A row that has lost its head has lost its count of what was folded."""
    cells = good()
    del cells[b'["ann"]']
    assert refusal(cells) == "the head of 'ann' is gone, and other cells of its row are there"


def test_rows_without_their_totals_are_refused() -> None:
    """They would be folded again from the first offset on."""
    cells = good()
    del cells[TOTALS_KEY]
    assert "2 rows, but the totals" in refusal(cells)


def test_a_lost_row_is_noticed() -> None:
    """The totals know how many rows there are."""
    cells = {key: value for key, value in good().items() if not key.startswith(b'["bob"')}
    assert refusal(cells) == "1 row, but the totals know of 2: the head of one is gone"


def test_totals_without_rows_are_fine() -> None:
    """A partition whose every record was refused has a position all the same."""
    driver = Driver(PLAYERS)
    driver.send(b"ann", b"garbage")
    driver.settle()
    driver.crash()
    assert driver.task.position == 1
    assert driver.cells.keys() == {TOTALS_KEY}


def test_a_restored_cell_of_an_earlier_version_gets_defaults() -> None:
    """New fields go to the end, with a default: a shorter array is an older cell."""
    cells = good() | {b'["ann","damage","old","Unknown","normal"]': b"\x01\x91\x07"}
    cell: Any = load(cells).rows[b"ann"].cells["damage", "old", "Unknown", "normal"]
    assert cell == DamageCell(7, 0)


def test_the_order_of_arrival_does_not_show_in_a_row() -> None:
    """Cells of a kind are sorted by name wherever they are listed."""
    driver = told([event("damage", weapon=name) for name in "cab"])
    assert [name[1] for name, _ in driver.row("ann").of_kind("damage")] == ["a", "b", "c"]
