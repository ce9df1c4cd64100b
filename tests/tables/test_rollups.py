"""Rollups: which snapshot a day is known by, when a week closes and what it says then, what is kept of how many.

The driver's time is Sunday, 2025-06-15, 15:06:40; weeks end in the night to come.
"""

import itertools
import json
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.driver import NOW, Driver
from agents.emit import take
from tables.event import DAY_MS, Outcome, iso
from tables.picks import MOST_NAMES, NAME_LENGTH
from tables.rollups import (
    ANY,
    DAYS,
    INSTANCES,
    MOST_TOTALS,
    REMEMBERED,
    ROLLUPS,
    WEEKS,
    suffix,
)
from tables.views import ListView
from tables.weeks import closed_by, monday_of, week_name
from tests.docs.pages import page

Fields = dict[str, Any]
MONDAY = "2025-06-16"
CLOSING = 1_750_032_300_000  # 2025-06-16T00:05:00Z


def ms(text: str) -> int:
    """A moment in ms since the epoch."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def snapshot(timestamp: str, projects: int = 7, instance: str = "i", env: str = "ann", **over: Any) -> Fields:
    """A valid snapshot; unset names are left out."""
    named = {name: value for name, value in (("env", env), ("instance_id", instance)) if value}
    counted = {"totals": {"projects": projects}, "by_status": {"open": projects}, "by_priority": {"high": projects}}
    return named | {"timestamp": timestamp} | counted | {"progress_distribution": [projects] + 9 * [0]} | over


def tell(driver: Driver, *events: Fields) -> Driver:
    """Send snapshots under their environments, and fold them."""
    for fields in events:
        driver.send(fields.get("env") or "", fields)
    driver.fold()
    return driver


def told(*events: Fields, **options: Any) -> Driver:
    """A driver that has folded these snapshots."""
    return tell(Driver(ROLLUPS, options=options), *events)


def outcomes(driver: Driver) -> dict[str, int]:
    """How its records ended, without the zeros."""
    found = zip(Outcome, driver.task.table.totals.outcomes, strict=True)
    return {outcome.name: number for outcome, number in found if number}


def published(driver: Driver) -> dict[str, Fields]:
    """The stats topic."""
    return {key.decode(): json.loads(value) for key, value in driver.stats.items()}


def view(driver: Driver, path: str, **asked: str) -> list[Fields]:
    """All lines of a list, in their order."""
    declared = next(view for view in ROLLUPS.views if isinstance(view, ListView) and view.path.endswith(path))
    given_ = {parameter.name: parameter.default for parameter in declared.parameters} | asked
    found = [
        (key, declared.line(row, needed, given_, NOW))
        for row in driver.task.table.rows.values()
        for key, needed in declared.lines(row, given_, NOW)
    ]
    return [line for _, line in sorted(found, key=lambda item: item[0])]


# -- days --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(itertools.permutations((0, 1, 2))))
def test_a_day_is_known_by_its_first_snapshot_in_whatever_order_they_come(order: tuple[int, ...]) -> None:
    """The smallest timestamp, not the first arrival; until the week closes."""
    times = ("2025-06-10T00:00:00.001Z", "2025-06-10T09:00:00Z", "2025-06-10T23:59:59.999Z")
    driver = told(*(snapshot(times[number], 10 + number) for number in order))
    driver.settle()
    (pick,) = view(driver, "daily")
    assert (pick["day"], pick["timestamp"], pick["totals"]) == ("2025-06-10", times[0], {"projects": 10})
    assert published(driver)["ann/i/day/2025-06-10"]["by_status"] == {"open": 10}


def test_days_are_utc_days() -> None:
    """Whatever zone a timestamp is written in; one without is UTC."""
    driver = told(snapshot("2025-06-11T01:00:00+02:00"), snapshot("2025-06-11T00:00:00"))
    assert [line["day"] for line in view(driver, "daily")] == ["2025-06-11", "2025-06-10"]


def test_the_totals_may_be_one_number() -> None:
    """A service that says no more than how many projects it has."""
    driver = told(snapshot("2025-06-10T09:00:00Z", totals=5))
    assert view(driver, "daily")[0]["totals"] == {"projects": 5}


def test_instances_and_environments_do_not_mix() -> None:
    """Not even where their names are made of each other."""
    names = [("a", "b/c"), ("a/b", "c"), ("a", "b%2Fc"), ("", "a"), ("a", ""), ("", ""), ("a/day", "x")]
    driver = told(*(snapshot("2025-06-10T09:00:00Z", n, env=env, instance=i) for n, (env, i) in enumerate(names)))
    driver.settle()
    assert {(line["env"], line["instance_id"]) for line in view(driver, "daily")} == set(names)
    found = published(driver)
    assert {(body["env"], body["instance_id"]) for body in found.values()} == set(names)
    assert found["a/b%2Fc/day/2025-06-10"]["totals"] == {"projects": 0}
    assert found["//day/2025-06-10"]["totals"] == {"projects": 5}


@given(st.lists(st.tuples(st.text(max_size=4), st.text(max_size=4)), min_size=2, max_size=2, unique=True))
def test_keys_of_different_instances_differ(names: list[tuple[str, str]]) -> None:
    """Compaction would take one for the other."""
    (env, instance), (other_env, other) = names
    day = "day", "2025-06-10"
    assert f"{env}/{suffix(instance, *day)}" != f"{other_env}/{suffix(other, *day)}"


# -- duplicates --------------------------------------------------------------------------------------------------------


def test_a_named_instances_snapshot_is_known_by_its_time() -> None:
    """Whatever it says the second time; also when it is written in another zone."""
    driver = told(
        snapshot("2025-06-10T09:00:00Z", 1),
        snapshot("2025-06-10T11:00:00+02:00", 2),
        snapshot("2025-06-10T09:00:00Z", 3, instance="other"),
        snapshot("2025-06-10T09:00:00Z", 4, env="bob"),
    )
    assert outcomes(driver) == {"APPLIED": 3, "DUPLICATE": 1}


def test_without_an_instance_a_snapshot_is_known_by_time_and_content() -> None:
    """Several services may say no name: what differs is not the same. The order of names makes no difference."""
    nobody: Fields = {"instance": "", "by_status": {"a": 1, "b": 2}}
    driver = told(
        snapshot("2025-06-10T09:00:00Z", 1, **nobody),
        snapshot("2025-06-10T09:00:00Z", 1, **nobody | {"by_status": {"b": 2, "a": 1}}),
        snapshot("2025-06-10T09:00:00Z", 2, **nobody),
        snapshot("2025-06-10T09:00:00.001Z", 1, **nobody),
        snapshot("2025-06-10T09:00:00Z", 1, **nobody) | {"instance_id": None, "new_field": 1},
    )
    assert outcomes(driver) == {"APPLIED": 3, "DUPLICATE": 2}
    assert view(driver, "daily")[0]["totals"] == {"projects": 1}  # of two at the same time, the one that came first


def test_a_day_remembers_its_newest_1440_snapshots() -> None:
    """The edge of the bound: the 1,440th newest is recognised, the one before counts as new, and changes no pick."""
    start = ms("2025-06-10T00:00:00")
    times = [iso(start + number * 1000) for number in range(REMEMBERED + 1)]
    driver = told(*map(snapshot, times))
    tell(driver, snapshot(times[1]))
    assert outcomes(driver) == {"APPLIED": REMEMBERED + 1, "DUPLICATE": 1}
    before = view(driver, "daily")
    tell(driver, snapshot(times[0], 99))
    assert outcomes(driver) == {"APPLIED": REMEMBERED + 2, "DUPLICATE": 1}
    assert view(driver, "daily") == before


def test_a_duplicate_is_recognised_when_its_week_is_closed() -> None:
    """For as long as its day is kept; what is new is LATE."""
    driver = told(snapshot("2025-06-10T09:00:00Z"), snapshot(f"{MONDAY}T00:05:00Z"))
    tell(driver, snapshot("2025-06-10T09:00:00Z"), snapshot("2025-06-10T08:00:00Z"), snapshot("2025-06-11T00:00:00Z"))
    assert outcomes(driver) == {"APPLIED": 2, "DUPLICATE": 1, "LATE": 2}


# -- weeks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "week"),
    [
        ("1970-01-01", "1970-W01"),
        ("2020-12-31", "2020-W53"),
        ("2021-01-01", "2020-W53"),
        ("2021-01-03", "2020-W53"),
        ("2021-01-04", "2021-W01"),
        ("2024-02-29", "2024-W09"),
        ("2024-12-29", "2024-W52"),
        ("2024-12-30", "2025-W01"),
        ("2025-12-28", "2025-W52"),
        ("2025-12-29", "2026-W01"),
        ("2026-12-31", "2026-W53"),
        ("2027-01-01", "2026-W53"),
    ],
)
def test_weeks_are_iso_weeks(day: str, week: str) -> None:
    """From Monday on; a week belongs to the year of its Thursday."""
    number = (date.fromisoformat(day) - date(1970, 1, 1)).days
    assert week_name(number) == week
    assert (date(1970, 1, 1) + timedelta(days=monday_of(number))).weekday() == 0
    assert 0 <= number - monday_of(number) <= 6


@pytest.mark.parametrize(
    ("at", "first_open"),
    [
        (f"{MONDAY}T00:04:59.999", "2025-06-09"),
        (f"{MONDAY}T00:05:00", MONDAY),
        ("2025-06-22T23:59:59.999", MONDAY),
        ("2025-01-01T00:00:00", "2024-12-30"),
        ("1970-01-01T00:00:00", "1969-12-29"),
    ],
)
def test_a_week_closes_five_minutes_into_the_next_one(at: str, first_open: str) -> None:
    """Not at midnight: clocks differ."""
    assert closed_by(ms(at)) == ms(f"{first_open}T00:00:00")


def test_a_closed_week_is_published_with_everything() -> None:
    """Last, least, greatest and mean of the totals; sums and means of the histograms; the days that are missing."""
    driver = told(
        snapshot("2025-06-09T09:00:00Z", 4, by_status={"open": 4}),
        snapshot("2025-06-09T10:00:00Z", 400),  # not the first of its day
        snapshot("2025-06-12T00:00:00Z", 9, by_status={"done": 9}, totals={"projects": 9, "active": 3}),
        snapshot("2025-06-15T23:59:59.999Z", 6, by_status={"open": 1, "done": 5}),
    )
    driver.settle()
    assert "ann/i/week/2025-W24" not in published(driver)
    tell(driver, snapshot(f"{MONDAY}T00:05:00Z"))
    driver.settle()
    body = published(driver)["ann/i/week/2025-W24"]
    assert {name: body[name] for name in body if name not in {"revision", "as_of", "partition", "offset"}} == {
        "env": "ann",
        "instance_id": "i",
        "week": "2025-W24",
        "from": "2025-06-09",
        "to": "2025-06-15",
        "closed": True,
        "days": 3,
        "missing_days": ["2025-06-10", "2025-06-11", "2025-06-13", "2025-06-14"],
        "totals": {
            "projects": {"last": 6, "min": 4, "max": 9, "mean": 6.33},
            "active": {"last": 3, "min": 3, "max": 3, "mean": 3.0},
        },
        "by_status": {"sum": {"open": 5, "done": 14}, "mean": {"open": 1.67, "done": 4.67}},
        "by_priority": {"sum": {"high": 19}, "mean": {"high": 6.33}},
        "progress_distribution": {"sum": [19] + 9 * [0], "mean": [6.33] + 9 * [0.0]},
    }
    lines = view(driver, "weekly")
    assert [(line["week"], line["closed"]) for line in lines] == [("2025-W25", False), ("2025-W24", True)]
    assert {name: body[name] for name in lines[1]} == lines[1]


@pytest.mark.parametrize(
    ("days", "week", "missing"),
    [
        (("2020-12-28", "2020-12-31", "2021-01-01", "2021-01-03"), "2020-W53", 3),
        (("2024-12-30", "2024-12-31", "2025-01-01", "2025-01-05"), "2025-W01", 3),
        (("2024-02-26", "2024-02-28", "2024-02-29", "2024-03-01", "2024-03-03"), "2024-W09", 2),
        (tuple(f"2025-06-{day:02}" for day in range(9, 16)), "2025-W24", 0),
    ],
)
def test_week_53_the_years_end_and_the_leap_day(days: tuple[str, ...], week: str, missing: int) -> None:
    """All the days of a week are in one rollup, whatever year or month they are of."""
    after = date.fromisoformat(days[0]) + timedelta(days=7)
    driver = told(*(snapshot(f"{day}T12:00:00Z", 2) for day in days), snapshot(f"{after}T12:00:00Z"))
    (closed,) = (line for line in view(driver, "weekly") if line["closed"])
    assert (closed["week"], closed["days"], len(closed["missing_days"])) == (week, len(days), missing)
    assert closed["by_status"]["sum"] == {"open": 2 * len(days)}


def test_a_week_closes_for_a_whole_environment_at_once() -> None:
    """By an event of any of its instances; not by those of another environment."""
    driver = told(
        snapshot("2025-06-10T09:00:00Z"),
        snapshot("2025-06-10T09:00:00Z", instance="other"),
        snapshot("2025-06-10T09:00:00Z", env="bob"),
        snapshot(f"{MONDAY}T00:05:00Z", instance="third"),
    )
    closed = {(line["env"], line["instance_id"]) for line in view(driver, "weekly") if line["closed"]}
    assert closed == {("ann", "i"), ("ann", "other")}
    tell(driver, snapshot("2025-06-15T09:00:00Z", instance="new"), snapshot("2025-06-15T09:00:00Z", env="bob"))
    assert outcomes(driver) == {"APPLIED": 5, "LATE": 1}


def test_until_five_past_midnight_the_week_before_is_open() -> None:
    """What is slow has time to come; Monday's own snapshots count for Monday."""
    driver = told(
        snapshot(f"{MONDAY}T00:00:00Z", 1), snapshot(f"{MONDAY}T00:04:59.999Z", 2), snapshot("2025-06-15T09:00:00Z", 3)
    )
    assert outcomes(driver) == {"APPLIED": 3}
    assert [(line["week"], line["closed"]) for line in view(driver, "weekly")] == [
        ("2025-W25", False),
        ("2025-W24", False),
    ]


