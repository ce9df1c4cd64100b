"""What leaves for stats and totals, and when."""

import json
from dataclasses import replace
from typing import Any

import pytest

from agents.driver import NOW, Driver
from agents.emit import stats_key, take
from agents.task import Outgoing
from tables.emission import PerCommit
from tables.event import iso
from tables.players import PLAYERS, SHOWN_CLASSES, enhanced_stats
from tests.tables.inputs import event, tell, told

SECONDS = PLAYERS.emission.seconds


def stats(driver: Driver) -> list[Outgoing]:
    """What a commit now sends to the stats topic."""
    return [record for record in driver.commit().outgoing if record.role == "stats"]


def body(record: Outgoing) -> dict[str, Any]:
    """The JSON of a record."""
    assert record.value is not None
    found: dict[str, Any] = json.loads(record.value)
    return found


def test_a_snapshot_leaves_a_fixed_time_after_the_first_change() -> None:
    """Not before, not later, and once."""
    driver = told([event()])
    assert stats(driver) == []
    driver.wait(SECONDS - 0.001)
    assert stats(driver) == []
    driver.wait(0.001)
    assert [record.key for record in stats(driver)] == [b"ann/all", b"ann/normal"]
    driver.wait(60)
    assert stats(driver) == []


def test_a_row_that_never_rests_is_published_all_the_same() -> None:
    """The window is counted from the first unpublished change, not from the last."""
    driver = Driver(PLAYERS)
    published = 0
    for _ in range(100):
        tell(driver, event())
        driver.wait(0.5)
        published += bool(stats(driver))
    assert published == 100 * 0.5 // SECONDS


def test_the_next_window_begins_with_the_next_change() -> None:
    """Not with the publication: a change long after it waits its own time."""
    driver = told([event()])
    driver.wait(60)
    stats(driver)
    tell(driver, event())
    assert stats(driver) == []
    driver.wait(SECONDS)
    assert len(stats(driver)) == 2


def test_rows_are_published_in_the_order_of_their_first_change() -> None:
    """Each at its own time."""
    driver = Driver(PLAYERS)
    for name in ("bob", "ann", "bob"):
        tell(driver, event(player=name))
        driver.wait(1)
    driver.wait(SECONDS - 3)
    assert [record.key for record in stats(driver)] == [b"bob/all", b"bob/normal"]
    driver.wait(1)
    assert [record.key for record in stats(driver)] == [b"ann/all", b"ann/normal"]


def test_a_snapshot_says_when_and_where_it_is_from() -> None:
    """The body of the view, and revision, event time, partition and offset of the last event folded."""
    driver = Driver(PLAYERS)
    driver.send(b"nobody", None)
    tell(driver, event("damage", at=iso(NOW)), event("damage", at=iso(NOW - 9000)))
    driver.settle()
    about = {"revision": 2, "as_of": iso(NOW), "partition": 0, "offset": 2}
    expected = json.loads(json.dumps(enhanced_stats(driver.row("ann"), "all")))
    assert json.loads(driver.stats[b"ann/all"]) == expected | about


def test_a_pending_emission_survives_a_crash() -> None:
    """Folded and committed, not yet published: the next owner publishes it, without another event."""
    driver = told([event()])
    driver.commit()
    driver.crash()
    assert [record.key for record in stats(driver)] == [b"ann/all", b"ann/normal"]
    assert stats(driver) == []
    driver.crash()
    assert stats(driver) == []


def test_a_restored_emission_is_not_lost_when_an_event_comes_first() -> None:
    """The event joins what was owed; both classes are published."""
    driver = told([event(match_type="ranked")])
    driver.commit()
    driver.crash()
    tell(driver, event(match_type="normal"))
    assert {record.key for record in stats(driver)} == {b"ann/all", b"ann/ranked", b"ann/normal"}


def test_a_publication_that_was_not_committed_happens_again() -> None:
    """Publishing and `owed no longer` are one transaction."""
    driver = told([event()])
    driver.commit()
    driver.wait(SECONDS)
    take(driver.task, driver.now)  # taken, and lost on the way
    driver.crash()
    assert len(stats(driver)) == 2


def test_nothing_is_owed_after_a_publication() -> None:
    """`pending` is 0 on the changelog, in the same commit as the snapshot."""
    driver = told([event()])
    driver.wait(SECONDS)
    driver.commit()
    assert driver.row("ann").head.pending == 0
    assert driver.read() == driver.cells


