"""Throughput of batches, in tiers: sums, the fastest and the slowest, and a sketch of all speeds.

A speed is kept as the keys and milliseconds that it is made of and compared by multiplying crosswise, exactly; it
becomes keys per second, rounded to three decimals, when it is shown.
"""

import msgspec

from tables.event import iso
from tables.row import Cell
from tables.sketch import Sketch
from tables.views import Answer


class Extreme(Cell):
    """The fastest or slowest batch, the first of several; `at` in ms since the epoch."""

    keys_scanned: int
    duration_ms: int
    at: int
    job_id: str | None


class Tier(Cell):
    """What the batches of a day, of a month or of a lifetime add up to."""

    batches: int = 0
    keys_scanned: int = 0
    duration_ms: int = 0
    errors: int = 0
    slowest: Extreme | None = None
    fastest: Extreme | None = None
    speeds: Sketch = msgspec.field(default_factory=Sketch)

    def add(self, batch: Extreme, bucket: int | None, *, error: bool) -> None:
        """Add a batch; `bucket` is that of its speed in the sketch. Without milliseconds it has no speed."""
        self.batches += 1
        self.keys_scanned += batch.keys_scanned
        self.duration_ms += batch.duration_ms
        self.errors += error
        if not batch.duration_ms:
            return
        self.speeds.add(bucket)
        if self.fastest is None or _is_faster(batch, self.fastest):
            self.fastest = batch
        if self.slowest is None or _is_faster(self.slowest, batch):
            self.slowest = batch


def _is_faster(one: Extreme, other: Extreme) -> bool:
    return one.keys_scanned * other.duration_ms > other.keys_scanned * one.duration_ms


# -- answers -----------------------------------------------------------------------------------------------------------


def per_second(keys: int, ms: int) -> float | None:
    """Keys per second; None where there is no time."""
    return round(keys * 1000 / ms, 3) if ms else None


def sums_shown(batches: int, keys: int, ms: int, errors: int) -> Answer:
    """What batches add up to; the average is all keys by all seconds."""
    return {
        "total_batches": batches,
        "total_keys_scanned": keys,
        "total_duration_ms": ms,
        "average_keys_per_second": per_second(keys, ms),
        "error_count": errors,
    }


def tier_shown(tier: Tier) -> Answer:
    """A day, a month or a lifetime. Quantiles are within 1 %, and never outside of what was measured."""
    least, most = _speed_of(tier.slowest), _speed_of(tier.fastest)
    answer = sums_shown(tier.batches, tier.keys_scanned, tier.duration_ms, tier.errors)
    answer |= {"min_keys_per_second": least, "max_keys_per_second": most}
    for name, percent in (("p50", 50), ("p95", 95)):
        found = tier.speeds.quantile(percent)
        within = None if found is None or least is None or most is None else min(max(round(found, 3), least), most)
        answer[f"{name}_keys_per_second"] = within
    return answer


def _speed_of(batch: Extreme | None) -> float | None:
    return None if batch is None else per_second(batch.keys_scanned, batch.duration_ms)


def extreme_shown(batch: Extreme | None) -> Answer | None:
    """The best or the worst batch; None where none has a speed."""
    if batch is None:
        return None
    return {"keys_per_second": _speed_of(batch), "finished_at": iso(batch.at), "job_id": batch.job_id}
