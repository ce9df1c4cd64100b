"""Events: what a record's bytes decode to, and how a record can end.

Times are ISO 8601 on the wire and integer milliseconds since the epoch (UTC) inside: integers compare, merge and
encode the same everywhere.
"""

from datetime import UTC, datetime, timedelta
from enum import Enum, IntEnum
from typing import Annotated

import msgspec

DAY_MS = 86_400_000  # 24 x 60 x 60 x 1000
LAST_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z: no calendar goes further
FUTURE_MS = DAY_MS  # an event more than a day ahead of now is a broken clock, not news

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

NAME_LENGTH = 256
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_LENGTH)]
"""An identifier inside an event. 256 bounds the size of every changelog key and cell made of it."""


class Outcome(IntEnum):
    """How one record ended; every record has exactly one. The value is its place in ``Totals.outcomes``."""

    APPLIED = 0
    DUPLICATE = 1
    LATE = 2
    INVALID = 3
    MISROUTED = 4


class Removed(Enum):
    """What a domain's rule returns in the place of APPLIED when the event takes its row away."""

    REMOVED = "removed"


REMOVED = Removed.REMOVED
OUTCOMES = tuple(outcome.name.lower() for outcome in Outcome)


class Event(msgspec.Struct, gc=False):
    """The base of every domain's events. Unknown fields are tolerated: producers may be newer than we are."""


def millis(at: datetime) -> int:
    """Milliseconds since the epoch, cut off (the last moment of a day is in that day); a time without a zone is UTC."""
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return (at - _EPOCH) // _MILLISECOND  # exact integers, and quicker than timestamp()


_days: dict[int, str] = {}


def day_of(at_ms: int) -> str:
    """The UTC date of a time, as ``YYYY-MM-DD``. Remembered: live traffic falls on a handful of days."""
    number = at_ms // DAY_MS
    day = _days.get(number)
    if day is None:
        if len(_days) > 4096:  # noqa: PLR2004 - eleven years of days; a bound, so that hostile times cannot fill memory
            _days.clear()
        day = _days[number] = datetime.fromtimestamp(number * 86_400, UTC).strftime("%Y-%m-%d")
    return day


_seconds: dict[int, str] = {}
_MILLISECONDS = tuple(f".{ms:03d}Z" for ms in range(1000))


def iso(at_ms: int) -> str:
    """ISO 8601 in UTC, always with milliseconds and ``Z``: answers and snapshots sort as text.

    The second is remembered, as the day is: what is published per event falls on a handful of seconds.
    """
    number, ms = divmod(at_ms, 1000)
    second = _seconds.get(number)
    if second is None:
        if len(_seconds) > 4096:  # noqa: PLR2004 - likewise: an hour of seconds
            _seconds.clear()
        of_day = number % 86_400
        second = f"{day_of(at_ms)}T{of_day // 3600:02d}:{of_day // 60 % 60:02d}:{of_day % 60:02d}"
        _seconds[number] = second
    return second + _MILLISECONDS[ms]
