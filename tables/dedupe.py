"""Bounded memory of what was folded already.

Kafka transactions make consumption exact; producers still repeat themselves (retries, a backfill run twice). An event
that carries a source and a sequence is a duplicate when its sequence is not above the last one of that source. A row
remembers its most recent sources, `SOURCES` of them; a source that it has forgotten counts as new.
"""

from tables.row import Cell, Head, Row

SOURCES = 500
KIND = "source"


class SourceHead(Head):
    """A head that remembers the source at hand, so that an event of the same source writes no further cell."""

    source: str = ""
    sequence: int = -1


class Seen(Cell):
    """A source that is not at hand: its last sequence, and the row's revision when it was last at hand."""

    sequence: int
    revision: int


def is_duplicate(row: Row, source: str, sequence: int) -> bool:
    """Whether the row has folded this event already."""
    head: SourceHead = row.head
    if head.source == source:
        return sequence <= head.sequence
    seen = row.cells.get((KIND, source))
    return seen is not None and sequence <= seen.sequence


def remember(row: Row, source: str, sequence: int) -> None:
    """Note an event as folded. The caller has asked `is_duplicate` and touches the head."""
    head: SourceHead = row.head
    if head.source != source:
        if head.source:
            seen = row.cell((KIND, head.source), lambda: Seen(-1, -1))
            seen.sequence, seen.revision = head.sequence, head.revision
        if (KIND, source) in row.cells:
            row.drop((KIND, source))  # it takes the place of the one that was at hand: there are no more than before
        else:
            forget_oldest(row)
        head.source = source
    head.sequence = sequence


def forget_oldest(row: Row, limit: int = SOURCES) -> None:
    """Keep `limit` sources, the one at hand included: those whose last event is the latest."""
    if len(row.cells) < limit:  # of all kinds: so there are not too many of this one, and nothing has to be sorted
        return
    seen = row.of_kind(KIND)
    for name, _ in sorted(seen, key=lambda item: item[1].revision)[: max(0, len(seen) - (limit - 1))]:
        row.drop(name)