def test_a_clock_that_is_set_back_delays_nothing_beyond_the_window() -> None:
    """Timers run by the wall clock: an hour back must not mean an hour of silence, for old changes or new ones."""
    driver = told([event()])
    driver.wait(-3600)
    tell(driver, event(player="bob"))
    driver.commit()
    driver.wait(SECONDS)
    assert {record.key for record in stats(driver)} == {b"ann/all", b"ann/normal", b"bob/all", b"bob/normal"}


def test_different_entities_have_different_stats_keys() -> None:
    """Slashes in names: `ann` and `ann/all` do not meet."""
    driver = Driver(PLAYERS)
    names = ("ann", "ann/all", "ann/all/all", "ann/", "/all", "all", "/")
    keys = [key for name in names for key in (stats_key(name, suffix) for suffix in SHOWN_CLASSES)]
    assert len(keys) == len(set(keys)) == 3 * len(names)
    tell(driver, *(event(player=name) for name in names))
    driver.settle()
    assert {json.loads(driver.stats[f"{name}/all".encode()])["player"] for name in names} == set(names)


# -- totals ------------------------------------------------------------------------------------------------------------


def test_the_totals_record_has_every_integer_by_name() -> None:
    """Under the partition's number: outcomes by name, the domain's sums, the position."""
    driver = Driver(PLAYERS)
    again = event("damage", damage=2.5)
    driver.send(b"x", b"")
    driver.send(b"x", json.dumps(event()).encode())
    tell(driver, again, again, event(), event("knock_down", player="bob"))
    driver.commit()
    assert json.loads(driver.totals[b"0"]) == {
        "partition": 0,
        "outcomes": {"applied": 3, "duplicate": 1, "late": 0, "invalid": 1, "misrouted": 1},
        "keys": 2,
        "buried": 0,
        "at": NOW,
        "position": 6,
        "hits": 1,
        "damage": 2_500_000,
        "kills": 1,
        "knock_downs": 1,
        "groups": 1,
    }


def test_the_lists_of_the_best_are_published_when_they_change() -> None:
    """Under `<partition>/top`; an event that changes no list sends none."""
    driver = told([event(), event(player="bob"), event(player="bob")])
    driver.commit()
    assert json.loads(driver.totals[b"0/top"])["kills/all"] == [["bob", 2], ["ann", 1]]
    again = event()
    tell(driver, again)
    driver.commit()
    tell(driver, again, event("knock_down"))
    keys = [record.key for record in driver.commit().outgoing if record.role == "totals"]
    assert keys == [b"0"]


def test_totals_leave_with_each_commit_that_folded_something() -> None:
    """And with no other: a publication alone moves no total."""
    driver = told([event()])
    driver.commit()
    driver.wait(SECONDS)
    assert {record.role for record in driver.commit().outgoing} == {"stats"}


@pytest.mark.parametrize("partition", [0, 1])
def test_a_records_partition_is_in_what_leaves(partition: int) -> None:
    """Totals under its number, snapshots with it."""
    driver = Driver(PLAYERS, partition, partitions=2)
    name = next(name for name in "abcdefgh" if driver.partition_of(name.encode()) == partition)
    tell(driver, event(player=name))
    driver.settle()
    assert driver.totals.keys() == {str(partition).encode(), f"{partition}/top".encode()}
    assert json.loads(driver.stats[f"{name}/all".encode()])["partition"] == partition


# -- other policies ----------------------------------------------------------------------------------------------------


def test_per_commit_publishes_every_changed_row_with_the_commit_that_makes_it_durable() -> None:
    """Not before, not later, and a row that has not changed not at all."""
    driver = Driver(replace(PLAYERS, emission=PerCommit()))
    tell(driver, event(), event(player="bob"))
    assert {record.key for record in stats(driver)} == {b"ann/all", b"ann/normal", b"bob/all", b"bob/normal"}
    assert stats(driver) == []
    tell(driver, event())
    assert {record.key for record in stats(driver)} == {b"ann/all", b"ann/normal"}


@pytest.mark.parametrize("seconds", [0.5, 60.0])
def test_the_delay_of_an_emission_is_an_option(seconds: float) -> None:
    """Whoever runs it decides; the declaration has the default."""
    driver = Driver(PLAYERS, options={PLAYERS.delay.name: seconds})
    tell(driver, event())
    driver.wait(seconds - 0.001)
    assert stats(driver) == []
    driver.wait(0.001)
    assert len(stats(driver)) == 2
