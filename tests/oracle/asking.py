"""The declared views, asked without a web server: what it does with them, over the drivers of all partitions."""

import heapq
import json
from collections.abc import Sequence
from operator import itemgetter
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from agents.driver import Driver
from tables.domain import Domain
from tables.totals import Whole
from tables.views import AggregateView, EntityView, ListView, TotalsView, View

Fields = dict[str, Any]


def merged(drivers: Sequence[Driver]) -> Any:
    """The totals of all partitions."""
    totals = drivers[0].domain.totals()
    for driver in drivers:
        totals.merge(driver.task.table.totals)
    return totals


def ask(drivers: Sequence[Driver], url: str, now: int) -> Fields:
    """The answer of the view of this path, as JSON."""
    parts = urlsplit(url)
    view, entity = _view(drivers[0].domain, parts.path)
    given = {parameter.name: parameter.default for parameter in view.parameters} | dict(
        parse_qsl(parts.query, keep_blank_values=True)
    )
    for parameter in view.parameters:
        value = given[parameter.name]
        assert not parameter.allowed or value in parameter.allowed, (parameter.name, value)
        if parameter.check is not None and value != parameter.default:
            parameter.check(value)
    answer: Fields = json.loads(json.dumps(_answer(drivers, view, entity, given, now)))
    return answer


def _view(domain: Domain, path: str) -> tuple[View, str]:
    for view in domain.views:
        if view.path == path:
            return view, ""
    for view in domain.views:
        before, found, after = view.path.partition("{entity}")
        if found and path.startswith(before) and path.endswith(after):
            return view, unquote(path[len(before) : len(path) - len(after)])
    raise LookupError(path)


def _answer(drivers: Sequence[Driver], view: View, entity: str, given: dict[str, str], now: int) -> Fields:
    rows = [row for driver in drivers for row in driver.task.table.rows.values()]
    match view:
        case EntityView():
            (row,) = (row for row in rows if row.entity == entity)
            return view.answer(row, given, now)
        case TotalsView():
            return view.answer(Whole(merged(drivers), lambda _name: [], lambda _name, _seconds: (0, 0), now), given)
        case AggregateView():
            if view.whole(given):
                return view.answer(merged(drivers), given)
            into = (view.totals or drivers[0].domain.totals)()
            for row in rows:
                view.add(row, into, given, now)
            return view.answer(into, given)
        case ListView():
            lines = [((key, row.entity), row, needed) for row in rows for key, needed in view.lines(row, given, now)]
            size = int(given.get("per_page", 20))
            page = (int(given.get("page", 1)) - 1) * size
            first = heapq.nsmallest(page + size, lines, key=itemgetter(0))[page:]
            shown = [view.line(row, needed, given, now) for _, row, needed in first]
            return view.answer(shown, len(lines), given, now)
        case _:
            raise LookupError(view.path)
