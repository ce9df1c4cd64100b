"""Partitions that move: workers that join, leave, stop to answer, start too late; transactions of strangers."""

import asyncio
import re
import signal
from pathlib import Path
from statistics import median

from aiokafka import AIOKafkaProducer

from app.topology import topic_name
from tables.players import PLAYERS
from tests.chaos.checker import Verdict
from tests.chaos.process import READY_LINE, Worker, wait_for
from tests.chaos.run import Run

REFUSED = re.compile(r"(\w+\[\d+\]): ProducerFenced: .*; its rows are dropped")
PAUSED = re.compile(r"kept its rows, .* paused for ([0-9.]+) s")


def rebalance(run: Run) -> Verdict:
    """1 -> 3 -> 2 workers under load, again and again; once in a while one is killed instead of stopped."""
    run.write()
    first = run.worker("worker-0", static=False)
    first.wait_live(run.partitions())
    with run.watching():
        for turn in range(run.faults):
            others = [run.worker(f"worker-{number}", static=False) for number in (1, 2)]
            run.write()
            for other in others:
                other.wait_live(1)
            if turn % 2:
                others[0].kill()
            else:
                others[0].stop()
            run.write()
            others[1].stop()
        run.drain()
    paused = [float(seconds) for seconds in PAUSED.findall(first.said())]
    run.note("pause of untouched partitions", f"median {median(paused):.2f} s, at most {max(paused):.2f} s")
    return run.finish(first)


def spread_domains(run: Run) -> Verdict:
    """Workers that run different domains in one group, and a rolling deploy that adds one to each of them."""
    names = [domain.name for domain in run.domains]
    run.write()
    workers = [run.worker("worker-0", names[0], static=False), run.worker("worker-1", *names[:2], static=False)]
    for worker in workers:
        worker.wait_live(1)
    with run.watching():
        for number in (0, 1):
            run.write()
            workers[number].stop()
            workers[number] = run.worker(f"worker-{number}", static=False)  # all domains
            workers[number].wait_live(1)
        workers.append(run.worker("worker-2", names[-1], static=False))
        run.write()
        run.drain()
    return run.finish(*workers)


def zombie(run: Run) -> Verdict:
    """A worker stopped past its session timeout, its partitions moved, then woken: its writes are refused.

    At first in the middle of a commit, with which it goes on when it wakes; then wherever it happens to be.
    """
    run.write()
    first = stopped_in_a_commit(run)
    second = run.worker("worker-1")
    moved = run.partitions()
    with run.watching():
        for turn in range(run.faults):
            if turn:
                moved = second.said().count(READY_LINE) + run.partitions()
                first.process.send_signal(signal.SIGSTOP)
                run.write()
            second.wait_live(moved)
            run.write()
            if not turn and refused(first):
                raise RuntimeError(f"it was refused something before it was stopped:\n{first.said()[-3000:]}")
            wake(first)  # it joins again by itself
            if not refused(first):
                raise RuntimeError(f"the commit that it went on with was not refused:\n{first.said()[-3000:]}")
        run.drain()
    run.note("commits refused", str(len(refused(first))))
    return run.finish(first, second)


def stopped_in_a_commit(run: Run, *, static: bool = True) -> Worker:
    """A worker that has stopped between the delivery and the end of a transaction; nobody waits for its timeout."""
    worker = run.worker(
        "worker-0",
        static=static,
        # The first one: before any other has named an offset, for which whoever comes next would have to wait.
        TIDEMARK_FAILPOINT="commit.delivered:1:stop",
        TIDEMARK_TRANSACTION_TIMEOUT_SECONDS="60",
    )
    wait_for(lambda: is_stopped(worker), 30, worker)
    return worker


def wake(worker: Worker) -> None:
    """Let a worker go on that was stopped, and wait until it has partitions again."""
    joined = worker.said().count(READY_LINE) + 1
    worker.process.send_signal(signal.SIGCONT)
    worker.wait_live(joined)


def refused(worker: Worker) -> list[str]:
    """The partitions of which a worker says that a commit was refused to it, as to a former owner."""
    return REFUSED.findall(worker.said())


def slow_starter(run: Run) -> Verdict:
    """A worker that stops before it fences, and goes on when its generation is long over: it fences the owner."""
    run.write()
    fenced = 0
    for _ in range(run.faults):
        slow = run.worker("worker-1", static=False, TIDEMARK_FAILPOINT="assigned.begun:1:stop")
        wait_for(lambda slow=slow: is_stopped(slow), 30, slow)  # type: ignore[misc]
        owner = run.worker("worker-0", static=False)
        owner.wait_live(run.partitions())
        run.write()
        slow.process.send_signal(signal.SIGCONT)  # it fences first, and only then learns that its time is over
        wait_for(lambda owner=owner: "Fenced" in owner.said(), 30, owner)  # type: ignore[misc]
        fenced += 1
        run.write()
        slow.wait_live(1)
        slow.stop()
        run.drain()
        owner.stop()
    run.note("owners fenced", str(fenced))
    return run.finish(run.worker("worker-0"))


def is_stopped(worker: Worker) -> bool:
    """Whether its process is stopped, as by SIGSTOP."""
    return Path(f"/proc/{worker.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def foreign(run: Run) -> Verdict:
    """A stranger's transaction stays open on a changelog: nothing is restored short of what it hides."""
    run.write()
    first = run.worker(TIDEMARK_TRANSACTION_TIMEOUT_SECONDS="2")
    first.wait_live(run.partitions())
    asyncio.run(_foreign(run, first))
    return run.finish(run.worker(TIDEMARK_TRANSACTION_TIMEOUT_SECONDS="2"))


async def _foreign(run: Run, first: Worker) -> None:
    changelog = topic_name(run.settings, PLAYERS, "changelog")
    stranger = AIOKafkaProducer(
        **run.settings.kafka(), transactional_id=f"{run.settings.prefix}stranger", transaction_timeout_ms=120_000
    )
    await stranger.start()
    try:
        await stranger.begin_transaction()
        place = await stranger.send_and_wait(changelog, key=b"x", value=b"y", partition=1)
        await asyncio.to_thread(run.write)  # beyond it come rows that a reader of committed records cannot see
        await asyncio.to_thread(first.stop)
        second = run.worker(TIDEMARK_TRANSACTION_TIMEOUT_SECONDS="2")
        code = await asyncio.to_thread(second.wait_dead)
        wanted = (changelog, "partition 1", f"open transaction at offset {place.offset}", "tidemark doctor")
        missing = [each for each in wanted if each not in second.said()]
        if code != 1 or missing:
            raise RuntimeError(f"the worker ended with {code} and did not name {missing}:\n{second.said()[-3000:]}")
    finally:
        await stranger.abort_transaction()
        await stranger.stop()
