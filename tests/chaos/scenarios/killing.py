"""Workers that end: by SIGKILL at random moments, at every step of every order, and by SIGTERM, one after the other."""

import re
import time
from collections.abc import Iterable
from statistics import median, quantiles

from app.engine import failpoints
from tests.chaos.checker import Verdict
from tests.chaos.process import READY_LINE, Worker
from tests.chaos.run import Run

STOP_SECONDS = 10.0  # a worker commits what is done and leaves within so long
PERCENT = 100
EARLY_SHARE = 0.3  # of the workers are killed before they are live, too: while they join, fence, restore
EARLY_SECONDS = 0.6, 1.6  # after the start of the process
PATIENT = {"TIDEMARK_SESSION_TIMEOUT_SECONDS": "30"}  # a static member has to be back by then, on a busy machine, too
THREE = ("worker-0", "worker-1", "worker-2")
RESTORED = re.compile(r"restored, (\d+) rows, in ([0-9.]+) s")


def kill(run: Run) -> Verdict:
    """SIGKILL at random moments while folding or starting; a view never answers with what the log does not hold."""
    run.write()
    restarts = []
    with run.watching():
        for _ in range(run.faults):
            if run.rng.random() < EARLY_SHARE:
                early = run.worker()
                time.sleep(run.rng.uniform(*EARLY_SECONDS))
                early.kill()
            worker = run.worker()
            started = time.monotonic()
            worker.wait_live(run.partitions())
            restarts.append(time.monotonic() - started)
            # Within the first few commit intervals: there is always something open to be torn apart.
            time.sleep(run.rng.uniform(0.0, 0.6))
            worker.kill()
        worker = run.worker()
        run.drain()
    said = worker.log.read_text()  # of all workers of that name
    restored = [float(seconds) for rows, seconds in RESTORED.findall(said) if int(rows)]
    run.note("restart to live", spread(restarts))
    run.note("restore of a partition", spread(restored))
    return run.finish(worker)


def spread(seconds: list[float]) -> str:
    """Median and 95th percentile."""
    if not seconds:
        return "none"
    if len(seconds) == 1:
        return f"{seconds[0]:.2f} s"
    high = quantiles(seconds, n=PERCENT, method="inclusive")[94]
    return f"p50 {median(seconds):.2f} s, p95 {high:.2f} s of {len(seconds)}"


def crash(run: Run) -> Verdict:
    """A crash between every two steps of the three orders: at every failpoint, and in commits early and late."""
    crashes = 0
    for name in failpoints.ALL:
        for count in range(1, 2 + run.faults) if name.startswith("commit") else (1,):
            run.write()
            worker = run.worker(TIDEMARK_FAILPOINT=f"{name}:{count}")
            if name.startswith("revoked"):
                worker.wait_live(1)
                _provoke_revocation(run, name, worker)
            code = worker.wait_dead()
            if code != -9:
                raise RuntimeError(f"the worker with failpoint {name} ended with {code}:\n{worker.said()[-3000:]}")
            crashes += 1
    run.note("crashes", f"{crashes} at {len(failpoints.ALL)} places")
    return run.finish(run.worker())


def _provoke_revocation(run: Run, name: str, worker: Worker) -> None:
    """Take partitions from a worker: by a second one that joins, or, where that is enough, by SIGTERM."""
    if name == "revoked.dropped":  # only partitions that move to another worker are dropped
        other = run.worker("worker-1")
        worker.wait_dead()
        other.stop()
    else:
        worker.process.terminate()


def rolling(run: Run) -> Verdict:
    """Three workers are restarted one after the other, under load: as members that leave, and as static members."""
    took: list[float] = []
    workers: list[Worker] = []
    run.write()
    with run.watching():
        for turn in range(run.faults):
            static = (run.faults - turn) % 2 == 1  # the others first: when they go for good, they leave at once
            took += [_terminated(worker) for worker in workers]
            workers = [run.worker(name, static=static, **PATIENT) for name in THREE]
            for worker in workers:
                worker.wait_live(1)
            run.write()
            run.drain()  # every partition is folded where it is to stay: nobody is assigned anything any more
            _round(run, workers, took, static=static)
    run.note("SIGTERM to exit", spread(took))
    return run.finish(*workers)


def _round(run: Run, workers: list[Worker], took: list[float], *, static: bool) -> None:
    """Restart each at its address and in its kind; nobody notices where they are static members."""
    assigned = [worker.said().count(READY_LINE) for worker in workers]
    for number, worker in enumerate(workers):
        run.write()
        took.append(_terminated(worker))
        workers[number] = run.worker(THREE[number], static=static, TIDEMARK_WEB_PORT=str(worker.web_port), **PATIENT)
        workers[number].wait_live(1)
        assigned[number] = 0
        if static:
            _undisturbed(workers, assigned)
    run.drain()
    if static:
        _undisturbed(workers, assigned)
        lines = sum(worker.said().count(READY_LINE) for worker in workers)
        if lines != run.partitions():
            raise RuntimeError(f"static members have taken {lines} partitions over, of {run.partitions()}")


def _undisturbed(workers: Iterable[Worker], assigned: Iterable[int]) -> None:
    """Whoever was there before has been assigned nothing since; whoever has come back is where it was.

    Args:
        workers: of the group.
        assigned: how many partitions each has taken over before; 0 for one that has come back.
    """
    for worker, before in zip(workers, assigned, strict=True):
        said = worker.said()
        if (before and said.count(READY_LINE) != before) or "was known at" in said:
            raise RuntimeError(f"{worker.log.stem} was disturbed by the restart of a static member:\n{said[-3000:]}")


def _terminated(worker: Worker) -> float:
    """End a worker by SIGTERM; how many seconds that has taken."""
    started = time.monotonic()
    code = worker.stop()
    took = time.monotonic() - started
    if code != 0 or took > STOP_SECONDS:
        raise RuntimeError(f"{worker.log.stem} ended with {code} after {took:.1f} s:\n{worker.said()[-3000:]}")
    return took
