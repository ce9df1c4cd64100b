"""The test driver: a partition of a domain, its logs in memory. Records in; rows, snapshots, totals, dead letters out.

No broker, no clock: time is moved by hand. A crash is a method: it throws away everything since the last commit and
restores the rows from the committed changelog, as a worker that takes the partition over would. What runs is the code
that runs in a worker, but for Kafka. Use it for a domain of your own:

    driver = Driver(PLAYERS)
    driver.send("ann", {"type": "kill", ...})
    driver.fold()
    driver.crash()
    driver.settle()
    driver.stats[b"ann/all"]
"""

import zlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from agents.aggregate import aggregate
from agents.emit import take, waits_for_end
from agents.restore import Restore
from agents.ring import resize, wrong_ring
from agents.task import Commit, FoldError, Outgoing, Task
from tables.domain import Domain
from tables.emission import STATS
from tables.option import Options
from tables.row import Row
from tables.table import Table

NOW = 1_750_000_000_000  # 2025-06-15T15:06:40Z, a Sunday


class Sent(NamedTuple):
    """A record of a log, with the fields that Kafka's client gives it."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    timestamp: int


class Driver:
    """One partition. What is public is durable: the logs and the committed position; `task` is the live part.

    Attributes:
        now: the time, ms since the epoch.
        read_to_end: whether the source is known to have been folded to its end whenever a commit asks.
        others: the other partitions' totals, as a worker would have read them; None while it has not.
        published: every record that was published, by role, in order.
        poison: offsets of records that the domain's own code raised at, with the reason.
    """

    def __init__(
        self,
        domain: Domain,
        partition: int = 0,
        *,
        partitions: int = 1,
        key_limit: int | None = None,
        options: Options | None = None,
        now: int = NOW,
    ) -> None:
        self.domain = domain
        self.partition = partition
        self.partitions = partitions
        self.key_limit = key_limit
        self.options = dict(options or {})
        self.now = now
        self.read_to_end = True
        self.others: Any = domain.totals()
        self.source: list[Sent] = []
        self.changelog: list[Sent] = []
        self.published: dict[str, list[Outgoing]] = {}
        self.cells: dict[bytes, bytes] = {}  # the changelog as compaction would have it
        self.position = 0
        self.poison: dict[int, str] = {}
        self.task = self.restored()

    # -- the world ---------------------------------------------------------------------------------------------------

    def send(
        self,
        key: str | bytes | None,
        value: Mapping[str, Any] | bytes | None,
        headers: Iterable[tuple[str, bytes | None]] = (),
        offset: int | None = None,
        timestamp: int | None = None,
    ) -> int:
        """Append a record to the source partition.

        Args:
            key: as text or as bytes.
            value: an event as a JSON object, or the bytes of whatever is to be sent.
            headers: of the record.
            offset: one of one's own may leave a gap, as commit markers do.
            timestamp: of the record, ms since the epoch; the driver's time where none is given.

        Returns:
            The record's offset.
        """
        following = self.source[-1].offset + 1 if self.source else 0
        at = following if offset is None else offset
        raw_key = key.encode() if isinstance(key, str) else key
        raw_value = value if value is None or isinstance(value, bytes) else orjson.dumps(value)
        self.source.append(Sent(at, raw_key, raw_value, list(headers), self.now if timestamp is None else timestamp))
        return at

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
        if waits_for_end(self.task, self.now) and self.read_to_end:
            self.task.read_to_end_at = self.now
        try:
            commit = take(self.task, self.now)
        except FoldError as error:  # likewise: a row that cannot be written
            self.poison[error.offset] = error.reason
            self.task = self.restored()
            self.fold()
            return self.commit()
        for key, value in commit.cells:
            self.changelog.append(Sent(len(self.changelog), key, value, [], self.now))
            _compact(self.cells, key, value)
        for record in commit.outgoing:
            self.published.setdefault(record.role, []).append(record)
        self.position = commit.position
        return commit

    def settle(self) -> None:
        """Fold and commit everything, and wait until no emission is pending."""
        self.fold()
        self.commit()
        self.now += self.task.delay_ms + 1000
        self.commit()
        self.commit()  # a row tells its time with its snapshot; it may have come already
        while self.task.owes:
            self.commit()

    def restored(self) -> Task:
        """A task with the rows that the committed changelog holds.

        Raises:
            AssertionError: rows and committed offset do not belong together.
        """
        table = Table(
            self.domain, self.partition, partitions=self.partitions, key_limit=self.key_limit, options=self.options
        )
        task = Task(
            self.domain,
            self.partition,
            table,
            f"{self.domain.name}-events",
            self.partition_of,
            poison=self.poison,
            others=self._others,
        )
        restore = Restore()
        restore.read(self.changelog)
        for _ in restore.finish(task, self.now):
            pass
        if task.position != self.position:
            raise AssertionError(f"rows as of {task.position}, committed {self.position}")
        if role := wrong_ring(task):
            resize(task, self.latest(role))
        return task

    def _others(self) -> Any:
        if self.others is None:
            return None
        copy = self.domain.totals()
        copy.merge(self.others)
        return copy

    # -- looking -----------------------------------------------------------------------------------------------------

    def partition_of(self, key: bytes) -> int:
        """A partitioner; Kafka's own is not needed here, only that there is one."""
        return zlib.crc32(key) % self.partitions

    def row(self, entity: str) -> Row:
        """The live row of an entity."""
        return self.task.table.rows[entity.encode()]

    @property
    def stats(self) -> dict[bytes, bytes]:
        """The stats topic as compaction would have it."""
        return self.latest(STATS)

    @property
    def totals(self) -> dict[bytes, bytes]:
        """The totals topic as compaction would have it."""
        return self.latest("totals")

    @property
    def dead_letters(self) -> list[Outgoing]:
        """The dead letters, in order."""
        return self.published.get("dead-letters", [])

    def latest(self, role: str) -> dict[bytes, bytes]:
        """What was published in a role, as compaction would have it."""
        log: dict[bytes, bytes] = {}
        for record in self.published.get(role, []):
            _compact(log, record.key or b"", record.value)
        return log

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
