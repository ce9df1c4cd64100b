"""Short ways to say what workers send, and to ask what is said of them."""

import json
from itertools import count
from typing import Any

from agents.driver import NOW, Driver
from tables.event import DAY_MS, Outcome, iso
from tables.throughput import tier_shown
from tables.views import EntityView
from tables.workers import LIFETIME, WORKERS

Fields = dict[str, Any]
MIDNIGHT = NOW // DAY_MS * DAY_MS  # 2025-06-15T00:00:00Z
MINUTE = 60_000
_ids = count()


def job(keys: int, ms: int, at: int = NOW, **over: Any) -> Fields:
    """A checkpoint of ann's job `j`, which began an hour ago."""
    fields: Fields = {
        "type": "checkpoint",
        "worker_id": "ann",
        "worker_type": "pc",
        "job_id": "j",
        "keys_scanned": keys,
        "duration_ms": ms,
        "started_at": iso(NOW - 60 * MINUTE),
        "finished_at": iso(at),
    }
    return fields | over


def batch(keys: int, ms: int, at: int = NOW, **over: Any) -> Fields:
    """A batch of ann's, with an id that has not been there."""
    fields = job(keys, ms, at, type="batch", batch_id=f"b{next(_ids)}", started_at=iso(at - ms))
    del fields["job_id"]
    return fields | over


def tell(driver: Driver, *events: Fields) -> Driver:
    """Send events under their workers' names, and fold them."""
    for fields in events:
        driver.send(fields["worker_id"].encode(), json.dumps(fields).encode())
    driver.fold()
    return driver


def told(*events: Fields, **options: Any) -> Driver:
    """A driver of workers that has folded these events."""
    return tell(Driver(WORKERS, options=options), *events)


def outcomes(driver: Driver) -> dict[str, int]:
    """Outcomes that have happened."""
    found = zip(Outcome, driver.task.table.totals.outcomes, strict=True)
    return {outcome.name: number for outcome, number in found if number}


def lifetime(driver: Driver, worker: str = "ann") -> Fields:
    """What is said of a worker's lifetime."""
    return tier_shown(driver.row(worker).cells[LIFETIME])


def view(path: str) -> Any:
    """A declared view by its path under /api/v1."""
    return next(found for found in WORKERS.views if found.path == f"/api/v1{path}")


def ask(driver: Driver, path: str, worker: str = "ann", **asked: str) -> Fields:
    """The answer of a view of one row."""
    found = view(f"/workers/{{entity}}{path}")
    assert isinstance(found, EntityView)
    defaults = {parameter.name: parameter.default for parameter in found.parameters}
    return found.answer(driver.row(worker), defaults | asked, driver.now)


def deltas(driver: Driver) -> list[tuple[int, int]]:
    """Keys and milliseconds of ann's batches, in their order."""
    return [(cell.keys_scanned, cell.duration_ms) for _, cell in driver.row("ann").of_kind("batch")]
