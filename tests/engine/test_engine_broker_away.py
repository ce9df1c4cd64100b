"""A broker that goes away and comes back, with a worker that has nothing to do: nobody is told that all is well."""

import json
import os
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from app.broker import embedded, ready
from app.settings import Settings
from tables.players import PLAYERS
from tests.chaos.process import Worker, wait_for, workers
from tests.chaos.workload import write


def ask(port: int) -> tuple[int, Any]:
    """Status and body of /health/ready."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@pytest.mark.chaos
async def test_an_idle_worker_says_once_that_the_broker_is_away_and_once_that_it_is_back(
    tmp_path: Path,
) -> None:
    """Not ready meanwhile, a handful of log lines instead of thousands, and it goes on by itself."""
    with embedded(tmp_path / "kafka") as broker, workers() as running:
        settings = Settings(bootstrap_servers=broker.bootstrap_servers, instance_id="w", web_port=ready.free_port())
        await write(settings, 1_000, seed=5)
        running.append(Worker(settings, tmp_path / "worker.log", PLAYERS.name))
        running[0].wait_live(settings.partitions)
        wait_for(lambda: ask(settings.web_port)[0] == 200, 20, running[0])
        before = len(running[0].said().splitlines())
        os.kill(broker.java_pid, signal.SIGKILL)
        wait_for(lambda: "Kafka does not answer since" in str(ask(settings.web_port)), 30, running[0])
        assert ask(settings.web_port)[0] == 503
        broker.restart()
        wait_for(lambda: ask(settings.web_port)[0] == 200, 60, running[0])
        told = running[0].said().splitlines()[before:]
        assert sum("Kafka does not answer since" in line for line in told) == 1
        assert sum("Kafka answers again" in line for line in told) == 1
        assert len(told) < 40, "\n".join(told[:60])
        assert running[0].stop() == 0
