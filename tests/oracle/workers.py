"""What the workers domain says of its input, in plain Python: nothing here comes from tables/ or agents/.

It keeps every accepted batch and computes each answer from all of them, the slow and obvious way, in fractions.
"""

import json
import re
from bisect import bisect_right
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, NamedTuple
from urllib.parse import quote

from tests.oracle.interface import Raw

Fields = dict[str, Any]
Instant = tuple[datetime, datetime]

JOBS, IDS = 100, 512  # what a worker's row remembers
HISTORY, DAYS, MONTHS = 10_000, 1000, 1000  # what is kept: of all workers, of each, of each
FASTEST = 10**12  # keys/s that count in the sum of speeds
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ASKED = 15  # workers whose views are asked for
BOUNDS = {"keys_scanned": 10**15, "duration_ms": 10**11, "nonce_start": 2**63 - 1, "nonce_end": 2**63 - 1}
BOUNDS["batch_size"] = 2**63 - 1


class WrongError(ValueError):
    """The record is INVALID."""


class Did(NamedTuple):
    """An accepted batch."""

    at: datetime
    started: datetime
    keys: int
    ms: int
    error: str | None
    job: str | None
    type: str
    partition: int

    @property
    def speed(self) -> Fraction | None:
        """Keys per second."""
        return Fraction(self.keys * 1000, self.ms) if self.ms else None

    @property
    def day(self) -> str:
        """The UTC date of its end."""
        return self.at.date().isoformat()


# -- reading -----------------------------------------------------------------------------------------------------------


def read(record: Raw) -> Fields:
    """The event of a record, its times as datetimes.

    A day ahead of now is too far; the record's own time is the nearest to now that an oracle knows.
    """
    try:
        event = json.loads(record.value or b"", parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise WrongError from error
    if not isinstance(event, dict) or event.get("type") not in ("checkpoint", "complete", "batch"):
        raise WrongError
    _text(event, "worker_id")
    _text(event, "job_id", optional=event["type"] == "batch")
    if event["type"] == "batch":
        _text(event, "batch_id")
    _fields(event)
    for name in ("started_at", "finished_at"):
        event[name] = _time(event.get(name))
    horizon = EPOCH + timedelta(milliseconds=record.timestamp, days=1)
    if not EPOCH <= event["started_at"] <= event["finished_at"] <= horizon:
        raise WrongError
    return event


def _fields(event: Fields) -> None:
    if event.get("worker_type") not in ("pc", "esp32", "unknown"):
        raise WrongError
    for name, most in BOUNDS.items():
        number = event.get(name)
        optional = name not in ("keys_scanned", "duration_ms")
        if not (optional and number is None) and not (type(number) is int and 0 <= number <= most):
            raise WrongError
    prefix, message = event.get("prefix_28"), event.get("error_message")
    if prefix is not None and not (isinstance(prefix, str) and re.fullmatch("(0x)?[0-9A-Fa-f]{1,64}", prefix)):
        raise WrongError
    if not isinstance(message, str | None):
        raise WrongError


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _text(event: Fields, name: str, *, optional: bool = False) -> None:
    text = event.get(name)
    if not (optional and text is None) and not (isinstance(text, str) and 1 <= len(text) <= 256):
        raise WrongError


def _time(text: object) -> datetime:
    if not (isinstance(text, str) and "T" in text):  # a date alone is no time
        raise WrongError
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise WrongError from error
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def iso(time: datetime) -> str:
    """With milliseconds, cut off."""
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03d}Z"


# -- a worker ----------------------------------------------------------------------------------------------------------


