"""Picks of days and rollups of weeks: the cells, how a week follows from its picks, and how both are shown.

Days are counted from 1970-01-01; a week is known by its Monday.
"""

from collections.abc import Mapping

from tables.event import DAY_MS, day_of, iso
from tables.row import Cell
from tables.views import Answer
from tables.weeks import WEEK_DAYS, week_name

BINS = 10
# A record is at most 1 MiB. A week's names are those of its seven picks: 7 x 70 names x 2 histograms x (sum and mean)
# x 410 bytes (64 characters, six bytes each where JSON escapes them, and a number) are 0.8 MB.
MOST_NAMES, NAME_LENGTH = 70, 64


class Day(Cell):
    """("day", id, YYYY-MM-DD): the first snapshot of the day, and which ones of that day have been folded."""

    timestamp: int
    totals: dict[str, int]
    by_status: dict[str, int]
    by_priority: dict[str, int]
    progress: list[int]
    seen: list[int]


class Spread(Cell):
    """One of a week's totals. `picks`: how many picks have it."""

    last: int
    least: int
    most: int
    sum: int
    picks: int


class Week(Cell):
    """("week", id, YYYY-Www): the picks of a closed week. `days`: those with a pick; the histograms are sums."""

    days: list[int]
    totals: dict[str, Spread]
    by_status: dict[str, int]
    by_priority: dict[str, int]
    progress: list[int]


def rolled_up(picks: Mapping[int, Day]) -> Week:
    """The rollup of a week's picks: day -> pick, in the order of the days."""
    week = Week([*picks], {}, {}, {}, [0] * BINS)
    for day in picks.values():
        for name, value in day.totals.items():
            so_far = week.totals.get(name)
            if so_far is None:
                week.totals[name] = Spread(value, value, value, value, 1)
                continue
            so_far.last = value
            so_far.least, so_far.most = min(so_far.least, value), max(so_far.most, value)
            so_far.sum += value
            so_far.picks += 1
        for into, counts in ((week.by_status, day.by_status), (week.by_priority, day.by_priority)):
            for name, count in counts.items():
                into[name] = into.get(name, 0) + count  # a name with a zero stays: it was counted
        week.progress = [sum_ + count for sum_, count in zip(week.progress, day.progress, strict=True)]
    return week


def day_shown(env: str, instance: str, number: int, day: Day) -> Answer:
    """The pick of a day."""
    return {
        "env": env,
        "instance_id": instance,
        "day": day_of(number * DAY_MS),
        "timestamp": iso(day.timestamp),
        "totals": day.totals,
        "by_status": day.by_status,
        "by_priority": day.by_priority,
        "progress_distribution": day.progress,
    }


def week_shown(env: str, instance: str, monday: int, week: Week, *, closed: bool = True) -> Answer:
    """The rollup of a week. Means are over the days with a pick; a total's over those that have it."""
    days = [day_of(day * DAY_MS) for day in range(monday, monday + WEEK_DAYS)]
    picks = len(week.days)
    return {
        "env": env,
        "instance_id": instance,
        "week": week_name(monday),
        "from": days[0],
        "to": days[-1],
        "closed": closed,
        "days": picks,
        "missing_days": [name for day, name in enumerate(days, monday) if day not in week.days],
        "totals": {name: _spread_shown(spread) for name, spread in week.totals.items()},
        "by_status": _histogram_shown(week.by_status, picks),
        "by_priority": _histogram_shown(week.by_priority, picks),
        "progress_distribution": {"sum": week.progress, "mean": [_mean(count, picks) for count in week.progress]},
    }


def _spread_shown(spread: Spread) -> Answer:
    mean = _mean(spread.sum, spread.picks)
    return {"last": spread.last, "min": spread.least, "max": spread.most, "mean": mean}


def _histogram_shown(sums: dict[str, int], picks: int) -> Answer:
    return {"sum": sums, "mean": {name: _mean(sum_, picks) for name, sum_ in sums.items()}}


def _mean(sum_: int, count: int) -> float:
    return round(sum_ / count, 2)
