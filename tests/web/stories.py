"""A few events of each domain, of now: small enough to know what every page has to show of them."""

from collections.abc import Mapping
from typing import Any

from app.clock import now_ms
from tables.assessments import ASSESSMENTS
from tables.domain import Domain
from tables.event import DAY_MS, day_of, iso
from tables.players import PLAYERS
from tables.projects import PROJECTS
from tables.rollups import ROLLUPS
from tables.tutors import TUTORS
from tables.workers import WORKERS
from tests.web.everything import Everything

HOSTILE = (
    '<img src=x onerror="document.title=1">/ü'  # of a session, a player, a worker, a tutor, a project, a deployment
)
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
Event = tuple[str, Mapping[str, Any] | None]


def tell(everything: Everything) -> None:
    """Fold all stories."""
    now = now_ms()
    for domain, story in STORIES:
        everything.fold(domain, story(now))


def assessment(session: str, number: int, result: str, now: int, **payload: Any) -> Event:
    """One, in the plugin's shape."""
    said = {"timestamp": iso(now - MINUTE_MS + number)} | payload
    return session, {
        "event_id": f"{session} {result} {number}",
        "result_type": result,
        "session_id": session,
        "payload": said,
    }


def assessments(now: int) -> list[Event]:
    """1,200 messages, 3 checkpoints, 2 segments, an end and a tier nobody knows; a hostile name; 21 short sessions."""
    events = [assessment("alpha", number, "lightweight", now, success_ema=0.75) for number in range(1_200)]
    events += [assessment("alpha", number, "checkpoint", now) for number in range(3)]
    metrics = {"total_tokens": 1_500, "correction_ratio": 0.1, "retry_count": 0}
    events += [assessment("alpha", number, "medium", now, token_metrics=metrics) for number in range(2)]
    events += [assessment("alpha", 1, "session_end", now, outcome="success"), assessment("alpha", 1, "unheard-of", now)]
    events += [assessment(HOSTILE, number, "lightweight", now) for number in range(2)]
    return [*events, *(assessment(f"session {number:02}", 0, "heavy", now) for number in range(21))]


def players(now: int) -> list[Event]:
    """A kill."""
    kill = {"type": "kill", "match": "m", "seq": 1, "weapon": "WeapHK416_C", "reason": "HeadShot", "distance_cm": 100}
    return [(HOSTILE, kill | {"player": HOSTILE, "match_type": "official", "at": iso(now)})]


def batch(worker: str, number: int, finished: int, keys: int, **more: Any) -> Event:
    """A minute of work."""
    return worker, {
        "type": "batch",
        "batch_id": f"{worker} {number}",
        "job_id": "a job",
        "worker_id": worker,
        "worker_type": "pc",
        "keys_scanned": keys,
        "duration_ms": MINUTE_MS,
        "started_at": iso(finished - MINUTE_MS),
        "finished_at": iso(finished),
        **more,
    }


def workers(now: int) -> list[Event]:
    """`rig` works now and worked a day ago; a hostile one has stopped two hours ago, with an error."""
    return [
        batch("rig", 1, now - DAY_MS, 6_000_000),
        batch("rig", 2, now - 1_000, 12_000_000),
        batch(HOSTILE, 1, now - 2 * HOUR_MS, 600_000, error_message=HOSTILE),
        *(batch(f"worker {number:02}", 1, now - 2 * HOUR_MS, 60_000) for number in range(20)),
    ]


def lesson(tutor: str, number: int, now: int, **more: Any) -> Event:
    """A session two days ago, as good as one can be."""
    at = iso(now - 2 * DAY_MS + number)
    return tutor, {
        "type": "session",
        "session_id": f"{tutor} {number}",
        "tutor_id": tutor,
        "student_id": "s",
        "session_number": 2,
        "scheduled_start": at,
        "actual_start": at,
        "duration_minutes": 60,
        "subject": "algebra",
        "session_type": "online",
        "tutor_initiated_reschedule": False,
        "no_show": False,
        "late_start_minutes": 0,
        "engagement_score": 1.0,
        "learning_objectives_met": True,
        "technical_issues": False,
        "updated_at": at,
    } | more


def tutors(now: int) -> list[Event]:
    """`ann`, who is strong, and a hostile one, who is at risk: reschedules, engagement, objectives, no-shows."""
    bad = {"tutor_initiated_reschedule": True, "engagement_score": 0.0, "learning_objectives_met": False}
    login = {"type": "login", "event_id": "l", "tutor_id": "ann", "at": iso(now - DAY_MS)}
    old = {"scheduled_start": iso(now - 60 * DAY_MS), "actual_start": iso(now - 60 * DAY_MS)}
    return [
        lesson("ann", 1, now),
        ("ann", login),
        lesson("ann", 2, now, **old),
        *(lesson(HOSTILE, number, now, no_show=number < 4, **bad) for number in range(5)),
    ]


def project(name: str, progress: float, status: str = "running", **more: Any) -> Event:
    """Whose id is its name."""
    about = {"type": "upserted", "project_id": name, "name": name, "status": status, "priority": "high"}
    return name, about | {"progress": progress, "active": status == "running"} | more


def projects(_now: int) -> list[Event]:
    """Twenty running ones at 5 %, one hostile one that is done, one for a customer at 95 %."""
    return [
        *(project(f"project {number:02}", 5) for number in range(20)),
        project(HOSTILE, 100, HOSTILE, customer_id=HOSTILE),
        project("last", 95, priority="low", customer_id="acme"),
    ]


def rollups(now: int) -> list[Event]:
    """Snapshots of the last three days, of one deployment."""
    counts = {"by_status": {}, "by_priority": {}, "progress_distribution": [0] * 10}
    days = [(ago, now - ago * DAY_MS) for ago in (2, 1, 0)]
    return [
        (
            HOSTILE,
            counts
            | {
                "env": HOSTILE,
                "instance_id": "one",
                "timestamp": iso(at),
                "totals": {"projects": 40 + ago, "active": 30},
            },
        )
        for ago, at in days
    ]


def today() -> str:
    """The UTC date."""
    return day_of(now_ms())


STORIES = (
    (ASSESSMENTS, assessments),
    (PLAYERS, players),
    (WORKERS, workers),
    (TUTORS, tutors),
    (PROJECTS, projects),
    (ROLLUPS, rollups),
)


def domains() -> list[Domain]:
    """Those that have a story."""
    return [domain for domain, _ in STORIES]
