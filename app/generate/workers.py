"""Search workers: PCs and microcontrollers that scan key ranges, job by job."""

from collections.abc import Iterator
from heapq import heappop, heappush
from random import Random
from typing import Any, NamedTuple

from tables.event import iso

HOUR_MS = 3_600_000
CHECKPOINT_MS = 60_000  # how often a worker tells how far its job is
JOB_CHECKPOINTS = 12.0  # the median of a job's length, with a long tail
PC_SHARE = 0.3
# Median keys per second, with a spread of half an order of magnitude: graphics cards and 240 MHz microcontrollers.
PC_SPEED, ESP32_SPEED = 4e7, 3e4
NIGHT_SPEED, NIGHT_HOURS = 1.25, 7  # a PC has more to give while nobody sits at it
RESTART_SHARE = 0.002  # of events begin with a new process, whose counters start anew
ERROR_SHARE = 0.004
OFF_SHARE = 0.05  # of a PC's pauses between jobs are hours
BATCH_SHARE = 0.1  # of the workers send single batches instead of counters
ERRORS = ("out of memory", "device lost", "range rejected by the server", "watchdog reset")
_PREFIX_HEX = 56  # 28 bytes


class _Worker:
    """One worker, and the job at hand."""

    def __init__(self, random: Random, number: int, start: int) -> None:
        self.random = random
        self.is_pc = random.random() < PC_SHARE
        self.type = "pc" if self.is_pc else "esp32"
        self.name = f"{self.type}-{number:05d}"
        self.in_batches = random.random() < BATCH_SHARE
        self.speed = random.lognormvariate(0.0, 0.6) * (PC_SPEED if self.is_pc else ESP32_SPEED)
        self.at = start + random.randrange(CHECKPOINT_MS)
        self.jobs = 0
        self.job = self._new_job()

    def _new_job(self) -> "_Job":
        length = max(1, round(self.random.lognormvariate(0.0, 0.8) * JOB_CHECKPOINTS))
        prefix = f"{self.random.getrandbits(_PREFIX_HEX * 4):0{_PREFIX_HEX}x}"
        self.jobs += 1
        return _Job(f"{self.name}-job-{self.jobs}", prefix, self.at, length, self.random.getrandbits(32))

    def work(self) -> tuple[int, dict[str, Any]]:
        """The event at the end of the next minute or so, and when that is."""
        random, job = self.random, self.job
        started = self.at
        ms = max(1, round(CHECKPOINT_MS * random.lognormvariate(0.0, 0.05)))
        keys = round(self.speed * self._daily(started) * random.lognormvariate(0.0, 0.04) * ms / 1000)
        self.at += ms
        if random.random() < RESTART_SHARE:
            job = job._replace(keys=0, ms=0)
        first = job.nonce + job.keys
        job = job._replace(keys=job.keys + keys, ms=job.ms + ms, left=job.left - 1)
        event: dict[str, Any] = {
            "type": "batch" if self.in_batches else "checkpoint" if job.left else "complete",
            "worker_id": self.name,
            "worker_type": self.type,
            "job_id": job.id,
            "keys_scanned": keys if self.in_batches else job.keys,
            "duration_ms": ms if self.in_batches else job.ms,
            "started_at": iso(started if self.in_batches else job.started),
            "finished_at": iso(self.at),
            "nonce_start": first,
            "nonce_end": first + keys,
            "prefix_28": job.prefix,
            "batch_size": 65_536 if self.is_pc else 256,
        }
        if self.in_batches:
            event["batch_id"] = f"{random.getrandbits(128):032x}"
        if random.random() < ERROR_SHARE:
            event["error_message"] = random.choice(ERRORS)
        finished = self.at
        if job.left:
            self.job = job
        else:
            self.at += self._pause()
            self.job = self._new_job()
        return finished, event

    def _daily(self, at: int) -> float:
        return NIGHT_SPEED if self.is_pc and at // HOUR_MS % 24 < NIGHT_HOURS else 1.0

    def _pause(self) -> int:
        """Between two jobs: mostly the seconds until the next one comes; a PC may be off for hours."""
        if self.is_pc and self.random.random() < OFF_SHARE:
            return round(self.random.uniform(2, 10) * HOUR_MS)
        return round(self.random.expovariate(1 / 3_000))


class _Job(NamedTuple):
    """A job so far; `left`: how many events are to come."""

    id: str
    prefix: str
    started: int
    left: int
    nonce: int
    keys: int = 0
    ms: int = 0


def events(random: Random, keys: int, start: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Endless events of `keys` workers from `start` (ms since the epoch) on: one a minute of each, in time order."""
    waiting: list[tuple[int, int, _Worker, dict[str, Any]]] = []
    for number in range(keys):
        worker = _Worker(random, number, start)
        finished, event = worker.work()
        heappush(waiting, (finished, number, worker, event))
    while True:
        _, number, worker, event = heappop(waiting)
        yield worker.name, event
        finished, event = worker.work()
        heappush(waiting, (finished, number, worker, event))
