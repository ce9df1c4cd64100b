"""Workers: throughput of distributed search workers in four tiers: single batches, days, months, a lifetime.

Keys and milliseconds are integers. Every batch goes into all tiers when it arrives, so that pruning one of them never
changes another. `throughput.py` says what a tier adds up to, `jobs.py` how a job's counters become batches.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import msgspec

from tables.dedupe import IdCell, LastIds, packed
from tables.domain import Domain, Top
from tables.emission import Debounced, Snapshot
from tables.event import Event, Name, Outcome, day_of, iso, millis
from tables.jobs import Counters, JobCell, JobHead, since_last
from tables.option import Option
from tables.periods import Kind, between, cells_between, days_before, months_before
from tables.recent import Recent
from tables.retention import FirstOut, Newest, newest_cell, numbered
from tables.row import Cell, CellName, Row
from tables.sketch import bucket_of
from tables.throughput import Extreme, Tier, extreme_shown, per_second, sums_shown, tier_shown
from tables.totals import Totals, Whole, add
from tables.views import (
    AggregateView,
    Answer,
    Asked,
    EntityView,
    ListView,
    Parameter,
    SortKey,
    TopView,
    TotalsView,
)

HISTORY = Option(
    "worker_history_limit",
    10_000,
    "So many single batches are kept in all, divided over the partitions; the first to come is the first to go.",
    least=1,
    warn_below=100,
)
DAYS = Option("worker_daily_stats_limit", 1000, "A worker keeps so many days, the newest.", least=1)
MONTHS = Option("worker_monthly_stats_limit", 1000, "A worker keeps so many months, the newest.", least=1)

IDS = LastIds(last=512, per_cell=16)  # a farm's file of a day has 144 batches to a worker, and is ingested twice
ACTIVE = "active"  # the sightings
ACTIVE_SECONDS = 300
SPEED_SECONDS = 600
# Speeds of all active workers are summed up: a million workers (the limit on keys) at 10^12 keys/s are 10^18, and a
# sum has 63 bits, 9.2 x 10^18. What is faster counts as this.
MOST_SPEED = 10**12
SHOWN_ERROR = 500  # characters of an error message that are kept; a longer one is no reason to lose a batch
HISTORY_SHOWN, MOST_HISTORY = 100, 1000
WEEK_DAYS, YEAR_MONTHS = 7, 12
FIRST_DAY, LAST_DAY = "1970-01-01", "9999-12-31"

# Sums have 63 bits: 9.2 x 10^18 / 10^15 keys = 9,200 of the largest jobs there can be, or 1,460 years of work at the
# 2 x 10^8 keys/s of a mining rig, to a partition. 10^11 ms are three years of work; 9.2 x 10^7 of those fit.
_Keys = Annotated[int, msgspec.Meta(ge=0, le=10**15)]
_Duration = Annotated[int, msgspec.Meta(ge=0, le=10**11)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
_Hex = Annotated[str, msgspec.Meta(pattern="^(0x)?[0-9A-Fa-f]{1,64}\\Z")]  # `$` would let a line's end through

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class _Work(Event, kw_only=True, omit_defaults=True):
    worker_id: Name
    worker_type: Literal["pc", "esp32", "unknown"]
    keys_scanned: _Keys
    duration_ms: _Duration
    started_at: datetime
    finished_at: datetime
    nonce_start: _Count | None = None
    nonce_end: _Count | None = None
    prefix_28: _Hex | None = None
    batch_size: _Count | None = None
    error_message: str | None = None


class Checkpoint(_Work, tag_field="type", tag="checkpoint", kw_only=True):
    """How far a job is: keys_scanned and duration_ms are cumulative."""

    job_id: Name


class Complete(_Work, tag_field="type", tag="complete", kw_only=True):
    """A job's last word; otherwise a checkpoint."""

    job_id: Name


class Batch(_Work, tag_field="type", tag="batch", kw_only=True):
    """A batch of its own: keys_scanned and duration_ms are those of this batch alone."""

    batch_id: Name
    job_id: Name | None = None


