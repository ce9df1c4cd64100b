"""Retention by count: per row, over a partition, and what a lowered or raised limit does."""

from collections.abc import Iterable
from operator import itemgetter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.driver import NOW, Driver
from tables.recent import Recent, Sightings, recent
from tables.retention import DIGITS, newest_records, numbered
from tests.agents.slips import PAGES, QUEUE, SLIPS
from tests.laws.looking import assert_as_restored


def told(slips: Iterable[tuple[str, str]], partition: int = 0, partitions: int = 1, **options: int) -> Driver:
    """A driver after slips of (name, page)."""
    driver = Driver(SLIPS, partition, partitions=partitions, options=options)
    for name, page in slips:
        driver.send(name, {"name": name, "amount": 1, "page": page})
    driver.fold()
    driver.commit()
    return driver


def notes(driver: Driver) -> list[int]:
    """The numbers of all notes that the rows keep."""
    rows = driver.task.table.rows.values()
    return sorted(int(name[1]) for row in rows for name in row.cells if name[0] == "note")


def pages(driver: Driver, name: str) -> list[str]:
    """The pages that a row keeps."""
    return [cell[1] for cell, _ in driver.row(name).of_kind("page")]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("12345678")), max_size=40), st.integers(1, 9))
def test_the_first_in_is_the_first_out_whosever_it_is(slips: list[tuple[str, str]], limit: int) -> None:
    """All rows together keep the newest; a restart changes nothing."""
    driver = told(slips, **{QUEUE.name: limit})
    assert notes(driver) == list(range(1, len(slips) + 1))[-limit:]
    if slips:
        assert_as_restored(driver)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("12345678")), max_size=40), st.integers(1, 5))
def test_a_row_keeps_its_greatest_names(slips: list[tuple[str, str]], limit: int) -> None:
    """Each row for itself; what was pushed out and comes again is pushed out again, unless it is among the greatest."""
    driver = told(slips, **{PAGES.name: limit})
    for name in {name for name, _ in slips}:
        kept: list[str] = []
        for page in (page for other, page in slips if other == name):
            kept = sorted({*kept, page})[-limit:]
        assert pages(driver, name) == kept


@pytest.mark.parametrize(("before", "after"), [(6, 2), (2, 6), (6, 6)])
def test_limits_may_be_lowered_and_raised(before: int, after: int) -> None:
    """Lowered, the surplus goes at the restart, before it is seen; raised, there is room for more from then on."""
    slips = [("ab"[number % 2], str(number)) for number in range(8)]
    driver = told(slips, **{QUEUE.name: before, PAGES.name: before})
    driver.options = {QUEUE.name: after, PAGES.name: after}
    driver.crash()
    least = min(before, after)
    assert notes(driver) == list(range(1, 9))[-least:]
    assert pages(driver, "a") == ["0", "2", "4", "6"][-least:]
    driver.commit()
    assert_as_restored(driver)
    driver.send("a", {"name": "a", "amount": 1, "page": "9"})
    driver.settle()
    assert notes(driver) == list(range(1, 10))[-min(after, least + 1) :]


def test_the_limit_of_a_queue_is_divided_over_the_partitions() -> None:
    """Together they never exceed it."""
    partition_of = Driver(SLIPS, partitions=4).partition_of
    kept = []
    for number in range(4):
        name = next(name for name in "abcdefghijkl" if partition_of(name.encode()) == number)
        kept.append(told([(name, "")] * 20, number, 4, **{QUEUE.name: 10}))
    assert [len(notes(driver)) for driver in kept] == [3, 3, 2, 2]


def test_a_removed_row_takes_its_cells_out_of_the_queue() -> None:
    """The others' stay, and there is room for more."""
    driver = told([("a", ""), ("b", ""), ("a", ""), ("b", "")])
    driver.send("a", None)
    driver.settle()
    assert notes(driver) == [2, 4]
    assert driver.task.table.totals.amount == 2
    assert driver.task.table.totals.keys == 1
    assert driver.task.table.totals.buried == 0
    assert_as_restored(driver)
    assert driver.stats.keys() == {b"b"}


def test_removing_what_is_not_there_is_a_duplicate() -> None:
    """Nothing has happened."""
    driver = told([("a", "")])
    driver.send("b", None)
    driver.settle()
    assert driver.task.table.totals.outcomes == [1, 1, 0, 0, 0]
    assert driver.entities == ["a"]


def test_a_row_that_comes_again_after_its_removal_is_a_new_one() -> None:
    """In one commit or in two: the tombstones come first."""
    driver = told([("a", "1")])
    driver.send("a", None)
    driver.send("a", {"name": "a", "amount": 5, "page": "2"})
    driver.settle()
    assert driver.row("a").head.amount == 5
    assert pages(driver, "a") == ["2"]
    assert_as_restored(driver)
    assert b"a" in driver.stats


def test_numbers_sort_as_text() -> None:
    """In as many digits."""
    assert numbered("note", 9) < numbered("note", 10) < numbered("note", 10**DIGITS - 1)


def test_the_newest_records_come_in_order_whatever_was_compacted() -> None:
    """A reader of a ring sorts by revision."""
    records = [{"revision": revision} for revision in (3, 9, 1, 7)]
    assert [record["revision"] for record in newest_records(records, 3, itemgetter("revision"))] == [3, 7, 9]
    assert newest_records([], 3, itemgetter("revision")) == []


# -- rows seen lately --------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(-700, 100), st.integers(0, 50)), max_size=40))
def test_recent_rows_are_counted_at_any_time_without_an_event(slips: list[tuple[str, int, int]]) -> None:
    """What is published once is right later, too: whoever asks adds up the seconds that are recent by then."""
    driver = Driver(SLIPS)
    last: dict[str, tuple[int, int]] = {}
    for name, seconds, amount in slips:
        driver.send(name, {"name": name, "amount": amount, "at": driver.now + seconds * 1000})
        driver.fold()
        driver.commit()
        seen, sum_ = last.get(name, (0, 0))
        last[name] = max(seen, driver.now + seconds * 1000), sum_ + amount
        driver.wait(7)
    for later in (0, 60, 600, 10_000):
        now = driver.now + later * 1000
        restored = driver.restored().table.recents["active"].published()
        for published in (driver.task.table.recents["active"].published(), restored):
            parts = [{second: (counts[0], counts[1]) for second, counts in published.items()}]
            found = recent(parts, 300, now)
            wanted = [
                amount for seen, amount in last.values() if seen // 1000 > now / 1000 - 300 and seen <= driver.now
            ]
            ahead = [amount for seen, amount in last.values() if seen > driver.now]
            assert len(wanted) <= found[0] <= len(wanted) + len(ahead)
            assert sum(wanted) <= found[1] <= sum(wanted) + sum(ahead)


def test_what_is_published_is_bounded_by_the_seconds_and_not_by_the_rows() -> None:
    """Ten thousand rows seen in one second are one number."""
    sightings = Sightings(Recent("active", 600, lambda row: row.head.at, lambda row: row.head.amount))
    driver = told([("a", "")])
    row = driver.row("a")
    for number in range(10_000):
        row.entity = str(number)
        sightings.update(row, NOW)
    assert sightings.published() == {str(NOW // 1000): [10_000, 10_000]}
    sightings.expire(NOW + 601_000)
    assert sightings.published() == {}
