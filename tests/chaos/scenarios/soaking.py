"""Row 16: whatever else there is, in random order, for a long time, and one worker that lives through all of it."""

import asyncio
import csv
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import combinations, count, islice
from pathlib import Path
from statistics import median
from typing import NamedTuple

from app.broker import Broker
from app.topology import topic_name
from tables.players import PLAYERS
from tests.chaos import workload
from tests.chaos.checker import Verdict
from tests.chaos.compaction import alter, eager
from tests.chaos.process import Worker, wait_for
from tests.chaos.produce import produce
from tests.chaos.proxy import Proxy
from tests.chaos.run import Run
from tests.chaos.scenarios.broker import READY_SECONDS, ask
from tests.chaos.scenarios.network import FAULTS, proxied
from tests.oracle.live import Sent, events
from tests.oracle.live import ask as view

LOOK_SECONDS = 1.0
WARM_SHARE = 0.3  # of the time, in which caches, allocators and rows grow to what they will be
# Memory has no reason to grow: the same records come again and again, and news of the same players, who have soon met
# every weapon that there is.
INPUTS = 3
NEWS, NEWS_PLAYERS = 2_000, 100  # after each fault
ROLL_MS = 5_000  # changelogs are compacted all the time, under restores and standbys
STANDBYS = {"TIDEMARK_STANDBYS": "1"}
MIB = 1024 * 1024
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
SLOPE_MIB_PER_MINUTE = 1.0  # beyond it 10 minutes would have grown the worker by a tenth
MORE_FILES, MORE_TASKS = 10, 10  # than after the warm-up
POINTS = 1_000  # their pairs are half a million
JUDGED_MINUTES = 5.0  # a minute or two say nothing of a slope


Quantiles = tuple[float, float, float]


class Sample(NamedTuple):
    """What a process holds at a moment."""

    seconds: float
    resident_bytes: int
    files: int
    tasks: int | None


