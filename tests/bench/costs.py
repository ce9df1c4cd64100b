"""What single events cost, whatever the table holds. No broker; a minute and 2 GB for the million sessions.

Bytes are those of the records that a commit writes; an answer's time is that of an HTTP request to a worker's own
handler, over loopback.
"""

import asyncio
import json
import platform
import time
from datetime import UTC, datetime
from statistics import median, quantiles
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from agents.aggregate import aggregate
from agents.driver import Driver, Sent
from agents.emit import take
from agents.task import Commit
from app.broker.ready import free_port
from app.clock import now_ms
from app.web.server import application
from tables.assessments import ASSESSMENTS
from tables.event import DAY_MS, iso
from tables.workers import WORKERS
from tests.web.everything import Everything

SESSIONS = (10, 10_000, 1_000_000)
DAYS = (1, 100, 1_000)
ASKED = 300
CHUNK = 20_000
START = 1_767_571_200_000  # 2026-01-05T00:00:00Z


def assessment(session: int, number: int = 0) -> tuple[str, dict[str, Any]]:
    """A lightweight assessment of a session, with its entity."""
    name = f"019b6d00-0000-7000-8000-{session:012x}"
    context = {
        "session_id": name,
        "event_id": f"019b6d00-{number:04x}-7000-9000-{session:012x}",
        "timestamp": iso(START),
        "active_learnings": [],
        "injection_method": "context",
        "harness_type": "claude-code",
    }
    body = {
        "message_idx": number,
        "signals": [],
        "frustration_ema": 0.1,
        "success_ema": 0.9,
        "triggering_event_id": "e",
    }
    return name, {"tier": "lightweight", "context": context} | body


def sizes(commit: Commit) -> dict[str, int]:
    """Bytes of keys and values that a commit writes, by topic; totals are written once per commit, not per event."""
    found = {
        "changelog": sum(len(key) + len(value or b"") for key, value in commit.cells if not key.startswith(b"[null"))
    }
    for record in commit.outgoing:
        if record.role != "totals":
            found[record.role] = found.get(record.role, 0) + len(record.key or b"") + len(record.value or b"")
    return found


async def _sessions(count: int) -> dict[str, Any]:
    """One more event with so many sessions there, and the time of `/assess/stats`."""
    everything = Everything(free_port())
    for first in range(0, count, CHUNK):
        everything.fold(ASSESSMENTS, [assessment(session) for session in range(first, min(count, first + CHUNK))])
    written = _one_more(everything)
    seconds = []
    server = TestServer(application(everything.worker), port=everything.worker.settings.web_port)
    async with TestClient(server) as client:
        for _ in range(ASKED):
            began = time.perf_counter()
            async with client.get("/assess/stats") as answer:
                body = await answer.json()
            seconds.append(time.perf_counter() - began)
    if body["total_assessments"] != count:
        raise AssertionError(f"{body['total_assessments']} assessments, wanted {count}")
    return {
        "sessions": count,
        "snapshot_bytes": written["snapshots"],
        "changelog_bytes": written["changelog"],
        "assess_stats_ms_median": round(1000 * median(seconds), 2),
        "assess_stats_ms_p99": round(1000 * quantiles(seconds, n=100)[-1], 2),
    }


def _one_more(everything: Everything) -> dict[str, int]:
    """What one more event of the first session writes."""
    name, event = assessment(0, 1)
    engine = everything.worker.engine
    owned = next(own for own in engine.of_domain(ASSESSMENTS) if own.partition == engine.partition_of(name.encode()))
    if owned.task is None:
        raise AssertionError("no task")
    take(owned.task, now_ms())
    aggregate(owned.task, [Sent(owned.task.position, name.encode(), json.dumps(event).encode(), [], 0)], now_ms())
    return sizes(take(owned.task, now_ms()))


def _days(count: int) -> dict[str, Any]:
    """One more batch of a worker that has so many day cells, of as many batches in all."""
    driver = Driver(WORKERS, now=START)
    for number in range(DAYS[-1]):
        driver.send("rig", batch(number, START - (number % count + 1) * DAY_MS))
    driver.settle()
    driver.send("rig", batch(DAYS[-1], START - DAY_MS))
    driver.fold()
    return {"day_cells": count, "changelog_bytes": sizes(driver.commit())["changelog"]}


def batch(number: int, at: int) -> dict[str, Any]:
    """A batch of ten minutes."""
    return {
        "type": "batch",
        "batch_id": f"batch-{number:08d}",
        "worker_id": "rig",
        "worker_type": "pc",
        "job_id": "job",
        "keys_scanned": 100_000_000_000,
        "duration_ms": 600_000,
        "started_at": iso(at - 600_000),
        "finished_at": iso(at),
    }


def run(*, as_json: bool) -> None:
    """Measure and print."""
    result = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "python": platform.python_version(),
        "assessments": [asyncio.run(_sessions(count)) for count in SESSIONS],
        "workers": [_days(count) for count in DAYS],
    }
    if as_json:
        print(json.dumps(result))
        return
    print(f"Python {result['python']}, {result['date']}")
    for table in ("assessments", "workers"):
        lines: Any = result[table]
        print("\n" + "  ".join(f"{name:>22}" for name in lines[0]))
        for line in lines:
            print("  ".join(f"{value:>22,}" for value in line.values()))
