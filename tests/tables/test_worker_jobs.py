"""Workers: how a job's counters become batches, which events are known already, and which are no events."""

from typing import Any

import pytest

from agents.driver import NOW
from tables.event import DAY_MS, iso
from tables.jobs import JOBS
from tables.workers import IDS
from tests.tables.inputs_workers import MIDNIGHT, MINUTE, Fields, batch, deltas, job, lifetime, outcomes, tell, told


@pytest.mark.parametrize(
    ("counters", "batches"),
    [
        ([(100, 10), (250, 30)], [(100, 10), (150, 20)]),
        ([(0, 0), (5, 5)], [(0, 0), (5, 5)]),
        ([(100, 10), (100, 30)], [(100, 10), (0, 20)]),
        ([(100, 10), (100, 10)], [(100, 10), (0, 0)]),
        ([(100, 10), (40, 4), (60, 9)], [(100, 10), (40, 4), (20, 5)]),
        ([(100, 10), (40, 50)], [(100, 10), (40, 50)]),
        ([(100, 10), (0, 0)], [(100, 10), (0, 0)]),
        ([(100, 10), (150, 4), (160, 6)], [(100, 10), (50, 4), (10, 2)]),
        ([(100, 10), (100, 4)], [(100, 10), (0, 4)]),
    ],
    ids=[
        "grown",
        "from nothing",
        "equal keys and more time: no keys",
        "nothing new: an empty batch",
        "fallen keys: restarted",
        "fallen keys restart the time, too, though it has grown",
        "restarted at nothing",
        "fallen time alone: the keys went on",
        "fallen time, equal keys",
    ],
)
def test_counters_become_batches(counters: list[tuple[int, int]], batches: list[tuple[int, int]]) -> None:
    """The difference to the job's last event is one batch."""
    driver = told(*(job(keys, ms, NOW + n) for n, (keys, ms) in enumerate(counters)))
    assert deltas(driver) == batches
    assert lifetime(driver)["total_keys_scanned"] == sum(keys for keys, _ in batches)
    assert lifetime(driver)["total_duration_ms"] == sum(ms for _, ms in batches)


@pytest.mark.parametrize(
    ("over", "outcome"),
    [
        ({}, "DUPLICATE"),
        ({"keys_scanned": 999}, "DUPLICATE"),
        ({"type": "complete"}, "DUPLICATE"),
        ({"finished_at": iso(NOW - 1)}, "DUPLICATE"),
        ({"started_at": iso(NOW - 61 * MINUTE), "finished_at": iso(NOW + 1)}, "DUPLICATE"),
        ({"finished_at": iso(NOW).replace("Z", "001Z")}, "APPLIED"),
        ({"started_at": iso(NOW - 59 * MINUTE), "finished_at": iso(NOW - 1)}, "APPLIED"),
        ({"job_id": "k"}, "APPLIED"),
        ({"worker_id": "bob"}, "APPLIED"),
    ],
)
def test_events_of_a_job_are_ordered_by_start_and_end(over: Fields, outcome: str) -> None:
    """Not later than the last one is a duplicate, whatever it says; microseconds count."""
    driver = told(job(5, 5))
    before = dict(driver.read())
    tell(driver, job(5, 5) | over)
    assert outcomes(driver) == ({"APPLIED": 2} if outcome == "APPLIED" else {"APPLIED": 1, outcome: 1})
    if outcome == "DUPLICATE":
        assert {key: cell for key, cell in driver.read().items() if key != b"[null]"} == {
            key: cell for key, cell in before.items() if key != b"[null]"
        }


def started(number: int, **over: Any) -> Fields:
    """The first event of a job that began so many minutes after the others."""
    at = MIDNIGHT + number * MINUTE
    return job(10, 10, at + 1000, job_id=f"job-{number}", started_at=iso(at)) | over


def test_a_row_remembers_its_last_hundred_jobs() -> None:
    """The edge of the bound: with a hundred all are duplicates; one more, and the first is forgotten."""
    events = [started(number) for number in range(JOBS)]
    driver = told(*events, *events)
    assert outcomes(driver) == {"APPLIED": JOBS, "DUPLICATE": JOBS}
    tell(driver, started(JOBS), started(0), started(1))
    assert outcomes(driver) == {"APPLIED": JOBS + 1, "DUPLICATE": JOBS + 1, "LATE": 1}
    assert len(driver.row("ann").of_kind("job")) == JOBS