def test_a_week_begins_with_its_first_millisecond() -> None:
    """What is from midnight itself is no snapshot of the closed week."""
    driver = told(
        snapshot(f"{MONDAY}T00:05:00Z"), snapshot(f"{MONDAY}T00:00:00Z"), snapshot("2025-06-15T23:59:59.999Z")
    )
    assert outcomes(driver) == {"APPLIED": 2, "LATE": 1}
    assert view(driver, "daily")[0]["timestamp"] == f"{MONDAY}T00:00:00.000Z"


def test_a_name_that_was_counted_with_zero_stays() -> None:
    """Zero is a number: the rollup has every name that a pick has."""
    none: Fields = {"by_status": {"open": 7, "done": 0}, "by_priority": {"low": 0}}
    driver = told(snapshot("2025-06-10T09:00:00Z", **none), snapshot("2025-06-11T09:00:00Z", **none))
    (week,) = view(driver, "weekly")
    assert week["by_status"] == {"sum": {"open": 14, "done": 0}, "mean": {"open": 7.0, "done": 0.0}}
    assert week["by_priority"] == {"sum": {"low": 0}, "mean": {"low": 0.0}}


def test_weeks_without_a_snapshot_have_no_rollup() -> None:
    """Several may close at once."""
    driver = told(snapshot("2025-05-14T09:00:00Z"), snapshot("2025-05-25T09:00:00Z"), snapshot("2025-06-14T09:00:00Z"))
    assert [line["week"] for line in view(driver, "weekly") if line["closed"]] == ["2025-W21", "2025-W20"]


