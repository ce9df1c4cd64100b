"""The checker is checked: an engine that lacks one thing is caught, by the invariant that the thing is for."""

import asyncio
import signal
from pathlib import Path

import pytest

from app import topology
from app.engine.failpoints import ALL
from app.topology import topic_name
from tests.chaos.broken import BROKEN
from tests.chaos.checker import BrokenError, committed_offsets, ends_of
from tests.chaos.process import Worker, wait_for
from tests.chaos.run import Run, Size, running
from tests.chaos.scenarios.moving import refused, stopped_in_a_commit, wake

ASSESSMENTS, PLAYERS, TUTORS, WORKERS = ("assessments",), ("players",), ("tutors",), ("workers",)
SPOILT = {  # name -> domains, and how the message begins
    "lost-cell": (PLAYERS, "I1 cells"),
    "lost-day": (WORKERS, "I1 workers: cells"),
    "lost-alert": (TUTORS, "I2 tutors: alerts"),
    "lost-offset": (PLAYERS, "I1 group's offset"),
    "double-fold": (PLAYERS, "I2 players: revision"),
    "skipped-record": (PLAYERS, "I1|I2"),
    "skipped-dead-letter": (PLAYERS, "I5 players: dead letter"),
    "snapshot-gap": (ASSESSMENTS, "I3 assessments"),
    "lost-snapshot": (PLAYERS, "I3 players"),
    "wrong-view": (PLAYERS, "I4 view"),
    "old-view": (PLAYERS, "I4 view"),
}


def fold(run: Run) -> None:
    """Fold some input, and compare."""
    run.write()
    run.finish(run.worker(), seconds=30)


def fold_again(run: Run) -> None:
    """Fold some input, and then more, when what came of the first has been published: tiers become worse."""
    run.write()
    worker = run.worker()
    run.drain(30)
    run.write()
    run.finish(worker, seconds=30)


def fold_watched(run: Run) -> None:
    """Fold some input, and then more about the same players, while their views are asked for; compare."""
    run.write(seed=1)
    worker = run.worker()
    with run.watching():
        worker.wait_live(run.partitions())
        wait_for(lambda: run.answers() > len(run.players), 30, worker)
        run.write(2 * run.events, seed=1)  # the same once more, and then as much again about the same players
        run.drain(30)
        asked = run.answers()
        wait_for(lambda: run.answers() > asked + len(run.players), 30, worker)  # now that everything is durable
    run.finish(worker)


FOLDS = {"lost-alert": fold_again, "wrong-view": fold_watched, "old-view": fold_watched}


@pytest.mark.chaos
@pytest.mark.parametrize("name", SPOILT)
def test_an_engine_is_caught_that(name: str, kafka: str, tmp_path: Path) -> None:
    """The message names the invariant that does not hold."""
    domains, message = SPOILT[name]
    with running(kafka, tmp_path, name, seed=1, size=Size(2_000, 1, domains)) as run:
        run.program = ("tests.chaos.broken", name)
        with pytest.raises(BrokenError, match=message):
            FOLDS.get(name, fold)(run)


def successor(run: Run) -> Worker:
    """A worker that takes over from one that has stopped in the middle of a commit, and has folded all."""
    second = run.worker("worker-1", static=False, TIDEMARK_TRANSACTION_TIMEOUT_SECONDS="60")
    second.wait_live(run.partitions(), 60)
    # What is committed after a transaction that is open cannot be read yet; the group's offsets can.
    wait_for(lambda: asyncio.run(all_committed(run)), 60, second)
    return second


async def all_committed(run: Run) -> bool:
    """Whether everything that was written is folded and committed."""
    offsets = await committed_offsets(run.settings)
    ends = {
        (topic_name(run.settings, domain, "events"), partition): end
        for domain in run.domains
        for partition, end in (await ends_of(run.settings, domain)).items()
    }
    return all(offsets.get(place) == end for place, end in ends.items())


@pytest.mark.chaos
@pytest.mark.parametrize("broken", [False, True])
def test_a_stale_write_is_refused_and_would_be_caught(kafka: str, tmp_path: Path, *, broken: bool) -> None:
    """A worker that was stopped in the middle of a commit goes on: nothing happens, but where it was not fenced."""
    with running(kafka, tmp_path, "stale-write", seed=1, size=Size(10_000)) as run:
        if broken:
            be_accepted(run)
            return
        run.write()
        first = stopped_in_a_commit(run, static=False)
        second = successor(run)
        wake(first)
        run.finish(first, second, seconds=20)
        assert refused(first)


def be_accepted(run: Run) -> None:
    """The same, unfenced. Nobody ends the open transaction, so it must hold nothing that the next owner waits for.

    That is why nothing is written before it, and why there is no other partition, with a transaction of its own.
    """
    run.program = ("tests.chaos.broken", "stale-write")
    run.settings = run.settings.model_copy(update={"partitions": 1})
    asyncio.run(topology.create(run.settings, run.domains))
    first = stopped_in_a_commit(run, static=False)
    run.write()
    successor(run)
    first.process.send_signal(signal.SIGCONT)
    wait_for(lambda: not asyncio.run(all_committed(run)), 30, first)
    with pytest.raises(BrokenError, match="I1 group's offset"):  # it went back to where the stale commit was
        run.check()
    assert not refused(first)


def test_every_broken_engine_is_tried() -> None:
    """None is forgotten."""
    assert SPOILT.keys() | {"stale-write"} == BROKEN.keys()
    assert "commit.delivered" in ALL