class WorkerHead(JobHead):
    """`pending`: 1 where a snapshot is owed."""

    worker_type: str = "unknown"
    first_seen: int = 0
    """The smallest event time folded, in ms since the epoch."""
    speed_keys: int = 0
    """The latest batch that has a speed: its keys, its milliseconds, and when it was finished."""
    speed_ms: int = 0
    speed_at: int = 0


class BatchCell(Cell):
    """("batch", number): a single batch, with its own keys and milliseconds. Times in ms since the epoch."""

    job_id: str | None
    started: int
    finished: int
    keys_scanned: int
    duration_ms: int
    nonce_start: int | None = None
    nonce_end: int | None = None
    prefix_28: str | None = None
    batch_size: int | None = None
    error_message: str | None = None


class WorkersTotals(Totals):
    """All of them flow: what a buried worker did has been done."""

    batches: int = 0
    keys_scanned: int = 0
    duration_ms: int = 0
    errors: int = 0


class PeriodTotals(Totals):
    """Sums over workers by day or by month; `workers` counts those with a batch in it."""

    workers: dict[str, int] = msgspec.field(default_factory=dict)
    batches: dict[str, int] = msgspec.field(default_factory=dict)
    keys_scanned: dict[str, int] = msgspec.field(default_factory=dict)
    duration_ms: dict[str, int] = msgspec.field(default_factory=dict)
    errors: dict[str, int] = msgspec.field(default_factory=dict)


LIFETIME: CellName = ("lifetime",)
Worked = Checkpoint | Complete | Batch


# -- the fold ----------------------------------------------------------------------------------------------------------


def finished_at(event: Worked) -> int:
    """The time of an event: when its batch was finished.

    Raises:
        ValueError: it was started later than that, or before 1970: a time that cannot be shown in UTC, or no clock.
    """
    started = _micros(event.started_at)
    if started > _micros(event.finished_at):
        raise ValueError("`started_at` is later than `finished_at`")
    if started < 0:
        raise ValueError("`started_at` is before 1970")
    return millis(event.finished_at)


def _micros(at: datetime) -> int:
    return ((at.replace(tzinfo=UTC) if at.tzinfo is None else at) - _EPOCH) // _MICROSECOND


def reduce(row: Row, event: Worked, at: int, totals: WorkersTotals) -> Outcome:
    """One batch, told by itself or by how far its job is, into all tiers."""
    head: WorkerHead = row.head
    if isinstance(event, Batch):
        id_ = packed(event.batch_id)
        if IDS.knows(row, id_):
            return Outcome.DUPLICATE
        IDS.remember(row, id_)
        keys, ms = event.keys_scanned, event.duration_ms
    else:
        now = Counters(event.keys_scanned, event.duration_ms)
        found = since_last(row, event.job_id, _micros(event.started_at), _micros(event.finished_at), now)
        if isinstance(found, Outcome):
            return found
        keys, ms = found
    if LIFETIME not in row.cells:
        head.first_seen = at
    if at >= head.at:
        head.worker_type = event.worker_type
    if ms and at >= head.speed_at:
        head.speed_keys, head.speed_ms, head.speed_at = keys, ms, at
    head.first_seen = min(head.first_seen, at)
    head.pending = 1
    error = bool(event.error_message)
    bucket = bucket_of(keys * 1000 / ms) if ms else None
    day = day_of(at)
    options = row.table.options
    for tier in (
        newest_cell(row, ("day", day), Tier, options[DAYS.name]),
        newest_cell(row, ("month", day[:7]), Tier, options[MONTHS.name]),
        row.cell(LIFETIME, Tier),
    ):
        tier.add(Extreme(keys, ms, at, event.job_id), bucket, error=error)
    totals.batches += 1
    totals.keys_scanned += keys
    totals.duration_ms += ms
    totals.errors += error
    row.table.keep(row, numbered("batch", totals.batches), _batch(event, keys, ms, at))
    return Outcome.APPLIED


