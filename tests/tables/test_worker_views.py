"""Workers: what is said of activity, and what the views answer."""

import json
from collections.abc import Iterable
from itertools import permutations

import msgspec
import pytest

from agents.driver import NOW, Driver
from tables.event import DAY_MS, iso
from tables.recent import recent
from tables.totals import Whole
from tables.views import AggregateView, ListView, TotalsView
from tables.workers import MOST_SPEED, WORKERS, PeriodTotals, WorkersTotals
from tests.tables.inputs_workers import MIDNIGHT, MINUTE, Fields, ask, batch, job, tell, told, view

# -- who is active -----------------------------------------------------------------------------------------------------


def stats(driver: Driver, now: int) -> Fields:
    """`/api/v1/stats` as of a time, from what is published."""
    published = json.loads(driver.totals[b"0/recent"])
    found = view("/stats")
    assert isinstance(found, TotalsView)
    whole = Whole(
        driver.task.table.totals,
        lambda name: driver.task.table.tops[name].best(),
        lambda name, seconds: recent([published[name]], seconds, now),
        now,
    )
    return found.answer(whole, {})


def test_activity_is_a_matter_of_time_passing() -> None:
    """Active for five minutes, in the sum of speeds for ten, without any event; also after a restart."""
    driver = told(batch(5000, 1000, worker_id="ann"), batch(70, 1000, NOW - 4 * MINUTE, worker_id="bob"))
    driver.commit()
    for _ in range(2):
        said = [stats(driver, NOW + minutes * MINUTE + 1000) for minutes in (0, 1, 4, 5, 6, 10)]
        assert [(answer["active_workers"], answer["keys_per_second"]) for answer in said] == [
            (2, 5070),
            (1, 5070),
            (1, 5070),
            (0, 5070),
            (0, 5000),
            (0, 0),
        ]
        driver.crash()
        driver.commit()


def test_the_speed_of_all_is_the_sum_of_the_latest() -> None:
    """Of each worker its latest batch by time, to the nearest whole key per second, and no more than can be added."""
    driver = told(batch(5000, 1000), batch(3, 2000, NOW + 1), batch(900, 1, NOW - 1))
    tell(driver, batch(10**15, 1, worker_id="fast"), batch(1, 0, worker_id="none"))
    driver.commit()
    assert stats(driver, NOW)["keys_per_second"] == 2 + MOST_SPEED
    assert stats(driver, NOW)["active_workers"] == 3
    tell(driver, batch(7000, 1000, NOW + 1)).commit()  # of equally late ones, the last to come
    assert stats(driver, NOW)["keys_per_second"] == 7000 + MOST_SPEED


