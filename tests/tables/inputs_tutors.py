"""Short ways to say what tutors send, and to ask what is said of them."""

import json
from itertools import count
from typing import Any

from agents.driver import NOW, Driver
from tables.event import DAY_MS, Outcome, iso
from tables.tiers import TIERS, Sums
from tables.tutors import TUTORS
from tables.windows import SPANS_MS, WINDOWS, measure

Fields = dict[str, Any]
_number = count()
WEEK, MONTH, QUARTER = SPANS_MS
EXEMPLARY, STRONG, DEVELOPING, NEEDS_ATTENTION, AT_RISK = TIERS
SECONDS = TUTORS.emission.seconds


def session(start: int = NOW - DAY_MS, **over: Any) -> Fields:
    """A session of ann's that went well, with an id that has not been there."""
    fields: Fields = {
        "type": "session",
        "session_id": f"s{next(_number)}",
        "tutor_id": "ann",
        "student_id": "kim",
        "session_number": 2,
        "scheduled_start": iso(start),
        "actual_start": iso(start),
        "duration_minutes": 60,
        "subject": "algebra",
        "session_type": "single",
        "tutor_initiated_reschedule": False,
        "no_show": False,
        "late_start_minutes": 0,
        "engagement_score": None,
        "learning_objectives_met": None,
        "technical_issues": False,
        "updated_at": iso(NOW - 1000),
    }
    return fields | over


def deleted(session_id: str, **over: Any) -> Fields:
    """As little as the deletion of a session has to say."""
    fields = {"type": "session", "session_id": session_id, "tutor_id": "ann", "deleted": True}
    return fields | {"scheduled_start": iso(NOW - DAY_MS), "updated_at": iso(NOW)} | over


def feedback(session_id: str, stars: int = 5, **over: Any) -> Fields:
    """Feedback on one of ann's sessions."""
    fields: Fields = {
        "type": "feedback",
        "feedback_id": f"f{next(_number)}",
        "session_id": session_id,
        "student_id": "kim",
        "tutor_id": "ann",
        "overall_rating": stars,
        "submitted_at": iso(NOW),
    }
    return fields | over


def login(at: int = NOW - 1, **over: Any) -> Fields:
    """A login of ann's."""
    return {"type": "login", "event_id": f"e{next(_number)}", "tutor_id": "ann", "at": iso(at)} | over


def response(minutes: float, at: int = NOW - 1, **over: Any) -> Fields:
    """An answer of ann's after so many minutes."""
    return login(at) | {"type": "message_response", "response_time_minutes": minutes} | over


def tell(driver: Driver, *events: Fields) -> Driver:
    """Send events under their tutors' keys, and fold them."""
    for fields in events:
        driver.send(fields["tutor_id"], fields)
    driver.fold()
    return driver


def told(*events: Fields, **options: int) -> Driver:
    """A driver that has folded these events."""
    return tell(Driver(TUTORS, options=options), *events)


def outcomes(driver: Driver, *events: Fields) -> list[str]:
    """How each of them ends."""
    found = []
    for fields in events:
        before = list(driver.task.table.totals.outcomes)
        tell(driver, fields)
        after = driver.task.table.totals.outcomes
        found.append(next(outcome.name for outcome in Outcome if after[outcome] > before[outcome]))
    return found


def sums(driver: Driver, window: str = "90day", entity: str = "ann") -> Sums:
    """What a window of the live row adds up to, now."""
    return measure(driver.row(entity), driver.now)[0][WINDOWS.index(window)]


def published(driver: Driver, window: str = "90day", entity: str = "ann") -> Any:
    """What was published last."""
    return json.loads(driver.stats[f"{entity}/{window}".encode()])
