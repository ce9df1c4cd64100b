"""`tidemark broker`: a broker that outlives the command that started it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.broker import BrokerError, Reason, embedded, find
from app.broker import commands as broker_commands
from app.broker.ready import is_ready

ROOT = Path(__file__).parents[2]


def tidemark(*arguments: str | Path) -> Result:
    """Run `tidemark broker` with these arguments."""
    return CliRunner().invoke(broker_commands.broker, [str(argument) for argument in arguments])


def status(folder: Path) -> dict[str, Any]:
    """Return what `status --json` says."""
    facts: dict[str, Any] = json.loads(tidemark("status", "--json", "--folder", folder).stdout)
    return facts


@pytest.fixture
def started(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder on which `start` was run in a process that has ended since, and the address it printed."""
    program = "from app.broker.commands import broker; broker()"
    arguments = [sys.executable, "-c", program, "start", "--folder", str(tmp_path)]
    done = subprocess.run(arguments, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60)
    try:
        yield tmp_path, done.stdout.strip()
    finally:
        if running := find(tmp_path):
            running.stop()
            running.leave()


@pytest.mark.kafka
def test_a_started_broker_lives_until_it_is_stopped(started: tuple[Path, str]) -> None:
    """`start` prints the address and leaves the broker running, users come and go, `stop` ends it."""
    folder, servers = started
    with embedded(folder) as user:
        assert user.bootstrap_servers == servers
        user.restart()
    facts = status(folder)
    assert (facts["running"], facts["answering"], facts["kept"]) == (True, True, True)
    assert (facts["bootstrap_servers"], facts["folder"]) == (servers, str(folder))
    assert tidemark("start", "--folder", folder).stdout.strip() == servers
    assert tidemark("stop", "--folder", folder).exit_code == 0
    assert status(folder)["running"] is False


@pytest.mark.kafka
def test_stop_leaves_the_broker_to_programs_that_use_it(started: tuple[Path, str]) -> None:
    """`stop` says so when others use the broker, which then ends with the last of them, or with `--now`."""
    folder, _ = started
    with embedded(folder) as user:
        left = tidemark("stop", "--folder", folder)
        assert left.exit_code == broker_commands.STILL_USED
        assert "--now" in left.stderr
        assert is_ready(user.port)
        assert tidemark("start", "--folder", folder).exit_code == 0
        assert status(folder)["kept"] is True
        assert tidemark("stop", "--now", "--folder", folder).exit_code == 0
        assert status(folder)["running"] is False


def test_nothing_to_stop_is_no_error_and_status_says_so(tmp_path: Path) -> None:
    """`stop` without a broker succeeds; `status` tells scripts by its exit code that none runs."""
    assert tidemark("stop", "--folder", tmp_path).exit_code == 0
    shown = tidemark("status", "--folder", tmp_path)
    assert shown.exit_code == broker_commands.NOT_RUNNING
    assert "running" in shown.stdout


def test_a_failed_start_says_why_without_a_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the broker's error says is all that is printed, and the exit code is 1."""

    def refuse(*_: object) -> None:
        raise BrokerError(Reason.PORT, "port 9092 is taken")

    monkeypatch.setattr(broker_commands, "embedded", refuse)
    failed = tidemark("start", "--folder", tmp_path)
    assert failed.exit_code == 1
    assert "Error: port 9092 is taken" in failed.stderr


@pytest.mark.parametrize("command", ["start", "stop", "status"])
def test_help_shows_examples_and_exit_codes(command: str) -> None:
    """Every command's help ends with examples to copy and says what its exit codes mean."""
    text = tidemark(command, "--help").stdout
    assert f"  tidemark broker {command}\n" in text
    assert "Exit code" in text
