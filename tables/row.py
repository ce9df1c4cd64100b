"""Rows made of cells.

A row belongs to one entity and one partition. It has a *head* and named *cells*; a cell is the unit that is written,
so an event costs the cells that it touches, never the size of its row. Rows are live objects, changed in place by
the fold; their changed cells are encoded once per commit.

On the changelog a cell is one record: key = the JSON array ``[entity, *name]`` (``[entity]`` for the head), value =
one byte of format version and the cell in MessagePack, or null where the cell is gone.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from tables.event import LAST_MS

if TYPE_CHECKING:
    from tables.table import Table

CellName = tuple[str, ...]
"""Its first item is the cell's kind: ``("damage", "WeapHK416_C", "HeadShot", "normal")``."""

HEAD: CellName = ()


class Cell(msgspec.Struct, array_like=True, gc=False):
    """The base of all cells. Encoded as an array: new fields go to the end, with a default; none is ever removed."""


class Head(Cell):
    """What every row knows about itself; domains append their own fields. The bounds are checked by a restore."""

    revision: Annotated[int, msgspec.Meta(ge=0)] = 0
    """How many times the row has been changed."""
    offset: Annotated[int, msgspec.Meta(ge=-1)] = -1
    """Source offset of the last event folded into the row."""
    at: Annotated[int, msgspec.Meta(ge=0, le=LAST_MS)] = 0
    """Greatest event time folded, in ms since the epoch."""
    pending: int = 0
    """Which snapshots are owed to the stats topic, as bits that the domain defines. Part of the row, so that an
    emission that is waiting survives a crash."""


class Row(msgspec.Struct, eq=False):
    """One entity of one partition. `changed` names the cells that differ from the changelog (None: no cell)."""

    table: "Table"
    entity: str
    head: Any
    cells: dict[CellName, Any] = msgspec.field(default_factory=dict)
    changed: dict[CellName, None] | None = None
    scheduled: bool = False  # an emission is in the timers; not part of the bytes

    def touch(self, name: CellName = HEAD) -> None:
        """Note that a cell has changed (or is gone), to be written with the next commit."""
        if self.changed is None:
            self.changed = {name: None}
            self.table.dirty.append(self)
        else:
            self.changed[name] = None

    def cell(self, name: CellName, make: Callable[[], Any]) -> Any:
        """The named cell, to be changed by the caller; made when it is new."""
        changed = self.changed
        if changed is None:
            self.changed = {name: None}
            self.table.dirty.append(self)
        else:
            changed[name] = None
        cell = self.cells.get(name)
        if cell is None:
            cell = self.cells[name] = make()
        return cell

    def put(self, name: CellName, cell: Any) -> None:
        """Set the named cell, new or in place of the one there was."""
        self.cells[name] = cell
        self.touch(name)

    def drop(self, name: CellName) -> None:
        """Remove a cell; its tombstone goes out with the next commit."""
        if self.cells.pop(name, None) is not None:
            self.touch(name)

    def of_kind(self, kind: str) -> list[tuple[CellName, Any]]:
        """The cells of one kind, in the order of their names: answers do not depend on the order of arrival."""
        return sorted((item for item in self.cells.items() if item[0][0] == kind), key=lambda item: item[0])
