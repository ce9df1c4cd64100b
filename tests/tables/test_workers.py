"""Workers: what a batch adds to which tier, what is kept of it, and what it costs. The origin's traps by name."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.driver import NOW, Driver
from tables.event import DAY_MS, iso
from tables.throughput import tier_shown
from tables.workers import DAYS, HISTORY, LIFETIME, MONTHS, SHOWN_ERROR, WORKERS, WorkersTotals, worker_shown
from tests.tables.inputs_workers import MIDNIGHT, Fields, ask, batch, job, lifetime, tell, told

# -- tiers -------------------------------------------------------------------------------------------------------------

amounts = st.tuples(
    st.sampled_from(("ann", "bob", "cid")),
    st.integers(0, 10**6),
    st.integers(0, 10**5),
    st.integers(0, 400).map(lambda days: NOW - days * DAY_MS // 2),
    st.sampled_from((None, "", "error")),
)


def made(amount: tuple[str, int, int, int, str | None]) -> Fields:
    """A batch of these amounts."""
    worker, keys, ms, at, error = amount
    return batch(keys, ms, at, worker_id=worker, error_message=error)


@settings(max_examples=60, deadline=None)
@given(st.lists(amounts, min_size=1, max_size=40))
def test_days_and_months_add_up_to_the_lifetime_while_nothing_is_pruned(
    sent: list[tuple[str, int, int, int, str | None]],
) -> None:
    """And the lifetime is all batches ever, the totals all workers."""
    driver = told(*map(made, sent))
    totals: WorkersTotals = driver.task.table.totals
    whole = [totals.batches, totals.keys_scanned, totals.duration_ms, totals.errors]
    assert whole == sums(sent)
    for worker in driver.entities:
        cells = driver.row(worker).cells
        mine = sums([amount for amount in sent if amount[0] == worker])
        for kind in ("day", "month", "lifetime"):
            tiers = [cell for name, cell in cells.items() if name[0] == kind]
            parts = [[cell.batches, cell.keys_scanned, cell.duration_ms, cell.errors] for cell in tiers]
            assert [sum(part) for part in zip(*parts, strict=True)] == mine
            merged = tiers[0].speeds
            for tier in tiers[1:]:
                merged.merge(tier.speeds)
            assert merged == cells[LIFETIME].speeds


def sums(sent: Iterable[tuple[str, int, int, int, str | None]]) -> list[int]:
    """Batches, keys, milliseconds and errors."""
    rows = [(1, keys, ms, bool(error)) for _, keys, ms, _, error in sent]
    return [sum(column) for column in zip(*rows, strict=True)]


def test_trap_pruning_a_day_changes_no_month_and_no_lifetime() -> None:
    """The origin moved what it pruned into the next tier, and could count it there twice."""
    days = [batch(100, 1000, MIDNIGHT - number * DAY_MS) for number in range(10)]
    driver = told(*days, **{DAYS.name: 10})
    before = [tier_shown(driver.row("ann").cells[name]) for name in (("month", "2025-06"), LIFETIME)]
    few = told(*days, **{DAYS.name: 2})
    assert [tier_shown(few.row("ann").cells[name]) for name in (("month", "2025-06"), LIFETIME)] == before
    assert [name for name, _ in few.row("ann").of_kind("day")] == [("day", "2025-06-14"), ("day", "2025-06-15")]


def test_trap_limits_are_each_workers_own() -> None:
    """The origin's limit was on all workers together: a new one pushed out the days of the others."""
    driver = Driver(WORKERS, options={DAYS.name: 2, MONTHS.name: 3})
    for worker in ("ann", "bob", "cid"):
        tell(driver, *(batch(1, 1, MIDNIGHT - number * 20 * DAY_MS, worker_id=worker) for number in range(6)))
    for worker in ("ann", "bob", "cid"):
        row = driver.row(worker)
        assert (len(row.of_kind("day")), len(row.of_kind("month"))) == (2, 3)
        assert row.cells[LIFETIME].batches == 6


