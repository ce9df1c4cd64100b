"""Which records bring a partition's topics from what they hold to what they are to hold."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

from agents.emit import PUBLISHED_UNTIL, recents_body, stats_key, tops_body, totals_body
from agents.task import Outgoing, Task
from app.engine.changelog import READ_TO, SKIPPED, SOURCE
from app.repair.found import CHANGELOG, TOTALS, Found, Latest
from app.repair.rebuilt import Rebuilt, settled
from app.verify.difference import Difference, differences, differing
from tables.emission import STATS
from tables.retention import revision_of
from tables.row import Row

Records = list[tuple[bytes, bytes | None]]


@dataclass
class Plan:
    """What one transaction is to write.

    Attributes:
        position: the source offset that a worker is to go on at.
        records: role -> (key, value or None for a tombstone), in their order.
        others: dead letters and alerts that nobody has written yet.
        rows: how many can be read, and how many there will be.
        told_rows: how many there are by the totals; None where nobody knows.
        offsets: the group's, and the one that it will have; None for none.
        totals: those that there are (None where nobody knows), and those that there will be, by name.
        differing: how many cells say something else than before, whatever their bytes.
        first: the first of them.
    """

    position: int
    records: dict[str, Records]
    rows: tuple[int, int]
    totals: tuple[dict[str, Any] | None, dict[str, Any]]
    told_rows: int | None
    offsets: tuple[int | None, int]
    others: list[Outgoing] = field(default_factory=list)
    differing: int = 0
    first: Difference | None = None
    moved: bool = False
    """The group's offset or the noted source is another one than is wanted."""

    @property
    def empty(self) -> bool:
        """Nothing is to be written."""
        return not (self.moved or self.others or any(self.records.values()))

    def written(self, role: str) -> int:
        """How many records of a role have a value."""
        return sum(value is not None for _, value in self.records.get(role, ()))

    def buried(self, role: str) -> int:
        """How many keys of a role are tombstoned for good."""
        return sum(value is None for value in dict(self.records.get(role, ())).values())


def emptied(found: Found, empty: Task, position: int) -> Plan:
    """Everything gone, and the source's offset where it is to be.

    Args:
        found: what there is.
        empty: a task without rows.
        position: the source offset to begin anew at.
    """
    empty.position = position
    _carry_over(found, empty, skipped=False)
    wanted: dict[str, Latest] = {role: {} for role in found.latest}
    wanted[CHANGELOG] = cast("Latest", empty.table.read())
    wanted[TOTALS] = published_totals(empty)
    return _plan(found, empty, {role: _changes(held, wanted[role]) for role, held in found.latest.items()})


def replaced(found: Found, made: Rebuilt, now: int) -> Plan:
    """The rebuilt table in the place of the one that there is. What says the same is left as it is.

    Where time changes rows, totals count each as it was when it was published last; so either no row is written, or
    every row as of the same moment.
    """
    task, old = made.task, found.task
    _carry_over(found, task, skipped=True)
    at_time = task.domain.at_time is not None
    owed = {row.entity for row in old.table.rows.values() if row.head.pending}
    held = _settled_rows(old, now, task.read_to_end_at)
    new_cells, old_cells = task.table.read(), found.cells()
    keys = differing(task.domain, new_cells, old_cells)
    entities = {msgspec.json.decode(key)[0] for key in keys}
    broken = bool(found.problems or found.keyless or found.foreign or old.position != task.position)
    records: dict[str, Records] = {role: [] for role in found.latest}
    others = made.letters
    wanted = _wanted_cells(found, new_cells, entities, whole=at_time)
    stats = _Stats(found.latest[STATS], made.latest[STATS], entities)
    if keys or broken:
        records[CHANGELOG] = _changes(found.latest[CHANGELOG], wanted)
        records[TOTALS] = _changes(found.latest[TOTALS], published_totals(task))
        if at_time:
            stats.take(record for row, sent in held if row.entity not in entities for record in sent)
            others = others + stats.others
            owed = set()
    for role in found.latest.keys() - {CHANGELOG, TOTALS, STATS}:
        records[role] = _changes(found.latest[role], made.latest[role])
    records[STATS] = stats.changes(task, owed)
    plan = _plan(found, task, records)
    plan.others = others
    plan.differing, plan.first = differences(task.domain, new_cells, old_cells)
    return plan


def _settled_rows(old: Task, now: int, until: int) -> list[tuple[Row, list[Outgoing]]]:
    """Bring the rows that there are to the same moment; what is published of them on the way, by row."""
    old.read_to_end_at = until
    rows = list(old.table.rows.values())
    if old.domain.at_time is not None:
        return [(row, settled(old, row, now)) for row in rows]
    for row in rows:
        row.head.pending = 0
    return []


