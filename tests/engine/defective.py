"""A worker whose one domain has a defect: its fold raises for some events."""

import asyncio
import logging
import sys

import msgspec

from app.main import build
from app.settings import load
from app.worker import Worker
from tables.domain import Domain
from tables.emission import Snapshot
from tables.event import Event, Outcome
from tables.row import Head, Row


class Number(Event):
    """An event about a key."""

    key: str
    number: int


class Sum(Head):
    """The sum of a key's numbers."""

    total: int = 0


def reduce(row: Row, event: Number, _at: int, _totals: object) -> Outcome:
    """Add up; 13 raises after the row has been changed already, which is the worst moment."""
    row.head.total += event.number
    if event.number == 13:
        raise ZeroDivisionError("thirteen")
    return Outcome.APPLIED


DEFECTIVE = Domain(
    name="defective",
    entity_name="key",
    version=1,
    event=Number,
    entity=lambda event: event.key,
    at=lambda _event: 0,
    reduce=reduce,
    head=Sum,
    snapshots=lambda row, _now, _totals: [Snapshot("", {"total": row.head.total})],
)


def total_of(value: bytes) -> int:
    """The sum in an encoded head."""
    total: int = msgspec.msgpack.decode(value[1:], type=Sum).total
    return total


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("tidemark").setLevel(logging.INFO)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    sys.exit(1 if Worker(build(load(), [DEFECTIVE]), loop).run() else 0)
