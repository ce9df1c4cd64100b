"""Tutors: how they did over the last 7, 30 and 90 days, as a tier, and an alert where it has become worse.

A row keeps the sessions, the feedback, the logins and the responses themselves, a cell each, and a window is added up
from them: exactly, and again whenever time alone has changed it. What the row keeps follows from its records alone;
the clock decides only which of it is in a window. So a row that is rebuilt from the topic is the same row.
"""

from collections.abc import Callable, Iterable, Sequence
from heapq import nsmallest
from typing import Any

import msgspec

from tables.domain import Domain, Topic
from tables.emission import AtTime, Debounced, Snapshot
from tables.event import DAY_MS, FUTURE_MS, Outcome, iso, millis
from tables.option import Option
from tables.row import Cell, CellName, Head, Row
from tables.tiers import (
    AT_RISK,
    MILLION,
    MINUTE_MS,
    PUNCTUAL_MINUTES,
    TIERS,
    Sums,
    flags_of,
    metrics_of,
    named,
    shown,
    tier_of,
)
from tables.totals import Totals, Whole
from tables.tutor_events import Feedback, Login, MessageResponse, Session
from tables.views import Answer, Asked, EntityView, ListView, Parameter, SortKey, TotalsView
from tables.windows import SPANS_MS, WINDOWS, FeedbackCell, LoginCell, ResponseCell, SessionCell, measure

# An event may be dated a day ahead of now. So what is 90 days and that day older than a row's newest event is in no
# window, whatever the clock says; counted from that event's midnight (UTC), so that a row is looked through once a day.
KEPT_MS = SPANS_MS[-1] + FUTURE_MS
LIMIT = Option(
    "tutor_session_limit",
    5_000,
    "A tutor keeps so many sessions, feedback, logins and responses together; beyond it the oldest go.",
    least=1,
    most=50_000,
    warn_below=100,
)
WAITING_LIMIT = 500  # feedback of one tutor whose session has not come yet
_ALL = (1 << len(WINDOWS)) - 1  # `pending`: after an event all windows are owed


# -- the row -----------------------------------------------------------------------------------------------------------


class TutorHead(Head):
    """`due`: when time alone changes a window next. `windows`, `tiers`: as published last, in the order of WINDOWS."""

    due: int = 0
    waiting: int = 0
    """Feedback that waits for its session."""
    forgotten_at: int = 0
    """The time of the newest cell that was let go because the row was full."""
    waiting_forgotten_at: int = 0
    """The time of the newest feedback that was let go because too much of it waited."""
    windows: list[Sums] = msgspec.field(default_factory=lambda: [Sums() for _ in WINDOWS])
    tiers: list[int | None] = msgspec.field(default_factory=lambda: [None for _ in WINDOWS])


class TutorsTotals(Totals):
    """Stock: tutors by tier, in the order of TIERS, as published last; feedback that waits. Flow: what was let go."""

    tiers_7day: list[int] = msgspec.field(default_factory=lambda: [0] * len(TIERS))
    tiers_30day: list[int] = msgspec.field(default_factory=lambda: [0] * len(TIERS))
    tiers_90day: list[int] = msgspec.field(default_factory=lambda: [0] * len(TIERS))
    feedback_waiting: int = 0
    feedback_unmatched: int = 0
    """Feedback whose session did not come within its time."""
    feedback_dropped: int = 0
    """Feedback that waited and had to go: too much waited, or the row was full."""
    forgotten: int = 0
    """Cells that were let go because a row was full."""

    def by_tier(self, window: int) -> list[int]:
        """The tutors of each tier in a window."""
        return (self.tiers_7day, self.tiers_30day, self.tiers_90day)[window]


# -- the fold ----------------------------------------------------------------------------------------------------------


def horizon(at: int) -> int:
    """What is older than this is past, for a row whose newest event is of `at`; both in ms since the epoch."""
    return at // DAY_MS * DAY_MS - KEPT_MS