def test_only_what_has_changed_is_published() -> None:
    """A day once more when a snapshot of it has come; a week once."""
    driver = told(*daily(10))
    driver.settle()
    for fields, keys in (
        (snapshot("2025-06-15T08:00:00Z"), ["ann/i/day/2025-06-15"]),
        (snapshot("2025-06-15T10:00:00Z"), ["ann/i/day/2025-06-15"]),
        (snapshot(f"{MONDAY}T09:00:00Z"), [f"ann/i/day/{MONDAY}", "ann/i/week/2025-W24"]),
        (snapshot(f"{MONDAY}T09:15:00Z"), [f"ann/i/day/{MONDAY}"]),
    ):
        before = len(driver.published["stats"])
        tell(driver, fields)
        driver.settle()
        assert [(record.key or b"").decode() for record in driver.published["stats"][before:]] == keys


# -- the clock ---------------------------------------------------------------------------------------------------------


def test_the_clock_closes_a_week_when_nothing_comes() -> None:
    """At five past midnight, not before; the rollup is published then."""
    driver = told(snapshot("2025-06-10T09:00:00Z"))
    driver.settle()
    driver.now = CLOSING - 1
    driver.commit()
    assert "ann/i/week/2025-W24" not in published(driver)
    driver.now = CLOSING
    driver.commit()
    assert published(driver)["ann/i/week/2025-W24"]["days"] == 1
    tell(driver, snapshot("2025-06-15T23:00:00Z"))
    assert outcomes(driver) == {"APPLIED": 1, "LATE": 1}
    assert driver.task.table.totals.weeks == 1


