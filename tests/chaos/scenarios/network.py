"""Row 6: the network between worker and broker delays, cuts, half-opens, and loses answers.

A broker of the scenario's own has a second listener, whose advertised address is a proxy's: whatever a worker's clients
do, they do through the proxy. Events are written and results are read at the first listener, past it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.broker import Broker
from app.broker.ready import HOST, free_port
from tests.chaos import proxy
from tests.chaos.checker import Verdict
from tests.chaos.process import READY_LINE, Worker, wait_for
from tests.chaos.proxy import Proxy, Way
from tests.chaos.run import Run
from tests.chaos.scenarios.broker import READY_SECONDS, ask, own_broker

BOTH = (Way.UP, Way.DOWN)
HALF = 0.5
SHORT_SECONDS = 5.0  # a fault shorter than this is of the short form, which has no 30 s for a time-out
LATE_SECONDS = 4.0  # twice the time that the worker waits for an answer
RESETS = 12  # of all connections, one soon after the other: clients are cut off in whatever they are doing
RESET_SECONDS = 0.15  # between two of them: a client waits 0.1 s before it repeats what has failed
LOST_SECONDS = 60.0  # until the worker has sent what is to be lost
# A request without an answer is given up after so long: scenarios that lose many need not wait 10 s for each.
QUICK = {"TIDEMARK_TRANSACTION_TIMEOUT_SECONDS": "2"}
# The requests of a commit.
TRANSACTIONAL = {
    "EndTxn": proxy.END_TXN,
    "Produce": proxy.PRODUCE,
    "AddPartitionsToTxn": proxy.ADD_PARTITIONS_TO_TXN,
    "AddOffsetsToTxn": proxy.ADD_OFFSETS_TO_TXN,
    "TxnOffsetCommit": proxy.TXN_OFFSET_COMMIT,
}
LATE = ("EndTxn", "TxnOffsetCommit")  # those of them that could spoil the next transaction (KAFKA-17754)
# Sent when a partition is assigned, or the group joined.
ASSIGNING = {
    "InitProducerId": proxy.INIT_PRODUCER_ID,
    "OffsetFetch": proxy.OFFSET_FETCH,
    "JoinGroup": proxy.JOIN_GROUP,
    "SyncGroup": proxy.SYNC_GROUP,
}


@contextmanager
def proxied(run: Run, **variables: str) -> Iterator[tuple[Broker, Proxy, Worker]]:
    """A proxy before a broker of the run's own, and a worker behind it, with these variables, that is ready."""
    port, inner = free_port(), free_port()
    listeners = {
        "listeners": f"PROXIED://{HOST}:{inner}",
        "advertised.listeners": f"PROXIED://{HOST}:{port}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT",
    }
    with own_broker(run, listeners) as broker, Proxy(port, inner, run.rng.randrange(1_000)) as between:
        run.write()
        worker = run.worker(static=False, KAFKA_BOOTSTRAP_SERVERS=f"{HOST}:{port}", **QUICK, **variables)
        worker.wait_live(run.partitions())
        yield broker, between, worker
        if worker.process.poll():  # None: it runs; 0: it was stopped
            raise RuntimeError(f"the worker ended with {worker.process.returncode}:\n{worker.said()[-3000:]}")


def network(run: Run) -> Verdict:
    """Delays, throttling, cuts, stalls and half-open connections in random order, under load."""
    with proxied(run) as (_, between, worker):
        done: list[str] = []
        with run.watching():
            for name in _in_turns(run):
                FAULTS[name](between)
                run.write()
                time.sleep(run.rng.uniform(0.2, 1.0) * run.size.seconds)  # a fault lasts; nothing is waited for
                between.heal()
                if name.startswith("half-open") and (run.size.seconds < SHORT_SECONDS or run.rng.random() < HALF):
                    between.cut()  # a firewall that resets what it has forgotten; else nobody ever says a word
                done.append(name)
        wait_for(lambda: ask(worker.web_port, "ready")[0] == 200, READY_SECONDS, worker)
        run.note("faults", str(len(done)))
        return run.finish(worker)


def _in_turns(run: Run) -> Iterator[str]:
    """The names of all faults in another order each turn."""
    for _ in range(run.faults):
        yield from run.rng.sample(sorted(FAULTS), len(FAULTS))


def flap(between: Proxy) -> None:
    """Reset all connections again and again."""
    for _ in range(RESETS):
        between.cut()
        time.sleep(RESET_SECONDS)


FAULTS: dict[str, Callable[[Proxy], object]] = {
    "delay": lambda between: between.delay(up=0.05, down=0.05, jitter=0.1),
    "throttle": lambda between: between.throttle(100_000),
    "cut": Proxy.cut,
    "flap": flap,
    "refuse": lambda between: between.refuse(on=True),
    "stall": lambda between: between.stall(*BOTH),
    "stall of answers": lambda between: between.stall(Way.DOWN),
    "half-open": lambda between: between.swallow(*BOTH),
    "half-open for answers": lambda between: between.swallow(Way.DOWN),
    "half-open for requests": lambda between: between.swallow(Way.UP),
}


def end_txn(run: Run) -> Verdict:
    """The answer to EndTxn is lost after the broker has committed; so are those to the other requests of a commit.

    At last some come late: when their producer has been given up, and the next transaction has begun (KAFKA-17754).
    """
    with proxied(run) as (_, between, worker):
        for _ in range(run.faults):
            for api in TRANSACTIONAL.values():
                _lose(run, between, worker, api)
        if run.size.seconds:  # the long form
            for api in ASSIGNING.values():
                _lose(run, between, worker, api, provoke=lambda: _rejoin(run, worker))
        for name in LATE:
            _deliver_late(run, between, worker, name)
        verdict = run.finish(worker)
        lost = {name: between.lost[api] for name, api in (TRANSACTIONAL | ASSIGNING).items() if between.lost[api]}
        # Of one kind of error a partition tells once between two commits: which of the two requests it was is chance.
        if not any(f"{name} was not answered" in worker.said() for name in LATE):
            raise AssertionError(f"nobody noticed that a request was not answered:\n{worker.said()[-3000:]}")
        run.note("answers lost", ", ".join(f"{name} {times}" for name, times in lost.items()))
        return verdict


def _deliver_late(run: Run, between: Proxy, worker: Worker, name: str) -> None:
    """A request comes late: its producer has been given up, and others write meanwhile."""
    api = TRANSACTIONAL[name]
    between.deliver_late(api, LATE_SECONDS)
    run.write()
    wait_for(lambda: between.late[api] > 0, LOST_SECONDS, worker)
    run.write()


def _lose(run: Run, between: Proxy, worker: Worker, api: int, provoke: Callable[[], object] = lambda: None) -> None:
    """Lose an answer; in the short form, and else half of the time, the connection is reset at once."""
    lost = between.lost[api]
    between.lose_answers(api)
    run.write()
    provoke()
    wait_for(lambda: between.lost[api] > lost, LOST_SECONDS, worker)
    if not run.size.seconds or run.rng.random() < HALF:
        between.cut()


def _rejoin(run: Run, worker: Worker) -> None:
    """A member comes and goes, so everybody is assigned anew."""
    other = run.worker("worker-1", static=False)
    wait_for(lambda: READY_LINE in other.said(), READY_SECONDS, worker)
    other.stop()
