"""Count-based retention on a real Kafka, after compaction has run.

Kafka never compacts the active segment, so segments are rolled by time (`segment.ms`) and what is looked at lies below
the last record before the roll: there the log holds exactly what the rule says.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition

from app import topology
from app.settings import Settings
from app.topology import topic_name
from tables import DOMAINS
from tables.assessments import ASSESSMENTS
from tables.domain import Domain
from tables.retention import newest_records
from tables.workers import WORKERS
from tests.chaos.compaction import alter, eager
from tests.chaos.consume import Consumed, latest, read_all
from tests.chaos.process import wait_for
from tests.oracle import live

COMPACTED_SECONDS = 90.0
EAGER = eager(roll_ms=300) | {"delete.retention.ms": "0"}  # tombstones go at once, too
RING, QUEUE, DAYS = 10, 16, 5


def assessment(number: int) -> dict[str, Any]:
    """One of a few sessions, told apart by the number."""
    return {
        "event_id": f"event-{number}",
        "result_type": "medium",
        "session_id": f"session-{number % 7}",
        "payload": {},
    }


def batch(number: int) -> dict[str, Any]:
    """A worker's batch; each is on a day of its own."""
    day = f"2026-{1 + number // 28 % 12:02d}-{1 + number % 28:02d}"
    return {
        "type": "batch",
        "batch_id": f"batch-{number}",
        "worker_id": f"rig-{number % 3}",
        "worker_type": "pc",
        "job_id": "job",
        "keys_scanned": 1000 + number,
        "duration_ms": 600_000,
        "started_at": f"{day}T00:00:00Z",
        "finished_at": f"{day}T00:10:00Z",
    }


@contextmanager
def working(settings: Settings, folder: Path, **options: int) -> Iterator[None]:
    """A worker with these options; stopped in good order at the end."""
    variables = {f"TIDEMARK_{name.upper()}": str(value) for name, value in options.items()}
    worker = live.start(settings, folder, TIDEMARK_LOG_LEVEL="info", **variables)
    try:
        worker.wait_live(len(DOMAINS) * settings.partitions)
        yield
        worker.stop()
    finally:
        worker.kill()


def send(settings: Settings, domain: Domain, events: list[dict[str, Any]]) -> None:
    """Write events, and wait until they are folded and committed."""
    keyed = [(str(event.get("session_id") or event.get("worker_id")).encode(), event) for event in events]
    asyncio.run(live.write(settings, domain, [(key, json.dumps(event).encode()) for key, event in keyed]))
    wanted = len(asyncio.run(live.raw(settings, domain)))

    def folded() -> bool:
        totals = asyncio.run(live.merged_totals(settings, domain))
        return bool(sum(totals.get("outcomes", {}).values()) == wanted)

    wait_for(folded, 30)


def ends(consumed: Consumed) -> dict[TopicPartition, int]:
    """The offset of each partition's last record."""
    return {partition: records[-1][0] for partition, records in consumed.items() if records}


def closed(settings: Settings, topic: str, below: dict[TopicPartition, int]) -> Consumed:
    """What is still there of the records up to these offsets."""
    return {
        partition: [record for record in records if record[0] <= below.get(partition, -1)]
        for partition, records in asyncio.run(read_all(settings, topic)).items()
    }


def compacted(consumed: Consumed) -> bool:
    """Whether every key is there once, and no tombstone."""
    return all(
        max(Counter(key for _, key, _ in records).values(), default=1) == 1
        and all(value is not None for _, _, value in records)
        for records in consumed.values()
    )


def rolled(settings: Settings, topic: str, domain: Domain, events: Iterator[dict[str, Any]]) -> Consumed:
    """The closed part of a topic once it has been compacted; new events roll the segments."""
    below = ends(asyncio.run(read_all(settings, topic)))
    deadline = time.monotonic() + COMPACTED_SECONDS
    while True:
        send(settings, domain, [next(events) for _ in range(21)])
        found = closed(settings, topic, below)
        if compacted(found):
            return found
        assert time.monotonic() < deadline, {tp: [key for _, key, _ in records] for tp, records in found.items()}


