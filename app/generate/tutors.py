"""Tutors: sessions that are booked, moved, held or missed, and the feedback, logins and messages around them."""

from collections.abc import Iterator
from heapq import heappop, heappush
from random import Random
from typing import Any, NamedTuple

from tables.event import iso

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
AHEAD_DAYS = 14  # a session is booked at most so long before it
MOST_PER_DAY, LEAST_PER_DAY, ZIPF = 8.0, 0.3, 0.6  # sessions of the most and least popular tutors, and what is between
FIRST_HOUR, LAST_HOUR = 14, 21  # sessions are in the tutor's afternoon and evening
SUBJECTS = ("algebra", "geometry", "calculus", "physics", "chemistry", "biology", "reading", "writing")
SESSION_TYPES = ("single", "single", "single", "group", "trial")
SESSION_MINUTES = (30, 45, 60, 60, 60, 90)
UNKNOWN_SHARE = 0.1  # of the sessions that were held have no score, and as many no word on their objectives
TROUBLE_SHARE = 0.05  # with technical issues
FEEDBACK_SHARE = 0.4  # of the sessions that were held
FEEDBACK_HOURS = 3.0  # the median, with a long tail

Event = dict[str, Any]
Waiting = list[tuple[int, int, str, Event]]


class _Tutor(NamedTuple):
    """What kind of tutor it is. `care`, 0 to 1: from it follows how well everything goes."""

    name: str
    per_day: float
    care: float
    zone: int
    """Hours east of Greenwich: somewhere it is always afternoon."""


