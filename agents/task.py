"""A task: one source partition of one domain with all of its state (the word is Kafka Streams')."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import msgspec

from tables.domain import Domain
from tables.table import Change, Table


class Record(Protocol):
    """A consumed record, as the Kafka client's own parser makes it."""

    @property
    def offset(self) -> int: ...  # noqa: D102
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102
    @property
    def timestamp(self) -> int: ...  # noqa: D102
    @property
    def headers(self) -> list[tuple[str, bytes | None]]: ...  # noqa: D102


class Outgoing(NamedTuple):
    """A record that leaves with the next commit, to the domain's topic of that role.

    It goes to the task's own partition, unless another one is named.
    """

    role: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    partition: int | None = None


class FoldError(Exception):
    """The fold of a decoded, routed event raised: a defect of the domain.

    The rows may be half changed: they must be restored, and the record be made a dead letter by way of `Task.poison`.
    """

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"the fold failed at offset {offset}: {reason}")
        self.offset = offset
        self.reason = reason


class Commit(NamedTuple):
    """Everything that one transaction makes visible at once."""

    position: int
    """The next source offset to fold: what is committed to the group."""
    cells: list[Change]
    outgoing: list[Outgoing]


@dataclass
class Task:
    """The state of one (domain, partition).

    Attributes:
        source: name of the source topic, for dead letters.
        partition_of: key -> its partition by Kafka's default partitioner (murmur2).
        poison: offsets at which the fold itself failed, with the reason; they become dead letters.
        timers: rows whose snapshot is due, in the order of their due times: a constant delay makes that a queue.
        dues: a heap of (when time alone changes a row, the row's key); what a row says by now is what counts.
        awaited: the row's key -> the time of its that was put into `dues` last, until that has come.
        read_to_end_at: the latest time at which the source is known to have been folded to its end; ms, 0 for never.
        others: the other partitions' totals, merged; None while they are not known.
        owes: the last tick has left something due to the next one, which is to come at once.
        demanded: somebody has asked for the periodic record out of turn.
        letters_bytes: the size of the dead letters among `outgoing`, which strangers decide about.
    """

    domain: Domain
    partition: int
    table: Table
    source: str
    partition_of: Callable[[bytes], int]
    poison: dict[int, str] = field(default_factory=dict)
    outgoing: list[Outgoing] = field(default_factory=list)
    timers: list[tuple[int, bytes]] = field(default_factory=list)
    dues: list[tuple[int, bytes]] = field(default_factory=list)
    awaited: dict[bytes, int] = field(default_factory=dict)
    read_to_end_at: int = 0
    others: Callable[[], Any] = lambda: None
    owes: bool = False
    demanded: bool = False
    letters_bytes: int = 0

    def __post_init__(self) -> None:
        # Once per task: msgspec compiles the types when a decoder is made.
        self.decode: Callable[[bytes], Any] = msgspec.json.Decoder(self.domain.event).decode
        self.delay_ms = round(self.table.options[self.domain.delay.name] * 1000)

    @property
    def waiting(self) -> int:
        """Changed rows, tombstones and outgoing records that wait for the next commit: some hundred bytes each."""
        table = self.table
        return len(table.dirty) + table.tombstones + len(table.buried) + len(self.outgoing)

    @property
    def position(self) -> int:
        """The next source offset to fold."""
        position: int = self.table.totals.position
        return position

    @position.setter
    def position(self, offset: int) -> None:
        self.table.totals.position = offset
