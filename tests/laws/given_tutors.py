"""Tutors: sessions, feedback, logins and responses of a few tutors, at the edges of every window.

Edges are passed before the story begins, while it is told, between its end and the moment of comparison, and after
that. A session's dates are all on one side of the 91 days: an older version of a session that came out of order, with
a date that outlives the newer one's, would be new again when it comes once more (docs/domains/tutors.md).
"""

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from agents.driver import NOW
from tables.event import DAY_MS, FUTURE_MS, iso
from tests.laws.given import Fields, Given

HOSTILE = ("ann", "Ann", 'b"\\/\x00\u2028😀', "7day", "ann/7day")
_MINUTE, _HOUR = 60_000, 3_600_000
_EDGES = (-_HOUR, 0, 1, 3 * _MINUTE, 40 * _MINUTE, 3 * _HOUR, 5 * _HOUR)  # of the end of a window, from NOW
_STARTS = (*(NOW - days * DAY_MS + edge for days in (0, 7, 30, 90) for edge in _EDGES), NOW + 40 * DAY_MS)
_PAST = NOW - 91 * DAY_MS - 10 * _HOUR  # not past for an event of NOW's day, past for one of the next
_LONG_PAST = NOW - 200 * DAY_MS
_SESSIONS = {"s1": _STARTS, "s2": _STARTS, 's"\\😀': _STARTS, "old": (_PAST,), "older": (_LONG_PAST,)}
_TIMES = (NOW - DAY_MS, NOW - 1, NOW, NOW + FUTURE_MS)
_LOGGED = (*_TIMES, *_STARTS[7:28], _PAST, _LONG_PAST)


def _session(session_id: str) -> SearchStrategy[Fields]:
    body: dict[str, SearchStrategy[Any]] = {
        "type": st.just("session"),
        "session_id": st.just(session_id),
        "student_id": st.just("kim"),
        "session_number": st.integers(1, 2),
        "scheduled_start": st.sampled_from(_SESSIONS[session_id]).map(iso),
        "actual_start": st.sampled_from((None, iso(NOW))),
        "duration_minutes": st.sampled_from((0, 59.5, 300)),
        "subject": st.just("algebra"),
        "session_type": st.just("single"),
        "tutor_initiated_reschedule": st.booleans(),
        "no_show": st.booleans(),
        "late_start_minutes": st.sampled_from((0, 10, 10.5)),
        "engagement_score": st.sampled_from((None, 0, 0.333333, 1)),
        "learning_objectives_met": st.sampled_from((None, False, True)),
        "technical_issues": st.booleans(),
        "updated_at": st.sampled_from((*_TIMES, NOW - 95 * DAY_MS)).map(iso),
    }
    return st.fixed_dictionaries(body, optional={"deleted": st.booleans()})


def _tutors() -> SearchStrategy[tuple[str, Fields | None]]:
    sessions = st.sampled_from(tuple(_SESSIONS)).flatmap(_session)
    feedback: SearchStrategy[Fields] = st.fixed_dictionaries(
        {
            "type": st.just("feedback"),
            "feedback_id": st.sampled_from(("f1", "f2", "s1")),
            "session_id": st.sampled_from((*_SESSIONS, "never")),
            "student_id": st.just("kim"),
            "overall_rating": st.integers(1, 5),
            "submitted_at": st.sampled_from((*_TIMES, _PAST)).map(iso),
        },
        optional={"updated_at": st.sampled_from(_TIMES).map(iso)},
    )
    logged: SearchStrategy[Fields] = st.fixed_dictionaries(
        {
            "type": st.sampled_from(("login", "message_response")),
            "event_id": st.sampled_from(("e1", "e2", "e3", "s1")),
            "at": st.sampled_from(_LOGGED).map(iso),
            "response_time_minutes": st.sampled_from((0, 1.5, 100_000)),
        }
    )
    events = st.one_of(sessions, sessions, feedback, logged)
    names = st.sampled_from((*HOSTILE, *("ann",) * 6))  # mostly one row: its events meet
    return st.builds(lambda name, fields: (name, fields | {"tutor_id": name}), names, events)


_LATER = iso(NOW + 3 * FUTURE_MS)
_SESSION_SPOILT: Fields = {
    "type": "session",
    "session_id": "s1",
    "student_id": "kim",
    "session_number": 1,
    "scheduled_start": iso(NOW),
    "duration_minutes": 60,
    "subject": "algebra",
    "session_type": "single",
    "tutor_initiated_reschedule": False,
    "no_show": False,
    "late_start_minutes": 0,
    "technical_issues": False,
    "updated_at": iso(NOW),
    "deleted": False,
}
_FEEDBACK_SPOILT: Fields = {
    "type": "feedback",
    "feedback_id": "f1",
    "session_id": "s1",
    "student_id": "kim",
    "overall_rating": 5,
    "submitted_at": iso(NOW),
    "updated_at": iso(NOW),
}
_RESPONSE_SPOILT: Fields = {"type": "message_response", "event_id": "e", "at": iso(NOW), "response_time_minutes": 1}
_TUTORS_SPOILT: tuple[Fields, ...] = (
    {"type": "lesson"},
    {"type": None},
    {"tutor_id": ""},
    {"tutor_id": "x" * 257},
    *(
        _SESSION_SPOILT | over
        for over in (
            {"session_id": ""},
            {"session_id": 7},
            {"student_id": None},
            {"session_number": 0},
            {"session_number": 1.5},
            {"session_number": None},
            {"scheduled_start": "soon"},
            {"scheduled_start": None},
            {"actual_start": 5},
            {"duration_minutes": 300.5},
            {"duration_minutes": -1},
            {"subject": "x" * 257},
            {"session_type": None},
            {"tutor_initiated_reschedule": None},
            {"no_show": "no"},
            {"no_show": 1},
            {"late_start_minutes": None},
            {"engagement_score": 1.000001},
            {"engagement_score": -0.1},
            {"engagement_score": "1"},
            {"learning_objectives_met": "yes"},
            {"technical_issues": None},
            {"updated_at": None},
            {"updated_at": _LATER},
            {"updated_at": "1969-12-31T23:59:59Z"},
            {"updated_at": "9999-12-31T23:59:59-14:00"},
            {"deleted": None},
        )
    ),
    *(
        _FEEDBACK_SPOILT | over
        for over in (
            {"feedback_id": ""},
            {"session_id": None},
            {"overall_rating": 0},
            {"overall_rating": 6},
            {"overall_rating": 4.5},
            {"overall_rating": None},
            {"submitted_at": None},
            {"updated_at": _LATER},
        )
    ),
    *(
        _RESPONSE_SPOILT | over
        for over in (
            {"event_id": ""},
            {"at": _LATER},
            {"response_time_minutes": -1},
            {"response_time_minutes": 100_001},
            {"response_time_minutes": None},
            {"type": "login", "at": "yesterday"},
        )
    ),
)

GIVEN = Given(_tutors(), st.sampled_from(_TUTORS_SPOILT), moment=("previous_tier", "calculation_date"))
