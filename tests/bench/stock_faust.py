"""Stock Faust doing the same: its own driver, its defaults, one event at a time, a memory table with a changelog.

Program: fold|restore SERVERS APP_ID TOPIC DOMAIN NUMBER. It reports after so many events, or rows.
"""

import sys
from collections.abc import Callable
from typing import Any

import faust

from tests.bench.data import PARTITIONS
from tests.bench.worker import Clock, first_move, run, since_start, until


def _one_cell(rows: Any, event: dict[str, Any]) -> None:
    count, amount = rows[event["entity"]]
    rows[event["entity"]] = [count + 1, amount + event["amount"]]


def _players(rows: Any, event: dict[str, Any]) -> None:
    # Hits and damage per (player, weapon, reason), and no more: no days, no duplicates, no lists, no snapshots.
    name = "/".join((event["player"], event["weapon"], event["reason"]))
    hits, damage = rows[name]
    rows[name] = [hits + 1, damage + event["damage"]]


def _assessments(rows: Any, event: dict[str, Any]) -> None:
    # Assessments per session, all and lightweight, and no more: no duplicates, no totals, no lists, no snapshots.
    session = event["context"]["session_id"]
    number, lightweight = rows[session]
    rows[session] = [number + 1, lightweight + (event["tier"] == "lightweight")]


REDUCE: dict[str, Callable[[Any, dict[str, Any]], None]] = {
    "one-cell": _one_cell,
    "players": _players,
    "assessments": _assessments,
}


class Watch:
    """What the agent has folded, and what the recovery has brought back."""

    def __init__(self, app: Any, rows: Any, number: int) -> None:
        self.folded = 0
        self._app = app
        self._rows = rows
        self._number = number

    async def fold(self) -> dict[str, Any]:
        """From the first event to the `number`-th, or a few later."""
        clock = await first_move(lambda: self.folded)
        await until(lambda: self.folded >= self._number)
        return clock.read() | {"number": self.folded, "keys": len(self._rows)}

    async def restore(self) -> dict[str, Any]:
        """From the first row to the last; and, with all that Faust waits for, from the assignment to its end."""
        whole = Clock()
        clock = await first_move(lambda: len(self._rows))
        await until(lambda: len(self._rows) >= self._number)
        rows = clock.read()
        await until(self._app.tables.recovery.completed.is_set)
        return rows | {
            "number": len(self._rows),
            "whole_seconds": whole.read()["seconds"],
            "process_seconds": since_start(),
        }


def main(what: str, servers: str, app_id: str, topic: str, domain: str, number: str) -> None:
    """Run the worker until it is told to stop."""
    app = faust.App(app_id, broker=f"aiokafka://{servers}", store="memory://", topic_partitions=PARTITIONS)
    rows = app.Table("rows", default=lambda: [0, 0], partitions=PARTITIONS)
    watch, reduce = Watch(app, rows, int(number)), REDUCE[domain]

    async def fold(stream: Any) -> None:
        async for event in stream:
            reduce(rows, event)
            watch.folded += 1

    app.agent(app.topic(topic, key_type=bytes, value_serializer="json"), name="fold")(fold)
    run(app, watch.fold if what == "fold" else watch.restore)


if __name__ == "__main__":
    main(*sys.argv[1:7])
