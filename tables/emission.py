"""When something is published, as values: per event, per commit, debounced, at a time of a row, periodically."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from tables.option import Option, Options
from tables.retention import Ring
from tables.row import Row

STATS = "stats"


class Snapshot(NamedTuple):
    """A record to be published for a row, under `entity/suffix`; a body of None deletes the key."""

    suffix: str
    body: dict[str, Any] | None
    role: str = STATS


@dataclass(frozen=True)
class Debounced:
    """Publish a changed row `seconds` after its *first* unpublished change.

    A fixed window: a row that never rests is still published every `seconds`.
    """

    seconds: float


@dataclass(frozen=True)
class PerCommit:
    """Publish every changed row with the commit that makes the change durable."""

    seconds: float = 0.0


@dataclass(frozen=True)
class PerEvent:
    """A record into a ring of slots for every APPLIED event.

    Attributes:
        ring: the topic and how many of its newest records are kept.
        body: (row, totals, revision, partition) -> the record, as a dict or (in half the time) as a struct. It costs
            its size per event, so it has to be bounded.
    """

    ring: Ring
    body: Callable[[Row, Any, int, int], dict[str, Any] | msgspec.Struct]


@dataclass(frozen=True)
class AtTime:
    """Publish a row when its time has come, without any event.

    Attributes:
        due: the row's head -> when time alone changes it next, ms since the epoch; 0 is never. It has to be a field
            of the head, renewed whenever the row is published: so it survives a restart.
        after_backlog: only once the source has been read up to where it ended at that time, or later. The domain's
            `snapshots` is told no later time than the last one at which the source was known to be read to its end.
    """

    due: Callable[[Any], int]
    after_backlog: bool = False


@dataclass(frozen=True)
class Periodic:
    """Publish the merged totals of all partitions at every multiple of an interval (UTC), and on demand.

    The owner of partition 0 does it, in that partition's transaction: exactly one, whoever comes and goes.

    Attributes:
        role: the topic.
        interval: the option with the interval's seconds.
        record: (totals, time in ms, options) -> (key, body); it goes to the key's own partition.
        path: where a POST asks for one out of turn.
        about: of that path.
    """

    role: str
    interval: Option
    record: Callable[[Any, int, Options], tuple[str, dict[str, Any]]]
    path: str
    about: str