class _Tutors:
    """All tutors, and the events that are to come."""

    def __init__(self, random: Random, keys: int, start: int) -> None:
        self.random = random
        self.start = start
        self.waiting: Waiting = []
        self.number = 0
        self.tutors = [
            _Tutor(
                f"tutor-{number:05d}",
                max(LEAST_PER_DAY, MOST_PER_DAY / (number + 1) ** ZIPF),
                random.betavariate(4, 1.5),
                random.randrange(24),
            )
            for number in range(keys)
        ]

    def put(self, at: int, tutor: _Tutor, event: Event) -> None:
        """An event that is to come. What was before the start is left out."""
        if at >= self.start:
            heappush(self.waiting, (at, self.number, tutor.name, event))
            self.number += 1

    def plan(self, day: int) -> None:
        """Everything around the sessions of one day, counted from the start."""
        random = self.random
        for tutor in self.tutors:
            midnight = self.start + day * DAY_MS - tutor.zone * HOUR_MS
            for _ in range(_poisson(random, tutor.per_day)):
                quarter = random.randrange(FIRST_HOUR * 4, LAST_HOUR * 4)
                self.session(tutor, (midnight + quarter * 15 * MINUTE_MS) // MINUTE_MS * MINUTE_MS)
            for _ in range(_poisson(random, tutor.per_day / 2)):
                self.message(tutor, midnight + random.randrange(8 * HOUR_MS, 23 * HOUR_MS))

    def session(self, tutor: _Tutor, start: int) -> None:
        """Booked, perhaps moved by the tutor, held or not, perhaps rated."""
        random, care = self.random, tutor.care
        event: Event = {
            "type": "session",
            "session_id": f"{random.getrandbits(64):016x}",
            "tutor_id": tutor.name,
            "student_id": f"student-{random.getrandbits(16):05d}",
            "session_number": 1 + min(int(random.expovariate(0.35)), 40),
            "scheduled_start": iso(start),
            "actual_start": None,
            "duration_minutes": random.choice(SESSION_MINUTES),
            "subject": random.choice(SUBJECTS),
            "session_type": random.choice(SESSION_TYPES),
            "tutor_initiated_reschedule": False,
            "no_show": False,
            "late_start_minutes": 0,
            "engagement_score": None,
            "learning_objectives_met": None,
            "technical_issues": False,
        }
        booked = start - round(random.uniform(0.05, AHEAD_DAYS - 4) * DAY_MS)
        self.put(booked, tutor, event | {"updated_at": iso(booked)})
        if random.random() < 0.25 * (1 - care):
            moved = random.randrange(booked, start)
            start += random.randrange(1, 4) * DAY_MS
            event |= {"scheduled_start": iso(start), "tutor_initiated_reschedule": True}
            self.put(moved, tutor, event | {"updated_at": iso(moved)})
        self.ended(tutor, start, event)

    def ended(self, tutor: _Tutor, start: int, event: Event) -> None:
        """How it went, and what the student says of it."""
        random, care = self.random, tutor.care
        end = start + event["duration_minutes"] * MINUTE_MS
        if random.random() < 0.06 * (1 - care):
            self.put(end, tutor, event | {"no_show": True, "updated_at": iso(end)})
            return
        if random.random() < 0.4 + 0.6 * care:
            self.put(start - random.randrange(60_000, 40 * MINUTE_MS), tutor, self.login(tutor))
        late = round(max(0.0, random.gauss(0, 5) + 6 * (1 - care)), 1)
        actual = start + round(late * MINUTE_MS)
        end += random.randrange(60_000, 20 * MINUTE_MS)
        held = event | {
            "actual_start": iso(actual),
            "late_start_minutes": late,
            "engagement_score": None
            if random.random() < UNKNOWN_SHARE
            else round(random.betavariate(2 + 8 * care, 2), 3),
            "learning_objectives_met": None
            if random.random() < UNKNOWN_SHARE
            else random.random() < 0.65 + 0.35 * care,
            "technical_issues": random.random() < TROUBLE_SHARE,
            "updated_at": iso(end),
        }
        self.put(end, tutor, held)
        if random.random() < FEEDBACK_SHARE:
            said = end + round(random.lognormvariate(0, 1) * FEEDBACK_HOURS * HOUR_MS)
            stars = min(5, max(1, round(random.gauss(2.6 + 2.6 * care, 0.7))))
            self.put(said, tutor, self.feedback(held, said, stars))

    def feedback(self, session: Event, at: int, stars: int) -> Event:
        """A student's word on a session."""
        return {
            "type": "feedback",
            "feedback_id": f"{self.random.getrandbits(64):016x}",
            "session_id": session["session_id"],
            "student_id": session["student_id"],
            "tutor_id": session["tutor_id"],
            "overall_rating": stars,
            "submitted_at": iso(at),
        }

    def login(self, tutor: _Tutor) -> Event:
        """A login; its time is filled in when it happens."""
        return {"type": "login", "event_id": f"{self.random.getrandbits(64):016x}", "tutor_id": tutor.name}

    def message(self, tutor: _Tutor, at: int) -> None:
        """An answered message."""
        minutes = round(self.random.lognormvariate(2.2 + 1.5 * (1 - tutor.care), 0.9), 2)
        event = self.login(tutor) | {"type": "message_response", "response_time_minutes": min(minutes, 10_000.0)}
        self.put(at, tutor, event)


def _poisson(random: Random, mean: float) -> int:
    """How many of a mean of so many, in a day."""
    count, left = 0, random.expovariate(1.0)
    while left < mean:
        count += 1
        left += random.expovariate(1.0)
    return count


def events(random: Random, keys: int, start: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Endless events of `keys` tutors from `start` (ms since the epoch) on, in time order."""
    tutors = _Tutors(random, keys, start)
    for day in range(AHEAD_DAYS):
        tutors.plan(day)
    day = 0
    while True:
        # A session of a day that is not planned yet is booked after this one.
        end = start + day * DAY_MS
        while tutors.waiting and tutors.waiting[0][0] < end:
            at, _, name, event = heappop(tutors.waiting)
            yield name, event if event["type"] in {"session", "feedback"} else event | {"at": iso(at)}
        tutors.plan(day + AHEAD_DAYS)
        day += 1
