"""How long a million rows do not answer when their worker dies: without and with warm copies, and when it comes back.

Two workers share the partitions; one is killed. Its partitions count as answering again when a row of each of them has
been served over HTTP by the worker that has taken it over. For a death that the group has to notice, the clock starts
when the new assignment reaches that worker; for a static member that is restarted at once, when it is killed.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import aiohttp

from app.broker.ready import free_port
from app.partitions import partitioner
from tests.bench import data
from tests.bench.benches import checked
from tests.bench.installation import create
from tests.bench.keep import ASSIGNED, PATH
from tests.bench.one_cell import ONE_CELL
from tests.bench.process import ROOT, BenchError, measure
from tests.bench.report import machine

RUN = "1"
LOOK_SECONDS = 0.01
PATIENCE_SECONDS = 120.0
WORKERS = 2

Say = Callable[[str], None]


class Mode(NamedTuple):
    """What is measured: its target is for the median, in seconds."""

    name: str
    standbys: int
    static: bool
    target: float


MODES = (
    Mode("cold, from the new assignment", 0, static=False, target=6.0),
    Mode("standby, from the new assignment", 1, static=False, target=2.0),
    Mode("static member, from its end to its restart's answers", 0, static=True, target=6.0),
)


class Kept:
    """One worker process."""

    def __init__(self, folder: Path, name: str, servers: str, prefix: str, mode: Mode, port: int = 0) -> None:
        self.port = port or free_port()
        self.log = folder / f"{name}-{time.monotonic_ns()}.log"
        arguments = [servers, prefix, RUN, str(self.port), str(mode.standbys), name if mode.static else ""]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.bench.keep", *arguments],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=ROOT, env=os.environ,
            )  # fmt: skip

    def assigned(self) -> list[float]:
        """When its assignments arrived, in seconds since the epoch."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [float(line.removeprefix(ASSIGNED)) for line in lines if line.startswith(ASSIGNED)]

    def kill(self) -> None:
        """SIGKILL, and wait."""
        self.process.kill()
        self.process.wait()


