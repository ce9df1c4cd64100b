"""What the assessments domain says of its input, in plain Python: nothing here comes from tables/ or agents/.

It keeps every accepted assessment and counts them when asked.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote

from tests.oracle.interface import Raw

REMEMBERED = 32  # event ids of a session
TIERS = ("lightweight", "medium", "heavy", "checkpoint")
OUTCOMES = ("success", "partial", "failure", "abandoned")
DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ASKED = 40  # sessions whose views are asked for
UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-([0-9a-f])[0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE)

Check = Callable[[Any], bool]
Fields = dict[str, Any]


def text(value: Any) -> bool:
    """Any text."""
    return isinstance(value, str)


def name(value: Any) -> bool:
    """An identifier: what keys and ids are."""
    return isinstance(value, str) and 1 <= len(value) <= 256


def number(least: float, most: float) -> Check:
    """A finite number within bounds."""
    return lambda value: (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and least <= value <= most
    )


def integer(most: int) -> Check:
    """A number of something."""
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def array(value: Any) -> bool:
    """Any array."""
    return isinstance(value, list)


def time(value: Any) -> bool:
    """ISO 8601."""
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return True


def metrics(value: Any) -> bool:
    """What a segment has cost."""
    checks = {"total_tokens": integer(10**10), "correction_ratio": number(0, 1e6), "retry_count": integer(2**53)}
    return isinstance(value, dict) and all(key in value and check(value[key]) for key, check in checks.items())


BODY: dict[str, Check] = {
    "message_idx": integer(2**53),
    "signals": array,
    "frustration_ema": number(-1e6, 1e6),
    "success_ema": number(-1e6, 1e6),
    "triggering_event_id": text,
    "checkpoint_id": text,
    "message_range": lambda value: isinstance(value, list | dict | str),
    "trigger": text,
    "summary": text,
    "token_metrics": metrics,
    "segment_score": number(-1, 1),
    "outcome": OUTCOMES.__contains__,
    "task_summary": text,
    "frustration_trajectory": array,
}
REQUIRED = {"lightweight": tuple(BODY)[:5], "medium": tuple(BODY)[5:11], "heavy": tuple(BODY)[11:]}
CONTEXT: dict[str, Check] = {
    "session_id": name,
    "event_id": name,
    "timestamp": time,
    "active_learnings": array,
    "injection_method": text,
    "harness_type": text,
}
CONTEXT_OPTIONAL: dict[str, Check] = dict.fromkeys(
    ("injection_scope", "harness_version", "project_id", "user_id"), text
)
OWN: dict[str, Check] = {"tier": text, "event_id": name, "result_type": text, "session_id": name}


class Accepted(NamedTuple):
    """An assessment that counts."""

    tier: str | None
    at: datetime
    offset: int
    body: Fields


def well_typed(fields: Any, checks: Mapping[str, Check]) -> bool:
    """Whether what is there, and not null, is as it has to be."""
    return isinstance(fields, dict) and all(
        fields.get(key) is None or check(fields[key]) for key, check in checks.items()
    )


def has(fields: Fields, names: Iterable[str]) -> bool:
    """Whether all of it is there."""
    return all(fields.get(key) is not None for key in names)


def is_context(context: Any) -> bool:
    """Whether it says whose assessment it is, and when."""
    return well_typed(context, CONTEXT | CONTEXT_OPTIONAL) and has(context, CONTEXT)


def is_event(event: Any) -> bool:
    """Whether it is an assessment in one of the two shapes; what both know has the same type in both."""
    if not well_typed(event, BODY | OWN):
        return False
    context, payload = event.get("context"), event.get("payload")
    if context is not None and not is_context(context):
        return False
    if payload is not None and not well_typed(payload, BODY | {"timestamp": time}):
        return False
    if event.get("tier") is not None:
        return context is not None and has(event, REQUIRED.get(event["tier"], ()))
    return has(event, ("event_id", "result_type", "session_id", "payload"))


def moment(value: str) -> datetime:
    """A time, cut off at the millisecond; one without a zone is UTC."""
    at = datetime.fromisoformat(value)
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def shown(at: datetime) -> str:
    """As answers have it."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def plugin_time(event: Fields, record: Raw) -> datetime:
    """The payload's, else the one in a version 7 UUID, else the record's."""
    if event["payload"].get("timestamp") is not None:
        return moment(event["payload"]["timestamp"])
    uuid = UUID.fullmatch(event["event_id"])
    in_id = uuid is not None and uuid[1] == "7" and uuid[2] in "89abAB"
    ms = int(event["event_id"].replace("-", "")[:12], 16) if in_id else record.timestamp
    return EPOCH + timedelta(milliseconds=ms) if ms < 10**14 else datetime.max.replace(tzinfo=UTC)