def reduce(row: Row, event: Any, at: int, totals: TutorsTotals) -> Outcome:
    """One event into its tutor's row. LATE: past, forgotten, or an older version than the known one."""
    outcome = _FOLDS[type(event)](row, event, at, totals)
    if outcome is not Outcome.APPLIED:
        return outcome
    head: TutorHead = row.head
    if head.waiting > WAITING_LIMIT:
        _drop_oldest_waiting(row, totals)
    if at // DAY_MS > head.at // DAY_MS:
        _let_past_go(row, horizon(at), totals)
    if len(row.cells) > row.table.options[LIMIT.name]:
        _let_oldest_go(row, row.table.options[LIMIT.name], totals)
    head.pending = _ALL
    return outcome


def _session(row: Row, event: Session, at: int, totals: TutorsTotals) -> Outcome:
    name = ("session", event.session_id)
    start = kept = millis(event.scheduled_start)
    known: SessionCell | None = row.cells.get(name)
    if known is not None:
        if at <= known.version:
            return Outcome.DUPLICATE if at == known.version else Outcome.LATE
        kept = max(start, known.kept)
        if kept < horizon(max(row.head.at, at)):  # as if it was not known: else it would be LATE only the first time
            return Outcome.LATE
    elif _is_late(row, start, at):
        return Outcome.LATE
    row.put(name, SessionCell(at, start, kept, deleted=True) if event.deleted else _cell(event, at, start, kept))
    if known is None and row.head.waiting:
        _match(row, event.session_id, totals)
    return Outcome.APPLIED


def _cell(event: Session, version: int, start: int, kept: int) -> SessionCell:
    completed = event.actual_start is not None and not event.no_show
    score = event.engagement_score
    return SessionCell(
        version,
        start,
        kept,
        first=event.session_number == 1,
        completed=completed,
        no_show=bool(event.no_show),
        rescheduled=bool(event.tutor_initiated_reschedule),
        punctual=completed and (event.late_start_minutes or 0) <= PUNCTUAL_MINUTES,
        engagement=None if score is None else round(score * MILLION),
        objectives_met=event.learning_objectives_met,
    )


def _feedback(row: Row, event: Feedback, at: int, totals: TutorsTotals) -> Outcome:
    name = ("feedback", event.feedback_id)
    known: FeedbackCell | None = row.cells.get(name)
    waits = ("session", event.session_id) not in row.cells
    if known is not None:
        if at <= known.version:
            return Outcome.DUPLICATE if at == known.version else Outcome.LATE
        waits = waits and (known.waits or known.session != event.session_id)  # its session may have come and gone
    elif _is_late(row, at, at) or (waits and at <= row.head.waiting_forgotten_at):
        return Outcome.LATE
    row.put(name, FeedbackCell(at, event.session_id, event.overall_rating, waits))
    _wait(row, waits - (known is not None and known.waits), totals)
    return Outcome.APPLIED


def _login(row: Row, event: Login, at: int, _totals: TutorsTotals) -> Outcome:
    return _once(row, ("login", event.event_id), at, lambda: LoginCell(at))


def _response(row: Row, event: MessageResponse, at: int, _totals: TutorsTotals) -> Outcome:
    ms = round(event.response_time_minutes * MINUTE_MS)
    return _once(row, ("response", event.event_id), at, lambda: ResponseCell(at, ms))


def _once(row: Row, name: CellName, at: int, make: Callable[[], Cell]) -> Outcome:
    if name in row.cells:
        return Outcome.DUPLICATE
    if _is_late(row, at, at):
        return Outcome.LATE
    row.cell(name, make)
    return Outcome.APPLIED


_FOLDS: dict[type, Callable[[Row, Any, int, TutorsTotals], Outcome]] = {
    Session: _session,
    Feedback: _feedback,
    Login: _login,
    MessageResponse: _response,
}


def _is_late(row: Row, time: int, at: int) -> bool:
    """Whether something of that time that the row does not know is past, or among what it has forgotten."""
    head: TutorHead = row.head
    return time < horizon(max(head.at, at)) or time <= head.forgotten_at


