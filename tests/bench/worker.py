"""Running a Faust app, Tidemark's or a stock one, as a measured program."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import faust
import psutil

from tests.bench.process import tell

LOOK_SECONDS = 0.005  # between two looks at a counter: the error of the times measured by looking


class Clock:
    """Wall clock and CPU time since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        """The seconds so far."""
        return {"seconds": time.perf_counter() - self._wall, "cpu_seconds": time.process_time() - self._cpu}


async def until(reached: Callable[[], bool]) -> None:
    """Look again and again until something is so."""
    while not reached():  # noqa: ASYNC110 - nobody tells: the measured program is not to know
        await asyncio.sleep(LOOK_SECONDS)


async def first_move(count: Callable[[], int]) -> Clock:
    """A clock that has run since the last look at which a counter was still 0."""
    clock = Clock()
    while not count():
        clock = Clock()
        await asyncio.sleep(LOOK_SECONDS)
    return clock


def since_start() -> float:
    """Seconds since this process was started."""
    return float(time.time() - psutil.Process().create_time())


def run(app: Any, watch: Callable[[], Awaitable[dict[str, Any]]]) -> None:
    """Run a worker until it is told to stop; what `watch` returns, begun with the first assignment, is its report."""
    watching: list[asyncio.Task[None]] = []

    async def report() -> None:
        tell(await watch())

    async def begin(*_arguments: Any, **_options: Any) -> None:
        if not watching:
            watching.append(asyncio.create_task(report()))

    app.on_partitions_assigned.connect(begin)
    app.conf.web_enabled = False
    app.finalize()
    faust.Worker(app, loglevel="error").execute_from_commandline()
