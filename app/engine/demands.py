"""Those who wait for a record out of turn, until the commit that carries it is durable."""

import asyncio


class Demands:
    """The demands of one partition.

    Attributes:
        waiting: futures of the record's time in ms since the epoch.
    """

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[int]] = []

    def add(self) -> "asyncio.Future[int]":
        """One more."""
        demand: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.waiting.append(demand)
        return demand

    def answer(self, carried: "list[asyncio.Future[int]]", at_ms: int) -> None:
        """The record of these is durable."""
        self.waiting = [demand for demand in self.waiting if demand not in carried]
        for demand in carried:
            if not demand.done():  # nobody waits any longer
                demand.set_result(at_ms)

    def drop(self) -> None:
        """Nobody will ever know whether theirs is."""
        waiting, self.waiting = self.waiting, []
        for demand in waiting:
            demand.cancel()