class Worker:
    """What one worker did, and what its row remembers."""

    def __init__(self) -> None:
        self.did: list[Did] = []
        self.offset = -1
        self._jobs: dict[str, tuple[Instant, int, int]] = {}
        self._forgotten = datetime.min.replace(tzinfo=UTC)
        self._ids: deque[str] = deque(maxlen=IDS)

    def take(self, event: Fields, record: Raw) -> str:
        """The outcome of an event."""
        if event["type"] == "batch":
            if event["batch_id"] in self._ids:
                return "duplicate"
            self._ids.append(event["batch_id"])
            keys, ms = event["keys_scanned"], event["duration_ms"]
        else:
            found = self._since(event)
            if isinstance(found, str):
                return found
            keys, ms = found
        times = event["finished_at"], event["started_at"]
        error = event.get("error_message") or None
        self.did.append(Did(*times, keys, ms, error, event.get("job_id"), event["worker_type"], record.partition))
        self.offset = record.offset
        return "applied"

    def _since(self, event: Fields) -> tuple[int, int] | str:
        name, when = event["job_id"], (event["started_at"], event["finished_at"])
        keys, ms = event["keys_scanned"], event["duration_ms"]
        if name in self._jobs:
            last, last_keys, last_ms = self._jobs[name]
            if when <= last:
                return "duplicate"
            self._jobs[name] = (when, keys, ms)
            if keys < last_keys:
                return keys, ms
            return keys - last_keys, ms - last_ms if ms >= last_ms else ms
        if when[0] <= self._forgotten:
            return "late"
        if len(self._jobs) == JOBS:
            gone = min(self._jobs, key=lambda job: (self._jobs[job][0][::-1], job))
            self._forgotten = max(self._forgotten, self._jobs.pop(gone)[0][0])
        self._jobs[name] = (when, keys, ms)
        return keys, ms

    def latest(self) -> tuple[str, Fraction | None]:
        """Type and speed, each as of the latest batch that tells it; of equally late ones, the last to come."""
        by_time = sorted(self.did, key=lambda did: _ms(did.at))
        speeds = [did.speed for did in by_time if did.ms]
        return by_time[-1].type, speeds[-1] if speeds else None

    def periods(self, length: int, most: int) -> dict[str, list[Did]]:
        """Batches by the first letters of their day (10: days, 7: months); the newest so many are kept."""
        found: defaultdict[str, list[Did]] = defaultdict(list)
        for did in self.did:
            found[did.day[:length]].append(did)
        return dict(sorted(found.items())[-most:])

    def shown(self) -> Fields:
        """The snapshot, but for the quantiles."""
        type_, speed = self.latest()
        fast = [did for did in self.did if did.ms]
        best = max(fast, key=lambda did: did.speed or 0, default=None)
        worst = min(fast, key=lambda did: did.speed or 0, default=None)
        return {
            "worker_type": type_,
            "first_seen_at": iso(min(did.at for did in self.did)),
            "last_seen_at": iso(max(did.at for did in self.did)),
            "latest_keys_per_second": _shown(speed),
            "lifetime": tier(self.did) | {"best": _extreme(best), "worst": _extreme(worst)},
        }


def _ms(time: datetime) -> int:
    return (time - EPOCH) // timedelta(milliseconds=1)


def _shown(speed: Fraction | None) -> float | None:
    return None if speed is None else float(round(speed, 3))


def _extreme(did: Did | None) -> Fields | None:
    return did and {"keys_per_second": _shown(did.speed), "finished_at": iso(did.at), "job_id": did.job}


def sums(batches: Iterable[Did]) -> Fields:
    """What batches add up to."""
    found = list(batches)
    keys, ms = sum(did.keys for did in found), sum(did.ms for did in found)
    return {
        "total_batches": len(found),
        "total_keys_scanned": keys,
        "total_duration_ms": ms,
        "average_keys_per_second": _shown(Fraction(keys * 1000, ms)) if ms else None,
        "error_count": sum(did.error is not None for did in found),
    }


def tier(batches: list[Did]) -> Fields:
    """A day, a month or a lifetime, but for the quantiles."""
    speeds = [did.speed for did in batches if did.speed is not None]
    return sums(batches) | {
        "min_keys_per_second": _shown(min(speeds, default=None)),
        "max_keys_per_second": _shown(max(speeds, default=None)),
    }


