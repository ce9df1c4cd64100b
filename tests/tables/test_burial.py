"""At most N keys per table: the least recently updated goes, from changelog and stats, and may come back."""

import pytest

from agents.driver import Driver
from agents.emit import tick
from tables.players import PLAYERS, SHOWN_CLASSES
from tables.row import HEAD
from tables.table import cell_key
from tests.tables.inputs import event, tell, told

KEYS = [f"ann/{suffix}".encode() for suffix in SHOWN_CLASSES]


def test_the_least_recently_updated_goes() -> None:
    """Not the oldest: an update makes a row young again."""
    driver = told([event(player=name) for name in ("ann", "bob", "ann", "cid")], key_limit=2)
    assert driver.entities == ["ann", "cid"]


def test_a_duplicate_does_not_keep_a_row_alive() -> None:
    """Only APPLIED events are updates, live and restored: the order must survive a restart."""
    again = event(player="ann")
    driver = told([again, event(player="bob"), again, event(player="cid")], key_limit=2)
    assert driver.entities == ["bob", "cid"]


def test_a_buried_row_leaves_a_tombstone_for_every_cell_it_ever_had() -> None:
    """Cells that were written, that were not yet, and that were dropped before they were: none is left behind."""
    driver = told([event("damage"), event(match="n")], key_limit=1)
    driver.commit()
    tell(driver, event(weapon="new"), event(match="m"), event(player="bob"))
    gone = {change.key for change in driver.commit().cells if change.value is None}
    assert {cell_key("ann", HEAD), cell_key("ann", ("damage", "Unknown", "Unknown", "normal"))} <= gone
    assert cell_key("ann", ("source", "n")) in gone
    assert not any(b'"ann"' in key for key in driver.cells)


def test_a_buried_row_that_was_never_written_is_gone_too() -> None:
    """Made and buried between two commits: readers of changelog and stats never hear of it."""
    driver = told([event(), event(player="bob")], key_limit=1)
    driver.settle()
    assert {key.split(b"/")[0] for key in driver.stats} == {b"bob"}
    assert not any(b'"ann"' in key for key in driver.cells)


def test_burial_with_a_pending_emission_publishes_tombstones_only() -> None:
    """What it owed is not published any more, not even when its timer fires."""
    driver = told([event(), event(player="bob")], key_limit=1)
    commit = driver.commit()
    assert [record.key for record in commit.outgoing if record.role == "stats"] == KEYS
    driver.wait(60)
    assert all(record.key not in KEYS for record in driver.commit().outgoing)


def test_a_published_row_is_buried_on_the_stats_topic() -> None:
    """Tombstones under all its keys, in the transaction that buries its cells."""
    driver = told([event()], key_limit=1)
    driver.settle()
    assert b"ann/all" in driver.stats
    tell(driver, event(player="bob"))
    driver.commit()
    assert not driver.stats.keys() & set(KEYS)


def test_an_evicted_row_that_returns_within_the_window_ends_up_alive() -> None:
    """Buried, made again and due in one commit: the tombstones come first, the new row and snapshot last."""
    driver = told([event("damage")], key_limit=1)
    driver.settle()
    tell(driver, event(player="bob"))
    driver.wait(60)
    tell(driver, event(weapon="new"))
    driver.wait(60)
    commit = driver.commit()
    ours = [record for record in commit.outgoing if record.role == "stats" and record.key in KEYS]
    assert [record.value is None for record in ours] == [True, True, True, False, False]
    assert driver.stats.keys() == {b"ann/all", b"ann/normal"}
    assert driver.read() == driver.cells
    assert driver.row("ann").head.revision == 1
    driver.crash()
    assert driver.read() == driver.cells


def test_two_ticks_before_a_commit_do_not_bury_what_came_back() -> None:
    """A tombstone goes out once; a second tick must not send it behind the new snapshot."""
    driver = told([event(), event(player="bob"), event(weapon="new")], key_limit=1)
    driver.wait(60)
    tick(driver.task, driver.now)
    tick(driver.task, driver.now)
    driver.commit()
    assert b"ann/all" in driver.stats


def test_a_limit_of_one_keeps_the_row_at_hand() -> None:
    """Two players that take turns bury each other every time, and the one that was last is whole."""
    driver = told([event(player=name) for _ in range(5) for name in ("ann", "bob")], key_limit=1)
    driver.settle()
    assert driver.entities == ["bob"]
    assert (driver.task.table.totals.keys, driver.task.table.totals.buried) == (1, 9)
    assert driver.read() == driver.cells


def test_no_limit_is_no_limit() -> None:
    """0 means that nobody is buried."""
    assert len(told([event(player=f"p{number}") for number in range(300)], key_limit=0).entities) == 300


@pytest.mark.parametrize(("limit", "shares"), [(10, [3, 3, 2, 2]), (4, [1] * 4), (1, [1] * 4), (0, [0] * 4)])
def test_the_limit_is_divided_over_the_partitions(limit: int, shares: list[int]) -> None:
    """Together never more than the limit, unless that is less than a row per partition; 0 stays no limit."""
    tables = [Driver(PLAYERS, number, partitions=4, key_limit=limit).task.table for number in range(4)]
    assert [table.row_limit for table in tables] == shares


def test_a_lowered_limit_buries_the_surplus_in_the_first_commit_after_the_restart() -> None:
    """Without waiting for an event of anybody."""
    driver = told([event(player=name) for name in ("ann", "bob", "cid")])
    driver.settle()
    driver.key_limit = 1
    driver.crash()
    commit = driver.commit()
    assert commit.position == driver.position
    assert driver.entities == ["cid"]
    assert {key.split(b"/")[0] for key in driver.stats} == {b"cid"}
    assert driver.read() == driver.cells


def test_flow_totals_outlive_burial_and_stock_totals_do_not() -> None:
    """Hits that happened have happened; groups are of the living."""
    driver = told([event("damage"), event("damage", reason="HeadShot"), event(player="bob")], key_limit=1)
    totals = driver.task.table.totals
    assert (totals.hits, totals.damage, totals.groups, totals.keys, totals.buried) == (2, 20_000_000, 0, 1, 1)


def test_a_buried_player_is_found_by_no_name_and_leads_no_list() -> None:
    """Also not under a name that differs by case only."""
    driver = told([event(player=name) for name in ("ANN", "ann", "Ann")], key_limit=2)
    driver.commit()
    table = driver.task.table
    assert table.names is not None
    assert sorted(table.names) == ["Ann", "ann"]
    assert table.tops["kills/all"].best() == [("Ann", 1), ("ann", 1)]
