"""The faults, each a scenario by name. A scenario ends drained, stopped and checked."""

import asyncio
import random
import signal
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.broker import ready
from app.engine import failpoints
from app.settings import Settings
from tables.players import PLAYERS
from tests.chaos.checker import Verdict, check, drained
from tests.chaos.process import READY_LINE, Worker, workers
from tests.chaos.workload import write


@dataclass(frozen=True)
class Run:
    """One run of a scenario."""

    settings: Settings
    folder: Path
    events: int
    faults: int
    rng: random.Random

    def worker(self, name: str = "worker-0", **variables: str) -> Worker:
        """Start a worker, as a static member of this name."""
        settings = self.settings.model_copy(update={"instance_id": name, "web_port": ready.free_port()})
        return Worker(settings, self.folder / f"{name}.log", PLAYERS.name, **variables)

    def finish(self, worker: Worker, seconds: float = 120) -> Verdict:
        """Wait until all is folded and published, stop the worker, compare with the oracle."""
        asyncio.run(drained(self.settings, seconds))
        worker.stop()
        return asyncio.run(check(self.settings))


def kill(run: Run) -> Verdict:
    """SIGKILL at random moments while folding."""
    asyncio.run(write(run.settings, run.events, run.rng.randrange(1_000)))
    with workers() as running:
        for _ in range(run.faults):
            running.append(run.worker())
            running[-1].wait_live(1)
            # Within the first few commit intervals: there is always something open to be torn apart.
            running[-1].process.poll()
            pause = run.rng.uniform(0.0, 0.6)
            asyncio.run(asyncio.sleep(pause))
            running[-1].kill()
        running.append(run.worker())
        return run.finish(running[-1])


def crash(run: Run) -> Verdict:
    """A crash between every two steps of the three orders: every failpoint, once early and once later."""
    with workers() as running:
        for name in failpoints.ALL:
            for count in (1, 3) if name.startswith("commit") else (1,):
                asyncio.run(write(run.settings, run.events, run.rng.randrange(1_000)))
                worker = run.worker(TIDEMARK_FAILPOINT=f"{name}:{count}")
                running.append(worker)
                if name.startswith("revoked"):
                    worker.wait_live(1)
                    provoke_revocation(run, name, worker, running)
                code = worker.wait_dead()
                if code != -9:
                    raise RuntimeError(f"the worker with failpoint {name} ended with {code}:\n{worker.said()[-3000:]}")
        running.append(run.worker())
        return run.finish(running[-1])


def provoke_revocation(run: Run, name: str, worker: Worker, running: list[Worker]) -> None:
    """Take partitions from a worker: by a second one that joins, or, where that is enough, by SIGTERM."""
    if name == "revoked.dropped":  # only partitions that move to another worker are dropped
        other = run.worker("worker-1")
        running.append(other)
        worker.wait_dead()
        other.stop()
    else:
        worker.process.terminate()


def rebalance(run: Run) -> Verdict:
    """A second worker joins and leaves under load, again and again; once it is killed instead."""
    asyncio.run(write(run.settings, run.events, run.rng.randrange(1_000)))
    with workers() as running:
        first = run.worker("worker-0")
        running.append(first)
        first.wait_live(1)
        for turn in range(run.faults):
            second = run.worker("worker-1")
            running.append(second)
            second.wait_live(1)
            asyncio.run(write(run.settings, run.events, run.rng.randrange(1_000)))
            if turn == run.faults // 2:
                second.kill()  # it comes back under its name before the group has noticed
            else:
                second.stop()
        return run.finish(first)


def zombie(run: Run) -> Verdict:
    """A worker stopped past its session timeout, its partitions moved, then woken: its writes are refused."""
    asyncio.run(write(run.settings, run.events, run.rng.randrange(1_000)))
    with workers() as running:
        first, second = run.worker("worker-0"), run.worker("worker-1")
        running += [first, second]
        first.wait_live(1)
        second.wait_live(1)
        for _ in range(run.faults):
            moved = second.said().count(READY_LINE) + run.settings.partitions
            first.process.send_signal(signal.SIGSTOP)
            asyncio.run(write(run.settings, run.events, run.rng.randrange(1_000)))
            second.wait_live(moved)
            asyncio.run(write(run.settings, run.events, run.rng.randrange(1_000)))
            first.process.send_signal(signal.SIGCONT)
            first.wait_live(first.said().count(READY_LINE) + 1)  # it has joined again by itself
        return run.finish(first)


SCENARIOS: dict[str, tuple[Callable[[Run], Verdict], dict[str, int], dict[str, int]]] = {
    # name: (scenario, short form, full form); events per write, number of faults
    "kill": (kill, {"events": 100_000, "faults": 3}, {"events": 1_000_000, "faults": 20}),
    "crash": (crash, {"events": 2_000, "faults": 0}, {"events": 30_000, "faults": 0}),
    "zombie": (zombie, {"events": 10_000, "faults": 1}, {"events": 200_000, "faults": 4}),
    "rebalance": (rebalance, {"events": 30_000, "faults": 2}, {"events": 200_000, "faults": 8}),
}


def run_scenario(name: str, bootstrap_servers: str, folder: Path, seed: int, *, full: bool = False) -> Verdict:
    """Run a scenario in an installation of its own."""
    scenario, short, long = SCENARIOS[name]
    sizes = long if full else short
    settings = Settings(
        bootstrap_servers=bootstrap_servers, prefix=f"chaos-{name}-{uuid.uuid4().hex[:8]}-", session_timeout_seconds=6
    )
    return scenario(Run(settings, folder, sizes["events"], sizes["faults"], random.Random(seed)))
