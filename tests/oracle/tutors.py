"""What the tutors domain says of its input, in plain Python: nothing here comes from tables/ or agents/.

It keeps what each tutor's events said, as they said it, and works every metric out from all of it in fractions.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cache
from math import ceil, floor
from typing import Any
from urllib.parse import quote

from tests.oracle.interface import Raw

Fields = dict[str, Any]
Name = tuple[str, str]
"""(kind, id)."""
DAY = 86_400_000
WINDOWS = {"7day": 7, "30day": 30, "90day": 90}
TIERS = ["Exemplary", "Strong", "Developing", "Needs Attention", "At Risk"]
LIMIT = 5_000  # sessions, feedback, logins and responses of a tutor
WAITING = 500  # feedback of a tutor without its session
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:?\d\d)?")


# -- what is an event --------------------------------------------------------------------------------------------------


@cache
def ms(text: str) -> int:
    """Milliseconds since the epoch, cut off; no zone is UTC."""
    time = datetime.fromisoformat(text)
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _is_time(value: Any) -> bool:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return False
    try:
        ms(value)
    except ValueError:
        return False
    return True


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _text(least: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and least <= len(value) <= 256


def _number(least: float, most: float) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _integer(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _or_null(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


NEEDED: dict[str, dict[str, Callable[[Any], bool]]] = {
    "session": {"session_id": _text(1), "tutor_id": _text(1), "scheduled_start": _is_time, "updated_at": _is_time},
    "feedback": {
        "feedback_id": _text(1),
        "session_id": _text(1),
        "student_id": _text(0),
        "tutor_id": _text(1),
        "overall_rating": _integer(1, 5),
        "submitted_at": _is_time,
    },
    "login": {"event_id": _text(1), "tutor_id": _text(1), "at": _is_time},
    "message_response": {
        "event_id": _text(1),
        "tutor_id": _text(1),
        "at": _is_time,
        "response_time_minutes": _number(0, 100_000),
    },
}
UNLESS_DELETED = {
    "student_id": _text(0),
    "session_number": _integer(1, 1_000_000),
    "duration_minutes": _number(0, 300),
    "subject": _text(0),
    "session_type": _text(0),
    "tutor_initiated_reschedule": _is_bool,
    "no_show": _is_bool,
    "late_start_minutes": _number(-1440, 1440),
    "technical_issues": _is_bool,
}
MAY_BE_NULL: dict[str, dict[str, Callable[[Any], bool]]] = {
    "session": {
        "actual_start": _or_null(_is_time),
        "engagement_score": _or_null(_number(0, 1)),
        "learning_objectives_met": _or_null(_is_bool),
        "deleted": _is_bool,
    },
    "feedback": {"updated_at": _or_null(_is_time)},
}


def parsed(value: bytes | None) -> Fields | None:
    """The event, or None for what is none."""
    try:
        event = json.loads((value or b"").decode(), parse_constant=lambda _: _no_number())
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or event.get("type") not in list(NEEDED):
        return None
    kind = event["type"]
    good = all(name in event and check(event[name]) for name, check in NEEDED[kind].items())
    good = good and all(check(event[name]) for name, check in MAY_BE_NULL.get(kind, {}).items() if name in event)
    if good and kind == "session":
        deleted = event.get("deleted", False)
        good = all(deleted if event.get(name) is None else check(event[name]) for name, check in UNLESS_DELETED.items())
    return event if good else None


def _no_number() -> None:
    raise ValueError("JSON has no such number")


def time_of(event: Fields) -> int:
    """When it was so."""
    if event["type"] == "session":
        return ms(event["updated_at"])
    if event["type"] == "feedback":
        return ms(event.get("updated_at") or event["submitted_at"])
    return ms(event["at"])


def name_of(event: Fields) -> Name:
    """What it is about."""
    kind: str = event["type"]
    if kind in {"session", "feedback"}:
        return kind, event[f"{kind}_id"]
    return ("login" if kind == "login" else "response"), event["event_id"]


def past(newest: int) -> int:
    """The time before which everything is past: 91 days before the midnight of the newest event."""
    return newest - newest % DAY - 91 * DAY


# -- metrics -----------------------------------------------------------------------------------------------------------


def half_up(value: Fraction | None, digits: int) -> float | None:
    """A number for show, rounded half up."""
    return None if value is None else floor(value * 10**digits + Fraction(1, 2)) / 10**digits


def share(part: int, whole: int) -> Fraction | None:
    """In percent; None where there is nothing to divide by."""
    return Fraction(100 * part, whole) if whole else None


def metrics(
    sessions: Mapping[str, Fields],
    feedback: Iterable[Fields],
    logins: Iterable[int],
    responses: Iterable[tuple[int, float]],
    now: int,
    days: int,
) -> Fields:
    """The metrics of the last so many days, and the tier, from scratch.

    Args:
        sessions: id -> event, as it was last.
        feedback: events, as they were last.
        logins: when.
        responses: when, and after how many minutes.
        now: ms since the epoch.
        days: how many.
    """
    start = now - days * DAY
    held = {
        name: event
        for name, event in sessions.items()
        if not event.get("deleted") and start <= ms(event["scheduled_start"]) < now
    }
    stars: dict[str, list[int]] = {}
    for event in feedback:
        if event["session_id"] in held:
            stars.setdefault(event["session_id"], []).append(event["overall_rating"])
    attended = [event for event in held.values() if event.get("actual_start") and not event["no_show"]]
    met = [
        event["learning_objectives_met"] for event in held.values() if event.get("learning_objectives_met") is not None
    ]
    first = [stars[name] for name in stars if held[name]["session_number"] == 1]
    took = sorted(round(Fraction(minutes) * 60_000) for at, minutes in responses if start <= at < now)
    every = [rating for ratings in stars.values() for rating in ratings]
    logged = sum(start <= at < now for at in logins)
    found = {
        "sessions": len(held),
        "sessions_completed": len(attended),
        "no_show_count": sum(event["no_show"] for event in held.values()),
        "feedback_count": len(every),
        "avg_rating": half_up(Fraction(sum(every), len(every)) if every else None, 2),
        "first_session_success_rate": half_up(
            share(sum(Fraction(sum(ratings), len(ratings)) >= 4 for ratings in first), len(first)), 6
        ),
        "reschedule_rate": half_up(
            share(sum(event["tutor_initiated_reschedule"] for event in held.values()), len(held)), 6
        ),
        "learning_objectives_met_pct": half_up(share(sum(met), len(met)), 6),
        "engagement_score": half_up(engagement(list(held.values()), attended, logged), 6),
        "logins": logged,
        "message_responses": len(took),
        "response_time_avg_minutes": _minutes(floor(Fraction(sum(took), len(took)) + Fraction(1, 2)) if took else None),
        "response_time_p50_minutes": _minutes(took[ceil(len(took) / 2) - 1] if took else None),
        "response_time_p95_minutes": _minutes(took[ceil(Fraction(95 * len(took), 100)) - 1] if took else None),
    }
    return found | flags(found)


def _minutes(value: int | None) -> float | None:
    return None if value is None else round(value / 60_000, 3)


def engagement(held: list[Fields], attended: list[Fields], logins: int) -> Fraction | None:
    """0 to 100: logins 40, the sessions' own scores 40, punctuality 20."""
    if not held:
        return None
    scores = [event.get("engagement_score") for event in held]
    known = [Fraction(round(Fraction(score) * 10**6), 10**6) for score in scores if score is not None]
    mean = sum(known, Fraction(0)) / len(known) if known else Fraction(1, 2)
    punctual = sum(event["late_start_minutes"] <= 10 for event in attended)
    return (
        Fraction(4, 10) * min(Fraction(100), Fraction(100 * logins, len(held)))
        + Fraction(4, 10) * 100 * mean
        + Fraction(2, 10) * (Fraction(100 * punctual, len(attended)) if attended else Fraction(0))
    )