def _batch(event: Worked, keys: int, ms: int, at: int) -> BatchCell:
    return BatchCell(
        event.job_id,
        millis(event.started_at),
        at,
        keys,
        ms,
        event.nonce_start,
        event.nonce_end,
        event.prefix_28,
        event.batch_size,
        (event.error_message or "")[:SHOWN_ERROR] or None,
    )


# -- answers -----------------------------------------------------------------------------------------------------------


def worker_shown(row: Row) -> Answer:
    """A worker's lifetime: the snapshot, and the core of its views."""
    head: WorkerHead = row.head
    tier: Tier = row.cells[LIFETIME]
    return {
        "worker": row.entity,
        "worker_type": head.worker_type,
        "first_seen_at": iso(head.first_seen),
        "last_seen_at": iso(head.at),
        "latest_keys_per_second": per_second(head.speed_keys, head.speed_ms),
        "lifetime": tier_shown(tier) | {"best": extreme_shown(tier.fastest), "worst": extreme_shown(tier.slowest)},
    }


def snapshots(row: Row, _now: int, _totals: WorkersTotals) -> Sequence[Snapshot]:
    """One record per worker."""
    return [Snapshot("", worker_shown(row))]


def _is_active(row: Row, now: int) -> bool:
    # Asked of what is published, so that a worker is active here if and only if it counts as active in the totals.
    return bool(row.table.recents[ACTIVE].is_recent(row.entity, ACTIVE_SECONDS, now))


def _worker(row: Row, _asked: Asked, now: int) -> Answer:
    return worker_shown(row) | {"active": _is_active(row, now)}


def _history(row: Row, asked: Asked, _now: int) -> Answer:
    kept = row.of_kind("batch")
    newest = kept[: -int(asked["limit"]) - 1 : -1]
    return {"worker": row.entity, "kept": len(kept), "batches": [_batch_shown(cell) for _, cell in newest]}


def _batch_shown(cell: BatchCell) -> Answer:
    shown: Answer = {name: getattr(cell, name) for name in cell.__struct_fields__[3:]}
    return {
        "job_id": cell.job_id,
        "started_at": iso(cell.started),
        "finished_at": iso(cell.finished),
        "keys_per_second": per_second(cell.keys_scanned, cell.duration_ms),
    } | shown


def _daily(row: Row, asked: Asked, _now: int) -> Answer:
    names = cells_between(row, "day", asked["from"] or FIRST_DAY, asked["to"] or LAST_DAY)
    days = [{"day": name[1]} | tier_shown(row.cells[name]) for name in names]
    return {"worker": row.entity, "days": days}


def _monthly(row: Row, _asked: Asked, _now: int) -> Answer:
    months = [{"month": name[1]} | tier_shown(cell) for name, cell in row.of_kind("month")]
    return {"worker": row.entity, "months": months}


def _lines(row: Row, asked: Asked, now: int) -> Iterator[tuple[SortKey, None]]:
    if asked["active"] != "all" and (asked["active"] == "true") != _is_active(row, now):
        return
    by = {"worker": 0, "keys": -row.cells[LIFETIME].keys_scanned, "last_seen": -row.head.at}[asked["sort"]]
    yield [by], None


def _line(row: Row, _needs: None, asked: Asked, now: int) -> Answer:
    return _worker(row, asked, now)


def _stats(whole: Whole, _asked: Asked) -> Answer:
    totals: WorkersTotals = whole.totals
    active, _ = whole.recent(ACTIVE, ACTIVE_SECONDS)
    _, speed = whole.recent(ACTIVE, SPEED_SECONDS)
    sums = sums_shown(totals.batches, totals.keys_scanned, totals.duration_ms, totals.errors)
    return {"workers": totals.keys, "active_workers": active, "keys_per_second": speed} | sums


