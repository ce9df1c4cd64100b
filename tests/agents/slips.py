"""A domain for tests of what the framework does: slips of paper with an amount, and every kind of emission."""

from typing import Any

import msgspec

from tables.domain import Domain, Topic
from tables.emission import AtTime, PerEvent, Periodic, Snapshot
from tables.event import REMOVED, Event, Outcome, Removed
from tables.option import Option, Options
from tables.recent import Recent
from tables.retention import FirstOut, Newest, Ring, newest_cell, numbered
from tables.row import Cell, Head, Row
from tables.totals import Totals

RING = Option("slip_ring", 3, "Slots of the ring.", least=1)
QUEUE = Option("slip_queue", 6, "Notes of all slips together.", least=1)
PAGES = Option("slip_pages", 4, "Pages of each slip.", least=1)
EVERY = Option("slip_every", 900, "Seconds between two sums.", least=1)


class Slip(Event):
    """An amount on a page; `due`: when it is to be paid, ms; `gone`: the slip is torn up."""

    name: str
    amount: int = 0
    page: str = ""
    due: int = 0
    at: int | None = None
    gone: bool = False


class SlipHead(Head):
    """Its sum, and when time alone changes it."""

    amount: int = 0
    due: int = 0
    paid: int = 0


class Note(Cell):
    """("note", number) and ("page", name)."""

    amount: int = 0


class SlipTotals(Totals):
    """Flow: notes. Stock: amount. By the slip's first letter: stock, too."""

    notes: int = 0
    amount: int = 0
    letters: dict[str, int] = msgspec.field(default_factory=dict)


def reduce(row: Row, event: Slip, _at: int, totals: SlipTotals) -> Outcome | Removed:
    """Every amount counts; a negative one is a duplicate, one of a million is late."""
    if event.gone:
        return REMOVED
    if event.amount < 0:
        return Outcome.DUPLICATE
    totals.notes += 1
    totals.amount += event.amount
    row.head.amount += event.amount
    row.head.due = event.due
    row.table.keep(row, numbered("note", totals.notes), Note(event.amount))
    if event.page:
        newest_cell(row, ("page", event.page), Note, row.table.options[PAGES.name]).amount += event.amount
    row.head.pending = 1
    return Outcome.APPLIED


def bury(row: Row, totals: SlipTotals) -> None:
    """Its amount is no longer there."""
    totals.amount -= row.head.amount


def snapshots(row: Row, now: int, _totals: SlipTotals) -> list[Snapshot]:
    """What is due by now is paid."""
    head = row.head
    if head.due and head.due <= now:
        head.paid, head.due = head.paid + 1, 0
    return [Snapshot("", {"amount": head.amount, "paid": head.paid})]


def in_ring(row: Row, totals: SlipTotals, revision: int, partition: int) -> dict[str, Any]:
    """A record per event."""
    return {"revision": revision, "partition": partition, "name": row.entity, "amount": totals.amount}


def sums(totals: SlipTotals, time: int, options: Options) -> tuple[str, dict[str, Any]]:
    """The periodic record."""
    return "all", {"timestamp": time, "amount": totals.amount, "every": options[EVERY.name]}


SLIPS = Domain(
    name="slips",
    entity_name="slip",
    version=1,
    event=Slip,
    entity=lambda event: event.name,
    at=lambda event: event.at,
    on_null=lambda key: Slip(key, gone=True),
    reduce=reduce,
    head=SlipHead,
    cells={"note": Note, "page": Note},
    totals=SlipTotals,
    bury=bury,
    snapshots=snapshots,
    per_event=PerEvent(Ring("ring", RING), in_ring),
    at_time=AtTime(lambda head: head.due),
    periodic=Periodic("sums", EVERY, sums, "/sums", "Publish the sums."),
    topics=(Topic("ring", "slips-ring", "a ring"), Topic("sums", "slips-sums", "sums", 30)),
    retention=(FirstOut("note", QUEUE), Newest("page", PAGES)),
    recents=(Recent("active", 600, lambda row: row.head.at, lambda row: row.head.amount),),
)