def _wanted_cells(found: Found, new: dict[bytes, bytes], entities: set[Any], *, whole: bool) -> Latest:
    """The new cells; where they say the same as those that there are, the latter's bytes."""
    wanted = cast("Latest", dict(new))
    if not whole:
        others = {None, *entities}
        for key, value in found.latest[CHANGELOG].items():
            if key is not None and key in new and msgspec.json.decode(key)[0] not in others:
                wanted[key] = value  # it may owe a snapshot
    return wanted


def _carry_over(found: Found, task: Task, *, skipped: bool) -> None:
    """What a partition has noted and no event says: which source it has, until when it has published, what it lacks."""
    marks, noted = task.table.marks, found.task.table.marks
    if found.source_id:
        marks[SOURCE] = found.source_id
    kept = [PUBLISHED_UNTIL]
    if skipped:
        kept.append(SKIPPED)
    if task.position >= found.task.position and not found.foreign:  # else there are records between it and the position
        kept.append(READ_TO)
    for name in kept:
        if name in noted:
            marks[name] = noted[name]


def _plan(found: Found, task: Task, records: dict[str, Records]) -> Plan:
    told, known = found.totals, found.readable_totals
    moved = found.committed not in {None, task.position} or (found.committed is None and task.position > 0)
    return Plan(
        task.position,
        records,
        rows=(len(found.task.table.rows), len(task.table.rows)),
        totals=(_as_told(known, told), msgspec.to_builtins(task.table.totals)),
        told_rows=None if told is None else told.keys,
        offsets=(found.committed, task.position),
        moved=moved or found.foreign,
    )


def _as_told(totals: Any, told: Any) -> dict[str, Any] | None:
    """Totals by name, with as many rows as they were told to be, not as many as can be read."""
    if totals is None or told is None:
        return None
    found: dict[str, Any] = msgspec.to_builtins(totals) | {"keys": told.keys}
    return found


def published_totals(task: Task) -> Latest:
    """The records of a partition's totals topic."""
    name = str(task.partition).encode()
    wanted: Latest = {name: totals_body(task)}
    if task.table.tops:
        wanted[name + b"/top"] = tops_body(task)
    if task.table.recents:
        wanted[name + b"/recent"] = recents_body(task)
    return wanted


def _changes(found: Latest, wanted: Latest) -> Records:
    """Tombstones for what is gone, then what is new or another.

    A record without a key takes no tombstone: everything is written anew, and what was before it is deleted afterwards.
    """
    records: Records = [(key, None) for key in found if key is not None and key not in wanted]
    if None in found:
        found = {}
    return records + [(key, value) for key, value in wanted.items() if key is not None and found.get(key) != value]


class _Stats:
    """Which snapshots are to be published, and which are to go."""

    def __init__(self, found: Latest, made: Latest, entities: set[Any]) -> None:
        self._found = found
        self._made = made
        self._entities = entities
        self._since: dict[bytes, bytes] = {}
        self.others: list[Outgoing] = []

    def take(self, records: Iterable[Outgoing]) -> None:
        """What time has changed of rows that say what their events say: it is published as a worker would."""
        for record in records:
            if record.role == STATS and record.key is not None and record.value is not None:
                self._since[record.key] = record.value
            elif record.role != STATS:
                self.others.append(record)

    def changes(self, task: Task, owed: set[str]) -> Records:
        """In their order. A revision that does not grow follows on a tombstone, for readers that go by it.

        Args:
            task: with the rows as they will be.
            owed: rows that stay as they are and owe snapshots: a worker publishes those.
        """
        wanted = self._wanted({key: row.entity for key, row in _keys(task)}, owed)
        records: Records = [(key, None) for key in self._found if key is not None and key not in wanted]
        for key, value in wanted.items():
            held = self._found.get(key)
            if held != value or None in self._found:
                if not (held is None or held == value or _grows(held, value)):
                    records.append((key, None))
                records.append((key, value))
        return records

    def _wanted(self, owners: dict[bytes, str], owed: set[str]) -> dict[bytes, bytes]:
        """Of rows that differ, and of nobody's keys, what the events say; else what there is, unless it is missing."""
        wanted: dict[bytes, bytes] = {}
        others = {None, *self._entities}
        for key, made in self._made.items():
            owner = owners.get(key or b"")
            missing = key not in self._found and owner not in owed
            if key is not None and (missing or owner in others):
                wanted[key] = self._since.get(key, made)
        for key, held in self._found.items():
            if key is not None and owners.get(key) not in others:
                wanted[key] = self._since.get(key, held)
        return wanted


def _grows(held: bytes, value: bytes) -> bool:
    """Whether readers that go by the revision take the second one for newer."""
    before, after = revision_of(held), revision_of(value)
    return before is not None and after is not None and before < after


def _keys(task: Task) -> Iterator[tuple[bytes, Row]]:
    """Every key of the stats topic that belongs to a row."""
    for row in task.table.rows.values():
        for suffix in task.domain.suffixes_of(row):
            yield stats_key(row.entity, suffix), row
