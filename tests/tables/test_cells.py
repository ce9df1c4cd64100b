"""Cells one by one: whatever a restore refuses is found, with its key, and nothing else is."""

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.driver import Driver
from tables.cells import Cells, Problem
from tables.domain import Domain
from tables.players import PLAYERS
from tables.table import TOTALS_KEY, CorruptCellError, Table, cell_key
from tests.laws.strategies import every_domain, play, stories

BAD = (b"", b"\x01", b"\x01garbage", b"\x09\x90", b"\x01\xc1", b"\x01\x90\x90")
STRANGE = (b"", b"\xff", b"[]", b"null", b'["ann","nothing"]', b'["ghost","day"]', b'[null,"x"]', b"[null]", b"[1]")


def refused(domain: Domain, cells: dict[bytes, bytes]) -> CorruptCellError | None:
    """What a restore says."""
    try:
        for _ in Table(domain, 0).load(cells.items(), 0):
            pass
    except CorruptCellError as error:
        return error
    return None


@every_domain
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_whatever_a_restore_refuses_is_found(data: st.DataObject, domain: Domain) -> None:
    """Each cell by itself, heads that are missing, and rows that the totals do not know of."""
    driver = Driver(domain)
    play(driver, data.draw(stories(domain)))
    driver.settle()
    cells = dict(driver.cells)
    assert list(Cells(domain).problems(cells)) == []
    if cells:
        for key in data.draw(st.lists(st.sampled_from(sorted(cells)), max_size=2, unique=True)):
            value = data.draw(st.sampled_from((None, *BAD)))
            cells.pop(key) if value is None else cells.update({key: value})
    for key in data.draw(st.lists(st.sampled_from(STRANGE), max_size=2)):
        cells[key] = data.draw(st.sampled_from(BAD))
    found = list(Cells(domain).problems(cells))
    error = refused(domain, cells)
    if found:
        assert error is not None
        assert error.key in {problem.key for problem in found} or error.key is None
    else:  # all of them are cells; whether they make rows is seen when they are put together
        assert error is None or "do not make a row" in str(error)


def test_a_record_without_a_key_and_another_spelling_are_told() -> None:
    """Neither can be seen in the cells that a restore is given by name."""
    driver = Driver(PLAYERS)
    driver.send("ann", b"{")
    driver.settle()
    cells: dict[bytes | None, bytes] = {None: b"nobody's", b"[ null ]": driver.cells[TOTALS_KEY]}
    cells.update(driver.cells.items())
    assert list(Cells(PLAYERS).problems(cells)) == [
        Problem(None, "the record has no key"),
        Problem(b"[ null ]", "another spelling of [null]"),
    ]


def test_rows_that_the_totals_do_not_know_of_are_told_where_the_totals_are() -> None:
    """A head too many: each cell is sound."""
    driver = Driver(PLAYERS)
    driver.send("ann", b"{")
    driver.settle()
    ghost = {cell_key("ghost", ()): bytes([PLAYERS.version]) + b"\x90"}
    assert list(Cells(PLAYERS).problems(driver.cells | ghost)) == [
        Problem(TOTALS_KEY, "1 row, but the totals know of 0")
    ]
    error = refused(PLAYERS, driver.cells | ghost)
    assert error is not None
    assert error.key == TOTALS_KEY
