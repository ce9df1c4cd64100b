"""A partition of a domain with its logs in memory: records in; rows, snapshots, totals and dead letters out. No broker.

Time is moved by hand, and a crash is a method: it throws away everything since the last commit and restores the rows
from the committed changelog, as a worker that takes the partition over would. Use it for a domain of your own:

    driver = Driver(PLAYERS)
    driver.send(b"ann", b'{"type": "kill", ...}')
    driver.fold()
    driver.crash()
    driver.settle()
    driver.stats[b"ann/all"]
"""

import zlib
from bisect import bisect_left
from collections.abc import Iterable
from typing import Any, NamedTuple

from agents.aggregate import aggregate
from agents.emit import take
from agents.restore import Restore
from agents.task import Commit, FoldError, Outgoing, Task
from tables.domain import Domain
from tables.table import Table

NOW = 1_750_000_000_000  # 2025-06-15T15:06:40Z


class Sent(NamedTuple):
    """A record of a log, with the fields that Kafka's client gives it."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


class Driver:
    """One partition. What is public is durable: the logs and the committed position; `task` is the live part."""

    def __init__(
        self, domain: Domain, partition: int = 0, *, partitions: int = 1, key_limit: int | None = None, now: int = NOW
    ) -> None:
        self.domain = domain
        self.partition = partition
        self.partitions = partitions
        self.key_limit = key_limit
        self.now = now
        self.source: list[Sent] = []
        self.changelog: list[Sent] = []
        self.cells: dict[bytes, bytes] = {}  # the changelog as compaction would have it
        self.stats: dict[bytes, bytes] = {}  # likewise
        self.totals: dict[bytes, bytes] = {}  # likewise
        self.dead_letters: list[Outgoing] = []
        self.position = 0
        self.poison: dict[int, str] = {}
        self.task = self.restored()

    # -- the world ---------------------------------------------------------------------------------------------------

    def send(
        self,
        key: bytes | None,
        value: bytes | None,
        headers: Iterable[tuple[str, bytes | None]] = (),
        offset: int | None = None,
    ) -> int:
        """Append a record to the source partition; an offset of one's own may leave a gap, as commit markers do."""
        following = self.source[-1].offset + 1 if self.source else 0
        self.source.append(Sent(following if offset is None else offset, key, value, list(headers)))
        return self.source[-1].offset

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += round(seconds * 1000)

    def crash(self) -> None:
        """The process dies: whatever was not committed is gone, and the partition is restored."""
        self.poison.clear()
        self.task = self.restored()

    # -- the worker --------------------------------------------------------------------------------------------------

    def fold(self, count: int | None = None) -> None:
        """Fold the next `count` records as one batch (all that there are, where none is given)."""
        first = bisect_left(self.source, self.task.position, key=lambda record: record.offset)
        batch = self.source[first:] if count is None else self.source[first : first + count]
        try:
            aggregate(self.task, batch, self.now)
        except FoldError as error:  # as the engine does it: drop the rows, restore, and go round the record
            self.poison[error.offset] = error.reason
            self.task = self.restored()
            self.fold()

    def commit(self) -> Commit:
        """What one transaction makes visible at once."""
        try:
            commit = take(self.task, self.now)
        except FoldError as error:  # likewise: a row that cannot be written
            self.poison[error.offset] = error.reason
            self.task = self.restored()
            self.fold()
            return self.commit()
        for key, value in commit.cells:
            self.changelog.append(Sent(len(self.changelog), key, value, []))
            _compact(self.cells, key, value)
        for record in commit.outgoing:
            if record.role == "dead-letters":
                self.dead_letters.append(record)
            else:
                assert record.key is not None
                _compact(self.stats if record.role == "stats" else self.totals, record.key, record.value)
        self.position = commit.position
        return commit

    def settle(self) -> None:
        """Fold and commit everything, and wait until no emission is pending."""
        self.fold()
        self.commit()
        self.wait(self.domain.emission.seconds + 1)
        self.commit()

    def restored(self) -> Task:
        """A task with the rows that the committed changelog holds."""
        table = Table(self.domain, self.partition, partitions=self.partitions, key_limit=self.key_limit)
        task = Task(
            self.domain, self.partition, table, f"{self.domain.name}-events", self.partition_of, poison=self.poison
        )
        restore = Restore()
        restore.read(self.changelog)
        for _ in restore.finish(task):
            pass
        assert task.position == self.position, "rows and committed offset belong together"
        return task

    # -- looking -----------------------------------------------------------------------------------------------------

    def partition_of(self, key: bytes) -> int:
        """A partitioner; Kafka's own is not needed here, only that there is one."""
        return zlib.crc32(key) % self.partitions

    def row(self, entity: str) -> Any:
        """The live row of an entity."""
        return self.task.table.rows[entity.encode()]

    @property
    def entities(self) -> list[str]:
        """The living entities, the least recently updated first."""
        return [row.entity for row in self.task.table.rows.values()]

    def read(self) -> dict[bytes, bytes]:
        """Every live cell, encoded."""
        return self.task.table.read()


def _compact(log: dict[bytes, bytes], key: bytes, value: bytes | None) -> None:
    if value is None:
        log.pop(key, None)
    else:
        log[key] = value
