"""Rows from events and rows from the changelog, brought to the same moment."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import NamedTuple

import msgspec

from agents.aggregate import aggregate
from agents.emit import publish, stats_key
from agents.restore import Restore
from agents.task import Outgoing, Record, Task
from app.verify.letters import Letter
from tables.domain import Domain
from tables.emission import STATS
from tables.option import Options
from tables.table import Table

Publications = Mapping[int, AbstractSet[tuple[int, bytes]]]
"""Source offset of a row's last event -> (when, key) of what was published of the row then."""


class _Published(msgspec.Struct):
    """What every snapshot says of its moment, as far as it matters here."""

    offset: int


_offset_of = msgspec.json.Decoder(_Published).decode


class Partition(NamedTuple):
    """What a task is made of, beside its records. Both sides get the same."""

    domain: Domain
    number: int
    partitions: int
    partition_of: Callable[[bytes], int]
    source: str = ""
    key_limit: int | None = None
    options: Options | None = None

    def task(self, poison: Mapping[int, str] | None = None) -> Task:
        """A task without rows."""
        table = Table(
            self.domain,
            self.number,
            partitions=self.partitions,
            key_limit=self.key_limit,
            options=self.options,
        )
        return Task(
            self.domain,
            self.number,
            table,
            self.source,
            self.partition_of,
            dict(poison or {}),
            others=self.domain.totals,
        )


class Made(NamedTuple):
    """One side. `cells`: as `Table.read` gives them."""

    cells: dict[bytes, bytes]
    position: int
    rows: int


def restored(partition: Partition, changelog: Restore, now: int) -> Made:
    """The side of the changelog.

    Raises:
        CorruptCellError: a record is no cell, or rows and totals do not agree.
    """
    task = partition.task()
    for _ in changelog.finish(task, now):
        pass
    return _made(task, now)


class Rebuild:
    """The side of the events. Call `read` with the source's records in order, then `finish`.

    Args:
        partition: what to rebuild.
        poison: offsets that the worker has found INVALID, with the reason.
        now: the moment that both sides are brought to, not before any that a worker has seen.
        published: what is known of when rows were published, and so of how far time had changed them.
        keep: is handed all that would have left for other topics, but for the totals; the snapshots of rows only
            where `published` tells of them: else they stay owed.
        known: the dead letters that `poison` was made of: one that is not of the record at its offset says nothing.
    """

    def __init__(
        self,
        partition: Partition,
        poison: Mapping[int, str],
        now: int,
        published: Publications | None = None,
        keep: Callable[[Outgoing], None] = lambda _record: None,
        known: Mapping[int, Letter] | None = None,
    ) -> None:
        self.task = partition.task(poison)
        self._now = now
        self._published = published or {}
        self._keep = keep
        self._known = known or {}

    def read(self, records: Sequence[Record]) -> None:
        """Fold records.

        Raises:
            FoldError: at a record that the worker's dead letters do not name.
            UnwritableRowError: likewise.
        """
        for record in records if self._known else ():
            letter = self._known.get(record.offset)
            if letter is not None and not letter.is_of(record.key, record.value):
                self.task.poison.pop(record.offset, None)
        first = 0
        for number, record in enumerate(records if self._published else ()):
            if record.offset in self._published:
                self._fold(records[first : number + 1])
                self._publish(record)
                first = number + 1
        self._fold(records[first:])

    def finish(self) -> Made:
        """The cells."""
        return _made(self.task, self._now)

    def _fold(self, records: Sequence[Record]) -> None:
        task = self.task
        aggregate(task, records, self._now)
        task.table.take(self._now)  # what would be committed is nobody's
        for entity, suffixes in task.table.buried:
            task.outgoing += [Outgoing(STATS, stats_key(entity, suffix), None) for suffix in suffixes]
        task.table.buried.clear()
        self._let_go()
        task.timers.clear()

    def _let_go(self) -> None:
        outgoing, self.task.outgoing = self.task.outgoing, []
        for record in outgoing:
            self._keep(record)

    def _publish(self, record: Record) -> None:
        """Publish the row of a record that was its last event then, as late as what was published shows.

        A record that is owed because of events may have been made at any time. One that is not was made by time, at
        its own: a worker that had not caught up with the source then would not have made it.
        """
        task, row = self.task, self.task.table.rows.get(record.key or b"")
        if row is None or row.head.offset != record.offset:
            return
        made: set[bytes | None] = set()
        for time, key in sorted(self._published[record.offset]):
            for until in (0, time):  # first what is owed anyway, then what time has changed by then
                if key not in made:
                    task.read_to_end_at = until
                    publish(task, row, time)
                    made |= {outgoing.key for outgoing in task.outgoing}
                    self._let_go()


def published(records: Iterable[Record]) -> Publications:
    """What the stats topic tells of its records: from which offset of the source each was made, and when."""
    found: dict[int, set[tuple[int, bytes]]] = {}
    for record in records:
        if record.key is None or record.value is None:
            continue
        with suppress(msgspec.MsgspecError):
            offset = _offset_of(record.value).offset
            found.setdefault(offset, set()).add((record.timestamp, record.key))
    return found


def _made(task: Task, now: int) -> Made:
    """Publish every row at the same moment, so that what is owed and how far windows have moved is the same."""
    task.read_to_end_at = now
    for row in list(task.table.rows.values()):
        if task.domain.at_time is not None:
            publish(task, row, now)
            task.outgoing.clear()
        row.head.pending = 0
    return Made(task.table.read(), task.position, len(task.table.rows))