def test_trap_an_average_is_keys_by_seconds_and_never_a_mean_of_means() -> None:
    """One second at 1,000 keys/s and nine at 100 are 190 keys/s, not 550."""
    shown = lifetime(told(batch(1000, 1000), batch(900, 9000)))
    assert shown["average_keys_per_second"] == 190.0
    assert (shown["min_keys_per_second"], shown["max_keys_per_second"]) == (100.0, 1000.0)


def test_a_late_batch_goes_to_its_own_day() -> None:
    """By the UTC date of its end; who was seen last, and how fast, does not change."""
    driver = told(batch(10, 10, MIDNIGHT), batch(7, 1, MIDNIGHT - 1, worker_type="esp32"))
    assert [(day["day"], day["total_keys_scanned"]) for day in ask(driver, "/daily")["days"]] == [
        ("2025-06-14", 7),
        ("2025-06-15", 10),
    ]
    shown = worker_shown(driver.row("ann"))
    assert (shown["first_seen_at"], shown["last_seen_at"]) == (iso(MIDNIGHT - 1), iso(MIDNIGHT))
    assert (shown["worker_type"], shown["latest_keys_per_second"]) == ("pc", 1000.0)


def test_a_batch_later_than_every_kept_day_still_counts_in_its_month() -> None:
    """Its day was pruned, or would be next."""
    driver = told(
        batch(1, 1, MIDNIGHT), batch(1, 1, MIDNIGHT - DAY_MS), batch(5, 1, MIDNIGHT - 2 * DAY_MS), **{DAYS.name: 2}
    )
    assert len(driver.row("ann").of_kind("day")) == 2
    assert driver.row("ann").cells["month", "2025-06"].keys_scanned == 7


def test_a_limit_that_is_raised_brings_nothing_back() -> None:
    """A late batch of a pruned day begins that day anew; its month and the lifetime have both."""
    days = [batch(100, 1000, MIDNIGHT - number * DAY_MS) for number in (2, 1, 0)]
    driver = told(*days, **{DAYS.name: 2})
    driver.commit()
    driver.options[DAYS.name] = 3
    driver.crash()
    tell(driver, batch(5, 1000, MIDNIGHT - 2 * DAY_MS))
    assert [cell.keys_scanned for _, cell in driver.row("ann").of_kind("day")] == [5, 100, 100]
    assert driver.row("ann").cells["month", "2025-06"].keys_scanned == lifetime(driver)["total_keys_scanned"] == 305


def test_without_a_duration_there_is_no_speed() -> None:
    """None, neither 0 nor infinite; its keys count, and the latest speed stays."""
    shown = lifetime(told(batch(5, 0)))
    assert [value for name, value in shown.items() if "per_second" in name] == [None] * 5
    assert shown["total_keys_scanned"] == 5
    driver = told(batch(5, 1000), batch(7, 0))
    assert worker_shown(driver.row("ann"))["latest_keys_per_second"] == 5.0
    assert lifetime(driver)["min_keys_per_second"] == 5.0


def test_speeds_are_compared_exactly() -> None:
    """These two are the same float, and yet one is faster by a part in 10^26; of equals, the first is the best."""
    keys, ms = 10**15 - 1, 10**11
    other_keys, other_ms = (keys * (ms - 1) - 1) // ms, ms - 1
    assert keys / ms == other_keys / other_ms
    assert keys * other_ms == other_keys * ms + 1
    fast, slow = batch(keys, ms, NOW - 1, job_id="fast"), batch(other_keys, other_ms, job_id="slow")
    for events in ((slow, fast), (fast, slow)):
        found = worker_shown(told(*events, fast | {"batch_id": "again", "job_id": "again"}).row("ann"))["lifetime"]
        assert (found["best"]["job_id"], found["worst"]["job_id"]) == ("fast", "slow")
        assert found["best"] == {"keys_per_second": 10_000_000.0, "finished_at": iso(NOW - 1), "job_id": "fast"}