def test_a_forgotten_job_never_counts_again() -> None:
    """Its counters hold its whole past: taken for a new job it would count twice. Also after a restart."""
    driver = told(*(started(number) for number in range(JOBS + 1)))
    driver.commit()
    driver.crash()
    tell(driver, started(0, keys_scanned=500, finished_at=iso(NOW)), started(0, type="complete"))
    assert outcomes(driver)["LATE"] == 2
    assert lifetime(driver)["total_keys_scanned"] == 10 * (JOBS + 1)


def test_a_new_job_that_began_before_a_forgotten_one_is_late() -> None:
    """It cannot be told from a forgotten one; one that began later is new."""
    driver = told(*(started(number) for number in range(JOBS + 1)))
    tell(driver, started(0, job_id="old"), started(0, job_id="new", started_at=iso(MIDNIGHT + 1)))
    assert outcomes(driver) == {"APPLIED": JOBS + 2, "LATE": 1}


def test_a_long_job_outlives_many_short_ones() -> None:
    """The job that was heard of least lately makes room, not the one that began first."""
    driver = told(job(0, 0, MIDNIGHT, job_id="long", started_at=iso(MIDNIGHT - 1)))
    for number in range(3 * JOBS):
        at = MIDNIGHT + number * MINUTE
        tell(driver, started(number))
        tell(driver, job(number, number, at + 2000, job_id="long", started_at=iso(MIDNIGHT - 1)))
    assert outcomes(driver) == {"APPLIED": 6 * JOBS + 1}
    assert lifetime(driver)["total_keys_scanned"] == 3 * JOBS * 10 + 3 * JOBS - 1


def test_the_latest_start_of_all_forgotten_jobs_counts() -> None:
    """A job that began early and was forgotten late does not bring those back that were forgotten before it."""
    early = started(1, job_id="early", started_at=iso(MIDNIGHT - MINUTE))  # heard of after job 0, begun before it
    driver = told(*(started(number) for number in (0, 2)), early, *(started(number) for number in range(3, JOBS + 2)))
    assert {cell.job_id for _, cell in driver.row("ann").of_kind("job")} == {f"job-{n}" for n in range(2, JOBS + 2)}
    tell(driver, started(0, finished_at=iso(NOW)), early | {"finished_at": iso(NOW)})
    assert outcomes(driver)["LATE"] == 2


def test_a_batch_is_known_by_its_id() -> None:
    """Whatever else it says; the last 512 ids of a row are remembered."""
    events = [batch(1, 1, batch_id=str(number)) for number in range(IDS.last)]
    driver = told(*events, *events, events[7] | {"keys_scanned": 9})
    assert outcomes(driver) == {"APPLIED": IDS.last, "DUPLICATE": IDS.last + 1}
    tell(driver, batch(1, 1), events[1], events[0])
    assert outcomes(driver) == {"APPLIED": IDS.last + 2, "DUPLICATE": IDS.last + 2}


def test_a_batch_does_not_move_the_counters_of_its_job() -> None:
    """It carries differences already."""
    driver = told(job(100, 10), batch(7, 7, job_id="j"), job(150, 30, NOW + 1))
    assert deltas(driver) == [(100, 10), (7, 7), (50, 20)]


@pytest.mark.parametrize(
    ("over", "reason"),
    [
        ({"worker_type": "gpu"}, "worker_type"),
        ({"keys_scanned": 10**15 + 1}, "keys_scanned"),
        ({"duration_ms": -1}, "duration_ms"),
        ({"job_id": None}, "job_id"),
        ({"prefix_28": "0xyz"}, "prefix_28"),
        ({"prefix_28": "0f\n"}, "prefix_28"),
        ({"started_at": iso(NOW + 1)}, "`started_at` is later than `finished_at`"),
        ({"started_at": "1969-12-31T23:59:59.999999Z"}, "`started_at` is before 1970"),
        ({"started_at": "0001-01-01T00:00:00+14:00"}, "`started_at` is before 1970"),
        ({"finished_at": iso(NOW + 2 * DAY_MS)}, "more than a day ahead"),
        ({"type": "batch"}, "batch_id"),
    ],
)
def test_what_is_invalid_says_which_field(over: Fields, reason: str) -> None:
    """And changes nothing."""
    driver = told(job(1, 1) | over)
    driver.settle()
    assert outcomes(driver) == {"INVALID": 1}
    assert reason.encode() in (dict(driver.dead_letters[0].headers)["tidemark-reason"] or b"")
    assert driver.entities == []
