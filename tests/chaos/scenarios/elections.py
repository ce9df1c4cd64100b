"""Row 4: brokers of a cluster of three go and come back; leaders and coordinators are elected anew.

One broker may be away, and everything goes on; with two of them away nothing can be acknowledged, and everything waits.
"""

import asyncio
import signal
import time
from collections.abc import Callable
from itertools import cycle, islice

from aiokafka.errors import KafkaError

from tests.chaos.checker import Verdict, committed
from tests.chaos.cluster import INSYNC, Node, addresses, clustered, is_whole
from tests.chaos.process import wait_for
from tests.chaos.run import Run
from tests.chaos.scenarios.broker import LOAD_RECORDS, READY_SECONDS, ask, loading

WHOLE_SECONDS = 90.0
GOES_ON_SECONDS = 120.0  # who hangs is found out by requests without an answer: 30 s of a fetch, 10 s of others


def elections(run: Run) -> Verdict:
    """Brokers are killed, stopped and restarted in turns while events are written and two workers fold them."""
    with clustered(run.folder / "cluster") as nodes:
        run.settings = run.settings.model_copy(
            update={"bootstrap_servers": addresses(nodes), "replication": len(nodes)}
        )
        wait_for(lambda: asyncio.run(is_whole(run.settings)), WHOLE_SECONDS)
        run.write()
        workers = [run.worker(f"worker-{number}", TIDEMARK_REPLICATION=str(len(nodes))) for number in range(2)]
        wait_for(lambda: all(ask(worker.web_port, "ready")[0] == 200 for worker in workers), READY_SECONDS, workers[0])
        took: dict[str, list[float]] = {}
        with loading(run) as acknowledged, run.watching():
            for name in islice(cycle(FAULTS), run.faults):
                took.setdefault(name, []).extend(FAULTS[name](run, nodes))
        for name, seconds in took.items():
            run.note(f"{name}: goes on after (s)", ", ".join(f"{one:.1f}" for one in seconds))
        verdict = run.finish(*workers)
        if verdict.records < acknowledged[0] + run.events * len(run.domains):
            raise AssertionError(f"{acknowledged[0]} records were acknowledged, {verdict.records} are there")
        return verdict


def _killed(run: Run, nodes: list[Node]) -> list[float]:
    node = run.rng.choice(nodes)
    node.signal(signal.SIGKILL)
    seconds = _goes_on(run)
    node.start()
    _whole(run)
    return [seconds]


def _stopped(run: Run, nodes: list[Node]) -> list[float]:
    node = run.rng.choice(nodes)
    node.signal(signal.SIGSTOP)
    seconds = _goes_on(run)
    node.signal(signal.SIGCONT)
    _whole(run)
    return [seconds]


def _rolled(run: Run, nodes: list[Node]) -> list[float]:
    """Each in turn is told to end, which hands its leaderships over first."""
    seconds = []
    for node in nodes:
        node.signal(signal.SIGTERM)
        seconds.append(_goes_on(run))
        node.start()
        _whole(run)
    return seconds


def _most_killed(run: Run, nodes: list[Node]) -> list[float]:
    """Too few are left; that lasts for a while, and all goes on when they are back."""
    gone = run.rng.sample(nodes, INSYNC)
    for node in gone:
        node.signal(signal.SIGKILL)
    time.sleep(run.size.seconds)  # a fault lasts
    for node in gone:
        node.start()
    seconds = _goes_on(run)
    _whole(run)
    return [seconds]


FAULTS: dict[str, Callable[[Run, list[Node]], list[float]]] = {
    "one killed": _killed,
    "one stopped": _stopped,
    "each restarted": _rolled,
    "two of three killed": _most_killed,
}


def _goes_on(run: Run) -> float:
    """Seconds until what is written from now on is acknowledged, folded and committed."""
    began = time.monotonic()
    wait_for(lambda: _is_acknowledged(run), GOES_ON_SECONDS)
    asyncio.run(committed(run.settings, GOES_ON_SECONDS, run.domains))
    return time.monotonic() - began


def _is_acknowledged(run: Run) -> bool:
    try:
        run.write(LOAD_RECORDS)
    except (KafkaError, TimeoutError, OSError):
        return False
    return True


def _whole(run: Run) -> None:
    wait_for(lambda: asyncio.run(is_whole(run.settings)), WHOLE_SECONDS)
