"""What a farm's readings count, as batches of workers; with a real farm's file."""

import json
from collections import Counter
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from agents.driver import Driver
from app.demo.farm import FARM
from app.ingest import smartpool
from app.ingest.report import Report
from app.ingest.smartpool import batch_record, farm_batches
from app.ingest.source import InputError, Source
from tables.event import Outcome
from tables.workers import LIFETIME, WORKERS, Batch, WorkersTotals
from tests.ingest.conftest import Write

KEYS = 50_301_340_867_800  # counted independently: every reported rate times 600
DAYS = {"2017-05-14": 351, "2017-05-15": 124}
NOON = 2_491_272  # the window that begins at 2017-05-14T12:00:00Z


def batches_of(path: str) -> tuple[list[Batch], Report]:
    """What an ingest makes of a file."""
    report = Report()
    with Source(path) as source:
        return list(farm_batches(source, report)), report


def window(number: int, **rigs: Any) -> dict[str, Any]:
    """A window with what its rigs reported."""
    return {
        "time_period": number,
        "start_time": "2017-05-14T05:04:36.6338567-07:00",
        "rigs": {name: {"ReportedHashrate": rate} for name, rate in rigs.items()},
    }


def farm(*windows: dict[str, Any], **over: Any) -> bytes:
    """A file."""
    sample = {str(found["time_period"]): found for found in windows}
    return json.dumps({"period_duration": 600, "long_window_sample": sample} | over).encode()


@pytest.fixture(scope="module")
def real() -> tuple[list[Batch], Report]:
    """The real farm's batches."""
    return batches_of(str(FARM))


def test_a_real_farm_adds_up_to_what_was_counted_independently(real: tuple[list[Batch], Report]) -> None:
    """475 readings of 7 rigs in 90 windows over a UTC midnight; the 80 readings of the short sample are among them."""
    batches, report = real
    assert len(batches) == 475
    assert len({batch.worker_id for batch in batches}) == 7
    assert sum(batch.keys_scanned for batch in batches) == KEYS
    assert Counter(batch.finished_at.date().isoformat() for batch in batches) == DAYS
    assert {batch.duration_ms for batch in batches} == {600_000}
    assert sum(batch.keys_scanned == 0 for batch in batches) == 2
    assert len({batch.batch_id for batch in batches}) == 475
    assert (report.read, report.skipped) == (555, {smartpool.REPEATED: 80})


def test_a_real_farm_comes_in_the_order_of_time(real: tuple[list[Batch], Report]) -> None:
    """So that the latest speed of a worker is that of its last window; a gap of 13 windows stays one."""
    ends = [batch.finished_at for batch in real[0]]
    assert ends == sorted(ends)
    distinct = sorted(set(ends))
    assert max((b - a).total_seconds() for a, b in pairwise(distinct)) == 14 * 600


def test_a_farm_that_is_ingested_twice_is_ingested_once(real: tuple[list[Batch], Report]) -> None:
    """Every batch is recognised: no cell changes, and all of the second time are duplicates."""
    drivers = [Driver(WORKERS, number, partitions=3) for number in range(3)]

    def fold() -> dict[bytes, bytes]:
        for key, value in map(batch_record, real[0]):
            drivers[drivers[0].partition_of(key)].send(key, value)
        for driver in drivers:
            driver.settle()
        return {key: value for driver in drivers for key, value in driver.read().items() if key != b"[null]"}

    once = fold()
    assert fold() == once
    totals = WorkersTotals()
    for driver in drivers:
        totals.merge(driver.task.table.totals)
    assert totals.outcomes[Outcome.APPLIED] == totals.outcomes[Outcome.DUPLICATE] == totals.batches == 475
    assert (totals.keys_scanned, totals.duration_ms, totals.keys) == (KEYS, 475 * 600_000, 7)
    rows = [row for driver in drivers for row in driver.task.table.rows.values()]
    for day, count in DAYS.items():
        assert sum(row.cells[("day", day)].batches for row in rows if ("day", day) in row.cells) == count
    assert sum(row.cells[LIFETIME].keys_scanned for row in rows) == KEYS