def newest(settings: Settings, count: int) -> dict[int, list[int]]:
    """The revisions that a reader of the ring gets, by partition."""
    topic = topic_name(settings, ASSESSMENTS, "snapshots")
    return {
        partition.partition: newest_records([json.loads(value)["revision"] for value in values.values()], count, int)
        for partition, values in latest(asyncio.run(read_all(settings, topic))).items()
    }


def applied(settings: Settings) -> dict[int, int]:
    """How many assessments each partition has applied: the revision of its newest snapshot."""
    topic = topic_name(settings, ASSESSMENTS, "totals")
    return {
        partition.partition: json.loads(values.get(str(partition.partition).encode(), b'{"outcomes":{"applied":0}}'))[
            "outcomes"
        ]["applied"]
        for partition, values in latest(asyncio.run(read_all(settings, topic))).items()
    }


def last(number: int, count: int) -> list[int]:
    """The revisions of the newest `count` of so many records."""
    return list(range(max(1, number - count + 1), number + 1))


@pytest.mark.timeout(240)
def test_a_ring_holds_the_newest_n_after_compaction_and_when_n_changes(kafka: str, prefix: str, tmp_path: Path) -> None:
    """Assessments' snapshots: closed segments hold N records at most, a reader gets exactly the newest N in order."""
    settings = live.installation(kafka, prefix)
    topic = topic_name(settings, ASSESSMENTS, "snapshots")
    asyncio.run(topology.create(settings, DOMAINS))
    asyncio.run(alter(settings, EAGER, topic))
    events = iter(map(assessment, range(1_000_000)))
    with working(settings, tmp_path, stats_retention_count=RING):
        send(settings, ASSESSMENTS, [next(events) for _ in range(300)])
        before = {partition: number for partition, number in applied(settings).items() if number > RING}
        found = rolled(settings, topic, ASSESSMENTS, events)
        for partition, records in found.items():
            # What was overwritten since, by the events that rolled the segments, is gone from the closed part, too.
            assert len(records) <= RING
            assert len({key for _, key, _ in records}) == len(records)
            for _, key, value in records:
                assert key == f"{partition.partition}/{json.loads(value or b'')['revision'] % RING}".encode()
        assert before
        assert newest(settings, RING) == {p: last(number, RING) for p, number in applied(settings).items()}
    counts = applied(settings)
    with working(settings, tmp_path, stats_retention_count=4):
        wait_for(lambda: newest(settings, 100) == {p: last(number, 4) for p, number in counts.items()}, 30)
        rolled(settings, topic, ASSESSMENTS, events)
        assert newest(settings, 100) == {p: last(number, 4) for p, number in applied(settings).items()}
    counts = applied(settings)
    with working(settings, tmp_path, stats_retention_count=7):
        assert newest(settings, 100) == {p: last(number, 4) for p, number in counts.items()}
        send(settings, ASSESSMENTS, [next(events) for _ in range(140)])
        assert newest(settings, 100) == {p: last(number, 7) for p, number in applied(settings).items()}


@pytest.mark.timeout(240)
def test_a_changelog_holds_the_cells_that_are_kept_after_compaction(kafka: str, prefix: str, tmp_path: Path) -> None:
    """Workers: history first in, first out over a partition; days per worker; what went has left the log itself."""
    settings = live.installation(kafka, prefix)
    topic = topic_name(settings, WORKERS, "changelog")
    asyncio.run(topology.create(settings, DOMAINS))
    asyncio.run(alter(settings, EAGER, topic))
    events = iter(map(batch, range(1_000_000)))
    with working(settings, tmp_path, worker_history_limit=QUEUE, worker_daily_stats_limit=DAYS):
        send(settings, WORKERS, [next(events) for _ in range(150)])
        for partition, records in rolled(settings, topic, WORKERS, events).items():
            kinds = Counter([*json.loads(key or b""), None][1] for _, key, _ in records)
            assert kinds["batch"] <= QUEUE // settings.partitions, partition
            days = Counter(
                cell[0] for cell in (json.loads(key or b"") for _, key, _ in records) if cell[1:2] == ["day"]
            )
            assert max(days.values(), default=0) <= DAYS, partition
        assert sum(map(len, latest(asyncio.run(read_all(settings, topic))).values())) > 0
