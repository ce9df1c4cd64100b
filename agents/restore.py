"""From changelog records back to rows.

The latest record of every key wins and a null removes it, as compaction would have it. Reading is bulk: bytes go into
a dict, and only what is left in the end is decoded.
"""

from collections.abc import Iterable, Iterator

from agents.emit import await_dues, schedule
from agents.task import Record, Task

LONG_AGO_MS = -(10**9) * 1000  # what was owed by then is due at once


class Restore:
    """The changelog of one partition being read. Call `read` with its records in order, then `finish`."""

    def __init__(self) -> None:
        self.cells: dict[bytes, bytes] = {}
        self.records = 0

    def read(self, records: Iterable[Record]) -> None:
        """Take records in."""
        cells = self.cells
        number = 0
        for record in records:
            number += 1
            value = record.value
            if value is None:
                cells.pop(record.key, None)  # type: ignore[arg-type] # a null key is no cell and is found by finish
            else:
                cells[record.key] = value  # type: ignore[index] # likewise
        self.records += number

    def finish(self, task: Task, now: int) -> Iterator[int]:
        """Decode into the task's empty table; yields now and then, so that the caller can let others run.

        Raises:
            CorruptCellError: for what is not a cell of the domain.
        """
        yield from task.table.load(self.cells.items(), now)
        self.cells = {}
        await_dues(task, task.table.rows.values())
        # Snapshots that were owed when the former owner stopped have waited long enough.
        schedule(task, LONG_AGO_MS)
