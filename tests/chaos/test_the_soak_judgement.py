"""What a soak calls growth, shown on samples that are made up."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from app.settings import Settings
from tests.chaos.run import Run, Size
from tests.chaos.scenarios.soaking import Sample, judge

SECONDS = 600
MIB = 1024 * 1024


def judged(tmp_path: Path, of: Callable[[int, random.Random], tuple[float, int, int]]) -> Run:
    """Judge a soak of ten minutes: (MiB, files, tasks) of each second, in the noise of faults that come and go."""
    rng = random.Random(1)
    samples = []
    for second in range(SECONDS):
        resident, files, tasks = of(second, rng)
        samples.append(Sample(float(second), round(resident * MIB), files, tasks))
    run = Run(Settings(), tmp_path, rng, Size())
    judge(run, samples)
    return run


def noisy(second: int, rng: random.Random) -> tuple[float, int, int]:
    """A worker that is well: more of everything for some seconds, and once far more."""
    return 200 + rng.uniform(0, 40), 15 + rng.randrange(25), 70 + rng.randrange(40) + 30 * (second == SECONDS - 60)


def test_what_comes_and_goes_is_no_growth(tmp_path: Path) -> None:
    """Partitions, connections and tasks of faults."""
    run = judged(tmp_path, noisy)
    assert set(run.figures) == {"resident MiB", "memory slope", "open files", "tasks"}
    assert (tmp_path / "samples.csv").read_text().count("\n") == SECONDS + 1


def test_memory_that_is_given_back_is_no_growth(tmp_path: Path) -> None:
    """The worker has all partitions more and more often: it holds more, and gives it back."""
    judged(tmp_path, lambda second, rng: (200 + 60 * (rng.random() < second / SECONDS), *noisy(second, rng)[1:]))


LEAKS: dict[str, Callable[[int, random.Random], tuple[float, int, int]]] = {
    "resident memory": lambda second, rng: (noisy(second, rng)[0] + second / 30, 20, 80),  # 2 MiB a minute
    "open files": lambda second, rng: (200, noisy(second, rng)[1] + second // 20, 80),  # 3 a minute
    "tasks": lambda second, rng: (200, 20, noisy(second, rng)[2] + second // 20),
}


@pytest.mark.parametrize("what", LEAKS)
def test_a_leak_is_noticed(tmp_path: Path, what: str) -> None:
    """In the noise of the faults."""
    with pytest.raises(AssertionError, match="grow"):
        judged(tmp_path, LEAKS[what])
