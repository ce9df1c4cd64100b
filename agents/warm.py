"""A warm copy of a partition's rows: the changelog applied record by record while somebody else still writes it.

A cold restore keeps bytes until the end and decodes what is left. A copy is decoded as it is read, and so is what
follows from its rows (their order, names, lists of the best, queues), so that little is left to do when it is promoted.
The result is the same, byte for byte: law 3 is checked for both.

Reading follows the log and may stop anywhere. What is derived is made by `settle`, where no transaction is half read.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import merge
from itertools import islice
from typing import Any

import msgspec

from agents.emit import await_dues, schedule
from agents.restore import LONG_AGO_MS
from agents.task import Record, Task
from tables.named import headless, miscounted, named, of_another_version
from tables.row import CellName, Row
from tables.table import TOTALS_KEY, CorruptCellError, cell_key, said

# Between two turns of whoever else waits: 1,000 rows x 1-3 us.
ROWS_AT_A_TIME = 1_000


class WarmCopy:
    """The rows of one partition that another worker owns, in a task that nobody serves and nobody folds into.

    Attributes:
        task: has the rows; after `finish` it is what a restore would have made.
        position: the next offset of the changelog to read; whoever reads sets it.
        records: how many have been read.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.position = 0
        self.records = 0
        domain = task.domain
        self._version = bytes([domain.version])
        self._head = msgspec.msgpack.Decoder(domain.head).decode
        self._cells = {kind: msgspec.msgpack.Decoder(type_).decode for kind, type_ in domain.cells.items()}
        self._headless: dict[bytes, Row] = {}  # rows of which only other cells are known yet
        self._corrupt: dict[bytes, str] = {}  # keys whose newest value is no cell, and why
        self._changed: dict[bytes, Row] = {}  # since the last settling: rows, also those that are gone by now
        self._moved: dict[bytes, Row] = {}  # of those, the ones with another place in the order of updates
        self._newest = -1  # the offset of the last row in that order
        self._owing: dict[bytes, Row] = {}  # rows that owe a snapshot
        self._queued: dict[str, dict[Any, Row]] = {kind: {} for kind in task.table.queues}

    # -- reading -----------------------------------------------------------------------------------------------------

    def read(self, records: Iterable[Record]) -> None:
        """Take records in, in the order of the log."""
        for record in records:
            self.records += 1
            key, value = record.key or b"", record.value
            if self._corrupt:
                self._corrupt.pop(key, None)
            try:
                self._take(key, value)
            except (msgspec.MsgspecError, LookupError, TypeError, ValueError, RecursionError) as error:
                if value is not None:  # a tombstone of something that is no cell buries nothing
                    self._corrupt[key] = said(error)

    def _take(self, key: bytes, value: bytes | None) -> None:
        if value is not None and not value.startswith(self._version):
            raise ValueError(of_another_version(value, self.task.domain.version))
        entity, *path = _decode_key(key)
        name: CellName = tuple(path)
        if cell_key(entity, name) != key:
            raise ValueError(f"another spelling of {named(cell_key(entity, name))}")
        if entity is None:
            self._take_own(name, value)
        elif name:
            self._take_cell(entity, name, value)
        else:
            self._take_head(entity, value)

    def _take_own(self, name: CellName, value: bytes | None) -> None:
        """The partition's totals, or a number that it has noted for itself."""
        table, domain = self.task.table, self.task.domain
        if name:
            (mark,) = name
            if value is None:
                table.marks.pop(mark, None)
            else:
                table.marks[mark] = msgspec.msgpack.decode(value[1:], type=int)
            return
        totals = domain.totals() if value is None else msgspec.msgpack.decode(value[1:], type=domain.totals)
        totals.lengthen()
        table.totals = totals

    def _take_head(self, entity: str, value: bytes | None) -> None:
        table, key = self.task.table, entity.encode()
        row = table.rows.get(key)
        if value is None:
            if row is not None:
                self._take_row_out(key, row)
            return
        head = self._head(value[1:])
        if row is None:
            row = table.rows[key] = self._headless.pop(key) if key in self._headless else Row(table, entity, None)
            if table.names is not None:
                table.names.add(entity)
            self._moved[key] = row
        elif row.head.offset != head.offset:  # else only a publication was noted
            self._moved[key] = row
        row.head = head
        self._changed[key] = row

    def _take_row_out(self, key: bytes, row: Row) -> None:
        table = self.task.table
        del table.rows[key]
        if table.names is not None:
            table.names.remove(row.entity)
        row.head = None
        self._moved.pop(key, None)
        self._changed[key] = row
        if row.cells:
            self._headless[key] = row

    def _take_cell(self, entity: str, name: CellName, value: bytes | None) -> None:
        table, key = self.task.table, entity.encode()
        row = table.rows.get(key) or self._headless.get(key)
        queue = table.queues.get(name[0])
        if value is None:
            if row is None:
                return
            row.cells.pop(name, None)
            if queue is not None:
                queue.pop(name, None)
                self._queued[name[0]].pop(name, None)
            if row.head is None and not row.cells:
                del self._headless[key]
        else:
            cell = self._cells[name[0]](value[1:])
            if row is None:
                row = self._headless[key] = Row(table, entity, None)
            row.cells[name] = cell
            if queue is not None:
                (queue if name in queue else self._queued[name[0]])[name] = row
        self._changed[key] = row

    # -- what is derived ---------------------------------------------------------------------------------------------

    def settle(self) -> Iterator[int]:
        """Bring what is derived up to what has been read; yields how much is done, now and then.

        The copy must be where no transaction is half read. Nothing may be read before the iterator's end.

        Raises:
            Exception: whatever the domain raises for a row that is not whole; the copy is of no use any more.
        """
        changed, self._changed = self._changed, {}
        moved, self._moved = self._moved, {}
        yield from self._put_in_order(moved)
        table, tops = self.task.table, self.task.domain.tops
        for done, (key, row) in enumerate(changed.items()):
            if row.head is not None and row.head.pending:
                self._owing[key] = row
            else:
                self._owing.pop(key, None)
            for top in tops:
                table.tops[top.name].update(row.entity, None if row.head is None else top.rank(row))
            if done % ROWS_AT_A_TIME == 0:
                yield done
        table.refill_tops()
        for kind in self._queued:
            self._queue(kind)

    def _put_in_order(self, moved: dict[bytes, Row]) -> Iterator[int]:
        """Move rows to the end in the order of their last updates; all of them, where some belong further up."""
        rows = self.task.table.rows
        runs: list[list[bytes]] = []
        yield from _sort(moved, runs)
        if runs and min(rows[run[0]].head.offset for run in runs) <= self._newest:
            runs.clear()
            yield from _sort(rows, runs)
        for done, key in enumerate(merge(*runs, key=lambda key: rows[key].head.offset)):
            rows.move_to_end(key)
            if done % ROWS_AT_A_TIME == 0:
                yield done
        if runs:
            self._newest = rows[next(reversed(rows))].head.offset

    def _queue(self, kind: str) -> None:
        """Add new cells to the queue of their kind: they come after all others, but within a commit in any order."""
        queued, self._queued[kind] = self._queued[kind], {}
        queue = self.task.table.queues[kind]
        if queued and queue and min(queued) < next(reversed(queue)):
            queued |= queue
            queue.clear()
        for name in sorted(queued):
            queue[name] = queued[name]

    # -- promotion ---------------------------------------------------------------------------------------------------

    def finish(self, now: int) -> Iterator[int]:
        """Make the task what a restore from the same log would have made; yields now and then.

        Args:
            now: ms since the epoch.

        Raises:
            CorruptCellError: for what is not a cell of the domain; the copy is of no use any more.
        """
        self._check()
        yield from self.settle()
        task, table = self.task, self.task.table
        runs: list[list[bytes]] = []
        yield from _sort(self._owing, runs)
        for done, key in enumerate(merge(*runs, key=lambda key: table.rows[key].head.offset)):
            row = table.rows[key]
            row.scheduled = True
            table.pending.append(row)
            if done % ROWS_AT_A_TIME == 0:
                yield done
        for top in table.tops.values():
            top.changed = bool(table.rows)
        yield from self._adopt_marks()
        yield from table.lower(now)
        rows = iter(list(table.rows.values()) if task.domain.at_time else ())
        while some := list(islice(rows, ROWS_AT_A_TIME)):
            await_dues(task, some)
            yield len(some)
        schedule(task, LONG_AGO_MS)

    def _adopt_marks(self) -> Iterator[int]:
        table = self.task.table
        for done, (name, mark) in enumerate(table.marks.items()):
            try:
                table.originals.adopt(name, mark)
            except ValueError as error:
                raise CorruptCellError(f"mark {name!r}: {error}", cell_key(None, (name,))) from error
            if done % ROWS_AT_A_TIME == 0:
                yield done

    def _check(self) -> None:
        table = self.task.table
        for key, reason in self._corrupt.items():
            raise CorruptCellError(f"{named(key)}: {reason}", key)
        for row in self._headless.values():
            raise CorruptCellError(headless(row.entity))
        if table.totals.keys != len(table.rows):
            raise CorruptCellError(miscounted(len(table.rows), table.totals.keys), TOTALS_KEY)

    @property
    def settled(self) -> bool:
        """Whether nothing was read since the last settling."""
        return not self._changed


def _sort(rows: Mapping[bytes, Row], runs: list[list[bytes]]) -> Iterator[int]:
    """Add the rows' keys to the runs, each of them in the order of the last updates."""
    keys = iter(rows)
    while run := list(islice(keys, ROWS_AT_A_TIME)):
        runs.append(sorted(run, key=lambda key: rows[key].head.offset))
        yield len(runs)


# A null is the partition itself, where an entity's name would be; anywhere else it is no name of a cell.
_decode_key: Callable[[bytes], tuple[Any, ...]] = msgspec.json.Decoder(tuple[str | None, ...]).decode
