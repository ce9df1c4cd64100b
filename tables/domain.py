"""The declaration of a domain: all that the rest of the project knows about it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tables.emission import AtTime, Debounced, PerCommit, PerEvent, Periodic, Snapshot
from tables.event import Event, Outcome, Removed
from tables.option import Option
from tables.recent import Recent
from tables.retention import Rule
from tables.row import Cell, Head, Row
from tables.totals import Totals
from tables.views import View


@dataclass(frozen=True)
class Top:
    """A list of the ten best rows by `rank`: the rows with the greatest integers; None keeps a row out."""

    name: str
    rank: Callable[[Row], int | None]


@dataclass(frozen=True)
class Topic:
    """A topic of a domain beside those that every domain has, or in the place of one of them.

    Attributes:
        role: what the domain calls it; `stats`, `events`, ... stand for the ones that every domain has.
        name: without the installation's prefix.
        about: what is in it.
        retention_days: deleted after so many days; None: compacted, the latest per key is kept.
    """

    role: str
    name: str
    about: str
    retention_days: float | None = None


Reduce = Callable[[Row, Any, int, Any], Outcome | Removed]
"""(row, event, event time in ms, totals) -> outcome. Touches nothing unless it returns APPLIED (or REMOVED: the event
was applied, and the row is to go)."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Domain:
    """One domain. `tables/__init__.py` lists them all.

    Attributes:
        name: also the prefix of its topics: `<name>-events`, `<name>-stats`, ...
        entity_name: what its entities are called in paths, answers and errors.
        version: format of its cells, one byte, written before each.
        event: the type that a record decodes to; a tagged union tells several apart.
        entity: event -> the entity that it is about.
        at: event -> its time in ms since the epoch; None for one that carries none: the record's timestamp is taken.
        on_null: the record's key -> the event that a null value means; None: a null value is INVALID.
        reduce: how an event changes a row.
        head: the type of the row's head.
        cells: kind -> type, for every kind of cell.
        totals: the type of the partition's totals.
        bury: (row, totals) -> None; takes the stock totals of a row out again.
        snapshots: (row, now, totals) -> what is published for it, of what `head.pending` names. Where the domain has
            an `at_time`, it brings row and totals up to now, too: calling it twice at one time changes nothing more.
        suffixes: all key suffixes that `snapshots` may use on the stats topic; those of a buried row are deleted.
        emission: when a changed row is published.
        per_event: what is published for every event.
        at_time: when a row is published without any event.
        periodic: what is published of the merged totals.
        topics: topics of its own.
        retention: how many cells of which kind are kept.
        settable: options beside those of `retention`, `per_event` and `periodic`.
        key_limit: at most so many rows in all partitions together; 0 is no limit.
        tops: the lists of the best.
        recents: rows seen lately.
        searchable: keep an index of names for a SearchView.
        views: what is shown under which path.
    """

    name: str
    entity_name: str
    version: int
    event: type[Event] | Any
    entity: Callable[[Any], str]
    at: Callable[[Any], int | None]
    reduce: Reduce
    head: type[Head]
    on_null: Callable[[str], Any] | None = None
    cells: Mapping[str, type[Cell]] = field(default_factory=dict)
    totals: type[Totals] = Totals
    bury: Callable[[Row, Any], None] = lambda _row, _totals: None
    snapshots: Callable[[Row, int, Any], Sequence[Snapshot]] = lambda _row, _now, _totals: ()
    suffixes: Callable[[Row], Sequence[str]] | tuple[str, ...] = ("",)
    emission: Debounced | PerCommit = Debounced(1.0)  # noqa: RUF009 - frozen
    per_event: PerEvent | None = None
    at_time: AtTime | None = None
    periodic: Periodic | None = None
    topics: tuple[Topic, ...] = ()
    retention: tuple[Rule, ...] = ()
    settable: tuple[Option, ...] = ()
    key_limit: int = 1_000_000
    tops: tuple[Top, ...] = ()
    recents: tuple[Recent, ...] = ()
    searchable: bool = False
    views: tuple[View, ...] = ()

    def __repr__(self) -> str:
        return f"Domain({self.name!r})"

    @cached_property
    def delay(self) -> Option:
        """The option with the seconds of its emission."""
        return Option(
            f"{self.name}_stats_seconds",
            self.emission.seconds,
            f"A changed row of {self.name} is published so long after its first unpublished change.",
            least=0,
            most=3600,
        )

    @cached_property
    def options(self) -> tuple[Option, ...]:
        """All of its options."""
        found = [self.delay, *(rule.limit for rule in self.retention), *self.settable]
        if self.per_event is not None:
            found.append(self.per_event.ring.limit)
        if self.periodic is not None:
            found.append(self.periodic.interval)
        return tuple(found)

    def suffixes_of(self, row: Row) -> Sequence[str]:
        """The key suffixes under which a row may have been published on the stats topic."""
        return self.suffixes(row) if callable(self.suffixes) else self.suffixes