@pytest.mark.parametrize("days", [[21], [1, 7, 7, 6], [1] * 21])
def test_the_clock_closes_weeks_for_which_nothing_came(days: list[int]) -> None:
    """Whether the worker was there all the time or came back after three weeks: what comes now comes too late."""
    driver = told(snapshot("2025-06-10T09:00:00Z"))
    driver.settle()
    for day in days:
        driver.wait(day * 86_400)
        driver.crash()
        driver.commit()
    assert iso(driver.now)[:10] == "2025-07-06"
    assert published(driver).keys() == {"ann/i/day/2025-06-10", "ann/i/week/2025-W24"}
    tell(driver, snapshot("2025-06-29T23:59:59.999Z"), snapshot("2025-06-30T00:00:00Z"))
    assert outcomes(driver) == {"APPLIED": 2, "LATE": 1}


def test_a_worker_that_was_down_over_the_weeks_end_does_not_shut_out_its_own_backlog() -> None:
    """The clock is past Monday, the backlog is not: it is folded to its end before the week closes."""
    driver = told(snapshot("2025-06-10T09:00:00Z"))
    driver.settle()
    driver.read_to_end = False
    driver.now = CLOSING + DAY_MS
    driver.crash()
    backlog = [snapshot(f"2025-06-{day}T09:00:00Z") for day in (11, 13, 15)]
    for fields in backlog:
        tell(driver, fields)
        driver.commit()
        driver.wait(60)  # its snapshots are published meanwhile: that must close nothing
        driver.commit()
        assert driver.row("ann").head.closed_until <= ms("2025-06-09T00:00:00")
    assert outcomes(driver) == {"APPLIED": 4}
    assert "ann/i/week/2025-W24" not in published(driver)
    driver.read_to_end = True
    driver.commit()
    assert published(driver)["ann/i/week/2025-W24"]["days"] == 4


