"""Assessments: how coding-assistant sessions are assessed, over the tiers, in all and per session.

Every applied event is one assessment, so a session's revision is the number of its assessments. Counts are over all
that ever came, not over what a topic happens to keep.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Annotated, Any, Literal

import msgspec

from tables.dedupe import IdCell, IdHead, LastIds, packed
from tables.domain import Domain, Top, Topic
from tables.emission import Debounced, PerEvent, Snapshot
from tables.event import Event, Name, Outcome, iso, millis
from tables.option import Option
from tables.retention import Ring
from tables.row import Row
from tables.totals import Totals, Whole
from tables.views import Answer, Asked, EntityView, ListView, Parameter, SortKey, TotalsView

LIGHTWEIGHT, MEDIUM, HEAVY, CHECKPOINT = TIERS = ("lightweight", "medium", "heavy", "checkpoint")
_RESULTS: dict[str | None, str | None] = {"session_end": HEAVY}  # what the plugin's results call a tier otherwise
ENDS = ("success", "partial", "failure", "abandoned")
KEPT = Option(
    "stats_retention_count",
    100,
    "Every partition keeps so many of the newest snapshots of assessments.",
    least=1,
)
IDS = LastIds(32)
ROLE = "snapshots"

# -- events ------------------------------------------------------------------------------------------------------------

_Text = str | None
# What is only looked at to see that it is there is not decoded any further.
_List = list[msgspec.Raw]
_Average = Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)]
# Sums have 63 bits: 9.2e18 / 1e10 = 9.2e8 of the greatest segments.
_Tokens = Annotated[int, msgspec.Meta(ge=0, le=10**10)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]


class TokenMetrics(Event):
    """What a segment of a session has cost."""

    total_tokens: _Tokens
    correction_ratio: Annotated[float, msgspec.Meta(ge=0, le=1e6)]
    retry_count: _Count


class _Body(Event, kw_only=True):
    """What the tiers say. Which of it has to be there depends on the tier; what is there has to be of its type."""

    message_idx: _Count | None = None
    signals: _List | None = None
    frustration_ema: _Average | None = None
    success_ema: _Average | None = None
    triggering_event_id: _Text = None

    checkpoint_id: _Text = None
    message_range: _List | dict[str, msgspec.Raw] | str | None = None
    trigger: _Text = None
    summary: _Text = None
    token_metrics: TokenMetrics | None = None
    segment_score: Annotated[float, msgspec.Meta(ge=-1, le=1)] | None = None

    outcome: Literal["success", "partial", "failure", "abandoned"] | None = None
    task_summary: _Text = None
    frustration_trajectory: _List | None = None


_BODIES = {
    LIGHTWEIGHT: ("message_idx", "signals", "frustration_ema", "success_ema", "triggering_event_id"),
    MEDIUM: ("checkpoint_id", "message_range", "trigger", "summary", "token_metrics", "segment_score"),
    HEAVY: ("outcome", "task_summary", "frustration_trajectory"),
}
_needs = {tier: attrgetter(*names) for tier, names in _BODIES.items()}
_PLUGIN = ("event_id", "result_type", "session_id", "payload")


class Context(Event):
    """Whose assessment it is, of when, and under which circumstances."""

    session_id: Name
    event_id: Name
    timestamp: datetime
    active_learnings: _List
    injection_method: str
    harness_type: str
    injection_scope: _Text = None
    harness_version: _Text = None
    project_id: _Text = None
    user_id: _Text = None


class Payload(_Body):
    """The body of a plugin's result: what it has of a tier's fields, none of which it has to have."""

    timestamp: datetime | None = None


class Assessment(_Body):
    """One assessment, in either shape: a tier with its context, or the plugin's result with its payload.

    Whichever it was, `session_id` and `event_id` are set; `tier` is None in the plugin's.
    """

    tier: _Text = None
    context: Context | None = None
    event_id: Name | None = None
    result_type: _Text = None
    session_id: Name | None = None
    payload: Payload | None = None

    def __post_init__(self) -> None:
        if self.tier is None:
            if self.result_type is None:
                raise ValueError("has neither `tier` nor `result_type`")
            if self.event_id is None or self.session_id is None or self.payload is None:
                raise _missing(self, _PLUGIN)
            return
        context = self.context
        if context is None:
            raise _missing(self, ("context",))
        self.session_id, self.event_id = context.session_id, context.event_id
        needs = _needs.get(self.tier)
        if needs is not None and None in needs(self):
            raise _missing(self, _BODIES[self.tier])


def _missing(event: Assessment, names: Iterable[str]) -> ValueError:
    name = next(name for name in names if getattr(event, name) is None)
    tier = event.result_type if event.tier is None else event.tier
    return ValueError(f"`{name}` is missing or null in a `{tier}`")


_uuid7 = re.compile(
    "([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII
).fullmatch


def at_of(event: Assessment) -> int | None:
    """When it was assessed. The plugin's shape has no time of its own: its payload's, or that inside a UUIDv7."""
    if event.tier is not None:
        return millis(event.context.timestamp)  # type: ignore[union-attr] # __post_init__
    time = event.payload.timestamp  # type: ignore[union-attr] # likewise
    if time is not None:
        return millis(time)
    uuid = _uuid7(event.event_id or "")
    return int(uuid[1] + uuid[2], 16) if uuid else None


# -- the row -----------------------------------------------------------------------------------------------------------


class SessionHead(IdHead):
    """All that is known of a session. `at` is that of its newest assessment; `pending` is 1 where stats are owed."""

    lightweight: int = 0
    medium: int = 0
    heavy: int = 0
    checkpoint: int = 0
    first_at: int = 0
    success_ema: float | None = None
    success_at: int = -1
    """When the average above was said: that of an older message does not replace it."""
    frustration_ema: float | None = None
    frustration_at: int = -1
    """Likewise; a plugin's result may say one of the two only."""
    tokens: int = 0
    success: int = 0
    partial: int = 0
    failure: int = 0
    abandoned: int = 0


