"""`tidemark demo`, as a user runs it: a process, a worker in another one, a real Kafka."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

from app.broker.lock import wait_until
from app.broker.ready import free_port
from tables import DOMAINS

PLAYERS = {"players": 23, "hits": 88, "damage": 1890.9018, "kills": 15, "groups": 41}
NOTHING = {"consumed": 0, "applied": 0, "duplicate": 0, "late": 0, "invalid": 0, "misrouted": 0}
RECOGNISED = ("assessments", "players", "workers", "rollups")  # projects carry no version, tutors' upserts may be LATE
RUN_SECONDS = 120
END_SECONDS = 30.0


@pytest.fixture
def environment(kafka: str, prefix: str) -> dict[str, str]:
    """An installation of its own on the tests' Kafka."""
    return os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "TIDEMARK_PREFIX": f"{prefix}-",
        "TIDEMARK_WEB_PORT": str(free_port()),
    }


COMMAND = (sys.executable, "-m", "app", "demo", "--json")


def test_the_second_run_is_all_duplicates_and_changes_no_number(environment: dict[str, str], kafka: str) -> None:
    """One JSON object each on standard output, and exactly the numbers that counting by hand gives."""
    runs = []
    for _ in range(2):
        run = subprocess.run(
            [*COMMAND, "--once"], env=environment, capture_output=True, text=True, timeout=RUN_SECONDS, check=False
        )
        assert run.returncode == 0, run.stderr
        runs.append(json.loads(run.stdout))
    assert [run["events"] for run in runs] == [
        NOTHING | {"consumed": 103, "applied": 103},
        NOTHING | {"consumed": 103, "duplicate": 103},
    ]
    assert [run["players"] for run in runs] == [PLAYERS, PLAYERS]
    assert runs[0]["kafka"] == {"bootstrap_servers": kafka, "embedded": False, "version": None}
    assert runs[0]["seconds"] > 0
    first, second = (run["domains"] for run in runs)
    assert list(first) == [domain.name for domain in DOMAINS]
    for name, told in first.items():
        assert told["events"]["applied"] == told["events"]["consumed"] > 100, name
        assert told["rows"] == second[name]["rows"] > 0, name
    for name in RECOGNISED:
        assert second[name]["events"]["duplicate"] == first[name]["events"]["consumed"], name
        assert second[name]["totals"] == first[name]["totals"], name
    farm = first["workers"]["totals"]
    assert (farm["workers"], farm["total_batches"], farm["total_keys_scanned"]) == (7, 475, 50_301_340_867_800)
    # Published after their debounce, and counted: every tutor is in a tier.
    assert sum(first["tutors"]["totals"]["tier_distribution"].values()) == first["tutors"]["rows"]


@pytest.fixture
def running(environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    """A demo that has shown its numbers and serves views, and its worker."""
    demo = subprocess.Popen(COMMAND, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with demo:
        assert demo.stdout is not None
        assert json.loads(demo.stdout.readline())["players"] == PLAYERS
        (worker,) = psutil.Process(demo.pid).children()
        try:
            yield demo, worker
        finally:
            demo.kill()
            with suppress(psutil.NoSuchProcess):
                worker.kill()


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)])
def test_the_worker_never_outlives_the_demo(
    running: tuple[subprocess.Popen[str], psutil.Process], sent: signal.Signals, code: int
) -> None:
    """Ctrl-C and SIGTERM stop both in good order; a demo that is killed takes its worker along."""
    demo, worker = running
    demo.send_signal(sent)
    assert demo.wait(END_SECONDS) == code
    assert wait_until(lambda: _has_ended(worker), END_SECONDS)


def _has_ended(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)  # an orphan that nobody collects
    except psutil.NoSuchProcess:
        return True


def test_a_worker_that_fails_is_explained(environment: dict[str, str]) -> None:
    """Exit code 1 and the end of the worker's log; no traceback."""
    run = subprocess.run(
        [*COMMAND, "--once"],
        env=environment | {"TIDEMARK_FAILPOINT": "no.such"},
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert run.returncode == 1
    assert run.stdout == ""
    assert "the worker has ended with exit code 2" in run.stderr
    assert "TIDEMARK_FAILPOINT='no.such' is not one of" in run.stderr
    assert "Traceback" not in run.stderr
