"""Short forms of the fault scenarios; `python -m tests.chaos --full` runs the long ones."""

from pathlib import Path

import pytest

from tests.chaos.scenarios import run_scenario


@pytest.mark.chaos
def test_kill_9_at_random_moments_changes_no_number(kafka: str, tmp_path: Path) -> None:
    """Whatever a SIGKILL tears apart while folding, rows, totals, snapshots and dead letters are the oracle's."""
    verdict = run_scenario("kill", kafka, tmp_path, seed=1)
    assert verdict.outcomes["applied"] > 90_000


@pytest.mark.chaos
def test_a_crash_between_every_two_steps_changes_no_number(kafka: str, tmp_path: Path) -> None:
    """Every failpoint of the orders assigned, commit and revoked is reached, kills, and does no harm."""
    assert run_scenario("crash", kafka, tmp_path, seed=2).records == 52_000


@pytest.mark.chaos
def test_a_second_worker_joining_and_leaving_changes_no_number(kafka: str, tmp_path: Path) -> None:
    """Partitions that come and go under load are folded exactly once, by whoever owns them."""
    assert run_scenario("rebalance", kafka, tmp_path, seed=3).dead_letters > 0


@pytest.mark.chaos
def test_a_zombie_is_refused_and_joins_again(kafka: str, tmp_path: Path) -> None:
    """A worker that was stopped past its session timeout writes nothing more and becomes a member again by itself."""
    assert run_scenario("zombie", kafka, tmp_path, seed=4).records == 30_000