# -- what a row keeps --------------------------------------------------------------------------------------------------


def _match(row: Row, session: str, totals: TutorsTotals) -> None:
    """The session has come that feedback waited for. All cells are gone through, but only while some feedback waits."""
    for name, cell in row.cells.items():
        if name[0] == "feedback" and cell.waits and cell.session == session:
            cell.waits = False
            row.touch(name)
            _wait(row, -1, totals)


def _wait(row: Row, number: int, totals: TutorsTotals) -> None:
    row.head.waiting += number
    totals.feedback_waiting += number


def _time(row: Row, name: CellName, cell: Any) -> int:
    """What a cell is kept by: of feedback, its session's where that is later."""
    if name[0] == "session":
        return int(cell.kept)
    if name[0] == "feedback":
        session = row.cells.get(("session", cell.session))
        return int(cell.version if session is None else max(cell.version, session.kept))
    return int(cell.at)


def _drop_oldest_waiting(row: Row, totals: TutorsTotals) -> None:
    oldest, name = min((cell.version, name) for name, cell in row.cells.items() if name[0] == "feedback" and cell.waits)
    row.head.waiting_forgotten_at = max(row.head.waiting_forgotten_at, oldest)
    row.drop(name)
    _wait(row, -1, totals)
    totals.feedback_dropped += 1


def _let_past_go(row: Row, limit: int, totals: TutorsTotals) -> None:
    past = [name for name, cell in row.cells.items() if _time(row, name, cell) < limit]
    totals.feedback_unmatched += _let_go(row, past, totals)


def _let_oldest_go(row: Row, limit: int, totals: TutorsTotals) -> None:
    """Make room, and a hundredth more of it: finding the oldest goes through all of them."""
    excess = len(row.cells) - limit + limit // 100
    oldest = nsmallest(excess, ((_time(row, name, cell), name) for name, cell in row.cells.items()))
    row.head.forgotten_at = max(row.head.forgotten_at, oldest[-1][0])
    totals.forgotten += len(oldest)
    totals.feedback_dropped += _let_go(row, [name for _, name in oldest], totals)


def _let_go(row: Row, names: Iterable[CellName], totals: TutorsTotals) -> int:
    """Drop cells; returns how many of them were feedback that waited."""
    waited = 0
    for name in names:
        waited += name[0] == "feedback" and row.cells[name].waits
        row.drop(name)
    _wait(row, -waited, totals)
    return waited


def bury(row: Row, totals: TutorsTotals) -> None:
    """Take the stock totals of a buried tutor out."""
    totals.feedback_waiting -= row.head.waiting
    for window, tier in enumerate(row.head.tiers):
        if tier is not None:
            totals.by_tier(window)[tier] -= 1


# -- what is published -------------------------------------------------------------------------------------------------


def snapshots(row: Row, now: int, totals: TutorsTotals) -> Sequence[Snapshot]:
    """A record per window, and an alert where its tier has become worse.

    After an event all windows are owed. When only time has passed, those that it has changed.
    """
    head: TutorHead = row.head
    fresh, head.due = measure(row, now)
    records: list[Snapshot] = []
    for number, (window, sums) in enumerate(zip(WINDOWS, fresh, strict=True)):
        if not head.pending and sums == head.windows[number]:
            continue
        previous, tier = head.tiers[number], tier_of(sums)
        head.windows[number] = sums
        _move(totals.by_tier(number), previous, tier)
        head.tiers[number] = tier
        body = _body(row, window, sums) | {"previous_tier": named(previous), "calculation_date": iso(now)}
        records.append(Snapshot(window, body))
        if previous is not None and tier is not None and tier > previous:
            records.append(Snapshot(window, body, "alerts"))
    return records


def _move(tutors: list[int], before: int | None, tier: int | None) -> None:
    if before is not None:
        tutors[before] -= 1
    if tier is not None:
        tutors[tier] += 1


