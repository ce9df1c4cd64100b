"""Going through many rows without keeping anybody waiting: in slices, one at a time, between which the loop turns.

However many ask, one slice runs per turn of the loop, so folding and the other views are kept for a slice at most, and
the questions take turns. Equal questions at one time share one answer.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable, Iterable
from time import perf_counter
from typing import Any, TypeVar

from aiohttp import web

from app.web.answers import unavailable
from tables.row import Row
from tables.table import Table

SLICE_SECONDS = 0.004  # as long as the fold of a slice of records, so that both get on
SCANS = 32  # different questions at a time: beyond it the answer is 503

T = TypeVar("T")


class Scans:
    """The scans that run in this worker."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()  # fair: who waits longest has the next slice
        self._running: dict[Hashable, asyncio.Task[Any]] = {}

    async def run(self, _app: web.Application) -> AsyncIterator[None]:
        """End with the application."""
        yield
        for task in self._running.values():
            task.cancel()

    async def share(self, question: Hashable, scan: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of a scan; of the one that runs already, if it answers the same question.

        Raises:
            RefusedError: 503, when too many different ones run.
        """
        task = self._running.get(question)
        if task is None:
            if len(self._running) >= SCANS:
                raise unavailable("busy", f"{SCANS} questions about all rows are being answered already")
            task = self._running[question] = asyncio.create_task(scan())
            task.add_done_callback(lambda done: self._end(question, done))
        # Who stops waiting does not stop the scan for the others.
        result: T = await asyncio.shield(task)
        return result

    def _end(self, question: Hashable, task: "asyncio.Task[Any]") -> None:
        del self._running[question]
        if not task.cancelled():
            task.exception()  # seen, should nobody wait any more

    async def each_row(self, table: Table, visit: Callable[[Row], None]) -> None:
        """Visit the rows that the table has now, but for those that are buried before their turn comes."""
        rows = table.rows

        def look(key: bytes) -> None:
            row = rows.get(key)
            if row is not None:
                visit(row)

        # In a dict's order, which is several times as fast to copy as an ordered one's.
        await self.each(list(dict.keys(rows)), look)

    async def each(self, items: Iterable[T], visit: Callable[[T], None]) -> None:
        """Visit all items, in slices."""
        remaining = iter(items)
        while True:
            async with self._turn:
                until = perf_counter() + SLICE_SECONDS
                for item in remaining:
                    visit(item)
                    if perf_counter() >= until:
                        break
                else:
                    return
                await asyncio.sleep(0)  # with the turn in hand: the loop's turn is over before another scan's begins
