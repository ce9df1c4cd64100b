"""A partition as its topics hold it, and what of its table can still be read."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from agents.restore import Restore
from agents.task import Task
from app.engine.changelog import SOURCE
from app.verify.reading import Reading
from app.verify.rebuild import Partition
from tables.cells import Cells, Problem
from tables.domain import Domain
from tables.emission import STATS
from tables.table import MARK, TOTALS_KEY, CorruptCellError, cell_key

CHANGELOG, TOTALS = "changelog", "totals"
Latest = dict[bytes | None, bytes]


def kept_roles(domain: Domain) -> list[str]:
    """The roles of the topics that hold a partition's present state, each compacted and written by its owner alone."""
    ring = [domain.per_event.ring.role] if domain.per_event is not None else []
    return [CHANGELOG, STATS, TOTALS, *ring]


@dataclass
class Found:
    """What there is.

    Attributes:
        latest: role -> key -> value, as compaction would have it.
        offsets: of the changelog's records.
        problems: changelog records that are no cells, or do not fit the others.
        task: with the rows that can be read; the others are left out.
        committed: the group's offset.
        beginning: of the source.
        end: of the source.
        source_id: of the topic that the source is now; 0 where nobody knows.
    """

    latest: dict[str, Latest]
    offsets: dict[bytes | None, int]
    problems: list[Problem]
    task: Task
    committed: int | None
    beginning: int
    end: int
    source_id: int
    foreign: bool = field(init=False)
    """The rows come from another topic than the source is now."""

    def restore(self, partition: Partition, now: int) -> None:
        """Make the task anew, as it was found."""
        self.task = salvaged(partition, self.latest[CHANGELOG], self.problems, now)

    def __post_init__(self) -> None:
        noted = self.task.table.marks.get(SOURCE, 0)
        self.foreign = bool(noted and self.source_id and noted != self.source_id)

    @property
    def totals(self) -> Any:
        """The totals as their cell has them, whatever the rows are; None where nobody knows.

        The cell may be unreadable, or gone: where nothing was ever folded there is none, and all of it is 0.
        """
        cells, domain = self.latest[CHANGELOG], self.task.domain
        value = cells.get(TOTALS_KEY)
        if value is None:
            folded = self.committed or any(key is None or not key.startswith(MARK) for key in cells)
            return None if folded else domain.totals()
        try:
            Cells(domain).path(TOTALS_KEY, value)
        except CorruptCellError:
            return None
        totals = msgspec.msgpack.decode(value[1:], type=domain.totals)
        totals.lengthen()
        return totals

    @property
    def readable_totals(self) -> Any:
        """The task's totals; where it has been made without the cell, those of the cell, or None."""
        totals = self.totals
        if totals is None or self.task.position != totals.position:
            return totals
        return self.task.table.totals

    def cells(self) -> dict[bytes, bytes]:
        """The cells of the rows and of the totals; not the zeros of a task that was made without the totals."""
        cells, totals = self.task.table.read(), self.readable_totals
        del cells[TOTALS_KEY]
        if totals is not None:
            cells[TOTALS_KEY] = bytes([self.task.domain.version]) + msgspec.msgpack.encode(totals)
        return cells

    @property
    def keyless(self) -> list[str]:
        """The roles whose topics hold a record without a key."""
        return [role for role, latest in self.latest.items() if None in latest]

    @property
    def position(self) -> int | None:
        """How far the table is; None where nobody knows: it is unreadable, or of another topic."""
        if self.foreign:
            return None
        totals_are_read = not any(problem.key == TOTALS_KEY for problem in self.problems)
        known = self.task.position if totals_are_read and TOTALS_KEY in self.latest[CHANGELOG] else self.committed
        if known is None and not self.latest[CHANGELOG]:
            known = 0
        return known if known is not None and known <= self.end else None


async def find(
    reading: Reading,
    partition: Partition,
    committed: int | None,
    source_id: int,
    now: int,
    roles: Iterable[str] | None = None,
) -> Found:
    """Read what a partition keeps: all of it, or some roles, the changelog among them."""
    read = {role: await reading.latest(role) for role in roles or kept_roles(partition.domain)}
    latest = {role: {key: value for key, (_, value) in records.items()} for role, records in read.items()}
    problems = list(Cells(partition.domain).problems(latest[CHANGELOG]))
    task = salvaged(partition, latest[CHANGELOG], problems, now)
    return Found(
        latest,
        {key: offset for key, (offset, _) in read[CHANGELOG].items()},
        problems,
        task,
        committed,
        await reading.beginning("events"),
        await reading.end("events"),
        source_id,
    )


def salvaged(partition: Partition, cells: Latest, problems: list[Problem], now: int) -> Task:
    """The rows that can be read; a row that lacks a cell which can be told to be missing is left out.

    What else is found to be wrong on the way is added to `problems`.
    """
    bad = {problem.key for problem in problems}
    good = {key: value for key, value in cells.items() if key is not None and key not in bad}
    while True:
        task = partition.task()
        try:
            _load(task, _counted(partition.domain, good), now)
        except CorruptCellError as error:
            dropped = _of_entity(good, error.key)
            problems.append(Problem(error.key, str(error)))
            if not dropped:
                return partition.task()
            for key in dropped:
                del good[key]
        else:
            return task


def _load(task: Task, cells: Latest, now: int) -> None:
    restore = Restore()
    restore.cells = cells  # type: ignore[assignment] # no null among them
    for _ in restore.finish(task, now):
        pass


def _counted(domain: Domain, cells: dict[bytes, bytes]) -> Any:
    """With totals that know the number of rows: those that are there may not, or are not there."""
    value, version = cells.get(TOTALS_KEY), bytes([domain.version])
    totals = domain.totals() if value is None else msgspec.msgpack.decode(value[1:], type=domain.totals)
    totals.keys = len(_entities(cells))
    return cells | {TOTALS_KEY: version + msgspec.msgpack.encode(totals)}


def _entities(keys: Iterable[bytes]) -> set[str]:
    paths = (msgspec.json.decode(key) for key in keys)
    return {path[0] for path in paths if path[0] is not None}


def _of_entity(cells: dict[bytes, bytes], key: bytes | None) -> list[bytes]:
    """The keys of all cells of the row that a key belongs to."""
    try:
        entity = msgspec.json.decode(key or b"")[0]
    except (msgspec.MsgspecError, LookupError, TypeError):
        return []
    if entity is None:
        return [key] if key in cells else []
    beginning = cell_key(entity, ())[:-1]
    return [one for one in cells if one.startswith(beginning) and one[len(beginning) : len(beginning) + 1] in b",]"]