class AssessmentsTotals(Totals):
    """Flow: all of it; a session that is buried was assessed all the same. `assessments` counts unknown tiers too."""

    assessments: int = 0
    lightweight: int = 0
    medium: int = 0
    heavy: int = 0
    checkpoint: int = 0
    tokens: int = 0
    success: int = 0
    partial: int = 0
    failure: int = 0
    abandoned: int = 0


def reduce(row: Row, event: Assessment, at: int, totals: AssessmentsTotals) -> Outcome:
    """One assessment into its session. Duplicates: by event id, among the session's last 32."""
    head: SessionHead = row.head
    id_ = packed(event.event_id)  # type: ignore[arg-type] # __post_init__
    if IDS.knows(row, id_):
        return Outcome.DUPLICATE
    IDS.remember(row, id_)
    head.pending = 1
    if at < head.first_at or not head.revision:
        head.first_at = at
    totals.assessments += 1
    tier: str | None = event.tier
    body: Any = event
    if tier is None:
        tier, body = _RESULTS.get(event.result_type, event.result_type), event.payload
    if tier == LIGHTWEIGHT:  # nearly every event
        head.lightweight += 1
        totals.lightweight += 1
        _averages(head, body, at)
    elif tier in _REST:
        _REST[tier](head, totals, body)
    return Outcome.APPLIED


def _averages(head: SessionHead, body: Any, at: int) -> None:
    if at >= head.success_at and body.success_ema is not None:
        head.success_ema, head.success_at = body.success_ema, at
    if at >= head.frustration_at and body.frustration_ema is not None:
        head.frustration_ema, head.frustration_at = body.frustration_ema, at


def _medium(head: SessionHead, totals: AssessmentsTotals, body: Any) -> None:
    head.medium += 1
    totals.medium += 1
    if body.token_metrics is not None:
        head.tokens += body.token_metrics.total_tokens
        totals.tokens += body.token_metrics.total_tokens


def _heavy(head: SessionHead, totals: AssessmentsTotals, body: Any) -> None:
    head.heavy += 1
    totals.heavy += 1
    if body.outcome is not None:
        setattr(head, body.outcome, getattr(head, body.outcome) + 1)
        setattr(totals, body.outcome, getattr(totals, body.outcome) + 1)


def _checkpoint(head: SessionHead, totals: AssessmentsTotals, _body: Any) -> None:
    head.checkpoint += 1
    totals.checkpoint += 1


_REST = {MEDIUM: _medium, HEAVY: _heavy, CHECKPOINT: _checkpoint}


