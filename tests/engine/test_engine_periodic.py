"""Exactly one publisher of the projects' snapshot, whoever comes and goes."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from app import topology
from app.broker.ready import free_port
from app.settings import Settings
from app.topology import topic_name
from tables import DOMAINS
from tables.projects import PROJECTS
from tests.chaos.consume import read_all
from tests.chaos.process import Worker, wait_for, workers
from tests.oracle import live

OPTIONS = {"TIDEMARK_SNAPSHOT_INTERVAL": "1", "ENV": "test", "INSTANCE_ID": "one", "TIDEMARK_LOG_LEVEL": "info"}
PROJECTS_TOLD = 40
TURNS = 3


def project(number: int) -> tuple[bytes, bytes]:
    """A project's first event."""
    event = {
        "type": "upserted",
        "project_id": f"p-{number}",
        "name": f"Project {number}",
        "status": "running",
        "priority": "high",
        "active": True,
        "progress": number,
    }
    return f"p-{number}".encode(), json.dumps(event).encode()


def published(settings: Settings) -> list[dict[str, Any]]:
    """Every snapshot, in order of time."""
    found = asyncio.run(read_all(settings, topic_name(settings, PROJECTS, "snapshots")))
    bodies = [json.loads(value or b"") for records in found.values() for _, _, value in records]
    return sorted(bodies, key=lambda body: str(body["timestamp"]))


@pytest.mark.timeout(180)
def test_there_is_one_snapshot_per_boundary_while_workers_come_and_go(kafka: str, prefix: str, tmp_path: Path) -> None:
    """Two workers; partition 0 moves by joins, by a graceful end and by SIGKILL. No boundary is published twice."""
    settings = live.installation(kafka, prefix)
    asyncio.run(topology.create(settings, DOMAINS))
    asyncio.run(live.write(settings, PROJECTS, [project(number) for number in range(PROJECTS_TOLD)]))
    with workers() as running:

        def start(name: str) -> Worker:
            own = settings.model_copy(update={"instance_id": "", "web_port": free_port()})
            worker = Worker(own, tmp_path / f"{name}.log", **OPTIONS)
            running.append(worker)
            worker.wait_live(1, 60)
            return worker

        def more(count: int = 2) -> None:
            before = len(published(settings))
            wait_for(lambda: len(published(settings)) >= before + count, 60)

        first = start("first")
        more()
        for turn in range(TURNS):
            second = start(f"second-{turn}")
            more()
            if turn % 2:
                first.kill()
            else:
                first.stop()
            more()
            first = second
        first.stop()
    found = published(settings)
    twice = [time for time, count in Counter(body["timestamp"] for body in found).items() if count > 1]
    assert twice == []
    assert {(body["instance_id"], body["env"]) for body in found} == {("one", "test")}
    assert all(str(body["timestamp"]).endswith(".000Z") for body in found)
    last = found[-1]
    assert last["by_status"] == {"running": PROJECTS_TOLD}
    assert sum(last["progress_distribution"]) == PROJECTS_TOLD
    # Each holds all partitions' projects, not only those of the worker that happens to own partition 0.
    assert found[len(found) // 2]["by_status"] == {"running": PROJECTS_TOLD}