class Failover:
    """The bench on one broker."""

    def __init__(self, servers: str, prefix: str, rows: int, runs: int, say: Say) -> None:
        self._servers, self._prefix = servers, f"{prefix}failover-"
        self._rows, self._runs, self._say = rows, runs, say
        self._entities = self._one_of_each_partition()

    def _one_of_each_partition(self) -> dict[int, str]:
        partition_of = partitioner(data.PARTITIONS)
        keys = (f"entity-{number:07d}" for number in range(self._rows))
        found: dict[int, str] = {}
        for key in keys:
            found.setdefault(partition_of(key.encode()), key)
            if len(found) == data.PARTITIONS:
                break
        return found

    def prepare(self) -> None:
        """Let Tidemark write the changelog, by folding an event per key."""
        create(self._servers, self._prefix, [RUN], ONE_CELL)
        self._say("failover: writing what is to be restored ...")
        source = f"{self._prefix}{ONE_CELL.name}-events"
        asyncio.run(data.preload(self._servers, source, data.one_event_per_key(self._rows)))
        folding = "fold", self._servers, self._prefix, RUN, ONE_CELL.name, self._rows
        checked(measure("tidemark", *folding, seconds=PATIENCE_SECONDS), self._rows)

    def run(self, mode: Mode) -> dict[str, Any]:
        """Kill one of the two and wait for the other (or for it to be back), so many times."""
        results = []
        with tempfile.TemporaryDirectory() as folder, self._workers() as workers:
            for name in "ab"[:WORKERS]:
                workers[name] = Kept(Path(folder), name, self._servers, self._prefix, mode)
            for number in range(self._runs):
                asyncio.run(self._settled(list(workers.values()), mode))
                dead = "ab"[number % WORKERS]
                results.append(asyncio.run(self._fail(Path(folder), workers, dead, mode)))
                said = ", ".join(f"{name} {value:.2f}" for name, value in results[-1].items())
                self._say(f"failover, {mode.name}, run {number + 1} of {self._runs}: {said}")
                if not mode.static:
                    workers[dead] = Kept(Path(folder), dead, self._servers, self._prefix, mode)
        medians = {name: median(result[name] for result in results) for name in results[0]}
        holds = medians["seconds"] < mode.target
        return {"mode": mode.name, "target": mode.target, "holds": holds, **medians, "runs": results}

    @contextmanager
    def _workers(self) -> Iterator[dict[str, Kept]]:
        workers: dict[str, Kept] = {}
        try:
            yield workers
        finally:
            for worker in workers.values():
                worker.kill()

    async def _fail(self, folder: Path, workers: dict[str, Kept], dead: str, mode: Mode) -> dict[str, float]:
        other = next(worker for name, worker in workers.items() if name != dead)
        async with aiohttp.ClientSession() as session:
            moved = [p for p, s in (await status(session, other))["owner"].items() if s != other.port]
            before = len(other.assigned())
            killed_at = time.time()
            workers[dead].kill()
            if mode.static:
                # At its old address, where the others know it to be.
                port = workers[dead].port
                other = workers[dead] = Kept(folder, dead, self._servers, self._prefix, mode, port)
                noticed_at = killed_at
            else:
                noticed_at = await self._noticed(other, before)
            slowest = await asyncio.gather(*(self._answers(session, other, partition) for partition in moved))
        answered_at = time.time()
        return {"seconds": answered_at - noticed_at, "after its end": answered_at - killed_at, "slowest": max(slowest)}

    async def _noticed(self, worker: Kept, before: int) -> float:
        await until(lambda: len(worker.assigned()) > before, worker)
        return worker.assigned()[before]

    async def _answers(self, session: aiohttp.ClientSession, worker: Kept, partition: int) -> float:
        """Wait until a row of a partition is served; returns the slowest answer on the way, whatever it was."""
        url = f"http://127.0.0.1:{worker.port}{PATH.format(entity=self._entities[partition])}"
        deadline, slowest = time.monotonic() + PATIENCE_SECONDS, 0.0
        while time.monotonic() < deadline:
            asked_at = time.monotonic()
            try:
                async with session.get(url) as response:
                    served = response.status == 200 and (await response.json())["partition"] == partition
            except aiohttp.ClientConnectionError:
                served = False  # it does not listen yet
            else:
                slowest = max(slowest, time.monotonic() - asked_at)
            if served:
                return slowest
            await asyncio.sleep(LOOK_SECONDS)
        raise BenchError(f"partition {partition} does not answer:\n{worker.log.read_text(errors='replace')[-2000:]}")

    async def _settled(self, workers: list[Kept], mode: Mode) -> None:
        """Wait until the partitions are shared, all are live, and copies are as warm as they get."""
        async with aiohttp.ClientSession() as session:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not await self._is_settled(session, workers, mode):
                if time.monotonic() > deadline:
                    raise BenchError(f"not settled:\n{workers[0].log.read_text(errors='replace')[-2000:]}")
                await asyncio.sleep(0.2)

    async def _is_settled(self, session: aiohttp.ClientSession, workers: list[Kept], mode: Mode) -> bool:
        try:
            found = await status(session, workers[0])
        except (aiohttp.ClientError, KeyError):
            return False
        copies = [copy for copy in found["standbys"] if copy["lag_records"] == 0]
        return (
            found["ready"]
            and set(found["owner"].values()) == {worker.port for worker in workers}
            and sum(partition["rows"] or 0 for partition in found["partitions"]) == self._rows
            and len(copies) == mode.standbys * data.PARTITIONS
            and sum(copy["rows"] for copy in copies) == mode.standbys * self._rows
        )


async def status(session: aiohttp.ClientSession, worker: Kept) -> dict[str, Any]:
    """A worker's status, with each partition's owner by port."""
    async with session.get(f"http://127.0.0.1:{worker.port}/api/v1/status") as response:
        body: dict[str, Any] = await response.json()
    owner = {each["partition"]: int((each["worker"] or ":0").rpartition(":")[2]) for each in body["partitions"]}
    return body | {"owner": owner}


async def until(condition: Callable[[], bool], worker: Kept) -> None:
    """Wait for a condition, with a deadline."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise BenchError(f"nothing happened:\n{worker.log.read_text(errors='replace')[-2000:]}")
        await asyncio.sleep(LOOK_SECONDS)


def run(servers: str, prefix: str, rows: int, runs: int, say: Say, *, as_json: bool) -> int:
    """Measure and print; returns the exit code."""
    bench = Failover(servers, prefix, rows, runs, say)
    bench.prepare()
    results = [bench.run(mode) for mode in MODES]
    whole = {"machine": machine(), "rows": rows, "rows that move": rows // WORKERS, "results": results}
    print(json.dumps(whole) if as_json else text(whole))
    return 0 if all(result["holds"] for result in results) else 1


def text(whole: dict[str, Any]) -> str:
    """All of it, for people."""
    lines = [", ".join(f"{name} {value}" for name, value in whole["machine"].items())]
    lines.append(f"{whole['rows']:,} rows, of which {whole['rows that move']:,} move; medians, in seconds\n")
    lines.append(f"{'':56}{'seconds':>9}{'target':>9}{'after its end':>15}{'slowest answer':>16}")
    for result in whole["results"]:
        verdict = "holds" if result["holds"] else "MISSED"
        lines.append(
            f"{result['mode']:56}{result['seconds']:>9.2f}{result['target']:>9g}{result['after its end']:>15.2f}"
            f"{result['slowest']:>16.3f}  {verdict}"
        )
    return "\n".join(lines)
