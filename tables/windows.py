"""Windows of time over a tutor's cells: sessions, feedback, logins and responses, added up exactly.

A window is [now - N days, now). It moves as time passes, so whoever adds up learns when the sums change next.
"""

from collections.abc import Sequence

import msgspec

from tables.event import DAY_MS
from tables.row import Cell, Row
from tables.tiers import GOOD_RATING, Sums

WINDOWS = ("7day", "30day", "90day")
SPANS_MS = (7 * DAY_MS, 30 * DAY_MS, 90 * DAY_MS)
_NEVER = 1 << 62


class SessionCell(Cell):
    """("session", session_id). A deleted one stays, so that an older version of it stays out."""

    version: int
    """`updated_at`, ms since the epoch."""
    start: int
    """`scheduled_start`, ms since the epoch: a session is in the windows that hold it."""
    kept: int
    """The latest start that it has ever had: it is kept by that, so that it outlives its older versions."""
    deleted: bool = False
    first: bool = False
    completed: bool = False
    no_show: bool = False
    rescheduled: bool = False
    punctual: bool = False
    engagement: int | None = None
    """In millionths."""
    objectives_met: bool | None = None


class FeedbackCell(Cell):
    """("feedback", feedback_id). It counts with its session, and nowhere while there is none."""

    version: int
    session: str
    rating: int
    waits: bool
    """Its session has not come yet."""


class LoginCell(Cell):
    """("login", event_id)."""

    at: int


class ResponseCell(Cell):
    """("response", event_id)."""

    at: int
    ms: int


class _Span:
    """What lies between the edges of two windows: its sums, its response times, and the oldest time in it."""

    __slots__ = ("oldest", "responses", "sums")

    def __init__(self) -> None:
        self.sums = Sums()
        self.responses: list[int] = []
        self.oldest = _NEVER


def measure(row: Row, now: int) -> tuple[list[Sums], int]:
    """The three windows [now - N days, now) from the row's cells, and when time alone changes one of them next.

    Returns:
        The sums in the order of WINDOWS; ms since the epoch, 0 for never.
    """
    ratings: dict[str, list[int]] = {}
    for name, cell in row.cells.items():
        if name[0] == "feedback":
            ratings.setdefault(cell.session, []).append(cell.rating)
    spans = (_Span(), _Span(), _Span())
    week, month, quarter = (now - span for span in SPANS_MS)
    ahead = _NEVER
    for name, cell in row.cells.items():
        kind = name[0]
        if kind == "feedback" or (kind == "session" and cell.deleted):
            continue
        time = cell.start if kind == "session" else cell.at
        if time >= now:
            ahead = min(ahead, time)
            continue
        if time < quarter:
            continue
        span = spans[0 if time >= week else 1 if time >= month else 2]
        if time < span.oldest:  # noqa: PLR1730 - of 5,000 cells a call each is felt
            span.oldest = time
        if kind == "session":
            _add_session(span.sums, cell, ratings.get(name[1]))
        elif kind == "login":
            span.sums.logins += 1
        else:
            span.responses.append(cell.ms)
    forgotten = row.head.forgotten_at
    return _windows(spans, now, forgotten), _next_change(spans, ahead, now, forgotten)


def _add_session(sums: Sums, cell: SessionCell, ratings: list[int] | None) -> None:
    sums.sessions += 1
    sums.completed += cell.completed
    sums.no_shows += cell.no_show
    sums.rescheduled += cell.rescheduled
    sums.punctual += cell.punctual
    if cell.engagement is not None:
        sums.engagements += 1
        sums.engagement += cell.engagement
    if cell.objectives_met is not None:
        sums.objectives += 1
        sums.objectives_met += cell.objectives_met
    if ratings:
        sums.ratings += len(ratings)
        sums.rating += sum(ratings)
        if cell.first:
            sums.first_rated += 1
            sums.first_successes += sum(ratings) >= GOOD_RATING * len(ratings)


def _windows(spans: Sequence[_Span], now: int, forgotten: int) -> list[Sums]:
    """Each window is the one before it and one span more."""
    windows, responses = [], list[int]()
    so_far = Sums()
    for span, length in zip(spans, SPANS_MS, strict=True):
        so_far.add(span.sums)
        responses = sorted(responses + span.responses)
        sums = msgspec.structs.replace(so_far, truncated=forgotten > 0 and forgotten >= now - length)
        if responses:
            sums.responses, sums.response_ms = len(responses), sum(responses)
            sums.response_p50_ms = nearest_rank(responses, 50)
            sums.response_p95_ms = nearest_rank(responses, 95)
        windows.append(sums)
    return windows


def nearest_rank(ascending: Sequence[int], percent: int) -> int:
    """The percentile of sorted values: the smallest one that so many percent of them do not exceed."""
    return ascending[(percent * len(ascending) + 99) // 100 - 1]


def _next_change(spans: Sequence[_Span], ahead: int, now: int, forgotten: int) -> int:
    """The first ms at which something enters a window or leaves one.

    A window is [now - N days, now): a time enters it in the ms after it, and leaves it N days and a ms after it.
    """
    changes = [ahead + 1]
    changes += [span.oldest + length + 1 for span, length in zip(spans, SPANS_MS, strict=True)]
    changes += [forgotten + length + 1 for length in SPANS_MS if forgotten and forgotten + length >= now]
    first = min(changes)
    return first if first < _NEVER else 0