def test_a_batch_says_window_rig_and_rate(write: Write) -> None:
    """Time is the window's number times its length in UTC, not the zoned time of its first share."""
    (batch,), report = batches_of(write(farm(window(NOON, rig=169_054_112))))
    assert msgspec.to_builtins(batch) == {
        "type": "batch",
        "batch_id": "rig/2491272",
        "worker_id": "rig",
        "worker_type": "unknown",
        "keys_scanned": 169_054_112 * 600,
        "duration_ms": 600_000,
        "started_at": "2017-05-14T12:00:00Z",
        "finished_at": "2017-05-14T12:10:00Z",
    }
    assert report.read == 1
    assert batch_record(batch)[0] == b"rig"
    assert msgspec.json.decode(batch_record(batch)[1], type=WORKERS.event) == batch


def test_trap_windows_are_numbers_and_not_text(write: Write) -> None:
    """The file's keys are text: `1000000` would come before `999999`."""
    batches, _ = batches_of(write(farm(window(1_000_000, rig=1), window(999_999, rig=2))))
    assert [batch.keys_scanned for batch in batches] == [1200, 600]


def test_trap_the_short_sample_is_not_counted_again(write: Write) -> None:
    """Its windows are those of the long one; only one that is not there counts."""
    short = {str(number): window(number, rig=5) for number in (NOON, NOON + 1)}
    batches, report = batches_of(write(farm(window(NOON, rig=4), short_window_sample=short)))
    assert [batch.keys_scanned for batch in batches] == [2400, 3000]
    assert report.skipped == {smartpool.REPEATED: 1}


@pytest.mark.parametrize(("rate", "keys"), [(0, 0), (1, 600), (10**15 // 600, 10**15 // 600 * 600)])
def test_a_reading_is_a_rate(write: Write, rate: int, keys: int) -> None:
    """Keys = rate x seconds; a reading of zero is a batch of no keys."""
    (batch,), _ = batches_of(write(farm(window(NOON, rig=rate))))
    assert batch.keys_scanned == keys


@pytest.mark.parametrize(
    ("rigs", "reason"),
    [
        ({"rig": None}, smartpool.NO_READING),
        ({"": 5}, "worker_id"),
        ({"x" * 257: 5}, "_id`"),
        ({"rig": -1}, "keys_scanned"),
        ({"rig": 10**13}, "keys_scanned"),
        ({"rig": 10**40}, "keys_scanned"),
    ],
)
def test_what_is_no_batch_is_skipped_with_its_reason(write: Write, rigs: dict[str, Any], reason: str) -> None:
    """And the rest is read: the pool writes numbers of any size, and null."""
    batches, report = batches_of(write(farm(window(NOON, zoe=7, **rigs))))
    assert [batch.worker_id for batch in batches] == ["zoe"]
    ((found, count),) = report.skipped.items()
    assert reason in found
    assert (count, report.read) == (1, 2)


GOOD = farm(window(NOON, rig=4))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (GOOD[:-2], f"the file is cut off or no JSON at byte {len(GOOD) - 2}"),
        (b"{]", r"no JSON: JSON is malformed: .*\(byte 1\)"),
        (b"[]", "the file is mistyped: Expected `object`, got `array`"),
        (b"{}", "missing required field `period_duration`"),
        (farm(period_duration="600"), r"Expected `int`, got `str` - at `\$.period_duration`"),
        (farm(period_duration=0), r"`\$.period_duration`"),
        (farm(window(NOON, rig="4")), r"long_window_sample\['2491272'\] is mistyped: .*`\$.rigs"),
        (farm(window(NOON, rig=1.5)), r"long_window_sample\['2491272'\] is mistyped: .*`\$.rigs"),
        (farm(window(10**13, rig=1)), "says that it is window 10000000000000"),
        (farm(window(-1, rig=1)), "says that it is window -1"),
        (farm(long_window_sample={"7": window(8)}), r"long_window_sample\['7'\] says that it is window 8"),
        (farm(short_window_sample={"07": window(7)}), r"short_window_sample\['07'\] says that it is window 7"),
        (farm(long_window_sample={"7": {"time_period": 7}}), "missing required field `rigs`"),
    ],
)
def test_a_wrong_file_is_an_error_that_says_where(write: Write, content: bytes, message: str) -> None:
    """And gives no batch at all, so that a second run has nothing to mend."""
    report = Report()
    with Source(write(content)) as source, pytest.raises(InputError, match=message):
        next(farm_batches(source, report))
    assert report == Report()


def test_a_file_of_any_length_does_not_fill_the_memory(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused when it is longer than any farm's."""
    monkeypatch.setattr(smartpool, "SIZE_LIMIT", 1000)
    with Source(write(b" " * 1001)) as source, pytest.raises(InputError, match="longer than 1,000 bytes"):
        next(farm_batches(source, Report()))
