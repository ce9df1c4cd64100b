"""The smallest domain there is: a head that counts and sums, and no other cell."""

from tables.domain import Domain
from tables.event import Event, Outcome
from tables.row import Head, Row
from tables.totals import Totals


class Measured(Event):
    """An amount, measured at a time in ms since the epoch."""

    entity: str
    amount: int
    at: int


class SumHead(Head):
    """How often, and how much."""

    count: int = 0
    amount: int = 0


def reduce(row: Row, event: Measured, _at: int, _totals: Totals) -> Outcome:
    """Count and sum."""
    head: SumHead = row.head
    head.count += 1
    head.amount += event.amount
    return Outcome.APPLIED


ONE_CELL = Domain(
    name="one-cell",
    entity_name="entity",
    version=1,
    event=Measured,
    entity=lambda event: event.entity,
    at=lambda event: event.at,
    reduce=reduce,
    head=SumHead,
    key_limit=0,
)