def test_a_crash_around_the_closing_changes_nothing() -> None:
    """Restored rows know when they are due; a closing that was not committed happens again."""
    driver = told(snapshot("2025-06-10T09:00:00Z"), snapshot("2025-06-11T09:00:00Z", instance="other"))
    driver.settle()
    driver.crash()
    driver.now = CLOSING
    driver.task.read_to_end_at = CLOSING
    take(driver.task, driver.now)  # and the transaction is lost
    driver.crash()
    driver.commit()
    assert {"ann/i/week/2025-W24", "ann/other/week/2025-W24"} <= published(driver).keys()
    assert driver.read() == driver.cells == driver.restored().table.read()
    sent = len(driver.published["stats"])
    driver.crash()
    driver.commit()
    assert len(driver.published["stats"]) == sent


def test_the_clock_closes_what_the_source_was_read_to_and_no_more() -> None:
    """Read to its end on Sunday, published on Monday: what was written in between may still come."""
    driver = told(snapshot("2025-06-04T09:00:00Z"), snapshot("2025-06-08T09:00:00Z"))  # of the week before
    driver.commit()  # read to its end on Sunday 15, and the week before is over
    driver.read_to_end = False
    driver.now = CLOSING + 1000
    driver.commit()
    assert driver.row("ann").head.closed_until < ms(f"{MONDAY}T00:00:00")
    tell(driver, snapshot("2025-06-15T09:00:00Z"))
    assert outcomes(driver) == {"APPLIED": 3}


def test_the_clock_and_an_event_close_a_week_alike() -> None:
    """The same rollup, whichever is first."""
    by_clock = told(snapshot("2025-06-10T09:00:00Z"))
    by_clock.settle()
    by_clock.now = CLOSING
    by_clock.commit()
    for driver in (by_clock, by_event := told(snapshot("2025-06-10T09:00:00Z"))):
        tell(driver, snapshot(f"{MONDAY}T09:00:00Z"))
        driver.settle()
    assert by_clock.row("ann").cells == by_event.row("ann").cells
    assert by_clock.row("ann").head == by_event.row("ann").head


# -- limits ------------------------------------------------------------------------------------------------------------


def daily(count: int, instance: str = "i") -> list[Fields]:
    """A snapshot a day, the last one of them today."""
    first = datetime(2025, 6, 15, 9, tzinfo=UTC) - timedelta(days=count - 1)
    return [snapshot((first + timedelta(days=day)).isoformat(), day, instance=instance) for day in range(count)]


def test_the_newest_400_picks_are_kept_per_instance() -> None:
    """The 401st makes the oldest go: from row, changelog and stats topic. Closed weeks keep what they say."""
    limit = int(DAYS.default)
    driver = told(*daily(limit + 3), *daily(1, "other"))
    driver.settle()
    days = view(driver, "daily", instance="i")
    assert (limit, len(days)) == (400, 400)
    assert days[-1]["totals"] == {"projects": 3}
    assert len([key for key in published(driver) if "/day/" in key]) == 401
    assert driver.read() == driver.cells
    assert min(line["from"] for line in view(driver, "weekly")) < days[-1]["day"]


