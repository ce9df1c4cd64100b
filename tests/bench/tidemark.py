"""Tidemark's own worker, measured. Program: fold|restore SERVERS PREFIX RUN DOMAIN NUMBER.

It is the app that `app.main.build` makes, with the domain at hand and without its web views. A task beside it looks at
the engine now and then, which costs nothing to speak of.
"""

import sys
from typing import Any

from agents.task import Task
from app.engine.engine import Engine
from app.main import build
from tests.bench.data import PARTITIONS
from tests.bench.installation import DOMAINS, installation
from tests.bench.worker import Clock, first_move, run, since_start, until


class Watch:
    """A look at the partitions that are live."""

    def __init__(self, engine: Engine, number: int) -> None:
        self._engine = engine
        self._number = number

    @property
    def _tasks(self) -> list[Task]:
        return [owned.task for owned in self._engine.owned.values() if owned.live and owned.task]

    def _folded(self) -> int:
        return sum(task.position for task in self._tasks)

    def _committed(self) -> int:
        return sum(owned.committed for owned in self._engine.owned.values() if owned.live)

    def _state(self) -> dict[str, int]:
        tables = [task.table for task in self._tasks]
        return {
            "number": sum(table.totals.outcomes[0] for table in tables),
            "keys": sum(len(table.rows) for table in tables),
        }

    async def fold(self) -> dict[str, Any]:
        """From the first event to the last one folded, and to the last one committed."""
        clock = await first_move(self._folded)
        await until(lambda: self._folded() >= self._number)
        folded = clock.read()
        await until(lambda: self._committed() >= self._number)
        return folded | self._state() | {"committed_seconds": clock.read()["seconds"]}

    async def restore(self) -> dict[str, Any]:
        """From the assignment to all partitions live; and from the start of the process."""
        clock = Clock()
        await until(lambda: len(self._tasks) == PARTITIONS)
        return clock.read() | self._state() | {"process_seconds": since_start()}


def main(what: str, servers: str, prefix: str, name: str, domain: str, number: str) -> None:
    """Run the worker until it is told to stop."""
    app = build(installation(servers, prefix, name), [DOMAINS[domain]])
    watch = Watch(app.engine, int(number))
    run(app, watch.fold if what == "fold" else watch.restore)


if __name__ == "__main__":
    main(*sys.argv[1:7])
