"""Events of tutors: what may be said of a session, of feedback, of a login and of a response, and when it was so."""

from datetime import datetime
from typing import Annotated

import msgspec

from tables.event import Event, Name

_Word = Annotated[str, msgspec.Meta(max_length=256)]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Session(Event, tag_field="type", tag="session", kw_only=True):
    """A tutoring session as it is known at `updated_at`; a later one with its `session_id` replaces it.

    With `deleted` it is gone from this tutor, and needs no more than who, which, when and since when.
    """

    session_id: Name
    tutor_id: Name
    scheduled_start: datetime
    updated_at: datetime
    deleted: bool = False
    student_id: _Word | None = None
    session_number: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    actual_start: datetime | None = None
    duration_minutes: Annotated[float, msgspec.Meta(ge=0, le=300)] | None = None
    subject: _Word | None = None
    session_type: _Word | None = None
    tutor_initiated_reschedule: bool | None = None
    no_show: bool | None = None
    late_start_minutes: Annotated[float, msgspec.Meta(ge=-1440, le=1440)] | None = None
    engagement_score: _Share | None = None
    learning_objectives_met: bool | None = None
    technical_issues: bool | None = None

    def __post_init__(self) -> None:
        """Only a deleted session may leave out what a session consists of."""
        if not self.deleted:
            for name in _REQUIRED:
                if getattr(self, name) is None:
                    raise ValueError(f"Object missing required field `{name}`")

    @property
    def at(self) -> datetime:
        """When it was so."""
        return self.updated_at


_REQUIRED = (
    "student_id",
    "session_number",
    "duration_minutes",
    "subject",
    "session_type",
    "tutor_initiated_reschedule",
    "no_show",
    "late_start_minutes",
    "technical_issues",
)


class Feedback(Event, tag_field="type", tag="feedback", kw_only=True):
    """A student's rating of a session; a later one with its `feedback_id` replaces it."""

    feedback_id: Name
    session_id: Name
    student_id: _Word
    tutor_id: Name
    overall_rating: Annotated[int, msgspec.Meta(ge=1, le=5)]
    submitted_at: datetime
    updated_at: datetime | None = None

    @property
    def at(self) -> datetime:
        """When it was so."""
        return self.updated_at or self.submitted_at


class Login(Event, tag_field="type", tag="login", kw_only=True):
    """The tutor has logged in."""

    event_id: Name
    tutor_id: Name
    at: datetime


class MessageResponse(Event, tag_field="type", tag="message_response", kw_only=True):
    """The tutor has answered a message after so many minutes."""

    event_id: Name
    tutor_id: Name
    at: datetime
    response_time_minutes: Annotated[float, msgspec.Meta(ge=0, le=100_000)]
