"""A table's partition: its rows, totals, top lists and index of names, and how they become changelog records."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
from sortedcontainers import SortedKeyList

from tables.domain import Domain
from tables.event import OUTCOMES
from tables.row import HEAD, CellName, Row
from tables.top import TopList

TOTALS_KEY = b"[null]"  # no entity is null, so this key is nobody's row


class Change(NamedTuple):
    """One changelog record: a cell as it is now, or None where it is gone."""

    key: bytes
    value: bytes | None


class CorruptCellError(ValueError):
    """A changelog record that is not a cell of this domain, in a format that this version knows."""


class UnwritableRowError(ValueError):
    """A row that cannot be encoded or ranked: a defect of its domain, or a sum beyond 64 bits."""

    def __init__(self, entity: str, offset: int, error: Exception) -> None:
        super().__init__(f"the row of {entity!r} cannot be written: {type(error).__name__}: {error}")
        self.offset = offset


class Table:
    """The rows of one partition of one domain, in order of their last update (the oldest first)."""

    def __init__(self, domain: Domain, partition: int, *, partitions: int = 1, key_limit: int | None = None) -> None:
        self.domain = domain
        self.partition = partition
        limit = domain.key_limit if key_limit is None else key_limit
        # The limit on keys, divided over the partitions, the remainder over the first of them: together they never
        # exceed it. But 0 would be no limit, and a partition cannot do without the row at hand: 1 is the least.
        share = limit // partitions + (partition < limit % partitions)
        self.row_limit = max(1, share) if limit else 0
        self.rows: OrderedDict[bytes, Row] = OrderedDict()
        self.totals: Any = domain.totals()
        self.totals_changed = False
        self.tops = {top.name: TopList() for top in domain.tops}
        self.names = SortedKeyList(key=lambda name: (name.casefold(), name)) if domain.searchable else None
        self.dirty: list[Row] = []
        self.pending: list[Row] = []  # rows that owe a snapshot and are in no timer yet
        self.buried: list[str] = []  # entities put away whose stats are not yet
        self._tombstones: list[Change] = []

    # -- rows come and go ------------------------------------------------------------------------------------------

    def insert(self, key: bytes, row: Row) -> None:
        """Add a new row; put the least recently updated one away where that exceeds the limit."""
        self.rows[key] = row
        self.totals.keys += 1
        if self.names is not None:
            self.names.add(row.entity)
        if 0 < self.row_limit < len(self.rows):
            self.bury(next(iter(self.rows)))

    def bury(self, key: bytes) -> None:
        """Delete a row by tombstones for all its cells; what it owed the stats topic is deleted there too."""
        row = self.rows.pop(key)
        self.domain.bury(row, self.totals)
        self.totals.keys -= 1
        self.totals.buried += 1
        if self.names is not None:
            self.names.remove(row.entity)
        for top in self.tops.values():
            top.update(row.entity, None)
        written = {*row.cells, *(row.changed or ()), HEAD}  # changed cells may be gone and yet on the changelog
        self._tombstones += [Change(cell_key(row.entity, name), None) for name in sorted(written)]
        row.changed = {}  # never None again: whoever still holds the row cannot make it dirty
        row.scheduled = True
        self.buried.append(row.entity)

    # -- to the changelog ------------------------------------------------------------------------------------------

    def take(self) -> list[Change]:
        """What has changed since the last call, encoded. Top lists take the changed rows in on the way.

        Raises:
            UnwritableRowError: a row or the totals cannot be encoded; the table must not be used any more.
        """
        changes, self._tombstones = self._tombstones, []
        version = bytes([self.domain.version])
        encode = msgspec.msgpack.Encoder().encode
        for row in self.dirty:
            changed = row.changed
            if not changed:  # buried since
                continue
            row.changed = None
            entity, cells = row.entity, row.cells
            try:
                for name in changed:
                    cell = cells.get(name) if name else row.head
                    changes.append(Change(cell_key(entity, name), None if cell is None else version + encode(cell)))
                for top in self.domain.tops:
                    self.tops[top.name].update(entity, top.rank(row))
            except Exception as error:
                raise UnwritableRowError(entity, row.head.offset, error) from error
        self.dirty.clear()
        self._refill_tops()
        if self.totals_changed:
            self.totals_changed = False
            try:
                changes.append(Change(TOTALS_KEY, version + encode(self.totals)))
            except Exception as error:
                raise UnwritableRowError("the totals", self.totals.position - 1, error) from error
        return changes

    def _refill_tops(self) -> None:
        for top in self.domain.tops:
            if self.tops[top.name].wanting:
                ranked = ((row.entity, top.rank(row)) for row in self.rows.values())
                self.tops[top.name].rebuild((entity, value) for entity, value in ranked if value is not None)

    # -- from the changelog ----------------------------------------------------------------------------------------

    def load(self, cells: Iterable[tuple[bytes, bytes]]) -> Iterator[int]:
        """Fill an empty table from the latest value of every changelog key; yields how many are done, now and then.

        Raises:
            CorruptCellError: for a key or value that is not a cell of this domain.
        """
        decoders = {kind: msgspec.msgpack.Decoder(type_).decode for kind, type_ in self.domain.cells.items()}
        head = msgspec.msgpack.Decoder(self.domain.head).decode
        version = bytes([self.domain.version])
        rows: dict[str, Row] = {}
        for done, (key, value) in enumerate(cells):
            if not value.startswith(version):
                raise CorruptCellError(
                    f"cell {key!r} has format {value[:1].hex() or 'none'}, want {self.domain.version}"
                )
            try:
                if key == TOTALS_KEY:
                    self.totals = msgspec.msgpack.decode(value[1:], type=self.domain.totals)
                    self.totals.outcomes += [0] * (len(OUTCOMES) - len(self.totals.outcomes))  # of earlier releases
                    continue
                path = _decode_key(key)
                entity = path[0]
                row = rows.get(entity)
                if row is None:
                    row = rows[entity] = Row(self, entity, None)
                if len(path) == 1:
                    row.head = head(value[1:])
                else:
                    row.cells[path[1:]] = decoders[path[1]](value[1:])
            except (msgspec.MsgspecError, LookupError, TypeError, ValueError) as error:
                raise CorruptCellError(f"cell {key!r}: {error}") from error
            if done % 10_000 == 0:
                yield done
        yield from self._adopt(rows)

    def _adopt(self, rows: dict[str, Row]) -> Iterator[int]:
        for entity, row in rows.items():
            if row.head is None:
                raise CorruptCellError(f"cells of {entity!r} without their head")
        # What is derived: the order of retention, the names, the lists of the best, the owed snapshots.
        for row in sorted(rows.values(), key=attrgetter("head.offset")):
            self.rows[row.entity.encode()] = row
        yield len(rows)
        if self.totals.keys != len(rows):
            raise CorruptCellError(f"{len(rows)} rows, but the totals {TOTALS_KEY!r} know of {self.totals.keys}")
        if self.names is not None:
            self.names.update(rows)
        yield len(rows)
        self.pending = [row for row in self.rows.values() if row.head.pending]
        for row in self.pending:
            row.scheduled = True
        for top in self.domain.tops:
            ranked = ((row.entity, top.rank(row)) for row in self.rows.values())
            self.tops[top.name].rebuild((entity, value) for entity, value in ranked if value is not None)
            self.tops[top.name].changed = bool(rows)  # a list that this release has added is not published yet
            yield len(rows)
        while 0 < self.row_limit < len(self.rows):  # the limit is lower than it was: the surplus goes before it is seen
            self.bury(next(iter(self.rows)))
            self.totals_changed = True

    def read(self) -> dict[bytes, bytes]:
        """Every cell encoded, for comparisons: key -> value, as a fully compacted changelog would hold them."""
        version = bytes([self.domain.version])
        encode = msgspec.msgpack.encode
        cells = {TOTALS_KEY: version + encode(self.totals)}
        for row in self.rows.values():
            cells[cell_key(row.entity, HEAD)] = version + encode(row.head)
            cells.update({cell_key(row.entity, name): version + encode(cell) for name, cell in row.cells.items()})
        return cells


_encode_key = msgspec.json.Encoder().encode
_decode_key = msgspec.json.Decoder(tuple[str, ...]).decode


def cell_key(entity: str, name: CellName) -> bytes:
    """The changelog key of a cell: readable in any Kafka tool, and unambiguous for hostile names."""
    return _encode_key((entity, *name))
