"""Views, as declarations: what a domain shows of itself under which path. The web layer makes routes of them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tables.row import Row
from tables.totals import Totals, Whole


@dataclass(frozen=True)
class Parameter:
    """A query parameter of a view: its default and, where only some values make sense, those.

    `check` turns down a value by raising ValueError with what is allowed instead; the default is never turned down.
    """

    name: str
    default: str
    allowed: tuple[str, ...] = ()
    about: str = ""
    check: Callable[[str], object] | None = None


Answer = dict[str, Any]
Asked = Mapping[str, str]
"""The parameters of a request, checked and with defaults filled in."""


@dataclass(frozen=True)
class EntityView:
    """A view of one row. `{entity}` stands in the path; the worker that owns the row answers.

    `answer` gets (row, parameters, now in ms).
    """

    path: str
    about: str
    answer: Callable[[Row, Asked, int], Answer]
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
    """A view of what all partitions know together."""

    path: str
    about: str
    answer: Callable[[Whole, Asked], Answer]
    parameters: tuple[Parameter, ...] = ()


SortKey = list[int | float | str]
"""Compared from the left; the smaller comes first. Workers tell each other theirs, so it is made of plain values."""


@dataclass(frozen=True)
class ListView:
    """Lines of many rows, sorted and in pages, merged over all partitions.

    Every owner goes through its rows in slices and gives its first lines; the asked worker merges them. The answer
    names the partitions that did not answer.

    Attributes:
        path: without an entity.
        about: one sentence.
        lines: (row, parameters, now in ms) -> (sort key, what `line` needs) for each of the row's lines that matches.
        line: (row, what it needs, parameters, now) -> the line; asked only for those that are shown.
        answer: (lines of this page, number of all lines, parameters, now) -> the answer.
        parameters: besides `page` and `per_page`.
        paged: whether `page` and `per_page` are parameters; else all lines are shown, up to `most`.
        most: lines of an answer that is not paged.
        entity: the parameter that names one entity, if there is one: where it is given, only that row is looked at.
    """

    path: str
    about: str
    lines: Callable[[Row, Asked, int], Iterable[tuple[SortKey, Any]]]
    line: Callable[[Row, Any, Asked, int], Answer]
    answer: Callable[[list[Answer], int, Asked, int], Answer] = lambda lines, total, _asked, _now: {
        "results": lines,
        "total": total,
    }
    parameters: tuple[Parameter, ...] = ()
    paged: bool = True
    most: int = 1000
    entity: str = ""


@dataclass(frozen=True)
class AggregateView:
    """Totals over the rows that match, computed when asked, in slices, and merged over all partitions.

    Attributes:
        path: without an entity.
        about: one sentence.
        add: (row, into, parameters, now in ms) -> None; adds the row, if it matches.
        answer: (the sum, parameters) -> the answer.
        totals: what is summed up; the domain's own totals where None.
        whole: parameters -> whether they match every row, so that the merged totals are the answer already.
    """

    path: str
    about: str
    add: Callable[[Row, Any, Asked, int], None]
    answer: Callable[[Any, Asked], Answer]
    totals: type[Totals] | None = None
    whole: Callable[[Asked], bool] = lambda _asked: False
    parameters: tuple[Parameter, ...] = ()


View = EntityView | TopView | SearchView | TotalsView | ListView | AggregateView
