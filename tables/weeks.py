"""ISO weeks, and when one is over. Days are counted from 1970-01-01; a week is known by its Monday."""

from datetime import date, timedelta

from tables.event import DAY_MS

GRACE_MS = 300_000  # a week closes five minutes into the next one: clocks differ, and what is slow has time to come
WEEK_DAYS = 7
_WEEK_MS = WEEK_DAYS * DAY_MS
_EPOCH = date(1970, 1, 1)  # a Thursday


def monday_of(day: int) -> int:
    """The Monday of a day's week."""
    return day - (day + 3) % WEEK_DAYS


def week_name(day: int) -> str:
    """The week of a day, as `2025-W24`. Its year is that of its Thursday."""
    year, week, _ = (_EPOCH + timedelta(days=day)).isocalendar()
    return f"{year}-W{week:02d}"


def closed_by(at_ms: int) -> int:
    """When the first week begins that is still open at a time, both in ms since the epoch."""
    return monday_of((at_ms - GRACE_MS) // DAY_MS) * DAY_MS


def closing_of(at_ms: int) -> int:
    """When the week of a time closes, both in ms since the epoch."""
    return monday_of(at_ms // DAY_MS) * DAY_MS + _WEEK_MS + GRACE_MS


def day_number(day: str) -> int:
    """The day of a date, YYYY-MM-DD."""
    return (date.fromisoformat(day) - _EPOCH).days