def _body(row: Row, window: str, sums: Sums) -> Answer:
    return {
        "tutor_id": row.entity,
        "window": window,
        "tier": named(tier_of(sums)),
        "metrics": shown(sums),
        "pending_feedback": row.head.waiting,
    }


# -- answers -----------------------------------------------------------------------------------------------------------


def _current(row: Row, window: str, now: int) -> Sums:
    """A window as it is now. What was published last holds until the next event, or until time changes it."""
    head: TutorHead = row.head
    if head.pending or 0 < head.due <= now:
        return measure(row, now)[0][WINDOWS.index(window)]
    return head.windows[WINDOWS.index(window)]


def _metrics(row: Row, asked: Asked, now: int) -> Answer:
    body = _body(row, asked["window"], measure(row, now)[0][WINDOWS.index(asked["window"])])
    return {"success": True} | body | {"calculation_date": iso(now), "timestamp": iso(now)}


def _at_risk(row: Row, asked: Asked, now: int) -> Iterable[tuple[SortKey, Sums]]:
    """The one with the most red flags first, then by name."""
    sums = _current(row, asked["window"], now)
    if tier_of(sums) == AT_RISK:
        yield [-len(flags_of(metrics_of(sums))[1]), row.entity], sums


def _all(row: Row, asked: Asked, now: int) -> Iterable[tuple[SortKey, Sums]]:
    yield [row.entity], _current(row, asked["window"], now)


def _line(row: Row, sums: Sums, asked: Asked, _now: int) -> Answer:
    return _body(row, asked["window"], sums)


def _answer_of(lines: str) -> Callable[[list[Answer], int, Asked, int], Answer]:
    return lambda found, total, asked, now: {
        "success": True,
        "window": asked["window"],
        lines: found,
        "total": total,
        "timestamp": iso(now),
    }


def _overview(whole: Whole, asked: Asked) -> Answer:
    totals: TutorsTotals = whole.totals
    tiers = totals.by_tier(WINDOWS.index(asked["window"]))
    return {
        "success": True,
        "window": asked["window"],
        "total_tutors": totals.keys,
        "tier_distribution": dict(zip(TIERS, tiers, strict=True)),
        "without_tier": totals.keys - sum(tiers),
        "pending_feedback": totals.feedback_waiting,
        "unmatched_feedback": totals.feedback_unmatched,
        "dropped_feedback": totals.feedback_dropped,
        "timestamp": iso(whole.now),
    }


_WINDOW = Parameter("window", "30day", WINDOWS, "the last 7, 30 or 90 days, to the millisecond")

TUTORS = Domain(
    name="tutors",
    entity_name="tutor",
    version=1,
    event=Session | Feedback | Login | MessageResponse,
    entity=lambda event: event.tutor_id,
    at=lambda event: millis(event.at),
    reduce=reduce,
    head=TutorHead,
    cells={"session": SessionCell, "feedback": FeedbackCell, "login": LoginCell, "response": ResponseCell},
    totals=TutorsTotals,
    bury=bury,
    snapshots=snapshots,
    suffixes=WINDOWS,
    emission=Debounced(30.0),
    at_time=AtTime(lambda head: head.due),
    topics=(Topic("alerts", "tutors-alerts", "A record per window of a tutor whose tier has become worse.", 90),),
    settable=(LIMIT,),
    key_limit=0,
    views=(
        EntityView(
            "/api/tutors/{entity}/metrics",
            "A tutor's metrics and tier, added up when asked.",
            _metrics,
            (_WINDOW,),
        ),
        TotalsView(
            "/api/analytics/overview", "How many tutors are in each tier, as published last.", _overview, (_WINDOW,)
        ),
        ListView(
            "/api/analytics/at-risk-tutors",
            "The tutors at risk, those with the most red flags first.",
            _at_risk,
            _line,
            _answer_of("at_risk_tutors"),
            (_WINDOW,),
        ),
        ListView(
            "/api/analytics/tutor-metrics",
            "Every tutor's metrics and tier, by name.",
            _all,
            _line,
            _answer_of("tutors"),
            (_WINDOW,),
        ),
    ),
)