def flags(found: Fields) -> Fields:
    """Green and red flags, and the tier."""
    judged: dict[str, Callable[[Any], tuple[bool, bool]]] = {
        "avg_rating": lambda value: (value >= 4.5, value < 3.5),
        "first_session_success_rate": lambda value: (value >= 85, value < 70),
        "reschedule_rate": lambda value: (value <= 10, value > 15),
        "no_show_count": lambda value: (value == 0, value > 3),
        "engagement_score": lambda value: (value >= 80, value < 60),
        "learning_objectives_met_pct": lambda value: (value >= 90, value < 80),
    }
    said = {name: judge(found[name]) for name, judge in judged.items() if found["sessions"] and found[name] is not None}
    green = [name for name, (is_green, _) in said.items() if is_green]
    red = [name for name, (_, is_red) in said.items() if is_red]
    if not found["sessions"]:
        tier = None
    elif len(green) >= 5 and not red:
        tier = "Exemplary"
    elif len(red) >= 3:
        tier = "At Risk"
    elif red:
        tier = "Needs Attention"
    else:
        tier = "Strong" if len(green) >= 3 else "Developing"
    return {"green_flags": green, "red_flags": red, "tier": tier}


# -- tutors ------------------------------------------------------------------------------------------------------------


class Tutor:
    """What is known of one tutor: (kind, id) -> the event as it was last, and its bookkeeping."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.known: dict[Name, Fields] = {}
        self.waiting: set[Name] = set()
        self.newest = -1
        self.oldest = 1 << 62  # nothing is kept by an earlier time: spares a look at everything
        self.forgotten_until = 0
        self.waiting_forgotten_until = 0
        self.counts: Counter[str] = Counter()

    def take(self, event: Fields) -> str:
        """One event; returns its outcome."""
        at, name = time_of(event), name_of(event)
        before = self.known.get(name)
        start = ms(event["scheduled_start"]) if name[0] == "session" else at
        waits = name[0] == "feedback" and ("session", event["session_id"]) not in self.known
        if before is not None:
            if name[0] in {"login", "response"} or at == before["version"]:
                return "duplicate"
            if at < before["version"]:
                return "late"
            if name[0] == "session" and max(start, before["kept"]) < past(max(at, self.newest)):
                return "late"
            if waits and before["session_id"] == event["session_id"]:
                waits = name in self.waiting
        elif start < past(max(at, self.newest)) or start <= (
            max(self.forgotten_until, self.waiting_forgotten_until) if waits else self.forgotten_until
        ):
            return "late"
        kept = max(start, before["kept"]) if name[0] == "session" and before is not None else start
        self.known[name] = event | {"version": at, "kept": kept}
        self.oldest = min(self.oldest, kept)
        self.waiting.discard(name)
        if waits:
            self.waiting.add(name)
        if name[0] == "session":
            self.waiting -= {other for other in self.waiting if self.known[other]["session_id"] == name[1]}
        self._make_room(at)
        return "applied"

    def _kept(self, name: Name) -> int:
        event = self.known[name]
        if name[0] != "feedback":
            return int(event["kept"])
        return int(max(event["kept"], self.known.get(("session", event["session_id"]), event)["kept"]))

    def _make_room(self, at: int) -> None:
        if len(self.waiting) > WAITING:
            oldest = min(self.waiting, key=lambda name: (self.known[name]["version"], name))
            self.waiting_forgotten_until = max(self.waiting_forgotten_until, self.known[oldest]["version"])
            self._forget([oldest], "dropped")
        if at // DAY > self.newest // DAY and self.oldest < past(at):
            self._forget([name for name in self.known if self._kept(name) < past(at)], "unmatched")
            self.oldest = min((event["kept"] for event in self.known.values()), default=1 << 62)
        self.newest = max(self.newest, at)
        if len(self.known) > self.limit:
            oldest_first = sorted(self.known, key=lambda name: (self._kept(name), name))
            going = oldest_first[: len(self.known) - self.limit + self.limit // 100]
            self.forgotten_until = max(self.forgotten_until, self._kept(going[-1]))
            self.counts["forgotten"] += len(going)
            self._forget(going, "dropped")

    def _forget(self, names: list[Name], what_waited: str) -> None:
        for name in names:
            del self.known[name]
            self.counts[what_waited] += name in self.waiting
            self.waiting.discard(name)

    def says(self, now: int, days: int) -> Fields:
        """Metrics and tier of the last so many days."""
        of: dict[str, dict[str, Fields]] = {"session": {}, "feedback": {}, "login": {}, "response": {}}
        for (kind, id_), event in self.known.items():
            of[kind][id_] = event
        found = metrics(
            of["session"],
            of["feedback"].values(),
            (event["version"] for event in of["login"].values()),
            ((event["version"], event["response_time_minutes"]) for event in of["response"].values()),
            now,
            days,
        )
        tier = found.pop("tier")
        truncated = self.forgotten_until > 0 and self.forgotten_until >= now - days * DAY
        return {"tier": tier, "metrics": found | {"truncated": truncated}, "pending_feedback": len(self.waiting)}


class TutorsOracle:
    """All tutors of all partitions."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.tutors: dict[str, Tutor] = {}
        self.counts: Counter[str] = Counter(dict.fromkeys(("applied", "duplicate", "late", "invalid", "misrouted"), 0))

    def fold(self, record: Raw) -> None:
        """The next record of its partition."""
        event = parsed(record.value)
        if event is None or not 0 <= time_of(event) <= record.timestamp + DAY:
            outcome = "invalid"
        elif record.key != event["tutor_id"].encode():
            outcome = "misrouted"
        else:
            tutor = self.tutors.get(event["tutor_id"]) or Tutor(self.limit)
            outcome = tutor.take(event)
            if outcome == "applied":
                self.tutors[event["tutor_id"]] = tutor
        self.counts[outcome] += 1

    def outcomes(self) -> Mapping[str, int]:
        """How the records ended."""
        return self.counts

    def stats(self, now: int) -> Mapping[bytes, Fields]:
        """Three snapshots per tutor."""
        return {
            f"{name}/{window}".encode(): {"tutor_id": name, "window": window} | tutor.says(now, days)
            for name, tutor in self.tutors.items()
            for window, days in WINDOWS.items()
        }

    def totals(self) -> Mapping[str, Any]:
        """The merged totals that time does not move."""
        counts: Counter[str] = sum((tutor.counts for tutor in self.tutors.values()), Counter())
        return {
            "keys": len(self.tutors),
            "feedback_waiting": sum(len(tutor.waiting) for tutor in self.tutors.values()),
            "feedback_unmatched": counts["unmatched"],
            "feedback_dropped": counts["dropped"],
            "forgotten": counts["forgotten"],
        }

    def answers(self, now: int) -> Iterator[tuple[str, Fields]]:
        """The overviews, the lists' first pages, and every twentieth tutor."""
        stats = self.stats(now)
        for window in WINDOWS:
            lines = sorted(
                (body for body in stats.values() if body["window"] == window), key=lambda body: body["tutor_id"]
            )
            spread = Counter(body["tier"] for body in lines)
            yield (
                f"/api/analytics/overview?window={window}",
                {
                    "total_tutors": len(lines),
                    "tier_distribution": {tier: spread[tier] for tier in TIERS},
                    "without_tier": spread[None],
                },
            )
            yield (
                f"/api/analytics/tutor-metrics?window={window}&page=1&per_page=20",
                {"total": len(lines), "tutors": lines[:20]},
            )
            risky = [body for body in lines if body["tier"] == "At Risk"]
            risky.sort(key=lambda body: -len(body["metrics"]["red_flags"]))
            yield (
                f"/api/analytics/at-risk-tutors?window={window}&page=1&per_page=20",
                {"total": len(risky), "at_risk_tutors": risky[:20]},
            )
            for body in lines[::20]:
                path = f"/api/tutors/{quote(body['tutor_id'], safe='')}/metrics?window={window}"
                yield path, {"success": True, **body}
