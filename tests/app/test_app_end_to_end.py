"""The whole way on real input: telemetry, two workers, views at either of them, the stats topic for anyone."""

import asyncio
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app import topology
from app.broker import ready
from app.demo.cut import SAMPLE
from app.settings import Settings
from tables import DOMAINS
from tables.players import PLAYERS
from tests.chaos.checker import drained
from tests.chaos.consume import latest, read_all
from tests.chaos.process import Worker, wait_for, workers

# An independent count of the recording: attacker present, damage > 0, the match running.
HITS, DAMAGE, GROUPS, KILLS, NAMES, NAMES_WITH_DAMAGE = 88, 1_890.9018, 41, 15, 23, 22


def ingest(settings: Settings) -> None:
    """`tidemark ingest pubg` of the sample."""
    environment = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap_servers}
    environment["TIDEMARK_PREFIX"] = settings.prefix
    command = [sys.executable, "-m", "app", "ingest", "pubg", str(SAMPLE)]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)


def ask(port: int, path: str) -> tuple[int, Any]:
    """Status and body of a view."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return answer.status, json.loads(answer.read())


@pytest.fixture
def installation(kafka: str, prefix: str) -> Settings:
    """An installation with its topics."""
    settings = Settings(bootstrap_servers=kafka, prefix=f"{prefix}-")
    asyncio.run(topology.create(settings, DOMAINS))
    return settings


@pytest.fixture
def pair(installation: Settings, tmp_path: Path) -> Iterator[list[tuple[int, Worker]]]:
    """Two workers that share the partitions, each with the port of its views."""
    with workers() as running:
        ports = [ready.free_port(), ready.free_port()]
        for number, port in enumerate(ports):
            settings = installation.model_copy(update={"web_port": port})
            running.append(Worker(settings, tmp_path / f"worker-{number}.log"))
        wait_for(lambda: all(shares_partitions(port) for port in ports), 60, running[1])
        yield list(zip(ports, running, strict=True))


def shares_partitions(port: int) -> bool:
    """Whether the worker is ready and sees two workers with partitions."""
    try:
        status = ask(port, "/api/v1/status")[1]
    except OSError:
        return False
    owners = {partition["worker"] for partition in status["partitions"]}
    return all_live(status["partitions"]) and len(owners) == 2


def all_live(partitions: list[dict[str, Any]]) -> bool:
    """Whether every partition of every domain is."""
    return len(partitions) == 4 * len(DOMAINS) and all(partition["state"] == "live" for partition in partitions)


def test_the_sample_gives_its_known_numbers_in_views_and_on_the_stats_topic(
    installation: Settings, pair: list[tuple[int, Worker]]
) -> None:
    """Asked at either worker, and read by a plain consumer; once more after a second ingest, which changes nothing."""
    for _ in range(2):
        ingest(installation)
        asyncio.run(drained(installation, 60))
        stats = asyncio.run(read_all(installation, topology.topic_name(installation, PLAYERS, "stats")))
        bodies = [json.loads(value) for values in latest(stats).values() for value in values.values()]
        check([body for body in bodies if body["match_type"] == "all"])
        for port, _ in pair:
            names = [found["player"] for found in ask(port, "/api/v1/players?limit=100")[1]["results"]]
            check([ask(port, f"/api/v1/players/{name}/enhanced-stats")[1] for name in names])
            totals = ask(port, "/api/v1/players/totals")[1]
            shown = [totals[name] for name in ("players", "hits", "damage", "kills", "groups")]
            assert shown == [NAMES, HITS, DAMAGE, KILLS, GROUPS]


def check(players: list[dict[str, Any]]) -> None:
    """The players' numbers add up to the known ones."""
    assert len(players) == NAMES
    assert sum(player["hits"] for player in players) == HITS
    assert sum(player["damage"] for player in players) == pytest.approx(DAMAGE, abs=1e-4)
    assert sum(player["damage"] > 0 for player in players) == NAMES_WITH_DAMAGE
    assert sum(player["kills"] for player in players) == KILLS


def test_a_worker_that_stops_gracefully_hands_its_partitions_over(
    installation: Settings, pair: list[tuple[int, Worker]]
) -> None:
    """SIGTERM ends it with 0 in a few seconds, and the other one answers for everything."""
    ingest(installation)
    asyncio.run(drained(installation, 60))
    (port, staying), (_, leaving) = pair
    assert leaving.stop(seconds=10) == 0
    wait_for(lambda: owns_everything(port), 30, staying)
    names = [found["player"] for found in ask(port, "/api/v1/players?limit=100")[1]["results"]]
    check([ask(port, f"/api/v1/players/{name}/enhanced-stats")[1] for name in names])


def owns_everything(port: int) -> bool:
    """Whether all partitions are live at the worker itself."""
    partitions = ask(port, "/api/v1/status")[1]["partitions"]
    return all_live(partitions) and all(partition["worker"].endswith(str(port)) for partition in partitions)
