"""The declaration of a domain: all that the rest of the project knows about it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tables.event import OUTCOMES, Event, Outcome
from tables.row import Cell, Head, Row


class Totals(msgspec.Struct):
    """What a partition knows about all of its records; domains add their own integers.

    *Flow* totals (sums over events) outlive the burial of a key; *stock* totals (`keys`, and what a domain's `bury`
    takes out) do not. Encoded by field name: it is written once per commit, not once per event.
    """

    outcomes: list[int] = msgspec.field(default_factory=lambda: [0] * len(OUTCOMES))
    keys: int = 0
    """Living rows."""
    buried: int = 0
    """Rows that the limit on keys has put away, ever."""
    at: int = 0
    """Greatest event time folded, in ms since the epoch."""
    position: int = 0
    """The next source offset to fold. Written with the rows, so that rows and offset can be checked against each
    other, and outlive the expiry of the group's committed offsets."""

    def merge(self, other: "Totals") -> None:
        """Add another partition's totals: lists place by place, integers by sum, `at` by maximum.

        `position` has no meaning over several partitions; its sum is the number of offsets passed.
        """
        for name in self.__struct_fields__:
            mine, theirs = getattr(self, name), getattr(other, name)
            if isinstance(mine, list):
                setattr(self, name, [a + b for a, b in zip(mine, theirs, strict=True)])
            else:
                setattr(self, name, max(mine, theirs) if name == "at" else mine + theirs)


@dataclass(frozen=True)
class Debounced:
    """Publish a changed row `seconds` after its *first* unpublished change.

    A fixed window: a row that never rests is still published every `seconds`.
    """

    seconds: float


@dataclass(frozen=True)
class Top:
    """A list of the ten best rows by `rank`: the rows with the greatest integers; None keeps a row out."""

    name: str
    rank: Callable[[Row], int | None]


@dataclass(frozen=True)
class Parameter:
    """A query parameter of a view: its default and, where only some values make sense, those."""

    name: str
    default: str
    allowed: tuple[str, ...] = ()
    about: str = ""


Answer = dict[str, Any]
Asked = Mapping[str, str]
"""The parameters of a request, checked and with defaults filled in."""


@dataclass(frozen=True)
class EntityView:
    """A view of one row. `{entity}` stands in the path; the worker that owns the row answers."""

    path: str
    about: str
    answer: Callable[[Row, Asked], Answer]
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True)
class TopView:
    """A view of one top list, merged over all partitions; `name` tells which list the parameters ask for."""

    path: str
    about: str
    name: Callable[[Asked], str]
    value: Callable[[int, Asked], Any]
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True)
class SearchView:
    """Entities whose name begins with the case-folded `search` parameter, merged over all partitions."""

    path: str
    about: str
    answer: Callable[[Row], Answer]
    parameters: tuple[Parameter, ...] = (Parameter("search", "", about="case-folded prefix of the name"),)


@dataclass(frozen=True)
class TotalsView:
    """A view of the totals, merged over all partitions."""

    path: str
    about: str
    answer: Callable[[Any, Asked], Answer]
    parameters: tuple[Parameter, ...] = ()


View = EntityView | TopView | SearchView | TotalsView
Reduce = Callable[[Row, Any, int, Any], Outcome]
"""(row, event, event time in ms, totals) -> outcome. Touches nothing unless it returns APPLIED."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Domain:
    """One domain. `tables/__init__.py` lists them all.

    Attributes:
        name: also the prefix of its topics: `<name>-events`, `<name>-stats`, ...
        entity_name: what its entities are called in paths, answers and errors.
        version: format of its cells, one byte, written before each.
        event: the type that a record decodes to; a tagged union tells several apart.
        entity: event -> the entity that it is about.
        at: event -> its time in ms since the epoch.
        reduce: how an event changes a row.
        head: the type of the row's head.
        cells: kind -> type, for every kind of cell.
        totals: the type of the partition's totals.
        bury: (row, totals) -> None; takes the stock totals of a row out again.
        snapshots: row -> what is published for it: pairs of (key suffix, body), of what `head.pending` names.
        suffixes: all key suffixes that `snapshots` may use.
        emission: when it is published.
        key_limit: at most so many rows in all partitions together; 0 is no limit.
        tops: the lists of the best.
        searchable: keep an index of names for a SearchView.
    """

    name: str
    entity_name: str
    version: int
    event: type[Event] | Any
    entity: Callable[[Any], str]
    at: Callable[[Any], int]
    reduce: Reduce
    head: type[Head]
    cells: Mapping[str, type[Cell]] = field(default_factory=dict)
    totals: type[Totals] = Totals
    bury: Callable[[Row, Any], None] = lambda _row, _totals: None
    snapshots: Callable[[Row], Sequence[tuple[str, Answer]]] = lambda _row: ()
    suffixes: tuple[str, ...] = ("",)
    emission: Debounced = Debounced(1.0)
    key_limit: int = 1_000_000
    tops: tuple[Top, ...] = ()
    searchable: bool = False
    views: tuple[View, ...] = ()

    def __repr__(self) -> str:
        return f"Domain({self.name!r})"
