"""Deliberately broken engines: what the checker must catch. `python -m tests.chaos.broken lost-cell players`.

Each takes one thing away that makes the engine exact, and is otherwise the real worker.
"""

import os
import sys
from collections.abc import Callable
from importlib import import_module
from itertools import count
from typing import Any

from aiokafka import TopicPartition

from agents.deadletter import ROLE
from agents.task import Commit
from tables.assessments import ROLE as RING
from tables.event import Outcome
from tests.chaos.worker import run

# What is spoilt, as modules whose names may be given other values.
FOLDING: Any = import_module("agents.aggregate")
ASSIGNED: Any = import_module("app.engine.orders.assigned")
COMMIT: Any = import_module("app.engine.orders.commit")
PLAYERS: Any = import_module("tables.players")
PRODUCER: Any = import_module("app.engine.producer").PartitionProducer
VIEWS: Any = import_module("app.web.views")

EVERY = 7  # of what is spoilt, one in so many


def lost_cell() -> None:
    """Some cells are never written."""
    _lose_cells(b'"damage"')


def lost_day() -> None:
    """Some of the cells that no snapshot and no total shows are never written."""
    _lose_cells(b'"day"')


def lost_alert() -> None:
    """Some alerts are not sent."""
    _spoil_outgoing("alerts")


def lost_offset() -> None:
    """The source offset is no part of the transaction."""

    async def add_offset(*_: Any) -> None:
        """Forget it."""

    PRODUCER.add_offset = add_offset


def double_fold() -> None:
    """What has been folded before is folded again."""
    PLAYERS.is_duplicate = lambda *_: False


def skipped_record() -> None:
    """A record that is not folded, and counted as if it was."""
    fold, numbers = FOLDING.fold, count(1)

    def skip(table: Any, *record: Any) -> Any:
        return Outcome.APPLIED if next(numbers) % EVERY == 0 else fold(table, *record)

    FOLDING.fold = skip


def skipped_dead_letter() -> None:
    """Some dead letters are not sent."""
    _spoil_outgoing(ROLE)


def snapshot_gap() -> None:
    """Some records of a ring are not sent."""
    _spoil_outgoing(RING)


def lost_snapshot() -> None:
    """Some snapshots are not published."""
    _spoil_outgoing("stats")


def stale_write() -> None:
    """A former owner is not fenced, and its open transaction not waited for: a zombie's writes are accepted."""
    make = PRODUCER.__init__

    def unfenced(self: Any, kafka: Any, transactional_id: str, *rest: Any) -> None:
        make(self, kafka, f"{transactional_id}-{os.getpid()}", *rest)

    PRODUCER.__init__ = unfenced

    async def stable_end(task: Any, topic: str) -> int:
        high_watermark, _ = await task.engine.offsets.ends(TopicPartition(topic, task.partition))
        return int(high_watermark)

    ASSIGNED.stable_end = stable_end


def wrong_view() -> None:
    """A view shows more than there is."""
    _spoil_answers(lambda answer, _: answer | {"hits": answer["hits"] + 1})


def old_view() -> None:
    """A view shows an entity for ever as it was when it was first asked for."""
    seen: dict[str, Any] = {}
    _spoil_responses(seen.setdefault)


# -- how -----------------------------------------------------------------------------------------------------------


def _lose_cells(name: bytes) -> None:
    def lost(key: bytes) -> bool:
        return name in key and sum(key) % EVERY == 0

    _spoil_commits(lambda commit: commit._replace(cells=[cell for cell in commit.cells if not lost(cell.key)]))


def _spoil_commits(spoil: Callable[[Commit], Commit]) -> None:
    take = COMMIT.take
    COMMIT.take = lambda task, now: spoil(take(task, now))


def _spoil_outgoing(role: str) -> None:
    numbers = count(1)

    def spoil(commit: Commit) -> Commit:
        kept = [record for record in commit.outgoing if record.role != role or next(numbers) % EVERY]
        return commit._replace(outgoing=kept)

    _spoil_commits(spoil)


def _spoil_answers(spoil: Callable[[dict[str, Any], Any], dict[str, Any]]) -> None:
    respond = VIEWS.respond
    VIEWS.respond = lambda request, body, **more: respond(
        request, spoil(body, request) if "hits" in body else body, **more
    )


def _spoil_responses(spoil: Callable[[str, Any], Any]) -> None:
    respond = VIEWS.respond

    def answer(request: Any, body: dict[str, Any], **more: Any) -> Any:
        old_body, old_more = spoil(request.path, (body, more))
        return respond(request, old_body, **old_more)

    VIEWS.respond = answer


BROKEN = {
    function.__name__.replace("_", "-"): function
    for function in (
        lost_cell, lost_day, lost_alert, lost_offset, double_fold, skipped_record, skipped_dead_letter, snapshot_gap,
        lost_snapshot, stale_write, wrong_view, old_view,
    )
}  # fmt: skip

if __name__ == "__main__":
    BROKEN[sys.argv[1]]()
    sys.exit(run(sys.argv[2:]))