class Session:
    """One session's accepted assessments."""

    def __init__(self) -> None:
        self.accepted: list[Accepted] = []
        self.ids: list[str] = []

    def tiers(self) -> dict[str, int]:
        """How many of each."""
        return {tier: sum(one.tier == tier for one in self.accepted) for tier in TIERS}

    def tokens(self) -> int:
        """All segments' tokens."""
        medium = [one.body.get("token_metrics") for one in self.accepted if one.tier == "medium"]
        return sum(metrics["total_tokens"] for metrics in medium if metrics)

    def ends(self) -> dict[str, int]:
        """How often it ended, and how."""
        return {
            outcome: sum(one.tier == "heavy" and one.body.get("outcome") == outcome for one in self.accepted)
            for outcome in OUTCOMES
        }

    def averages(self) -> dict[str, float | None]:
        """Each as the newest message that says it says; of several at one time the last to come."""
        messages = sorted((one for one in self.accepted if one.tier == "lightweight"), key=lambda one: one.at)
        said: dict[str, float | None] = {"success_ema": None, "frustration_ema": None}
        for one in messages:
            said |= {key: one.body[key] for key in said if one.body.get(key) is not None}
        return said

    def body(self, entity: str) -> Fields:
        """The answer of its view, and its record on the stats topic."""
        return {
            "session_id": entity,
            "tier_distribution": self.tiers(),
            "total_assessments": len(self.accepted),
            "first_at": shown(min(one.at for one in self.accepted)),
            "last_at": shown(max(one.at for one in self.accepted)),
            "last_offset": self.accepted[-1].offset,
            **self.averages(),
            "total_tokens": self.tokens(),
            "outcomes": self.ends(),
        }


class AssessmentsOracle:
    """All sessions."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self._outcomes: Counter[str] = Counter()

    def fold(self, record: Raw) -> None:
        """Take the next record of its partition in."""
        self._outcomes[self._fold(record)] += 1

    def _fold(self, record: Raw) -> str:
        try:
            event = json.loads(record.value or b"", parse_constant=_no_number)
        except (ValueError, RecursionError):
            return "invalid"
        if not is_event(event):
            return "invalid"
        if event.get("tier") is not None:
            whose, body, tier = event["context"], event, event["tier"]
            at = moment(whose["timestamp"])
        else:
            whose, body = event, event["payload"]
            tier = "heavy" if event["result_type"] == "session_end" else event["result_type"]
            at = plugin_time(event, record)
        if not EPOCH <= at <= EPOCH + timedelta(milliseconds=record.timestamp) + DAY:
            return "invalid"
        if record.key != whose["session_id"].encode():
            return "misrouted"
        session = self.sessions.setdefault(whose["session_id"], Session())
        digits = whose["event_id"].replace("-", "").lower()
        id_ = digits if re.fullmatch("[0-9a-f]{32}", digits) else whose["event_id"]
        if id_ in session.ids[-REMEMBERED:]:
            return "duplicate"
        session.ids.append(id_)
        session.accepted.append(Accepted(tier if tier in TIERS else None, at, record.offset, body))
        return "applied"

    def outcomes(self) -> Mapping[str, int]:
        """How the records ended."""
        return self._outcomes

    def stats(self, _now: int) -> Mapping[bytes, Mapping[str, Any]]:
        """One record per session."""
        return {entity.encode(): session.body(entity) for entity, session in self.sessions.items()}

    def totals(self) -> Mapping[str, Any]:
        """The sums over everything."""
        tiers, ends = Counter[str](), Counter[str]()
        for session in self.sessions.values():
            tiers.update(session.tiers())
            ends.update(session.ends())
        return {
            "keys": len(self.sessions),
            "assessments": sum(len(session.accepted) for session in self.sessions.values()),
            "tokens": sum(session.tokens() for session in self.sessions.values()),
            **{tier: tiers[tier] for tier in TIERS},
            **{outcome: ends[outcome] for outcome in OUTCOMES},
        }

    def overall(self) -> Fields:
        """The answer of `/assess/stats`."""
        totals = self.totals()
        busiest = sorted((-len(session.accepted), entity) for entity, session in self.sessions.items())
        return {
            "tier_distribution": {tier: totals[tier] for tier in TIERS},
            "total_assessments": totals["assessments"],
            "top_sessions": [{"session_id": entity, "assessment_count": -count} for count, entity in busiest[:10]],
        }

    def history(self, page: int, per_page: int) -> Fields:
        """The answer of `/assess/history`: the last assessed first."""
        bodies = [session.body(entity) for entity, session in self.sessions.items()]
        bodies.sort(key=lambda body: str(body["session_id"]))
        bodies.sort(key=lambda body: str(body["last_at"]), reverse=True)
        last = page * per_page
        return {
            "sessions": bodies[last - per_page : last],
            "total": len(bodies),
            "page": page,
            "per_page": per_page,
            "total_pages": math.ceil(len(bodies) / per_page),
            "has_more": last < len(bodies),
        }

    def answers(self, _now: int) -> Iterable[tuple[str, Mapping[str, Any]]]:
        """The whole, two pages of the list, and some sessions."""
        yield "/assess/stats", self.overall()
        for page in (1, 2):
            yield f"/assess/history?page={page}&per_page=20", self.history(page, 20)
        for entity in sorted(self.sessions)[:ASKED]:
            body = self.sessions[entity].body(entity)
            yield f"/assess/sessions/{quote(entity, safe='')}", body
            only = {"sessions": [body], "total": 1, "total_pages": 1, "has_more": False}
            yield f"/assess/history?session={quote(entity, safe='')}", only


def _no_number(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")
