"""Days and months as text: how many before another, and which lie between two. A day is YYYY-MM-DD, a month YYYY-MM."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal

from tables.row import CellName, Row
from tables.views import Parameter

Kind = Literal["day", "month"]
_FORMS = {"day": ("%Y-%m-%d", "2025-06-15"), "month": ("%Y-%m", "2025-06")}
_FEW_DAYS = 400  # a year and a month; for more, looking at all cells of a row costs no more than looking for each


def days_before(day: str, days: int) -> str:
    """The day so many days earlier."""
    return (date.fromisoformat(day) - timedelta(days)).isoformat()


def months_before(month: str, months: int) -> str:
    """The month so many months earlier."""
    number = int(month[:4]) * 12 + int(month[5:]) - 1 - months
    return f"{number // 12:04d}-{number % 12 + 1:02d}"


def cells_between(row: Row, kind: Kind, first: str, last: str) -> list[CellName]:
    """The names of the row's cells (kind, period) from the first period to the last, ascending."""
    names = _names_between(kind, first, last)
    if names is not None:
        return [name for name in names if name in row.cells]
    return sorted(name for name in row.cells if name[0] == kind and first <= name[1] <= last)


@lru_cache(maxsize=16)
def _names_between(kind: Kind, first: str, last: str) -> list[CellName] | None:
    """Which names there can be, so that a row with thousands of cells costs a few look-ups; None: too many."""
    if first > last:
        return []
    start, end = (date.fromisoformat(f"{period}-01"[:10]) for period in (first, last))
    if (end - start).days > _FEW_DAYS:
        return None
    days = [(start + timedelta(number)).isoformat() for number in range((end - start).days + 1)]
    return list(dict.fromkeys((kind, day if kind == "day" else day[:7]) for day in days))


def between(kind: Kind, first: str, last: str) -> tuple[Parameter, Parameter]:
    """The parameters `from` and `to` of a view; `first` and `last` say what they are where nobody asks."""
    check = _check(kind)
    return (
        Parameter("from", "", about=f"the first {kind}; {first}", check=check),
        Parameter("to", "", about=f"the last {kind}; {last}", check=check),
    )


def _check(kind: Kind) -> Callable[[str], None]:
    form, example = _FORMS[kind]

    def check(text: str) -> None:
        try:
            right = not text or datetime.strptime(text, form).replace(tzinfo=UTC).strftime(form) == text
        except ValueError:
            right = False
        if not right:
            raise ValueError(f"a {kind} like {example}")

    return check
