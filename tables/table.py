"""A table's partition: its rows, totals, lists and indexes, and how they become changelog records."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

import msgspec
from sortedcontainers import SortedKeyList

from tables.domain import Domain, Top
from tables.named import headless, miscounted, named, of_another_version
from tables.option import Options
from tables.recent import sightings
from tables.resent import Originals
from tables.retention import FirstOut, Newest, surplus
from tables.row import HEAD, CellName, Row
from tables.top import TopList

TOTALS_KEY = b"[null]"  # no entity is null, so this key is nobody's row
MARK = b'[null,"'  # the beginning of a mark's key


class Change(NamedTuple):
    """One changelog record: a cell as it is now, or None where it is gone."""

    key: bytes
    value: bytes | None


class CorruptCellError(ValueError):
    """A changelog record that is not a cell of this domain, in a format that this version knows.

    `key`: of the record at fault, as far as there is one (a record may have none).
    """

    def __init__(self, message: str, key: bytes | None = None) -> None:
        super().__init__(message)
        self.key = key


class UnwritableRowError(ValueError):
    """A row that cannot be encoded or ranked: a defect of its domain, or a sum beyond 64 bits."""

    def __init__(self, entity: str, offset: int, error: Exception) -> None:
        super().__init__(f"the row of {entity!r} cannot be written: {type(error).__name__}: {error}")
        self.offset = offset


class Table:
    """The rows of one partition of one domain, in order of their last update (the oldest first)."""

    def __init__(
        self,
        domain: Domain,
        partition: int,
        *,
        partitions: int = 1,
        key_limit: int | None = None,
        options: Options | None = None,
    ) -> None:
        self.domain = domain
        self.partition = partition
        self.partitions = partitions
        self.options = {option.name: option.default for option in domain.options} | dict(options or {})
        limit = domain.key_limit if key_limit is None else key_limit
        self.row_limit = self.share(limit) if limit else 0
        self.rows: OrderedDict[bytes, Row] = OrderedDict()
        self.totals: Any = domain.totals()
        self.totals_changed = False
        self.marks: dict[str, int] = {}  # what the partition has to remember beside its rows and totals
        self.originals = Originals(self)
        self.resent = False  # whether the event at hand is a resent dead letter's
        self.tops = {top.name: TopList() for top in domain.tops}
        self.recents = sightings(domain.recents)
        self.names = SortedKeyList(key=lambda name: (name.casefold(), name)) if domain.searchable else None
        # Per kind of cell that goes first in, first out: the cells' names in that order, with their rows.
        self.queues: dict[str, OrderedDict[CellName, Row]] = {
            rule.kind: OrderedDict() for rule in domain.retention if isinstance(rule, FirstOut)
        }
        self.queue_limits = {
            rule.kind: self.share(self.options[rule.limit.name])
            for rule in domain.retention
            if isinstance(rule, FirstOut)
        }
        self.dirty: list[Row] = []
        self.pending: list[Row] = []  # rows that owe a snapshot and are in no timer yet
        self.buried: list[tuple[str, tuple[str, ...]]] = []  # entities put away whose stats are not yet, with suffixes
        self._tombstones: list[Change] = []
        self._marked: list[str] = []
        self._noted: list[str] = []

    def empty(self) -> Iterator[int]:
        """Let all rows go, which refer to the table as it does to them; yields now and then. It is of no use then."""
        for queue in self.queues.values():
            queue.clear()
        self.dirty.clear()
        self.pending.clear()
        while self.rows:
            self.rows.popitem()
            if len(self.rows) % 1_000 == 0:
                yield len(self.rows)

    def share(self, limit: int) -> int:
        """This partition's share of a limit on all partitions together; the remainder is the first ones'.

        Together they never exceed it. But a partition cannot do without the one thing at hand: 1 is the least.
        """
        return max(1, limit // self.partitions + (self.partition < limit % self.partitions))

    def mark(self, name: str, value: int) -> None:
        """Note a number of the partition's own, written with the next commit."""
        if self.marks.get(name) != value:
            self.marks[name] = value
            self._marked.append(name)

    def unmark(self, name: str) -> None:
        """Delete a number of the partition's own, with the next commit."""
        if self.marks.pop(name, None) is not None:
            self._marked.append(name)

    def note(self, name: str, value: int) -> None:
        """As `mark`, but written with the next totals: it gives no reason for a commit by itself."""
        if self.marks.get(name) != value:
            self.marks[name] = value
            self._noted.append(name)

    def keep(self, row: Row, name: CellName, cell: Any) -> None:
        """Add a cell to a row and to the queue of its kind; the first ones in go out where they are too many."""
        row.put(name, cell)
        queue = self.queues[name[0]]
        queue[name] = row
        self._let_go(name[0])

    def _let_go(self, kind: str) -> None:
        queue = self.queues[kind]
        while len(queue) > self.queue_limits[kind]:
            name, row = queue.popitem(last=False)
            row.drop(name)

    @property
    def tombstones(self) -> int:
        """How many wait for the next commit."""
        return len(self._tombstones)

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
        """Put a row away because the limit on keys wants it."""
        self.totals.buried += 1
        self.remove(key)

    def remove(self, key: bytes) -> None:
        """Delete a row by tombstones for all its cells; what was published of it is deleted there too."""
        row = self.rows.pop(key)
        self.domain.bury(row, self.totals)
        self.totals.keys -= 1
        if self.names is not None:
            self.names.remove(row.entity)
        for top in self.tops.values():
            top.update(row.entity, None)
        for recent in self.recents.values():
            recent.remove(row.entity)
        for kind, queue in self.queues.items():
            for name in [name for name in row.cells if name[0] == kind]:
                del queue[name]
        written = {*row.cells, *(row.changed or ()), HEAD}  # changed cells may be gone and yet on the changelog
        self._tombstones += [Change(cell_key(row.entity, name), None) for name in sorted(written)]
        row.changed = {}  # never None again: whoever still holds the row cannot make it dirty
        row.scheduled = True
        self.buried.append((row.entity, tuple(self.domain.suffixes_of(row))))

    # -- to the changelog ------------------------------------------------------------------------------------------

    def take(self, now: int) -> list[Change]:
        """What has changed since the last call, encoded. The lists take the changed rows in on the way.

        Args:
            now: ms since the epoch, for those that know how long ago something was.

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
                for recent in self.recents.values():
                    recent.update(row, now)
            except Exception as error:
                raise UnwritableRowError(entity, row.head.offset, error) from error
        self.dirty.clear()
        self.refill_tops()
        for recent in self.recents.values():
            recent.expire(now)
        changes += self._numbers()
        if self.totals_changed:
            self.totals_changed = False
            try:
                changes.append(Change(TOTALS_KEY, version + encode(self.totals)))
            except Exception as error:
                raise UnwritableRowError("the totals", self.totals.position - 1, error) from error
        return changes

    def _numbers(self) -> Iterator[Change]:
        version = bytes([self.domain.version])
        for name in dict.fromkeys(self._marks()):
            value = self.marks.get(name)
            encoded = None if value is None else version + msgspec.msgpack.encode(value)
            yield Change(cell_key(None, (name,)), encoded)

    def _marks(self) -> list[str]:
        """Those that are to be written now."""
        names, self._marked = self._marked, []
        if self.totals_changed:
            names += self._noted
            self._noted = []
        return names

    def refill_tops(self) -> None:
        """Build the lists anew whose candidates are used up."""
        for top in self.domain.tops:
            if self.tops[top.name].wanting:
                self.tops[top.name].rebuild(self._ranked(top))

    def _ranked(self, top: Top) -> Iterator[tuple[str, int]]:
        """Every row that a list may have, with its value."""
        for row in self.rows.values():
            try:
                value = top.rank(row)
            except Exception as error:
                raise _incomplete(row, error) from error
            if value is not None:
                yield row.entity, value

    # -- from the changelog ----------------------------------------------------------------------------------------

    def load(self, cells: Iterable[tuple[bytes, bytes]], now: int) -> Iterator[int]:
        """Fill an empty table from the latest value of every changelog key; yields how many are done, now and then.

        Args:
            cells: key and value of each, no tombstones.
            now: ms since the epoch.

        Raises:
            CorruptCellError: for a key or value that is not a cell of this domain.
        """
        decoders = {kind: msgspec.msgpack.Decoder(type_).decode for kind, type_ in self.domain.cells.items()}
        head = msgspec.msgpack.Decoder(self.domain.head).decode
        version = bytes([self.domain.version])
        rows: dict[str, Row] = {}
        done = -1
        own = 0  # the partition's: totals and marks
        for done, (key, value) in enumerate(cells):
            if not value.startswith(version):
                raise CorruptCellError(f"{named(key)} is {of_another_version(value, self.domain.version)}", key)
            try:
                if key == TOTALS_KEY:
                    self.totals = msgspec.msgpack.decode(value[1:], type=self.domain.totals)
                    self.totals.lengthen()
                    own += 1
                    continue
                if key and key.startswith(MARK):
                    own += 1
                    name, mark = _decode_mark(key)[1], msgspec.msgpack.decode(value[1:], type=int)
                    self.marks[name] = mark
                    self.originals.adopt(name, mark)
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
            except (msgspec.MsgspecError, LookupError, TypeError, ValueError, RecursionError) as error:
                raise CorruptCellError(f"{named(key)} is not a cell: {said(error)}", key) from error
            if done % 10_000 == 0:
                yield done
        yield from self._adopt(rows, done + 1 - own)
        yield from self.lower(now)

    def _adopt(self, rows: dict[str, Row], number: int) -> Iterator[int]:
        for entity, row in rows.items():
            if row.head is None:
                orphan = cell_key(entity, next(iter(row.cells)))
                raise CorruptCellError(headless(entity), orphan)
        if number != len(rows) + sum(len(row.cells) for row in rows.values()):
            raise CorruptCellError("two keys are spellings of one cell: nobody knows which one holds")
        # What is derived: the order of retention, the names, the lists of the best, the owed snapshots.
        for row in sorted(rows.values(), key=attrgetter("head.offset")):
            self.rows[row.entity.encode()] = row
        yield len(rows)
        if self.totals.keys != len(rows):
            raise CorruptCellError(miscounted(len(rows), self.totals.keys), TOTALS_KEY)
        if self.names is not None:
            self.names.update(rows)
        yield len(rows)
        self.pending = [row for row in self.rows.values() if row.head.pending]
        for row in self.pending:
            row.scheduled = True
        for top in self.domain.tops:
            self.tops[top.name].rebuild(self._ranked(top))
            self.tops[top.name].changed = bool(rows)  # a list that this release has added is not published yet
            yield len(rows)
        for kind, queue in self.queues.items():
            found = [(name, row) for row in self.rows.values() for name in row.cells if name[0] == kind]
            queue.update(sorted(found, key=itemgetter(0)))
            yield len(found)

    def lower(self, now: int) -> Iterator[int]:
        """Limits may be lower than they were: the surplus goes before it is seen. Yields now and then."""
        self.originals.lower()
        while 0 < self.row_limit < len(self.rows):
            self.bury(next(iter(self.rows)))
            self.totals_changed = True
        for rule in self.domain.retention:
            if isinstance(rule, FirstOut):
                self._let_go(rule.kind)
            elif isinstance(rule, Newest):
                for done, row in enumerate(self.rows.values()):
                    for name in surplus(row, rule.kind, self.options[rule.limit.name]):
                        row.drop(name)
                    if done % 1_000 == 0:
                        yield done
        yield from self._see(now)

    def _see(self, now: int) -> Iterator[int]:
        for recent in self.recents.values():
            for done, row in enumerate(self.rows.values()):
                try:
                    recent.update(row, now)
                except Exception as error:
                    raise _incomplete(row, error) from error
                if done % 1_000 == 0:
                    yield done
            recent.changed = bool(self.rows)

    def read(self) -> dict[bytes, bytes]:
        """Every cell encoded, for comparisons: key -> value, as a fully compacted changelog would hold them."""
        version = bytes([self.domain.version])
        encode = msgspec.msgpack.encode
        cells = {TOTALS_KEY: version + encode(self.totals)}
        cells |= {cell_key(None, (name,)): version + encode(value) for name, value in self.marks.items()}
        for row in self.rows.values():
            cells[cell_key(row.entity, HEAD)] = version + encode(row.head)
            cells.update({cell_key(row.entity, name): version + encode(cell) for name, cell in row.cells.items()})
        return cells


def said(error: Exception) -> str:
    """Why a record is no cell."""
    if isinstance(error, KeyError):
        return f"there are no cells of kind {error.args[0]!r}"
    if isinstance(error, IndexError):
        return "the key names nobody"
    return " ".join(str(error).split()) or type(error).__name__


def _incomplete(row: Row, error: Exception) -> CorruptCellError:
    """Each of its cells can be read, and yet they do not make a row: one of them is gone, or another's."""
    reason = f"the cells of {row.entity!r} do not make a row: {type(error).__name__}: {error}"
    return CorruptCellError(reason, cell_key(row.entity, HEAD))


_encode_key = msgspec.json.Encoder().encode
_decode_key = msgspec.json.Decoder(tuple[str, ...]).decode
_decode_mark = msgspec.json.Decoder(tuple[None, str]).decode


def cell_key(entity: str | None, name: CellName) -> bytes:
    """The changelog key of a cell: readable in any Kafka tool, and unambiguous for hostile names.

    Without an entity, that of a number that the partition has noted for itself.
    """
    return _encode_key((entity, *name))
