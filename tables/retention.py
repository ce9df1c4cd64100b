"""Retention by count: Kafka keeps by time, by size or by latest key; statistics want the newest N.

Three rules over cells and records, all pure: the newest cells of a row, the first in is the first out over a
partition, and rings of slots in a compacted topic. (The limit on whole rows is the table's own.)
"""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from tables.option import Option

if TYPE_CHECKING:
    from tables.row import CellName, Row


@dataclass(frozen=True)
class Newest:
    """Every row keeps the `limit` cells of a kind whose names are the greatest: days and months sort as text."""

    kind: str
    limit: Option


@dataclass(frozen=True)
class FirstOut:
    """All rows together keep `limit` cells of a kind, divided over the partitions: first in, first out.

    The names are (kind, number) with a number that grows within the partition, in as many digits (`numbered`).
    """

    kind: str
    limit: Option


@dataclass(frozen=True)
class Ring:
    """The newest `limit` records of each partition in a compacted topic.

    A record is written under `partition/slot`, slot = revision % limit, so compaction keeps exactly the newest ones,
    without tombstones. Readers sort by `revision` and take the newest N (`newest_records`): the part of a log that is
    not compacted yet holds more.
    """

    role: str
    limit: Option


Rule = Newest | FirstOut
T = TypeVar("T")

DIGITS = 15  # 10^15 numbers: a million a second for thirty years


def numbered(kind: str, number: int) -> "CellName":
    """The name of a cell in a FirstOut: sorts by number."""
    return kind, f"{number:0{DIGITS}d}"


def newest_cell(row: "Row", name: "CellName", make: Callable[[], Any], limit: int) -> Any:
    """The named cell of a row that keeps the `limit` greatest names of this kind, to be changed by the caller.

    A new name pushes the smallest one out. One that is smaller than all that are kept was pushed out before, or would
    be next: it gets a cell that is not kept, so the caller need not care.
    """
    cell = row.cells.get(name)
    if cell is not None:
        row.touch(name)
        return cell
    if len(row.cells) >= limit:  # of all kinds: so there are not too many of this one, and nothing has to be sorted
        names = [other for other in row.cells if other[0] == name[0]]
        if len(names) >= limit:
            if name < (smallest := min(names)):
                return make()
            row.drop(smallest)
    return row.cell(name, make)


def surplus(row: "Row", kind: str, limit: int) -> list["CellName"]:
    """The cells that a row has beyond a limit that was lowered, the smallest names first."""
    names = [name for name in row.cells if name[0] == kind]
    return heapq.nsmallest(max(0, len(names) - limit), names)


def slot_key(partition: int, revision: int, limit: int) -> bytes:
    """The key of a record in a ring."""
    return b"%d/%d" % (partition, revision % limit)


class _Revision(msgspec.Struct):
    revision: int


def revision_of(value: bytes | None) -> int | None:
    """The revision of a record in a ring; None for a tombstone, and for what a stranger has written."""
    try:
        return msgspec.json.decode(value or b"", type=_Revision).revision
    except (msgspec.MsgspecError, RecursionError):
        return None


def newest_records(records: Iterable[T], count: int, revision: Callable[[T], int]) -> list[T]:
    """The newest records of a ring's partition in order of their revision, whatever was compacted already."""
    return heapq.nlargest(count, records, key=revision)[::-1]