def test_what_was_published_is_deleted_when_it_is_kept_no_longer() -> None:
    """Also when a crash comes between the fold and the publication."""
    driver = told(*daily(14), rollup_day_limit=14)
    driver.settle()
    oldest = view(driver, "daily")[-1]["day"]
    assert f"ann/i/day/{oldest}" in published(driver)
    tell(driver, snapshot(f"{MONDAY}T09:00:00Z"))
    driver.commit()
    driver.crash()
    driver.settle()
    assert f"ann/i/day/{oldest}" not in published(driver)
    assert driver.published["stats"][-1].value is not None  # a tombstone, and what has come
    assert len(view(driver, "daily")) == 14


def test_the_newest_weeks_are_kept_per_instance() -> None:
    """520 unless somebody says otherwise: ten years."""
    assert WEEKS.default == 520
    driver = told(*daily(60), rollup_week_limit=3)
    driver.settle()
    weeks = [line["week"] for line in view(driver, "weekly") if line["closed"]]
    assert weeks == ["2025-W23", "2025-W22", "2025-W21"]
    assert sorted(key for key in published(driver) if "/week/" in key) == [f"ann/i/week/{week}" for week in weeks[::-1]]
    assert driver.task.table.totals.weeks == 3


def test_a_limit_that_was_lowered_holds_for_readers_at_once() -> None:
    """And for the row from the instance's next day or week on."""
    driver = told(*daily(60))
    driver.settle()
    driver.options = {"rollup_day_limit": 20, "rollup_week_limit": 2}
    driver.crash()
    assert len(view(driver, "daily")) == 20
    assert sum(line["closed"] for line in view(driver, "weekly")) == 2
    tell(driver, snapshot(f"{MONDAY}T09:00:00Z"))
    driver.settle()
    assert len([key for key in published(driver) if "/day/" in key]) == 20
    assert len([key for key in published(driver) if "/week/" in key]) == 2


def test_a_new_instance_takes_the_place_of_the_one_that_is_silent_the_longest() -> None:
    """Everything that was published of it is deleted."""
    assert INSTANCES.default == 200
    driver = told(
        snapshot("2025-06-01T09:00:00Z", instance="old"),
        snapshot("2025-06-10T09:00:00Z", instance="old"),
        snapshot("2025-06-11T09:00:00Z", instance="new"),
        rollup_instance_limit=2,
    )
    driver.settle()
    assert {key.split("/")[1] for key in published(driver)} == {"old", "new"}
    tell(driver, snapshot("2025-06-12T09:00:00Z", instance="newest"))
    driver.commit()
    driver.crash()  # owed, and not published yet
    driver.settle()
    assert {key.split("/")[1] for key in published(driver)} == {"new", "newest"}
    assert (driver.task.table.totals.instances, driver.task.table.totals.days) == (2, 2)
    assert driver.read() == driver.cells
    assert not any(name[0] == "leaving" for name in driver.row("ann").cells)


def test_what_a_dropped_instance_owed_is_deleted_with_it() -> None:
    """A day that has gone out of it, and is still on the topic, goes too."""
    driver = told(*daily(14), rollup_day_limit=14, rollup_instance_limit=1, rollup_week_limit=1)
    driver.settle()
    tell(driver, snapshot(f"{MONDAY}T09:00:00Z"), snapshot(f"{MONDAY}T09:01:00Z", instance="other"))
    driver.settle()
    assert published(driver).keys() == {f"ann/other/day/{MONDAY}"}


def test_a_lowered_limit_on_instances_holds_for_readers_at_once() -> None:
    """And for the row and the topic from the environment's next event on, whichever instance's it is."""
    names = ("a", "b", "c", "d")
    driver = told(*(snapshot(f"2025-06-{9 + day:02}T09:00:00Z", instance=name) for day, name in enumerate(names)))
    driver.settle()
    driver.options = {"rollup_instance_limit": 2}
    driver.crash()
    assert {line["instance_id"] for path in ("daily", "weekly") for line in view(driver, path)} == {"c", "d"}
    tell(driver, snapshot("2025-06-10T10:00:00Z", instance="b"))  # older than the newest two
    assert outcomes(driver) == {"APPLIED": 4, "LATE": 1}
    tell(driver, snapshot("2025-06-11T10:00:00Z", instance="b"))
    driver.settle()
    assert {key.split("/")[1] for key in published(driver)} == {"b", "d"}
    assert (driver.task.table.totals.instances, len(view(driver, "daily"))) == (2, 3)
    assert driver.read() == driver.cells