def _latest_speed(row: Row) -> int:
    """In whole keys per second, the nearest."""
    head: WorkerHead = row.head
    return min((2000 * head.speed_keys + head.speed_ms) // (2 * head.speed_ms), MOST_SPEED) if head.speed_ms else 0


# -- over all workers --------------------------------------------------------------------------------------------------


def _add_days(row: Row, into: PeriodTotals, asked: Asked, now: int) -> None:
    last = asked["to"] or day_of(now)
    _add_periods(row, into, "day", asked["from"] or days_before(last, WEEK_DAYS - 1), last)


def _add_months(row: Row, into: PeriodTotals, asked: Asked, now: int) -> None:
    last = asked["to"] or day_of(now)[:7]
    _add_periods(row, into, "month", asked["from"] or months_before(last, YEAR_MONTHS - 1), last)


def _add_periods(row: Row, into: PeriodTotals, kind: Kind, first: str, last: str) -> None:
    for name in cells_between(row, kind, first, last):
        tier: Tier = row.cells[name]
        add(into.workers, name[1], 1)
        add(into.batches, name[1], tier.batches)
        add(into.keys_scanned, name[1], tier.keys_scanned)
        add(into.duration_ms, name[1], tier.duration_ms)
        add(into.errors, name[1], tier.errors)


def _periods_shown(name: str, totals: PeriodTotals) -> Answer:
    periods = [
        {name: period, "workers": totals.workers[period]}
        | sums_shown(
            totals.batches[period],
            totals.keys_scanned.get(period, 0),
            totals.duration_ms.get(period, 0),
            totals.errors.get(period, 0),
        )
        for period in sorted(totals.workers)
    ]
    return {f"{name}s": periods}


def _check_limit(text: str) -> None:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_HISTORY):
        raise ValueError(f"1..{MOST_HISTORY}")


WORKERS = Domain(
    name="workers",
    entity_name="worker",
    version=1,
    event=Worked,
    entity=lambda event: event.worker_id,
    at=finished_at,
    reduce=reduce,
    head=WorkerHead,
    cells={"batch": BatchCell, "day": Tier, "month": Tier, "lifetime": Tier, "job": JobCell, "id": IdCell},
    totals=WorkersTotals,
    snapshots=snapshots,
    emission=Debounced(1.0),
    retention=(FirstOut("batch", HISTORY), Newest("day", DAYS), Newest("month", MONTHS)),
    tops=(Top("keys", lambda row: row.cells[LIFETIME].keys_scanned or None),),
    recents=(Recent(ACTIVE, SPEED_SECONDS, lambda row: row.head.at, _latest_speed),),
    views=(
        TotalsView("/api/v1/stats", "Everybody's sums, who is active, and how fast they are together.", _stats),
        ListView(
            "/api/v1/workers",
            "Workers with their lifetimes, in pages.",
            lines=_lines,
            line=_line,
            parameters=(
                Parameter("sort", "worker", ("worker", "keys", "last_seen"), "by name, or the greatest first"),
                Parameter("active", "all", ("all", "true", "false"), "seen in the last 5 minutes, or not"),
            ),
        ),
        EntityView("/api/v1/workers/{entity}", "A worker's lifetime.", _worker),
        EntityView(
            "/api/v1/workers/{entity}/history",
            "A worker's single batches, the last to come first.",
            _history,
            (Parameter("limit", str(HISTORY_SHOWN), about=f"so many at most, 1..{MOST_HISTORY}", check=_check_limit),),
        ),
        EntityView(
            "/api/v1/workers/{entity}/daily",
            "A worker's days.",
            _daily,
            between("day", "the first that is kept where none is named", "the last one where none is named"),
        ),
        EntityView("/api/v1/workers/{entity}/monthly", "A worker's months.", _monthly),
        TopView(
            "/api/v1/leaderboard",
            "The ten workers that have scanned the most keys.",
            name=lambda _asked: "keys",
            value=lambda keys, _asked: keys,
        ),
        AggregateView(
            "/api/v1/daily",
            "Days over all workers.",
            _add_days,
            lambda totals, _asked: _periods_shown("day", totals),
            PeriodTotals,
            parameters=between("day", "7 days in all where none is named", "today (UTC) where none is named"),
        ),
        AggregateView(
            "/api/v1/monthly",
            "Months over all workers.",
            _add_months,
            lambda totals, _asked: _periods_shown("month", totals),
            PeriodTotals,
            parameters=between("month", "12 months in all where none is named", "this one (UTC) where none is named"),
        ),
    ),
)