def quantile(batches: list[Did], percent: int) -> Fraction | None:
    """By nearest rank, exactly; the product is within 1 % of it."""
    speeds = sorted(did.speed for did in batches if did.speed is not None)
    return speeds[-(-percent * len(speeds) // 100) - 1] if speeds else None


# -- all of them -------------------------------------------------------------------------------------------------------


class WorkersOracle:
    """Every worker's batches; `partitions` is how many share the limit on single ones."""

    def __init__(self, partitions: int = 4, history: int = HISTORY, days: int = DAYS, months: int = MONTHS) -> None:
        self.workers: dict[str, Worker] = {}
        self.partitions, self.history, self.days, self.months = partitions, history, days, months
        self._outcomes: Counter[str] = Counter()
        self._arrived: defaultdict[int, list[tuple[str, Did]]] = defaultdict(list)

    def fold(self, record: Raw) -> None:
        """Take the next record of its partition in."""
        self._outcomes[self._outcome(record)] += 1

    def _outcome(self, record: Raw) -> str:
        try:
            event = read(record)
        except WrongError:
            return "invalid"
        name = event["worker_id"]
        if record.key != name.encode("utf-8", "surrogatepass"):
            return "misrouted"
        worker = self.workers.get(name, Worker())
        outcome = worker.take(event, record)
        if outcome == "applied":
            self.workers[name] = worker
            self._arrived[record.partition].append((name, worker.did[-1]))
        return outcome

    def outcomes(self) -> Mapping[str, int]:
        """How the records ended."""
        return self._outcomes

    def totals(self) -> Mapping[str, Any]:
        """Sums over everybody."""
        did = [batch for worker in self.workers.values() for batch in worker.did]
        return {
            "keys": len(self.workers),
            "batches": len(did),
            "keys_scanned": sum(batch.keys for batch in did),
            "duration_ms": sum(batch.ms for batch in did),
            "errors": sum(batch.error is not None for batch in did),
        }

    def stats(self, _now: int) -> Mapping[bytes, Mapping[str, Any]]:
        """A snapshot per worker."""
        return {
            name.encode(): worker.shown() | {"worker": name, "revision": len(worker.did), "offset": worker.offset}
            for name, worker in self.workers.items()
        }

    def kept(self, name: str) -> list[Fields]:
        """A worker's single batches that are left, the last to come first."""
        partition = self.workers[name].did[0].partition
        share = max(1, self.history // self.partitions + (partition < self.history % self.partitions))
        return [
            {
                "job_id": did.job,
                "started_at": iso(did.started),
                "finished_at": iso(did.at),
                "keys_scanned": did.keys,
                "duration_ms": did.ms,
                "keys_per_second": _shown(did.speed),
                "error_message": did.error and did.error[:500],
            }
            for owner, did in reversed(self._arrived[partition][-share:])
            if owner == name
        ]

    def answers(self, now: int) -> Iterable[tuple[str, Mapping[str, Any]]]:
        """The views of all, and those of some workers."""
        yield "/api/v1/stats", self.overview(now)
        leaders = sorted((-sum(did.keys for did in worker.did), name) for name, worker in self.workers.items())
        lines = [{"rank": n, "worker": name, "value": -keys} for n, (keys, name) in enumerate(leaders[:10], 1) if keys]
        yield "/api/v1/leaderboard", {"results": lines}
        names = sorted(self.workers)
        first = [self.workers[name].shown() | {"worker": name} for name in names[:20]]
        yield "/api/v1/workers", {"total": len(names), "results": first}
        by_day, by_month = self.over_all(10), self.over_all(7)
        if by_day:
            asked = f"from={min(by_day)}&to={max(by_day)}"  # some may be ahead of today, with which it would end
            yield f"/api/v1/daily?{asked}", {"days": [{"day": day} | by_day[day] for day in sorted(by_day)]}
            months = [{"month": month} | by_month[month] for month in sorted(by_month)]
            yield f"/api/v1/monthly?from={min(by_month)}&to={max(by_month)}", {"months": months}
        for name in names[:: max(1, len(names) // ASKED)]:
            yield from self._of(name)

    def _of(self, name: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
        worker, path = self.workers[name], f"/api/v1/workers/{quote(name, safe='')}"
        days, months = worker.periods(10, self.days), worker.periods(7, self.months)
        kept = self.kept(name)
        yield path, {"worker": name} | worker.shown()
        yield f"{path}/history?limit=5", {"kept": len(kept), "batches": kept[:5]}
        yield f"{path}/daily", {"days": [{"day": day} | tier(did) for day, did in days.items()]}
        yield f"{path}/monthly", {"months": [{"month": month} | tier(did) for month, did in months.items()]}

    def overview(self, now: int) -> Fields:
        """Everybody's sums, and who is active; sightings count by their second."""
        seen: list[tuple[int, int]] = []
        for worker in self.workers.values():
            _, speed = worker.latest()
            whole = min((2 * (speed or 0) + 1) // 2, FASTEST)  # to the nearest, halves up
            seen.append((_ms(max(did.at for did in worker.did)) // 1000, int(whole)))
        seen.sort()
        active = bisect_right(seen, (now // 1000 - 300, 10**13))
        lately = bisect_right(seen, (now // 1000 - 600, 10**13))
        return sums(did for worker in self.workers.values() for did in worker.did) | {
            "workers": len(self.workers),
            "active_workers": len(seen) - active,
            "keys_per_second": sum(speed for _, speed in seen[lately:]),
        }

    def over_all(self, length: int) -> dict[str, Fields]:
        """Days (10) or months (7) over all workers, of what each has kept."""
        found: defaultdict[str, list[Did]] = defaultdict(list)
        workers: Counter[str] = Counter()
        for worker in self.workers.values():
            for period, did in worker.periods(
                length, self.days if length == len("2025-06-15") else self.months
            ).items():
                found[period] += did
                workers[period] += 1
        return {period: {"workers": workers[period]} | sums(did) for period, did in found.items()}
