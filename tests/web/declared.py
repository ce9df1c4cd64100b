"""Views that no domain declares: players with a list, an aggregate and something to publish on demand."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Any

from tables.emission import Periodic
from tables.option import Option
from tables.players import CLASSES, PLAYERS
from tables.row import Row
from tables.totals import Totals
from tables.views import AggregateView, Asked, ListView, Parameter, SortKey

LEAST = Parameter("least", "0", about="kills")
BY = Parameter("by", "name", ("name", "kills"), "order")


def _day(value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise ValueError("a date like 2026-01-31") from error


DAY = Parameter("day", "", about="a date", check=_day)


def kills(row: Row) -> int:
    """Of all classes of matches."""
    return sum(sums.kills for sums in row.head.classes)


def lines(row: Row, asked: Asked, _now: int) -> Iterable[tuple[SortKey, Any]]:
    """A line per class of matches in which the player has killed at least so many."""
    for number, sums in enumerate(row.head.classes):
        if sums.kills > int(asked["least"]):
            yield ([-sums.kills] if asked["by"] == "kills" else [row.entity]), CLASSES[number]


def line(row: Row, class_: str, _asked: Asked, _now: int) -> dict[str, Any]:
    """Who, where, how many."""
    return {"player": row.entity, "class": class_, "kills": row.head.classes[CLASSES.index(class_)].kills}


def page(found: list[dict[str, Any]], total: int, asked: Asked, _now: int) -> dict[str, Any]:
    """The page, with what the view was told."""
    return {"lines": found, "total": total, "page": asked["page"], "per_page": asked["per_page"]}


def add(row: Row, into: Totals, asked: Asked, _now: int) -> None:
    """Count a player who has killed at least so many."""
    if kills(row) > int(asked["least"]):
        into.keys += 1
        into.hits += kills(row)  # type: ignore[attr-defined] # the players' own totals


WHO = Parameter("who", "", about="only this player")
LIST = ListView("/api/v1/lines", "Lines.", lines, line, page, (LEAST, BY, DAY, WHO), entity="who")
SHORT = ListView("/api/v1/short", "The first three.", lines, line, parameters=(LEAST, BY), paged=False, most=3)
SUM = AggregateView(
    "/api/v1/sum",
    "Kills of the good ones.",
    add,
    lambda totals, _asked: {"players": totals.keys, "kills": totals.hits, "folded": sum(totals.outcomes)},
    whole=lambda asked: asked["least"] == "whole",
    parameters=(LEAST,),
)
INTERVAL = Option("test_interval", 900.0, "For tests.", least=1)
PERIODIC = Periodic(
    "stats",
    INTERVAL,
    lambda totals, time, _options: ("all", {"keys": totals.keys, "time": time}),
    "/api/v1/snapshots",
    "Publish now.",
)
DECLARED = replace(PLAYERS, views=(*PLAYERS.views, LIST, SHORT, SUM), periodic=PERIODIC)