def test_errors_are_counted_where_there_is_a_message() -> None:
    """An empty one is none; a long one is cut, not refused."""
    driver = told(*(batch(1, 1, error_message=message) for message in (None, "", "no", "x" * 10**5)))
    assert lifetime(driver)["error_count"] == 2
    assert [line["error_message"] for line in ask(driver, "/history")["batches"]] == [
        "x" * SHOWN_ERROR,
        "no",
        None,
        None,
    ]


# -- single batches ----------------------------------------------------------------------------------------------------


def test_single_batches_are_limited_over_all_workers_first_in_first_out() -> None:
    """By arrival, whoever's they are; a worker without any left keeps its tiers."""
    events = [batch(number, 1, NOW - number, worker_id=worker) for number, worker in enumerate("aabbab")]
    driver = told(*events, **{HISTORY.name: 3})
    kept = {name: [line["keys_scanned"] for line in ask(driver, "/history", name)["batches"]] for name in "ab"}
    assert kept == {"a": [4], "b": [5, 3]}
    assert lifetime(driver, "a")["total_batches"] == 3
    driver.commit()
    driver.options[HISTORY.name] = 1
    driver.crash()
    assert [len(driver.row(name).of_kind("batch")) for name in "ab"] == [0, 1]


@pytest.mark.parametrize(("limit", "partitions"), [(10, 4), (3, 3), (7, 2)])
def test_the_limit_on_single_batches_is_divided_over_the_partitions(limit: int, partitions: int) -> None:
    """Together they keep as many as it says."""
    drivers = [Driver(WORKERS, n, partitions=partitions, options={HISTORY.name: limit}) for n in range(partitions)]
    for number in range(40 * partitions):
        worker = f"w{number}"
        tell(drivers[drivers[0].partition_of(worker.encode())], batch(1, 1, worker_id=worker))
    kept = [sum(len(row.of_kind("batch")) for row in driver.task.table.rows.values()) for driver in drivers]
    assert sum(kept) == limit


def test_history_shows_the_last_to_come_first() -> None:
    """As many as are asked for, with all that the batch said."""
    more = {"nonce_start": 0, "nonce_end": 9, "prefix_28": "0x0f", "batch_size": 64}
    driver = told(batch(1, 1000), batch(2, 1000, NOW - 1, **more), job(3, 0))
    assert [line["keys_scanned"] for line in ask(driver, "/history")["batches"]] == [3, 2, 1]
    answer = ask(driver, "/history", limit="2")
    assert answer["kept"] == 3
    assert answer["batches"][1] == more | {
        "job_id": None,
        "started_at": iso(NOW - 1001),
        "finished_at": iso(NOW - 1),
        "keys_scanned": 2,
        "duration_ms": 1000,
        "keys_per_second": 2.0,
        "error_message": None,
    }
    assert answer["batches"][0]["keys_per_second"] is None
    assert answer["batches"][0]["job_id"] == "j"


# -- cost --------------------------------------------------------------------------------------------------------------


def written(days: int) -> list[tuple[bytes, bytes]]:
    """What one batch writes to the changelog of a worker that has so many days."""
    driver = Driver(WORKERS)
    events = [batch(1, 1, MIDNIGHT - number * DAY_MS) for number in range(days)]
    tell(driver, *events, *(batch(1, 1, MIDNIGHT) for _ in range(1000 - days)))
    driver.settle()
    tell(driver, batch(1, 1, NOW, job_id="last"))
    driver.now += 1  # not yet published: the batch alone
    assert len(driver.row("ann").of_kind("day")) == days
    return [(key, value or b"") for key, value in driver.commit().cells]


def test_a_batch_costs_the_same_with_one_day_and_with_a_thousand() -> None:
    """Head, day, month, lifetime, the batch itself, totals: the same cells, equal up to the digits of numbers."""
    few, many = written(1), written(1000)
    assert [key for key, _ in few] == [key for key, _ in many]
    assert len(few) == 6
    sizes = [sum(len(key) + len(value) for key, value in cells) for cells in (few, many)]
    assert abs(sizes[0] - sizes[1]) <= 32  # a number of MessagePack has 1 to 9 bytes; a month's counts differ
    assert max(sizes) < 700