def test_what_is_older_than_all_instances_does_not_push_one_out() -> None:
    """It is LATE: else two old ones could push each other out for ever."""
    driver = told(
        snapshot("2025-06-11T09:00:00Z", instance="a"),
        snapshot("2025-06-11T09:00:00Z", instance="b"),
        snapshot("2025-06-11T09:00:00Z", instance="c"),
        rollup_instance_limit=2,
    )
    assert outcomes(driver) == {"APPLIED": 2, "LATE": 1}


def test_an_instance_that_comes_back_before_its_deletion_is_published_as_it_is() -> None:
    """Nothing of its new life is deleted with the old one."""
    driver = told(snapshot("2025-06-09T09:00:00Z", 1), rollup_instance_limit=1)
    driver.settle()
    tell(driver, snapshot("2025-06-10T09:00:00Z", instance="other"), snapshot("2025-06-11T09:00:00Z", 2))
    tell(driver, snapshot("2025-06-12T09:00:00Z", instance="other"), snapshot("2025-06-13T09:00:00Z", 3))
    driver.settle()
    assert published(driver).keys() == {"ann/i/day/2025-06-13"}
    assert driver.row("ann").head.leaving == 0


def test_a_buried_environment_leaves_nothing() -> None:
    """Neither on the stats topic nor in the totals, whatever is still owed."""
    driver = tell(Driver(ROLLUPS, key_limit=1, options={"rollup_instance_limit": 1}), *daily(20))
    driver.settle()
    tell(driver, snapshot(f"{MONDAY}T09:00:00Z", instance="other"), snapshot("2025-06-11T09:00:00Z", env="bob"))
    driver.settle()
    assert published(driver).keys() == {"bob/i/day/2025-06-11"}
    totals = driver.task.table.totals
    assert (totals.keys, totals.instances, totals.days, totals.weeks) == (1, 1, 1, 0)


def test_a_weeks_rollup_fits_into_a_record_whatever_is_sent() -> None:
    """1 MiB is what brokers take; a commit that they refuse stops the partition for good."""
    names = [
        {f"{day:02}{number:04}".ljust(NAME_LENGTH, "\x00"): 1 << 53 for number in range(MOST_NAMES)} for day in range(7)
    ]
    driver = told(
        *(
            snapshot(
                f"2025-06-{9 + day:02}T09:00:00Z",
                totals=dict([*names[day].items()][:MOST_TOTALS]),
                by_status=names[day],
                by_priority=names[day],
            )
            for day in range(7)
        ),
        snapshot(f"{MONDAY}T09:00:00Z"),
    )
    driver.settle()
    assert max(len(value) for value in driver.stats.values()) < 1_000_000
    assert max(len(value) for value in driver.cells.values()) < 1_000_000
    assert published(driver)["ann/i/week/2025-W24"]["progress_distribution"]["sum"][0] == 49


# -- views and bounds --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "daily_count", "weekly_count"),
    [
        ({}, 34, 7),
        ({"env": "ann"}, 31, 5),
        ({"env": ""}, 3, 2),
        ({"instance": "i"}, 33, 6),
        ({"instance": ""}, 1, 1),
        ({"env": "nobody"}, 0, 0),
        ({"from": "2025-06-09"}, 10, 3),
        ({"to": "2025-06-08"}, 24, 4),
        ({"from": "2025-06-08", "to": "2025-06-09"}, 2, 4),
        ({"from": "2025-06-10", "to": "2025-06-09"}, 0, 0),
    ],
)
def test_lists_take_an_environment_an_instance_and_days(
    asked: dict[str, str], daily_count: int, weekly_count: int
) -> None:
    """A week is shown when one of its days was asked for."""
    driver = told(
        *daily(31),
        *(snapshot(f"2025-06-{day}T09:00:00Z", env="") for day in (14, 15)),
        snapshot("2025-06-15T09:00:00Z", env="", instance=""),
    )
    assert len(view(driver, "daily", **asked)) == daily_count
    assert len(view(driver, "weekly", **asked)) == weekly_count


def test_lists_begin_with_the_newest() -> None:
    """Then by environment and instance."""
    driver = told(*daily(2), *daily(2, "h"), *(fields | {"env": "abe"} for fields in daily(1)))
    assert [(line["day"], line["env"], line["instance_id"]) for line in view(driver, "daily")] == [
        ("2025-06-15", "abe", "i"),
        ("2025-06-15", "ann", "h"),
        ("2025-06-15", "ann", "i"),
        ("2025-06-14", "ann", "h"),
        ("2025-06-14", "ann", "i"),
    ]


