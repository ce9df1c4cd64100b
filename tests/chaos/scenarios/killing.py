"""Workers that end: by SIGKILL at random moments, at every step of every order, and by SIGTERM, one after the other."""

import re
import time
from statistics import median, quantiles

from app.engine import failpoints
from tests.chaos.checker import Verdict
from tests.chaos.process import Worker
from tests.chaos.run import Run

STOP_SECONDS = 10.0  # a worker commits what is done and leaves within so long
PERCENT = 100
RESTORED = re.compile(r"restored, (\d+) rows, in ([0-9.]+) s")


def kill(run: Run) -> Verdict:
    """SIGKILL at random moments while folding; a view never answers with anything that the log does not hold."""
    run.write()
    restarts = []
    with run.watching():
        for _ in range(run.faults):
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
    """Three workers are restarted one after the other, under load: as static members, and as members that leave."""
    run.write()
    took = []
    workers = {name: run.worker(name, static=False) for name in ("worker-0", "worker-1", "worker-2")}
    for worker in workers.values():
        worker.wait_live(1)
    with run.watching():
        for turn in range(run.faults):
            static = turn % 2 == 0
            for name, worker in list(workers.items()):
                run.write()
                started = time.monotonic()
                code = worker.stop()
                took.append(time.monotonic() - started)
                if code != 0 or took[-1] > STOP_SECONDS:
                    raise RuntimeError(f"{name} ended with {code} after {took[-1]:.1f} s:\n{worker.said()[-3000:]}")
                workers[name] = run.worker(name, static=static)
                workers[name].wait_live(1)
        run.drain()
    run.note("SIGTERM to exit", spread(took))
    return run.finish(*workers.values())