def test_what_is_published_of_activity_is_bounded_by_seconds_and_not_by_workers() -> None:
    """Ten workers or a thousand in the same minutes: as many entries as there are seconds; it always fits a record."""
    sizes = []
    for workers in (10, 1000):
        driver = told(*(batch(1, 1, NOW - n % 10 * 1000, worker_id=f"w{n}") for n in range(workers)))
        driver.commit()
        sizes.append(len(json.loads(driver.totals[b"0/recent"])["active"]))
    assert sizes == [10, 10]
    longest = {str(second): [10**6, MOST_SPEED * 10**6] for second in range(NOW // 1000, NOW // 1000 + 601)}
    assert len(json.dumps({"active": longest})) < 50_000


AGES = (-86_400_000, -301_000, -1, 0, 999, 299_999, 300_000, 300_001, 301_000, 599_999, 601_000)


@pytest.mark.parametrize("later", [0, 1, 999, 1000, 4 * MINUTE + 59_999, 5 * MINUTE, 9 * MINUTE])
def test_as_many_workers_are_active_by_their_own_views_as_in_the_totals(later: int) -> None:
    """To the second, and also with a clock that is ahead; a restart changes neither."""
    driver = told(*(batch(1, 1, NOW - age, worker_id=f"w{age}") for age in AGES))
    driver.commit()
    for _ in range(2):
        driver.now = NOW + later
        active = [worker for worker in driver.entities if ask(driver, "", worker)["active"]]
        assert len(active) == stats(driver, driver.now)["active_workers"]
        driver.now = NOW
        driver.crash()
        driver.commit()


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_the_latest_speed_is_by_time_whatever_came_first(order: tuple[int, ...]) -> None:
    """A batch without milliseconds, though it is later, does not keep the latest one that has a speed from counting."""
    batches = [batch(1, 1000, NOW - 2), batch(2, 1000, NOW - 1), batch(9, 0, NOW, worker_type="esp32")]
    shown = ask(told(*(batches[place] for place in order)), "")
    assert (shown["latest_keys_per_second"], shown["worker_type"]) == (2.0, "esp32")


def test_a_clock_that_is_ahead_does_not_make_a_worker_active_for_a_day() -> None:
    """It counts as seen now."""
    driver = told(batch(1, 1, NOW + DAY_MS))
    driver.commit()
    assert [stats(driver, NOW + minutes * MINUTE)["active_workers"] for minutes in (0, 4, 5)] == [1, 1, 0]


# -- views -------------------------------------------------------------------------------------------------------------


def test_the_snapshot_is_the_worker() -> None:
    """What is published is what the view says, but for what depends on the time."""
    driver = told(job(100, 1000, NOW - 1), batch(50, 2000, error_message="no"))
    driver.settle()
    published = json.loads(driver.stats[b"ann"])
    answer = ask(driver, "")
    assert answer.pop("active") is True
    assert {name: published[name] for name in answer} == answer
    assert answer["lifetime"] == {
        "total_batches": 2,
        "total_keys_scanned": 150,
        "total_duration_ms": 3000,
        "average_keys_per_second": 50.0,
        "error_count": 1,
        "min_keys_per_second": 25.0,
        "max_keys_per_second": 100.0,
        "p50_keys_per_second": 25.0,
        "p95_keys_per_second": pytest.approx(100.0, rel=0.01),
        "best": {"keys_per_second": 100.0, "finished_at": iso(NOW - 1), "job_id": "j"},
        "worst": {"keys_per_second": 25.0, "finished_at": iso(NOW), "job_id": None},
    }
    driver.wait(300)
    assert ask(driver, "")["active"] is False


def test_the_totals_are_everybodys() -> None:
    """Sums, and the average of the whole."""
    driver = told(batch(100, 1000), batch(5, 500, worker_id="bob", error_message="no"))
    driver.commit()
    assert stats(driver, NOW) == {
        "workers": 2,
        "active_workers": 2,
        "keys_per_second": 110,
        "total_batches": 2,
        "total_keys_scanned": 105,
        "total_duration_ms": 1500,
        "average_keys_per_second": 70.0,
        "error_count": 1,
    }


def test_a_buried_workers_work_stays_in_the_totals() -> None:
    """What it did has been done; it is no longer a worker."""
    driver = tell(Driver(WORKERS, key_limit=1), batch(100, 1000), batch(5, 500, worker_id="bob"))
    totals: WorkersTotals = driver.task.table.totals
    assert (totals.keys, totals.buried, totals.keys_scanned, totals.batches) == (1, 1, 105, 2)


def test_the_leaderboard_is_by_keys_ever_scanned() -> None:
    """Ten at most, ties by name, and nobody who has scanned nothing."""
    driver = told(*(batch(n // 2, 1, worker_id=f"w{n:02d}") for n in range(14)))
    driver.commit()
    assert json.loads(driver.totals[b"0/top"])["keys"] == [
        [f"w{n:02d}", n // 2] for n in (12, 13, 10, 11, 8, 9, 6, 7, 4, 5)
    ]


@pytest.mark.parametrize(("sort", "order"), [("worker", "abc"), ("keys", "cab"), ("last_seen", "bca")], ids=str)
def test_workers_are_listed_in_the_order_asked_for(sort: str, order: str) -> None:
    """By name, or the greatest first."""
    driver = told(
        batch(2, 1, NOW - 600_000, worker_id="a"), batch(1, 1, worker_id="b"), batch(3, 1, NOW - 9, worker_id="c")
    )
    driver.commit()
    listed = view("/workers")
    assert isinstance(listed, ListView)
    rows = driver.task.table.rows.values()
    asked = {"sort": sort, "active": "all"}
    lines = sorted((key, row.entity) for row in rows for key, _ in listed.lines(row, asked, NOW))
    assert "".join(name for _, name in lines) == order
    active = {
        value: {row.entity for row in rows if list(listed.lines(row, {"sort": sort, "active": value}, NOW))}
        for value in ("true", "false")
    }
    assert active == {"true": {"b", "c"}, "false": {"a"}}
    assert listed.line(driver.row("a"), None, asked, NOW) == ask(driver, "", "a")


@pytest.mark.parametrize(
    ("asked", "days"),
    [
        ({}, "10 11 12 13 14 15"),
        ({"from": "2025-06-14"}, "14 15"),
        ({"to": "2025-06-11"}, "10 11"),
        ({"from": "2025-06-12", "to": "2025-06-12"}, "12"),
        ({"from": "2025-06-13", "to": "2025-06-12"}, ""),
        ({"from": "2020-01-01", "to": "2030-01-01"}, "10 11 12 13 14 15"),
    ],
)
def test_days_of_a_worker_are_those_asked_for(asked: dict[str, str], days: str) -> None:
    """Both ends included; without them, all that are kept."""
    driver = told(*(batch(1, 1, MIDNIGHT - number * DAY_MS) for number in range(6)))
    assert [day["day"][-2:] for day in ask(driver, "/daily", **asked)["days"]] == days.split()


def aggregated(driver: Driver, path: str, **asked: str) -> Fields:
    """The answer of a view over all workers."""
    found = view(path)
    assert isinstance(found, AggregateView)
    into, given_ = PeriodTotals(), {parameter.name: parameter.default for parameter in found.parameters} | asked
    for row in driver.task.table.rows.values():
        other = PeriodTotals()
        found.add(row, other, given_, driver.now)
        into.merge(other)
    return found.answer(msgspec.convert(msgspec.to_builtins(into), PeriodTotals), given_)


def test_the_days_of_all_workers_add_up() -> None:
    """The last seven by default: today is the last of them."""
    events = [batch(10, 1000, MIDNIGHT - n * DAY_MS, worker_id=name) for n in range(9) for name in ("ann", "bob")]
    driver = told(*events, batch(30, 0, MIDNIGHT, error_message="no"))
    days = aggregated(driver, "/daily")["days"]
    assert [day["day"] for day in days] == [f"2025-06-{day:02d}" for day in range(9, 16)]
    assert days[-1] == {
        "day": "2025-06-15",
        "workers": 2,
        "total_batches": 3,
        "total_keys_scanned": 50,
        "total_duration_ms": 2000,
        "average_keys_per_second": 25.0,
        "error_count": 1,
    }
    assert [
        len(aggregated(driver, "/daily", **asked)["days"]) for asked in ({"from": "2020-01-01"}, {"to": "2025-06-08"})
    ] == [9, 2]


def test_the_months_of_all_workers_add_up() -> None:
    """The last twelve by default, over a year's end."""
    driver = told(*(batch(10, 1000, MIDNIGHT - n * 30 * DAY_MS) for n in range(24)))
    months = [month["month"] for month in aggregated(driver, "/monthly")["months"]]
    assert months == [f"2024-{month:02d}" for month in range(7, 13)] + [f"2025-{month:02d}" for month in range(1, 7)]
    assert len(aggregated(driver, "/monthly", **{"from": "2000-01"})["months"]) == 24
    assert [month["month"] for month in ask(driver, "/monthly")["months"]][-12:] == months
    assert aggregated(driver, "/monthly", to="2024-01", **{"from": "2024-01"})["months"][0]["total_keys_scanned"] == 10


@pytest.mark.parametrize(
    ("path", "parameter", "wrong", "right"),
    [
        ("/workers/{entity}/history", "limit", ("0", "1001", "-1", "1.5", "x", "", "٣"), ("1", "1000")),
        (
            "/workers/{entity}/daily",
            "from",
            ("2025-6-1", "2025-02-30", "x", "2025-06-15T00:00:00Z"),
            ("2024-02-29", ""),
        ),
        ("/daily", "to", ("2025-06", "15.6.2025", "0000-01-01"), ("2025-06-15", "")),
        ("/monthly", "from", ("2025-13", "2025-6", "2025-06-15"), ("2025-06", "")),
    ],
)
def test_a_wrong_parameter_is_told_what_is_right(
    path: str, parameter: str, wrong: Iterable[str], right: Iterable[str]
) -> None:
    """By an example, or by its bounds."""
    (declared,) = [found for found in view(path).parameters if found.name == parameter]
    assert declared.check is not None
    for value in right:
        declared.check(value)
    for value in wrong:
        with pytest.raises(ValueError, match=r"^(a day like 2025-06-15|a month like 2025-06|1\.\.1000)$"):
            declared.check(value)