@pytest.mark.parametrize("value", ["2025-6-1", "20250601", "2025-W24-1", "2025-02-29", "yesterday", "2025-06-01T00"])
def test_a_day_that_is_none_is_turned_down(value: str) -> None:
    """With what is wanted instead."""
    for declared in ROLLUPS.views:
        checks = {parameter.name: parameter.check for parameter in declared.parameters if parameter.check is not None}
        assert checks.keys() == {"from", "to"}
        for check in checks.values():
            check("2024-02-29")
            with pytest.raises(ValueError, match="a day like 2025-06-15"):
                check(value)


def test_the_star_is_any_environment_and_instance() -> None:
    """The empty one is a name of its own."""
    defaults = {parameter.name: parameter.default for view in ROLLUPS.views for parameter in view.parameters}
    assert (defaults["env"], defaults["instance"]) == (ANY, ANY)


@pytest.mark.parametrize(
    ("over", "reason"),
    [
        ({"timestamp": None}, "timestamp"),
        ({"timestamp": iso(NOW + 2 * DAY_MS)}, "more than a day ahead"),
        ({"totals": -1}, "totals"),
        ({"by_status": {"open": 1.5}}, "by_status"),
        ({"by_priority": [1]}, "by_priority"),
        ({"progress_distribution": [0] * 9}, "progress_distribution"),
        ({"instance_id": 7}, "instance_id"),
    ],
)
def test_the_reason_names_the_field(over: Fields, reason: str) -> None:
    """An INVALID record says what is wrong with it."""
    driver = told(snapshot("2025-06-10T09:00:00Z") | over)
    driver.settle()
    (letter,) = driver.dead_letters
    assert reason in (dict(letter.headers)["tidemark-reason"] or b"").decode()


def test_a_snapshot_without_an_environment_has_the_empty_key() -> None:
    """Not no key: without one it would go to any partition."""
    driver = Driver(ROLLUPS)
    for key in ("", None):
        driver.send(key, snapshot("2025-06-10T09:00:00Z", env=""))
    driver.settle()
    assert outcomes(driver) == {"APPLIED": 1, "MISROUTED": 1}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 3), st.sampled_from("ij"), st.integers(0, 9)),
        max_size=40,
    )
)
def test_rollups_are_those_of_the_picks_that_were_applied(sent: list[tuple[int, int, str, int]]) -> None:
    """Any order of days: what is closed says what its days' picks say, and no closed week ever changes."""
    start = ms("2025-05-01T00:00:00")
    driver = Driver(ROLLUPS)
    closed: dict[tuple[str, str], Fields] = {}
    for day, hour, instance, projects in sent:
        tell(driver, snapshot(iso(start + day * DAY_MS + hour * 3_600_000), projects, instance=instance))
        for line in view(driver, "weekly"):
            if line["closed"]:
                assert closed.setdefault((line["instance_id"], line["week"]), line) == line
    picks = view(driver, "daily")
    for line in view(driver, "weekly"):
        values = [
            pick["totals"]["projects"]
            for pick in reversed(picks)
            if pick["instance_id"] == line["instance_id"] and line["from"] <= pick["day"] <= line["to"]
        ]
        expected = {"last": values[-1], "min": min(values), "max": max(values)}
        assert line["totals"]["projects"] == expected | {"mean": round(sum(values) / len(values), 2)}
        assert line["days"] + len(line["missing_days"]) == 7


# -- the docs ----------------------------------------------------------------------------------------------------------


def test_the_examples_of_the_docs_are_what_happens() -> None:
    """The events are folded; the records are those that they lead to."""
    docs = page("docs/domains/rollups.md")
    events, *records = docs.examples
    driver = Driver(ROLLUPS)
    tell(driver, *events)
    driver.settle()
    assert outcomes(driver) == {"APPLIED": len(events)}
    keys = [key for key in re.findall(r"`(example/[^`]+)`", docs.text) if key in published(driver)]
    assert len(keys) == len(records) == 2
    for key, (record,) in zip(keys, records, strict=True):
        body = published(driver)[key]
        assert body == record | {name: body[name] for name in ("revision", "as_of", "partition", "offset")}
    assert {parameter.name for view in ROLLUPS.views for parameter in view.parameters} == {
        "env",
        "instance",
        "from",
        "to",
    }
    assert all(f"`{view.path}?" in docs.text for view in ROLLUPS.views)