def soak(run: Run) -> Verdict:
    """Kills, rebalances, zombies, outages of the broker and of the network, by chance from the seed."""
    inputs = [_input(run, run.rng.randrange(1_000)) for _ in range(INPUTS)]
    done: list[str] = []
    news = _news(run)
    with proxied(run, **STANDBYS) as (broker, between, survivor):
        changelogs = [topic_name(run.settings, domain, "changelog") for domain in run.domains]
        asyncio.run(alter(run.settings, eager(ROLL_MS), *changelogs))
        for records in inputs:
            asyncio.run(_write(run, records))
        with run.watching(), _sampling(run, survivor) as samples:
            faults = Faults(run, broker, between)
            end = time.monotonic() + run.size.seconds
            while time.monotonic() < end:
                name = run.rng.choice(sorted(faults.by_name))
                faults.by_name[name]()
                done.append(name)
                again, most = run.rng.choice(inputs), run.rng.randrange(run.events // 10, run.events)
                asyncio.run(_write(run, {name: records[:most] for name, records in again.items()}))
                asyncio.run(_write(run, {PLAYERS.name: list(islice(news, NEWS))}))
                wait_for(lambda: ask(survivor.web_port, "ready")[0] == 200, READY_SECONDS, survivor)
            run.drain(180)
        run.note("faults", ", ".join(f"{name} {done.count(name)}" for name in sorted(set(done))))
        judge(run, samples)
        _note_compaction(run, broker, changelogs)
        return run.finish(survivor)


def _input(run: Run, seed: int) -> dict[str, list[Sent]]:
    """Records by domain; made once, so that they stay the same."""
    return {domain.name: list(events(domain, run.events, seed)) for domain in run.domains}


async def _write(run: Run, records: Mapping[str, list[Sent]]) -> None:
    for domain in run.domains:
        if domain.name in records:
            await produce(run.settings, topic_name(run.settings, domain, "events"), records[domain.name])


def _news(run: Run) -> Iterator[tuple[bytes, bytes]]:
    """Events of one match without an end: each is new."""
    for number in count():
        player = f"player-{run.rng.randrange(NEWS_PLAYERS)}"
        yield player.encode(), json.dumps(workload.event(run.rng, "soak", number, player, 1)).encode()


def _note_compaction(run: Run, broker: Broker, changelogs: Iterable[str]) -> None:
    """Note how far Kafka has compacted the changelogs, as its cleaner says.

    Raises:
        AssertionError: of a long soak, one was left alone.
    """
    lines = (broker.folder / "data" / "cleaner-offset-checkpoint").read_text().splitlines()[2:]
    cleaned = {(topic, int(number)): int(offset) for topic, number, offset in map(str.split, lines)}
    places = [(topic, number) for topic in changelogs for number in range(run.settings.partitions)]
    run.note("changelogs compacted up to offset", ", ".join(f"{cleaned.get(place, 0):,}" for place in places))
    if run.size.seconds > 60 * JUDGED_MINUTES and not all(cleaned.get(place) for place in places):
        raise AssertionError(f"not all changelogs were compacted: {cleaned}")


class Faults:
    """What a soak is made of; the survivor is the worker that is never killed."""

    def __init__(self, run: Run, broker: Broker, between: Proxy) -> None:
        self._run = run
        self._broker = broker
        self._between = between
        self.by_name: dict[str, Callable[[], None]] = {
            "kill of another worker": self._kill,
            "join and leave": self._join,
            "zombie": self._zombie,
            "broker killed": self._broker_killed,
            "broker stopped": self._broker_stopped,
            "network": self._network,
        }

    def _other(self) -> Worker:
        address = f"127.0.0.1:{self._between.port}"
        other = self._run.worker("worker-1", static=False, KAFKA_BOOTSTRAP_SERVERS=address, **STANDBYS)
        other.wait_live(1, READY_SECONDS)
        return other

    def _kill(self) -> None:
        other = self._other()
        time.sleep(self._run.rng.uniform(0, 1))  # into the middle of whatever it does
        other.kill()

    def _join(self) -> None:
        self._other().stop(READY_SECONDS)

    def _zombie(self) -> None:
        other = self._other()
        other.process.send_signal(signal.SIGSTOP)
        time.sleep(self._run.settings.session_timeout_seconds + 1)  # the fault is to last longer than that
        other.process.send_signal(signal.SIGCONT)
        other.stop(READY_SECONDS)

    def _broker_killed(self) -> None:
        os.kill(self._broker.java_pid, signal.SIGKILL)
        self._broker.restart()

    def _broker_stopped(self) -> None:
        os.kill(self._broker.java_pid, signal.SIGSTOP)
        time.sleep(self._run.rng.uniform(2, 12))  # shorter and longer than a session timeout
        os.kill(self._broker.java_pid, signal.SIGCONT)

    def _network(self) -> None:
        FAULTS[self._run.rng.choice(sorted(FAULTS))](self._between)
        time.sleep(self._run.rng.uniform(0.5, 5))  # a fault lasts
        self._between.heal()
        self._between.cut()


@contextmanager
def _sampling(run: Run, worker: Worker) -> Iterator[list[Sample]]:
    """Look at a worker once a second while the block runs."""
    samples: list[Sample] = []
    end = threading.Event()

    def look() -> None:
        while not end.wait(LOOK_SECONDS):
            samples.append(sample(run, worker))

    with ThreadPoolExecutor(1, "sampling") as thread:
        looking = thread.submit(look)
        try:
            yield samples
        finally:
            end.set()
        looking.result()  # whatever ended it early is no reason to judge less


def sample(run: Run, worker: Worker) -> Sample:
    """Resident memory and open files from the kernel, asyncio tasks from the worker's status; None: no answer."""
    process = Path(f"/proc/{worker.process.pid}")
    pages = int((process / "statm").read_text().split()[1])
    files = len(list((process / "fd").iterdir()))
    status = view(run.settings.model_copy(update={"web_port": worker.web_port}), "/api/v1/status")
    own = [one["tasks"] for one in status.get("workers", ()) if one["url"] == status["worker"]]
    return Sample(time.monotonic(), pages * PAGE_BYTES, files, own[0] if own else None)


def judge(run: Run, samples: list[Sample]) -> None:
    """Note the figures of the time after the warm-up.

    Raises:
        AssertionError: memory, files or tasks have grown.
    """
    _keep(run.folder / "samples.csv", samples)
    first = samples[0].seconds
    whole = samples[-1].seconds - first
    warm = [one for one in samples if one.seconds - first > WARM_SHARE * whole]
    minutes = [(one.seconds - first) / 60 for one in warm]
    resident = [one.resident_bytes / MIB for one in warm]
    points = list(zip(minutes, resident, strict=True))
    slope = theil_sen(points[:: max(1, len(points) // POINTS)])
    third = len(warm) // 3
    files = _thirds([one.files for one in warm], third)
    tasks = _thirds([one.tasks for one in warm if one.tasks is not None], third)
    memory = _thirds(resident, third)
    judged = minutes[-1] - minutes[0]
    run.note("memory slope", f"{slope:+.2f} MiB per minute over {judged:.1f} minutes")
    for name, (early, late) in {"resident MiB": memory, "open files": files, "tasks": tasks}.items():
        figures = [f"{one:.0f} to {other:.0f}" for one, other in zip(early, late, strict=True)]
        run.note(name, f"at least {figures[0]}, half of the time {figures[1]}, at most {figures[2]}")
    if judged < JUDGED_MINUTES:
        return
    apart = judged * 2 / 3  # from the middle of the first third to the middle of the last
    if min(slope, _growth(memory) / apart) > SLOPE_MIB_PER_MINUTE:
        raise AssertionError(f"resident memory grows: {run.figures}")
    if _growth(files) > MORE_FILES or _growth(tasks) > MORE_TASKS:
        raise AssertionError(f"open files or tasks grow: {run.figures}")


def _keep(path: Path, samples: list[Sample]) -> None:
    """Beside the logs, so that growth can be looked at."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([Sample._fields, *samples])


def theil_sen(points: Sequence[tuple[float, float]]) -> float:
    """The median slope of all pairs of points: a peak that passes, such as a restore's, does not count.

    https://en.wikipedia.org/wiki/Theil-Sen_estimator
    """
    return median((y - b) / (x - a) for (a, b), (x, y) in combinations(points, 2))


def _thirds(values: Sequence[float], third: int) -> tuple[Quantiles, Quantiles]:
    """The least, the median and the most in the first and in the last third."""
    first, last = values[:third], values[-third:]
    return (min(first), median(first), max(first)), (min(last), median(last), max(last))


def _growth(thirds: tuple[Quantiles, Quantiles]) -> float:
    """Of what is always there: a leak raises the least, the median and the most alike.

    One of them alone goes up with the faults: while a worker restores there are more, while Kafka is away fewer.
    """
    return min(late - early for early, late in zip(*thirds, strict=True))
