"""Rows from events and rows from the changelog, brought to the same moment."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from agents.aggregate import aggregate
from agents.deadletter import PREFIX
from agents.emit import publish, tick
from agents.restore import Restore
from agents.task import Record, Task
from tables.domain import Domain
from tables.event import Outcome
from tables.option import Options
from tables.table import Table

Headers = Iterable[tuple[str, bytes | None]]
TICK_MS = 1_000  # of the history with timers; workers tick with every commit, a few times a second


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
        ticks: let timers run between the records, by the records' timestamps.
    """

    def __init__(self, partition: Partition, poison: Mapping[int, str], now: int, *, ticks: bool = False) -> None:
        self._task = partition.task(poison)
        self._now = now
        self._ticks = ticks
        self._time = 0  # of the records so far; never goes back, never ahead of now

    def read(self, records: Sequence[Record]) -> None:
        """Fold records.

        Raises:
            FoldError: at a record that the worker's dead letters do not name.
            UnwritableRowError: likewise.
        """
        if not self._ticks:
            self._fold(records)
            return
        for time, group in groupby(records, self._timed):
            self._task.read_to_end_at = time
            tick(self._task, time)
            known = len(self._task.timers)
            self._fold(list(group))
            # By the clock of the records, and not by the one that decides about events from the future.
            due = time + self._task.delay_ms
            self._task.timers[known:] = [(due, key) for _, key in self._task.timers[known:]]

    def finish(self) -> Made:
        """The cells."""
        return _made(self._task, self._now)

    def _timed(self, record: Record) -> int:
        self._time = max(self._time, min(record.timestamp, self._now) // TICK_MS * TICK_MS)
        return self._time

    def _fold(self, records: Sequence[Record]) -> None:
        task = self._task
        aggregate(task, records, self._now)
        # What would be committed is nobody's: let it go.
        task.table.take(self._now)
        task.table.buried.clear()
        task.outgoing.clear()
        if not self._ticks:
            task.timers.clear()


def poisoned(letters: Iterable[Headers], source: str, partition: int, position: int) -> dict[int, str]:
    """Offset -> reason of the records that the worker has found INVALID.

    Args:
        letters: the headers of dead letters.
        source: the topic of the records.
        partition: of the records.
        position: only those below count.
    """
    found = {}
    place = {"topic": source.encode(), "partition": b"%d" % partition, "outcome": Outcome.INVALID.name.encode()}
    for headers in letters:
        said: dict[str, bytes] = {}
        for name, value in headers:  # ours come first; the original's may have the same names
            said.setdefault(name.removeprefix(PREFIX), value or b"")
        offset = said.get("offset", b"")
        if place.items() <= said.items() and offset.isdigit() and int(offset) < position:
            found[int(offset)] = said.get("reason", b"").decode("utf-8", "replace")
    return found


def histories(domain: Domain) -> tuple[bool, ...]:
    """The values of `Rebuild.ticks` that are worth trying."""
    return (False,) if domain.at_time is None else (False, True)


def _made(task: Task, now: int) -> Made:
    """Publish every row at the same moment, so that what is owed and how far windows have moved is the same."""
    task.read_to_end_at = now
    for row in list(task.table.rows.values()):
        if task.domain.at_time is not None:
            publish(task, row, now)
            task.outgoing.clear()
        row.head.pending = 0
    return Made(task.table.read(), task.position, len(task.table.rows))
