"""Workers with warm copies of each other's partitions: one is killed, the other promotes what it has."""

import re
from collections.abc import Sequence

from tests.chaos.checker import Verdict
from tests.chaos.process import Worker, wait_for
from tests.chaos.run import Run
from tests.chaos.scenarios.killing import spread
from tests.oracle.live import ask

PROMOTED = re.compile(r"(\S+\[\d+\]): promoted, .* rows, in ([0-9.]+) s")
WARM_SECONDS = 30.0
NOTICED_SECONDS = 30.0  # a session timeout (6 s), a rebalance, and patience


def standby(run: Run) -> Verdict:
    """SIGKILL of one of two workers, under load, again and again: its partitions go on from the other one's copies."""
    run.write()
    workers = [keeper(run, f"worker-{number}") for number in (0, 1)]
    took = []
    with run.watching():
        for turn in range(run.faults):
            wait_warm(run, workers)
            dead, survivor = workers[turn % 2], workers[1 - turn % 2]
            before = len(PROMOTED.findall(survivor.said()))
            run.write()
            dead.kill()
            run.write()
            moved = run.partitions() // 2
            wait_for(lambda: len(PROMOTED.findall(survivor.said())) >= before + moved, NOTICED_SECONDS, survivor)  # noqa: B023
            took += [float(seconds) for _, seconds in PROMOTED.findall(survivor.said())[before:]]
            workers[turn % 2] = keeper(run, f"worker-{turn % 2}")
        run.drain()
    run.note("assigned to live, promoted", spread(took))
    return run.finish(*workers)


def keeper(run: Run, name: str, **variables: str) -> Worker:
    """A worker that keeps copies, and leaves the group when it is stopped."""
    return run.worker(name, static=False, TIDEMARK_STANDBYS="1", **variables)


def wait_warm(run: Run, workers: Sequence[Worker], partitions: int | None = None) -> None:
    """Wait until every partition is live, and a copy of each is up to the end of its log."""
    wanted = run.partitions() if partitions is None else partitions

    def warm() -> bool:
        status = ask(run.settings.model_copy(update={"web_port": workers[0].web_port}), "/api/v1/status")
        return bool(
            status.get("ready")
            and len(status["standbys"]) == wanted
            and all(copy["lag_records"] == 0 for copy in status["standbys"])
        )

    wait_for(warm, WARM_SECONDS, workers[0])