# -- answers -----------------------------------------------------------------------------------------------------------


class Distribution(msgspec.Struct, gc=False):
    """Assessments by tier. Their sum is less than the total where there were tiers that nobody knows."""

    lightweight: int
    medium: int
    heavy: int
    checkpoint: int


class OneSession(msgspec.Struct, gc=False):
    """The session that was just assessed."""

    session_id: str
    tier_distribution: Distribution


class RunningTotals(msgspec.Struct, gc=False):
    """What is published for every assessment: its partition's sums and its own session's. Its size is bounded."""

    tier_distribution: Distribution
    total_assessments: int
    session: OneSession
    last_offset: int
    timestamp: str
    partition: int
    revision: int


def running_totals(row: Row, totals: AssessmentsTotals, revision: int, partition: int) -> RunningTotals:
    """The record of one assessment; `timestamp` is the session's newest."""
    head: SessionHead = row.head
    return RunningTotals(
        Distribution(totals.lightweight, totals.medium, totals.heavy, totals.checkpoint),
        totals.assessments,
        OneSession(row.entity, Distribution(head.lightweight, head.medium, head.heavy, head.checkpoint)),
        head.offset,
        iso(head.at),
        partition,
        revision,
    )


def distribution(counts: SessionHead | AssessmentsTotals) -> dict[str, int]:
    """Assessments by tier, as answers have them."""
    return {tier: getattr(counts, tier) for tier in TIERS}


def session(row: Row) -> Answer:
    """All about a session: the answer of its view, and its record on the stats topic."""
    head: SessionHead = row.head
    return {
        "session_id": row.entity,
        "tier_distribution": distribution(head),
        "total_assessments": head.revision,
        "first_at": iso(head.first_at),
        "last_at": iso(head.at),
        "last_offset": head.offset,
        "success_ema": head.success_ema,
        "frustration_ema": head.frustration_ema,
        "total_tokens": head.tokens,
        "outcomes": {end: getattr(head, end) for end in ENDS},
    }


def snapshots(row: Row, _now: int, _totals: AssessmentsTotals) -> Sequence[Snapshot]:
    """The latest of a session."""
    return (Snapshot("", session(row)),)


def _stats(whole: Whole, _asked: Asked) -> Answer:
    return {
        "tier_distribution": distribution(whole.totals),
        "total_assessments": whole.totals.assessments,
        "top_sessions": [{"session_id": entity, "assessment_count": count} for entity, count in whole.top("sessions")],
    }


def _lines(row: Row, asked: Asked, _now: int) -> Iterable[tuple[SortKey, Any]]:
    wanted = asked["session"]
    return () if wanted and wanted != row.entity else (([-row.head.at, row.entity], None),)


def _line(row: Row, _found: Any, _asked: Asked, _now: int) -> Answer:
    return session(row)


def _history(lines: list[Answer], total: int, asked: Asked, _now: int) -> Answer:
    page, per_page = int(asked["page"]), int(asked["per_page"])
    pages = -(-total // per_page)
    return {
        "sessions": lines,
        "total": total,
        "page": page,
        "per_page": per_page,
        "total_pages": pages,
        "has_more": page < pages,
    }


ASSESSMENTS = Domain(
    name="assessments",
    entity_name="session",
    version=1,
    event=Assessment,
    entity=attrgetter("session_id"),
    at=at_of,
    reduce=reduce,
    head=SessionHead,
    cells={"id": IdCell},
    totals=AssessmentsTotals,
    snapshots=snapshots,
    emission=Debounced(1.0),
    per_event=PerEvent(Ring(ROLE, KEPT), running_totals),
    topics=(Topic(ROLE, "assessments-snapshots", "running totals of a partition, one record per assessment", None),),
    tops=(Top("sessions", lambda row: row.head.revision),),
    views=(
        TotalsView("/assess/stats", "How all assessments are spread over the tiers; the ten busiest sessions.", _stats),
        EntityView("/assess/sessions/{entity}", "All about a session.", lambda row, _asked, _now: session(row)),
        ListView(
            "/assess/history",
            "Sessions with their counts, the last assessed first.",
            lines=_lines,
            line=_line,
            answer=_history,
            parameters=(Parameter("session", "", about="only this session"),),
            entity="session",
        ),
    ),
)
