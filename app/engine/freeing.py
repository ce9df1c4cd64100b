"""Frees tables that are of no use any more.

A table and its rows refer to each other, and Python's collector of cycles comes by so rarely here (`app.main`) that a
worker whose partitions are restored a few times would hold them as often.
"""

import asyncio
from contextlib import nullcontext

from app import allocator
from tables.table import Table


class Freeing:
    """The tables that are being freed: a thousand rows at a time, so that nobody waits."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def table(self, table: Table, turn: asyncio.Lock | None = None) -> None:
        """Free a table that nobody folds into any more.

        Args:
            table: a view that is going through its rows notices at the end that they are no longer served.
            turn: held by whoever may still be at work on it.
        """
        task = asyncio.create_task(_free(table, turn), name="freeing")
        self._running.add(task)
        task.add_done_callback(self._freed)

    def _freed(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not self._running and not task.cancelled():  # once for all that a rebalance has taken away
            allocator.give_back()

    def stop(self) -> None:
        """Leave the rest to the end of the process."""
        for task in self._running:
            task.cancel()


async def _free(table: Table, turn: asyncio.Lock | None) -> None:
    async with turn or nullcontext():
        for _ in table.empty():
            await asyncio.sleep(0)
