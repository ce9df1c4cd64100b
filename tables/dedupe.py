"""Bounded memory of what was folded already.

Kafka transactions make consumption exact; producers still repeat themselves (retries, a backfill run twice). An event
that carries a source and a sequence is a duplicate when its sequence is not above the last one of that source. A row
remembers its most recent sources, `SOURCES` of them; a source that it has forgotten counts as new.

An event that carries an id is a duplicate when its id is among the row's last ones (`LastIds`).

A resent dead letter comes after later events of its source, and it was never folded: the last sequence does not speak
of it (`tables/resent.py` has what does). An id that is remembered does: whoever has sent it, it was folded.
"""

from hashlib import blake2b

from tables.row import Cell, CellName, Head, Row

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
    """Whether the row has folded this event already. Of a resent dead letter only its original can tell."""
    if row.table.resent:
        return False
    head: SourceHead = row.head
    if head.source == source:
        return sequence <= head.sequence
    seen = row.cells.get((KIND, source))
    return seen is not None and sequence <= seen.sequence


def remember(row: Row, source: str, sequence: int) -> None:
    """Note an event as folded. The caller has asked `is_duplicate` and touches the head.

    The last sequence of a source never falls: that of a resent dead letter may be below it.
    """
    head: SourceHead = row.head
    last = head.sequence
    if head.source != source:
        if head.source:
            at_hand = row.cell((KIND, head.source), lambda: Seen(-1, -1))
            at_hand.sequence, at_hand.revision = head.sequence, head.revision
        seen = row.cells.get((KIND, source))
        if seen is not None:
            row.drop((KIND, source))  # it takes the place of the one that was at hand: there are no more than before
        else:
            forget_oldest(row)
        head.source = source
        last = -1 if seen is None else seen.sequence
    head.sequence = max(last, sequence)


def forget_oldest(row: Row, limit: int = SOURCES) -> None:
    """Keep `limit` sources, the one at hand included: those whose last event is the latest."""
    if len(row.cells) < limit:  # of all kinds: so there are not too many of this one, and nothing has to be sorted
        return
    seen = row.of_kind(KIND)
    for name, _ in sorted(seen, key=lambda item: item[1].revision)[: max(0, len(seen) - (limit - 1))]:
        row.drop(name)


# -- ids ---------------------------------------------------------------------------------------------------------------

ID_KIND = "id"
ID_BYTES = 16  # of a UUID; two of 10^9 digests of that length are the same with a chance of 10^-21
_UUID_DIGITS = 32


class IdHead(Head):
    """A head that holds the newest ids, so that a new id writes no cell beside it until there are enough for one."""

    ids: bytes = b""
    """The newest ids, packed one after the other; fewer than a cell holds."""
    id_cells: int = 0
    """How many cells of ids have been filled, ever."""


class IdCell(Cell):
    """("id", slot): as many ids as a cell holds, packed, the oldest first."""

    ids: bytes


def packed(id_: str) -> bytes:
    """An id in 16 bytes: those of a UUID, however it is written (case, dashes), or a digest of anything else."""
    digits = id_.replace("-", "")
    if len(digits) == _UUID_DIGITS:
        try:
            value = bytes.fromhex(digits)
        except ValueError:
            value = b""
        if len(value) == ID_BYTES:  # fewer where there are spaces, which fromhex passes over
            return value
    return blake2b(id_.encode(), digest_size=ID_BYTES).digest()


class LastIds:
    """The memory of exactly the last `last` ids of a row whose head is an `IdHead`: a ring of cells.

    The newest ids are in the head, which is written with every event anyway; each time that there are `per_cell` of
    them they move to the oldest slot of the ring. The head's take the place of as many of the oldest slot's, which are
    forgotten though they are still there. So an id costs 16 bytes in the head, and every `per_cell` ids one cell.

    Attributes:
        last: how many ids are remembered; a multiple of `per_cell`.
        per_cell: ids of a cell. A question looks through `last / per_cell` cells.
    """

    def __init__(self, last: int = 32, per_cell: int = 16) -> None:
        if last < 1 or per_cell < 1 or last % per_cell:
            raise ValueError(f"last={last} has to be a multiple of per_cell={per_cell}")
        self.last = last
        self.per_cell = per_cell
        self._full = per_cell * ID_BYTES
        slots = last // per_cell
        self._names: tuple[CellName, ...] = tuple((ID_KIND, str(slot)) for slot in range(slots))  # shared by all rows

    def knows(self, row: Row, id_: bytes) -> bool:
        """Whether a packed id is among the last ones of the row."""
        head: IdHead = row.head
        if head.ids.find(id_) >= 0 and _at(head.ids, id_) >= 0:  # quicker than `in`, which tries an integer first
            return True
        get = row.cells.get
        for name in self._names[: head.id_cells]:  # no more than have been filled
            cell = get(name)
            if cell is not None and cell.ids.find(id_) >= 0 and self._counts(head, name, cell.ids, id_):
                return True
        return False

    def _counts(self, head: IdHead, name: CellName, ids: bytes, id_: bytes) -> bool:
        oldest = name == self._names[head.id_cells % len(self._names)]
        return _at(ids, id_, len(head.ids) if oldest else 0) >= 0

    def remember(self, row: Row, id_: bytes) -> None:
        """Note a packed id as folded. The caller has asked `knows` and touches the head."""
        head: IdHead = row.head
        ids = head.ids + id_
        if len(ids) == self._full:
            cell = row.cell(self._names[head.id_cells % len(self._names)], _empty)
            cell.ids = ids
            head.id_cells += 1
            ids = b""
        head.ids = ids


def _empty() -> IdCell:
    return IdCell(b"")


def _at(ids: bytes, id_: bytes, start: int = 0) -> int:
    """Where an id stands, from `start` on; -1: nowhere. What lies across two ids is none."""
    at = ids.find(id_, start)
    while at % ID_BYTES and at >= 0:
        at = ids.find(id_, at + 1)
    return at
