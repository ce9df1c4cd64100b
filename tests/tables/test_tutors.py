"""Tutors: windows to the millisecond, every tier rule, what a row keeps. The traps of the origin have their names."""

import json
import re
from collections.abc import Iterable
from fractions import Fraction
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.driver import NOW, Driver
from tables.event import DAY_MS, FUTURE_MS, Outcome, iso
from tables.tiers import (
    MILLION,
    RULES,
    TIERS,
    Metrics,
    Sums,
    engagement_score,
    flags_of,
    metrics_of,
    quotient,
    shown,
    tier_by_flags,
    tier_of,
)
from tables.totals import Whole
from tables.tutors import LIMIT, TUTORS, WAITING_LIMIT, horizon
from tables.views import EntityView, ListView, Parameter, TotalsView
from tables.windows import SPANS_MS, WINDOWS, measure, nearest_rank
from tests.oracle import tutors as scratch

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


# -- the traps of the origin -------------------------------------------------------------------------------------------


def test_trap_the_forgotten_times_100() -> None:
    """Engagement is from 0 to 100. The origin's was from 0 to 1, always a red flag: the best was Needs Attention."""
    best = [session(session_number=1, engagement_score=1, learning_objectives_met=True) for _ in range(3)]
    events = [*best, *(feedback(fields["session_id"]) for fields in best), *(login() for _ in range(3))]
    driver = told(*events)
    found = metrics_of(sums(driver))
    assert found.engagement_score == 100 * MILLION
    assert TIERS[tier_of(sums(driver)) or 0] == EXEMPLARY
    _, red = flags_of(found._replace(engagement_score=1 * MILLION))  # what the origin would have computed
    assert red == ["engagement_score"]
    assert TIERS[tier_by_flags(5, len(red))] == NEEDS_ATTENTION


def test_a_tutor_with_an_event_every_20_seconds_is_published_every_30() -> None:
    """The window is counted from the first unpublished change: a tutor who never rests is not forgotten."""
    driver = Driver(TUTORS)
    published_at = []
    for second in range(0, 1200, 10):
        if second % 20 == 0:
            tell(driver, login(driver.now))
        if b"ann/7day" in {record.key for record in driver.commit().outgoing if record.role == "stats"}:
            published_at.append(second)
        driver.wait(10)
    gaps = {later - earlier for earlier, later in pairwise(published_at)}
    assert published_at[0] == SECONDS
    assert max(gaps) <= 40  # 30 s after the first event since the last publication, which is 10 s after it
    assert len(published_at) == 1200 // 40


# -- tiers -------------------------------------------------------------------------------------------------------------


def test_the_tier_of_every_number_of_flags() -> None:
    """All 28 splits of six metrics into green, red and neither."""
    expected = {
        (green, red): EXEMPLARY
        if (green >= 5 and red == 0)
        else AT_RISK
        if red >= 3
        else NEEDS_ATTENTION
        if red >= 1
        else STRONG
        if green >= 3
        else DEVELOPING
        for green in range(7)
        for red in range(7 - green)
    }
    assert {flags: TIERS[tier_by_flags(*flags)] for flags in expected} == expected
    assert len(expected) == 28


NEUTRAL = Metrics(400, 80 * MILLION, 12 * MILLION, 2, 70 * MILLION, 85 * MILLION, None)
M = MILLION


@pytest.mark.parametrize(
    ("metric", "value", "flag"),
    [
        ("avg_rating", 450, "green"),
        ("avg_rating", 449, None),
        ("avg_rating", 350, None),
        ("avg_rating", 349, "red"),
        ("avg_rating", None, None),
        ("first_session_success_rate", 85 * M, "green"),
        ("first_session_success_rate", 85 * M - 1, None),
        ("first_session_success_rate", 70 * M, None),
        ("first_session_success_rate", 70 * M - 1, "red"),
        ("first_session_success_rate", 0, "red"),
        ("first_session_success_rate", None, None),
        ("reschedule_rate", 0, "green"),
        ("reschedule_rate", 10 * M, "green"),
        ("reschedule_rate", 10 * M + 1, None),
        ("reschedule_rate", 15 * M, None),
        ("reschedule_rate", 15 * M + 1, "red"),
        ("no_show_count", 0, "green"),
        ("no_show_count", 1, None),
        ("no_show_count", 3, None),
        ("no_show_count", 4, "red"),
        ("engagement_score", 80 * M, "green"),
        ("engagement_score", 80 * M - 1, None),
        ("engagement_score", 60 * M, None),
        ("engagement_score", 60 * M - 1, "red"),
        ("engagement_score", None, None),
        ("learning_objectives_met_pct", 90 * M, "green"),
        ("learning_objectives_met_pct", 90 * M - 1, None),
        ("learning_objectives_met_pct", 80 * M, None),
        ("learning_objectives_met_pct", 80 * M - 1, "red"),
        ("learning_objectives_met_pct", 0, "red"),
        ("learning_objectives_met_pct", None, None),
    ],
)
def test_flags_at_their_edges(metric: str, value: int | None, flag: str | None) -> None:
    """Green at the limit already, red beyond it only; None is neither, zero is a number."""
    assert flags_of(NEUTRAL) == ([], [])
    green, red = flags_of(Metrics(**{**NEUTRAL._asdict(), metric: value}))
    assert (green, red) == ([metric] * (flag == "green"), [metric] * (flag == "red"))


def test_every_metric_of_a_rule_is_a_metric() -> None:
    """Six rules, each about another one."""
    assert len({rule.metric for rule in RULES} & set(Metrics._fields)) == len(RULES) == 6


@pytest.mark.parametrize(
    ("events", "name", "value"),
    [
        pytest.param([feedback("s", stars) for stars in (4, 5)], "avg_rating", 4.5, id="rating exactly 4.5"),
        pytest.param([feedback("s", stars) for stars in (5, 5, 4)], "avg_rating", 4.67, id="rating rounded"),
        pytest.param([feedback("s", 4)] * 1, "avg_rating", 4.0, id="one rating"),
        pytest.param([], "avg_rating", None, id="no rating"),
        pytest.param([], "first_session_success_rate", None, id="no feedback on a first session"),
        pytest.param([], "learning_objectives_met_pct", None, id="objectives unknown"),
        pytest.param([], "reschedule_rate", 0.0, id="none moved: zero, not null"),
        pytest.param([], "no_show_count", 0, id="no no-show: zero, not null"),
        pytest.param([], "response_time_avg_minutes", None, id="no response"),
        pytest.param([], "response_time_p50_minutes", None, id="no median"),
        pytest.param([response(0)], "response_time_avg_minutes", 0.0, id="at once: zero, not null"),
        pytest.param(
            [session(learning_objectives_met=False)], "learning_objectives_met_pct", 0.0, id="objectives zero"
        ),
        pytest.param(
            [session(learning_objectives_met=met) for met in (True, True, False, None)],
            "learning_objectives_met_pct",
            66.666667,
            id="objectives of those that are known",
        ),
        pytest.param(
            [session(tutor_initiated_reschedule=number == 0) for number in range(9)],
            "reschedule_rate",
            10.0,
            id="one of ten moved is exactly 10 %",
        ),
        pytest.param([session(no_show=True)], "no_show_count", 1, id="a no-show"),
        pytest.param([session(no_show=True)], "sessions_completed", 1, id="a no-show is not completed, begun or not"),
        pytest.param([session(actual_start=None)], "sessions_completed", 1, id="not begun is not completed"),
        pytest.param([session(actual_start=None)], "sessions", 2, id="but it is a session"),
        pytest.param([response(value) for value in (1, 2.5, 40)], "response_time_avg_minutes", 14.5, id="average"),
        pytest.param([response(value) for value in (1, 2.5, 40, 50)], "response_time_p50_minutes", 2.5, id="median"),
        pytest.param([response(value) for value in range(1, 21)], "response_time_p95_minutes", 19.0, id="p95 of 20"),
        pytest.param([response(value) for value in range(1, 22)], "response_time_p95_minutes", 20.0, id="p95 of 21"),
    ],
)
def test_metrics_by_example(events: list[Fields], name: str, value: Any) -> None:
    """Beside one session `s`, completed, of which nothing else is known."""
    assert shown(sums(told(session(session_id="s"), *events)))[name] == value


@pytest.mark.parametrize(
    ("number", "stars", "rate"),
    [
        (1, [4], 100.0),
        (1, [3], 0.0),
        (2, [5], None),
        (1, [], None),
        (1, [5, 3], 100.0),
        (1, [4, 3], 0.0),
    ],
)
def test_the_success_of_first_sessions(number: int, stars: list[int], rate: float | None) -> None:
    """A first session counts once, by the mean of its ratings; one without feedback, or not a first one, does not."""
    events = [session(session_id="s", session_number=number), *(feedback("s", star) for star in stars)]
    assert shown(sums(told(*events)))["first_session_success_rate"] == rate


def test_feedback_on_a_no_show_counts() -> None:
    """All sessions of the window are rated, whatever became of them."""
    driver = told(session(session_id="s", no_show=True, actual_start=None), feedback("s", 1))
    assert shown(sums(driver))["avg_rating"] == 1.0


@pytest.mark.parametrize(
    ("given_sums", "score"),
    [
        (Sums(), None),
        (Sums(sessions=1), 20.0),
        (Sums(logins=3), None),
        (Sums(sessions=2, logins=1), 40.0),
        (Sums(sessions=2, logins=2), 60.0),
        (Sums(sessions=2, logins=9), 60.0),
        (Sums(sessions=2, engagements=1, engagement=0), 0.0),
        (Sums(sessions=2, engagements=2, engagement=2 * MILLION), 40.0),
        (Sums(sessions=4, completed=2, punctual=1), 30.0),
        (Sums(sessions=3, logins=2, engagements=3, engagement=1_000_001, completed=3, punctual=1), 46.66668),
        (Sums(sessions=2, logins=2, engagements=1, engagement=MILLION // 2, completed=2, punctual=2), 80.0),
    ],
)
def test_the_engagement_score(given_sums: Sums, score: float | None) -> None:
    """40 logins + 40 the sessions' own + 20 punctuality; unknown scores are 0.5; nothing attended, nothing punctual."""
    found = engagement_score(given_sums)
    assert (None if found is None else found / MILLION) == score


@pytest.mark.parametrize(("minutes", "punctual"), [(0, 1), (-5, 1), (10, 1), (10.01, 0), (11, 0), (1440, 0)])
def test_punctual_is_not_more_than_ten_minutes_late(minutes: float, punctual: int) -> None:
    """The tenth minute is still on time."""
    assert sums(told(session(late_start_minutes=minutes))).punctual == punctual


def test_a_tutor_without_sessions_in_the_window_has_no_tier() -> None:
    """Nor flags: there is nothing to judge. Logins alone make no session."""
    driver = told(session(NOW - 20 * DAY_MS), login(), response(3))
    assert tier_of(sums(driver, "7day")) is None
    assert shown(sums(driver, "7day"))["green_flags"] == []
    assert tier_of(sums(driver, "30day")) is not None


@given(part=st.integers(0, 5000), whole=st.integers(0, 5000), scale=st.sampled_from((1, 100, 100 * MILLION)))
def test_a_quotient_is_rounded_half_up(part: int, whole: int, scale: int) -> None:
    """Exactly, by integers; None where there is nothing to divide by."""
    found = quotient(part, whole, scale)
    assert (found is None) == (whole == 0)
    if found is not None:
        assert Fraction(-1, 2) <= Fraction(scale * part, whole) - found < Fraction(1, 2)


def test_the_tier_is_decided_by_the_number_that_is_shown() -> None:
    """A mean of 4.495 is shown as 4.5, and 4.5 is a green flag."""
    driver = told(session(session_id="s"), *(feedback("s", 5 if number < 99 else 4) for number in range(200)))
    found = sums(driver)
    assert Fraction(found.rating, found.ratings) == Fraction(899, 200)
    assert shown(found)["avg_rating"] == 4.5
    assert "avg_rating" in shown(found)["green_flags"]


def test_a_percentile_is_one_of_the_values() -> None:
    """The smallest one that so many percent do not exceed."""
    assert [nearest_rank([7], 50), nearest_rank([7], 95)] == [7, 7]
    assert [nearest_rank(range(1, 101), percent) for percent in (50, 95)] == [50, 95]


# -- windows -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(len(WINDOWS)))
@pytest.mark.parametrize("what", ["session", "login", "response"])
@pytest.mark.parametrize(("offset", "inside"), [("start - 1", 0), ("start", 1), ("now - 1", 1), ("now", 0)])
def test_a_window_holds_its_first_millisecond_and_not_its_last(
    number: int, what: str, offset: str, inside: int
) -> None:
    """[now - N days, now) on the scheduled start; logins and responses by their own time."""
    window, span = WINDOWS[number], SPANS_MS[number]
    at = {"start - 1": NOW - span - 1, "start": NOW - span, "now - 1": NOW - 1, "now": NOW}[offset]
    found = sums(told({"session": session(at), "login": login(at), "response": response(1, at)}[what]), window)
    assert {"session": found.sessions, "login": found.logins, "response": found.responses}[what] == inside


def test_feedback_belongs_to_the_time_of_its_session() -> None:
    """Said today of a session 20 days ago: it is in the 30 days, and not in the 7."""
    driver = told(session(NOW - 20 * DAY_MS, session_id="s"), feedback("s", 2))
    assert [sums(driver, window).ratings for window in WINDOWS] == [0, 1, 1]


@pytest.mark.parametrize(
    ("start", "change"),
    [
        (NOW + 5, NOW + 6),
        (NOW, NOW + 1),
        (NOW - 1, NOW - 1 + WEEK + 1),
        (NOW - WEEK, NOW + 1),
        (NOW - WEEK - 1, NOW - WEEK - 1 + MONTH + 1),
        (NOW - MONTH - 1, NOW - MONTH - 1 + QUARTER + 1),
        (NOW - QUARTER, NOW + 1),
        (NOW - QUARTER - 1, 0),
    ],
)
@pytest.mark.parametrize("what", ["session", "login", "response"])
def test_the_next_time_of_change(start: int, change: int, what: str) -> None:
    """What is ahead enters in the ms after its start; what is inside leaves N days and a ms after it; 0 is never."""
    event = {"session": session(start), "login": login(start), "response": response(1, start)}[what]
    assert measure(told(event).row("ann"), NOW)[1] == change


def test_the_next_time_of_change_is_the_first_of_many() -> None:
    """Of all that the row holds; a deleted session changes nothing any more."""
    driver = told(session(NOW + 9), login(NOW - WEEK + 5), deleted("d", scheduled_start=iso(NOW + 1)))
    assert measure(driver.row("ann"), NOW)[1] == NOW + 5 + 1


# -- upserts -----------------------------------------------------------------------------------------------------------


def test_a_newer_version_replaces_the_older_and_its_effect_is_gone() -> None:
    """Moved, corrected: it counts once, as it was last."""
    events = [
        session(NOW - DAY_MS, session_id="s", updated_at=iso(NOW - 3)),
        session(NOW - 20 * DAY_MS, session_id="s", updated_at=iso(NOW - 2), no_show=True),
    ]
    driver = told(*events)
    assert [sums(driver, window).sessions for window in WINDOWS] == [0, 1, 1]
    assert (sums(driver).no_shows, sums(driver).completed) == (1, 0)


def test_outcomes_of_versions() -> None:
    """The same again is a DUPLICATE, an older one is LATE, a newer one counts."""
    versions = [session(session_id="s", updated_at=iso(NOW - age)) for age in (2, 2, 3, 1, 2, 1)]
    assert outcomes(Driver(TUTORS), *versions) == ["APPLIED", "DUPLICATE", "LATE", "APPLIED", "LATE", "DUPLICATE"]
    stars = [feedback("s", feedback_id="f", submitted_at=iso(NOW - age)) for age in (2, 2, 3, 1)]
    assert outcomes(Driver(TUTORS), *stars) == ["APPLIED", "DUPLICATE", "LATE", "APPLIED"]


def test_feedback_is_corrected_by_its_update() -> None:
    """`updated_at` is the version where there is one, else `submitted_at`."""
    first = feedback("s", 1, feedback_id="f", submitted_at=iso(NOW - 9))
    driver = told(session(session_id="s"), first)
    assert outcomes(driver, first | {"overall_rating": 5, "updated_at": iso(NOW - 8)}) == ["APPLIED"]
    assert outcomes(driver, first) == ["LATE"]
    assert (sums(driver).ratings, sums(driver).rating) == (1, 5)


def test_a_deleted_session_is_gone_and_stays_gone() -> None:
    """Its older version comes again, or late: LATE. Its feedback counts nowhere. A newer version brings both back."""
    driver = told(session(session_id="s"), feedback("s"), deleted("s"))
    assert (sums(driver).sessions, sums(driver).ratings) == (0, 0)
    assert outcomes(driver, session(session_id="s")) == ["LATE"]
    assert sums(driver).sessions == 0
    assert outcomes(driver, session(session_id="s", updated_at=iso(NOW + 1))) == ["APPLIED"]
    assert (sums(driver).sessions, sums(driver).ratings) == (1, 1)


def test_a_deletion_that_comes_first_keeps_the_session_out() -> None:
    """Disorder: the tombstone is a cell of its own."""
    driver = told(deleted("s"))
    assert outcomes(driver, session(session_id="s")) == ["LATE"]
    assert sums(driver).sessions == 0


def test_a_session_that_moves_to_another_tutor_is_deleted_from_the_old_one() -> None:
    """Two events, one for each tutor's row."""
    driver = told(session(session_id="s"), deleted("s"), session(session_id="s", tutor_id="bob"))
    assert (sums(driver).sessions, sums(driver, entity="bob").sessions) == (0, 1)


def test_logins_and_responses_count_once() -> None:
    """By their id; a login and a response do not share theirs."""
    events = [login(event_id="e"), response(3, event_id="e"), login(event_id="e"), response(4, event_id="e")]
    driver = Driver(TUTORS)
    assert outcomes(driver, *events) == ["APPLIED", "APPLIED", "DUPLICATE", "DUPLICATE"]
    assert (sums(driver).logins, sums(driver).responses, sums(driver).response_ms) == (1, 1, 180_000)


# -- feedback that waits -----------------------------------------------------------------------------------------------


def test_feedback_waits_for_its_session() -> None:
    """It counts nowhere until then, and the answers say how much of it waits."""
    driver = told(feedback("s", 4), feedback("s", 2), feedback("other"), login())
    assert (driver.row("ann").head.waiting, sums(driver).ratings) == (3, 0)
    tell(driver, session(session_id="s"))
    assert (driver.row("ann").head.waiting, sums(driver).rating) == (1, 6)
    driver.settle()
    assert published(driver)["pending_feedback"] == 1
    assert driver.task.table.totals.feedback_waiting == 1


def test_feedback_may_move_to_another_session() -> None:
    """Its newer version names another one: it waits again, or counts there."""
    driver = told(session(session_id="s"), feedback("s", feedback_id="f", submitted_at=iso(NOW - 9)))
    tell(driver, feedback("x", feedback_id="f", submitted_at=iso(NOW - 8)))
    assert (driver.row("ann").head.waiting, sums(driver).ratings) == (1, 0)
    tell(driver, feedback("s", feedback_id="f", submitted_at=iso(NOW - 7)))
    assert (driver.row("ann").head.waiting, sums(driver).ratings) == (0, 1)


def test_500_wait_and_the_oldest_of_501_goes() -> None:
    """Counted as dropped; what is not newer than that and waits is LATE from then on; with its session it is not."""
    driver = told(*(feedback("s", 5, submitted_at=iso(NOW - number)) for number in range(1, WAITING_LIMIT + 1)))
    assert driver.row("ann").head.waiting == WAITING_LIMIT == 500
    oldest = feedback("s", 1, submitted_at=iso(NOW - 1000))
    assert outcomes(driver, oldest, oldest) == ["APPLIED", "LATE"]
    totals = driver.task.table.totals
    assert (driver.row("ann").head.waiting, totals.feedback_dropped, totals.feedback_waiting) == (500, 1, 500)
    assert outcomes(driver, feedback("s", 5)) == ["APPLIED"]
    assert (driver.row("ann").head.waiting, totals.feedback_dropped) == (500, 2)
    tell(driver, session(session_id="s"), oldest)
    assert (driver.row("ann").head.waiting, sums(driver).ratings) == (0, 501)
    assert sums(driver).rating == 500 * 5 + 1


def test_feedback_whose_session_never_comes_counts_nowhere_and_is_reported() -> None:
    """While it waits, in the answers; when its time is over, in the totals."""
    driver = told(feedback("never", 1, submitted_at=iso(NOW)))
    driver.wait(93 * 86_400)
    tell(driver, login(driver.now))
    totals = driver.task.table.totals
    assert (totals.feedback_waiting, totals.feedback_unmatched, driver.row("ann").head.waiting) == (0, 1, 0)
    assert outcomes(driver, feedback("never", 1, submitted_at=iso(NOW))) == ["LATE"]


def test_buried_feedback_waits_no_more() -> None:
    """Stock totals are those of the living: tiers and feedback that waits."""
    driver = tell(Driver(TUTORS, key_limit=1), session(), feedback("never"))
    driver.settle()
    totals = driver.task.table.totals
    assert (totals.feedback_waiting, sum(totals.tiers_90day)) == (1, 1)
    tell(driver, login(tutor_id="bob"))
    assert (totals.feedback_waiting, sum(totals.tiers_7day), sum(totals.tiers_90day)) == (0, 0, 0)


# -- what is past ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["session", "login", "response", "feedback"])
@pytest.mark.parametrize(("offset", "outcome"), [(-1, "LATE"), (0, "APPLIED")])
def test_what_is_91_days_before_the_midnight_of_the_newest_event_is_late(what: str, offset: int, outcome: str) -> None:
    """By the row's own event time, so that a rebuild says the same; nothing that may be in a window is turned away."""
    at = horizon(NOW) + offset
    event = {
        "session": session(at),
        "login": login(at),
        "response": response(1, at),
        "feedback": feedback("s", submitted_at=iso(at)),
    }[what]
    assert outcomes(told(login(NOW)), event) == [outcome]
    assert horizon(NOW + FUTURE_MS) <= NOW - QUARTER  # an event may be dated a day ahead of now


def test_a_session_that_its_own_event_calls_past_is_late() -> None:
    """`updated_at` counts, too: the row need not know anything."""
    assert outcomes(Driver(TUTORS), session(NOW - 93 * DAY_MS)) == ["LATE"]
    assert outcomes(Driver(TUTORS), session(NOW - 93 * DAY_MS, updated_at=iso(NOW - 30 * DAY_MS))) == ["APPLIED"]


def test_a_scheduled_session_may_lie_ahead() -> None:
    """It is in no window yet."""
    driver = Driver(TUTORS)
    assert outcomes(driver, session(NOW + 400 * DAY_MS)) == ["APPLIED"]
    assert sums(driver).sessions == 0


def test_what_is_past_goes_with_the_first_event_of_a_day() -> None:
    """Cells do not pile up: sessions with their feedback, logins, tombstones. It is refused when it comes again."""
    old = NOW - 88 * DAY_MS
    past = [
        session(old, session_id="s", updated_at=iso(old)),
        feedback("s", submitted_at=iso(old)),
        deleted("d", scheduled_start=iso(old), updated_at=iso(old)),
        login(old),
        response(1, old),
    ]
    driver = told(*past)
    driver.settle()
    driver.wait(5 * 86_400)
    tell(driver, login(driver.now, event_id="last"))
    assert set(driver.row("ann").cells) == {("login", "last")}
    driver.commit()
    assert len(driver.cells) == 3  # head, login, totals: the others have tombstones
    assert set(outcomes(driver, *past)) == {"LATE"}


def test_a_session_moved_into_the_past_is_remembered_by_its_latest_date() -> None:
    """Else the older version, with the date that is not past, would count again."""
    first = session(NOW - DAY_MS, session_id="s", updated_at=iso(NOW - 9))
    moved = session(NOW - 200 * DAY_MS, session_id="s", updated_at=iso(NOW - 8))
    driver = told(first)
    assert outcomes(driver, moved) == ["APPLIED"]
    assert sums(driver).sessions == 0
    driver.now += 2 * DAY_MS
    tell(driver, login(driver.now))
    assert outcomes(driver, first, moved) == ["LATE", "DUPLICATE"]


# -- the limit ---------------------------------------------------------------------------------------------------------


def test_beyond_the_limit_the_oldest_go_and_answers_say_so() -> None:
    """Per window: only those that would hold what has gone are truncated. What has gone is LATE when it comes again."""
    starts = [NOW - day * DAY_MS for day in (80, 40, 20, 2, 1)]
    events = [session(start, session_id=f"s{start}") for start in starts]
    driver = told(*events[1:], tutor_session_limit=4)
    assert [sums(driver, window).truncated for window in WINDOWS] == [False, False, False]
    tell(driver, events[0])
    assert [sums(driver, window).truncated for window in WINDOWS] == [False, False, True]
    assert sums(driver).sessions == 4
    assert outcomes(driver, events[0]) == ["LATE"]
    tell(driver, login(), login())
    assert [sums(driver, window).truncated for window in WINDOWS] == [False, True, True]
    assert driver.task.table.totals.forgotten == 3
    driver.settle()
    assert published(driver, "30day")["metrics"]["truncated"] is True
    driver.wait(11 * 86_400)
    driver.commit()
    assert published(driver, "30day")["metrics"]["truncated"] is False  # what has gone is not in it any more


def test_a_window_is_whole_again_when_what_has_gone_would_have_left_it() -> None:
    """By time alone, at its millisecond, though nothing that is kept moves."""
    driver = told(login(NOW - 9), login(NOW - 8), tutor_session_limit=1)
    driver.settle()
    assert driver.row("ann").head.due == NOW - 9 + WEEK + 1
    driver.now = NOW - 9 + WEEK
    driver.commit()
    assert published(driver, "7day")["metrics"]["truncated"] is True
    driver.now += 1
    driver.commit()
    assert published(driver, "7day")["metrics"]["truncated"] is False
    assert published(driver, "7day")["metrics"]["logins"] == 1


def test_sessions_feedback_logins_and_responses_share_the_limit() -> None:
    """5,000 by default; room is made for a hundredth more at once, because finding the oldest takes a look at all."""
    assert LIMIT.default == 5_000
    driver = told(*(login(NOW - number) for number in range(1, 201)), tutor_session_limit=200)
    assert len(driver.row("ann").cells) == 200
    tell(driver, response(1), feedback("s"), session(NOW - 1))
    assert len(driver.row("ann").cells) == 200
    assert driver.task.table.totals.forgotten == 3
    assert sums(driver).responses == sums(driver).sessions == driver.row("ann").head.waiting == 1


def test_a_lowered_limit_holds_from_the_rows_next_event_on() -> None:
    """The options of a restart."""
    driver = told(*(login(NOW - number) for number in range(1, 101)))
    driver.commit()
    driver.options = {LIMIT.name: 10}
    driver.crash()
    tell(driver, login())
    assert len(driver.row("ann").cells) == 10


# -- publication -------------------------------------------------------------------------------------------------------


def test_a_session_that_is_over_is_published_within_a_minute() -> None:
    """30 seconds after the event: three records, with tier, previous tier and calculation time."""
    driver = told(session(), login())
    driver.wait(SECONDS - 0.001)
    driver.commit()
    assert not driver.stats
    driver.wait(0.001)
    driver.commit()
    assert driver.stats.keys() == {f"ann/{window}".encode() for window in WINDOWS}
    body = published(driver, "7day")
    assert (body["tier"], body["previous_tier"]) == (STRONG, None)
    assert body["calculation_date"] == iso(driver.now)
    assert body["metrics"]["sessions_completed"] == 1
    assert (body["tutor_id"], body["window"], body["revision"]) == ("ann", "7day", 2)


def test_a_session_leaves_a_window_without_any_event() -> None:
    """The metrics that were published change by themselves, in that window only, and at its millisecond."""
    driver = told(session(NOW - WEEK + 3_600_000), login())
    driver.settle()
    assert published(driver, "7day")["metrics"]["sessions"] == 1
    driver.now = NOW + 3_600_000
    assert not driver.commit().outgoing
    driver.now += 1
    keys = {record.key for record in driver.commit().outgoing if record.role == "stats"}
    assert keys == {b"ann/7day"}
    assert published(driver, "7day")["metrics"]["sessions"] == 0
    assert (published(driver, "7day")["tier"], published(driver, "7day")["previous_tier"]) == (None, STRONG)
    assert published(driver, "30day")["metrics"]["sessions"] == 1
    assert driver.task.table.totals.tiers_7day == [0] * 5


def test_a_session_enters_a_window_without_any_event() -> None:
    """It was scheduled; its time has come."""
    driver = told(session(NOW + 3_600_000, actual_start=None))
    driver.settle()
    assert published(driver)["metrics"]["sessions"] == 0
    driver.now = NOW + 3_600_001
    driver.commit()
    assert [published(driver, window)["metrics"]["sessions"] for window in WINDOWS] == [1, 1, 1]


def test_windows_move_across_a_crash() -> None:
    """The next time of change is in the head: another worker knows it, with nothing but the changelog."""
    driver = told(session(NOW - WEEK + 3_600_000))
    driver.settle()
    driver.crash()
    driver.now = NOW + 3_600_001
    driver.commit()
    assert published(driver, "7day")["metrics"]["sessions"] == 0
    driver.crash()
    driver.now += MONTH
    driver.commit()
    assert [published(driver, window)["metrics"]["sessions"] for window in WINDOWS] == [0, 0, 1]


def test_a_time_that_passed_while_nobody_ran_is_made_up_for() -> None:
    """Down for a month: the first commit publishes what has changed meanwhile."""
    driver = told(session(NOW - DAY_MS))
    driver.settle()
    driver.now += MONTH
    driver.crash()
    driver.commit()
    assert [published(driver, window)["metrics"]["sessions"] for window in WINDOWS] == [0, 0, 1]


def test_a_tutor_who_is_published_again_and_again_awaits_one_time() -> None:
    """What is awaited does not grow with the publications; the time comes all the same."""
    driver = told(session(NOW + WEEK, session_id="s", updated_at=iso(NOW)))
    for number in range(1, 50):
        driver.settle()
        tell(driver, session(NOW + WEEK, session_id="s", updated_at=iso(NOW + number)))
    driver.settle()
    assert len(driver.task.dues) == len(driver.task.awaited) == 1
    driver.now = NOW + WEEK + 1
    driver.commit()
    assert published(driver)["metrics"]["sessions"] == 1
    assert len(driver.task.dues) == len(driver.task.awaited) == 1  # now it awaits the end of the 7 days


def test_a_pending_emission_survives_a_crash() -> None:
    """Folded and committed, not yet published: the next owner does it at once."""
    driver = told(session())
    driver.commit()
    driver.crash()
    driver.commit()
    assert published(driver)["metrics"]["sessions"] == 1
    assert driver.row("ann").head.pending == 0


def test_a_worsened_tier_goes_to_the_alerts() -> None:
    """One record per window whose tier has become worse; a better one, or the first, alerts nobody."""
    driver = told(session(NOW - DAY_MS), session(NOW - 20 * DAY_MS), login(), login())
    driver.settle()
    assert "alerts" not in driver.published
    tell(driver, *(session(NOW - 2 * DAY_MS, no_show=True) for _ in range(4)))
    driver.settle()
    alerts = [(record.key, json.loads(record.value or b"")) for record in driver.published["alerts"]]
    assert [key for key, _ in alerts] == [f"ann/{window}".encode() for window in WINDOWS]
    assert {(body["previous_tier"], body["tier"]) for _, body in alerts} == {(STRONG, NEEDS_ATTENTION)}
    assert alerts[0][1]["metrics"]["no_show_count"] == 4
    driver.now += WEEK
    driver.commit()  # all of the 7 days have left: no tier is not a worse one
    assert published(driver, "7day")["tier"] is None
    tell(driver, *(login(driver.now - 1) for _ in range(9)), session(driver.now - 1), session(driver.now - 1))
    driver.settle()
    assert published(driver, "7day")["tier"] == STRONG  # nor is the first one after none
    assert len(driver.published["alerts"]) == len(alerts)
    (topic,) = TUTORS.topics
    assert (topic.role, topic.name, topic.retention_days) == ("alerts", "tutors-alerts", 90)


def test_a_tier_that_has_become_better_alerts_nobody() -> None:
    """Needs Attention for want of logins; then Strong."""
    driver = told(session())
    driver.settle()
    assert published(driver)["tier"] == NEEDS_ATTENTION
    tell(driver, login())
    driver.settle()
    assert (published(driver)["tier"], published(driver)["previous_tier"]) == (STRONG, NEEDS_ATTENTION)
    assert "alerts" not in driver.published


def test_an_alert_that_was_not_committed_comes_again_and_one_that_was_does_not() -> None:
    """The tier it compares with is in the row, in the same transaction."""
    driver = told(session(), login())
    driver.settle()
    tell(driver, *(session(NOW - 2 * DAY_MS, no_show=True) for _ in range(4)))
    driver.commit()
    for _ in range(2):
        driver.crash()
        driver.commit()
    assert len(driver.published["alerts"]) == len(WINDOWS)


# -- answers -----------------------------------------------------------------------------------------------------------


def ask(driver: Driver, path: str, window: str = "30day") -> Any:
    """What a view answers, now."""
    view = next(view for view in TUTORS.views if view.path == path)
    asked, rows = {"window": window}, list(driver.task.table.rows.values())
    if isinstance(view, EntityView):
        return view.answer(driver.row("ann"), asked, driver.now)
    if isinstance(view, TotalsView):
        whole = Whole(driver.task.table.totals, lambda _: [], lambda _name, _seconds: (0, 0), driver.now)
        return view.answer(whole, asked)
    assert isinstance(view, ListView)
    found = sorted(
        ((key, row, needed) for row in rows for key, needed in view.lines(row, asked, driver.now)),
        key=lambda line: line[0],
    )
    lines = [view.line(row, needed, asked, driver.now) for _, row, needed in found]
    return view.answer(lines, len(lines), asked, driver.now)


METRICS, OVERVIEW = "/api/tutors/{entity}/metrics", "/api/analytics/overview"
AT_RISK_LIST, TUTOR_METRICS = "/api/analytics/at-risk-tutors", "/api/analytics/tutor-metrics"


def test_the_views_are_the_four_and_their_windows_the_three() -> None:
    """30 days where none is named; the framework answers 400 with what is allowed, and 404."""
    assert {view.path for view in TUTORS.views} == {METRICS, OVERVIEW, AT_RISK_LIST, TUTOR_METRICS}
    parameters: list[tuple[Parameter, ...]] = [getattr(view, "parameters") for view in TUTORS.views]  # noqa: B009
    assert {(p.name, p.default, p.allowed) for given in parameters for p in given} == {("window", "30day", WINDOWS)}
    assert TUTORS.entity_name == "tutor"


def test_a_tutors_metrics_are_right_when_asked() -> None:
    """Without any publication, to the millisecond."""
    driver = told(session(NOW - MONTH), session(NOW))
    answer = ask(driver, METRICS)
    assert answer["metrics"]["sessions"] == 1
    assert (answer["success"], answer["tutor_id"], answer["window"]) == (True, "ann", "30day")
    assert answer["calculation_date"] == answer["timestamp"] == iso(NOW)
    driver.now += 1
    assert ask(driver, METRICS)["metrics"]["sessions"] == 1  # one has left, one has come
    assert ask(driver, METRICS, "7day")["metrics"]["sessions"] == 1


def test_the_overview_has_all_five_tiers_zeros_included() -> None:
    """And how many tutors have none."""
    driver = told(session(), login(tutor_id="bob"))
    driver.settle()
    answer = ask(driver, OVERVIEW)
    assert list(answer["tier_distribution"]) == [
        "Exemplary",
        "Strong",
        "Developing",
        "Needs Attention",
        "At Risk",
    ]
    assert (answer["total_tutors"], sum(answer["tier_distribution"].values()), answer["without_tier"]) == (2, 1, 1)


def bad(tutor_id: str, stars: int) -> list[Fields]:
    """Events of a tutor at risk."""
    held = session(tutor_id=tutor_id, engagement_score=0, learning_objectives_met=False, late_start_minutes=60)
    return [held, feedback(held["session_id"], stars, tutor_id=tutor_id)]


def test_tutors_at_risk_come_with_the_most_red_flags_first() -> None:
    """Then by name; before they were published, and after."""
    driver = told(
        *bad("eve", 1),
        *bad("dan", 1),
        *bad("bob", 4),
        *[session(tutor_id="bob", tutor_initiated_reschedule=True)],
        session(),
    )
    for _ in range(2):
        answer = ask(driver, AT_RISK_LIST)
        assert [line["tutor_id"] for line in answer["at_risk_tutors"]] == ["bob", "dan", "eve"]
        assert answer["total"] == 3
        assert {line["tier"] for line in answer["at_risk_tutors"]} == {AT_RISK}
        driver.settle()


def test_lists_are_right_between_an_event_and_its_publication_and_when_time_has_passed() -> None:
    """What was published last is shown only while it holds."""
    driver = told(session(NOW - WEEK + 3_600_000), login(tutor_id="bob"))
    driver.settle()
    for now, expected in ((driver.now, 1), (NOW + 3_600_000, 1), (NOW + 3_600_001, 0)):
        driver.now = now
        answer = ask(driver, TUTOR_METRICS, "7day")
        assert [line["tutor_id"] for line in answer["tutors"]] == ["ann", "bob"]
        assert answer["tutors"][0]["metrics"] == ask(driver, METRICS, "7day")["metrics"]
        assert answer["tutors"][0]["metrics"]["sessions"] == expected
    tell(driver, session(driver.now - 1))
    assert ask(driver, TUTOR_METRICS, "7day")["tutors"][0]["metrics"]["sessions"] == 1


# -- at any time, whatever has happened --------------------------------------------------------------------------------

EDGE = st.sampled_from((0, 1, -1, 40_000, 3_600_000))
TIME = st.builds(lambda span, edge: NOW - span + edge, st.sampled_from((0, *SPANS_MS)), EDGE)
sent_sessions = st.builds(
    lambda start, number, fields: session(start, session_id=f"s{number}", **fields),
    TIME,
    st.integers(0, 5),
    st.fixed_dictionaries(
        {
            "session_number": st.integers(1, 2),
            "actual_start": st.sampled_from((None, iso(NOW))),
            "tutor_initiated_reschedule": st.booleans(),
            "no_show": st.booleans(),
            "late_start_minutes": st.sampled_from((0, 10, 11)),
            "engagement_score": st.none() | st.integers(0, MILLION).map(lambda part: part / MILLION),
            "learning_objectives_met": st.sampled_from((None, True, False)),
            "deleted": st.booleans(),
            "updated_at": st.integers(NOW - 5, NOW).map(iso),
        }
    ),
)
sent_feedback = st.builds(
    lambda number, of, stars, at: feedback(f"s{of}", stars, feedback_id=f"f{number}", submitted_at=iso(at)),
    st.integers(0, 5),
    st.integers(0, 6),
    st.integers(1, 5),
    st.integers(NOW - 5, NOW),
)
sent = st.lists(
    st.one_of(sent_sessions, sent_sessions, sent_feedback, TIME.map(login), TIME.map(lambda at: response(2.5, at))),
    max_size=25,
)


def raw_metrics(events: Iterable[Fields], now: int, days: int) -> Fields:
    """From scratch, from the raw events that are known last: by the oracle, which shares no code with the product."""
    last: dict[tuple[str, str], Fields] = {}
    for fields in events:
        name = scratch.name_of(fields)
        if name not in last or scratch.time_of(fields) > scratch.time_of(last[name]):
            last[name] = fields
    of: dict[str, dict[str, Fields]] = {"session": {}, "feedback": {}, "login": {}, "response": {}}
    for (kind, id_), fields in last.items():
        of[kind][id_] = fields
    return scratch.metrics(
        of["session"],
        of["feedback"].values(),
        map(scratch.time_of, of["login"].values()),
        ((scratch.time_of(fields), fields["response_time_minutes"]) for fields in of["response"].values()),
        now,
        days,
    )


@settings(max_examples=150, deadline=None)
@given(sent, st.lists(st.sampled_from((0, 1, 39_999, 40_001, 3_600_000, WEEK, MONTH)), max_size=5))
def test_what_is_published_and_answered_is_a_computation_from_scratch(events: list[Fields], waits: list[int]) -> None:
    """At any time: the view at once, and what was published last at every commit."""
    for fields in events:  # a time ahead of now is no event, but a session may be scheduled
        if fields["type"] not in {"session", "feedback"} and fields["at"] > iso(NOW):
            fields["at"] = iso(NOW)
    driver = told(*events)
    driver.settle()
    for wait in (0, *waits):
        driver.now += wait
        if events:
            said = {window: ask(driver, METRICS, window) for window in WINDOWS}
        driver.commit()
        for window, days in zip(WINDOWS, (7, 30, 90), strict=True):
            if not events or "ann" not in driver.entities:
                continue
            expected = raw_metrics(events, driver.now, days)
            tier = expected.pop("tier")
            for body in (said[window], published(driver, window)):
                assert {name: body["metrics"][name] for name in expected} == expected
                assert body["tier"] == tier


@settings(max_examples=100, deadline=None)
@given(sent, st.integers(1, 6), st.data())
def test_a_full_row_does_not_depend_on_batches_crashes_or_ticks(
    events: list[Fields], limit: int, data: st.DataObject
) -> None:
    """The limit, too, is a matter of the records alone, and it holds after each of them."""
    alone = told(*events, tutor_session_limit=limit)
    other = Driver(TUTORS, options={LIMIT.name: limit})
    for fields in events:
        tell(other, fields)
        assert len(other.row("ann").cells) <= limit
        if data.draw(st.booleans()):
            other.wait(31)
            other.commit()
        if data.draw(st.booleans()):
            other.crash()
            other.fold()
    for driver in (alone, other):
        driver.now = NOW + 3_600_000
        driver.settle()
    assert other.read() == alone.read()


# -- records -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(session()))
def test_a_missing_field_is_named(name: str) -> None:
    """A session without it is INVALID; only what may be null may be missing."""
    fields = session()
    del fields[name]
    driver = Driver(TUTORS)
    driver.send("ann", fields)
    driver.fold()
    if name in {"actual_start", "engagement_score", "learning_objectives_met"}:
        assert driver.task.table.totals.outcomes[Outcome.APPLIED] == 1
    else:
        driver.commit()
        (letter,) = driver.dead_letters
        assert f"`{name}`" in (dict(letter.headers)["tidemark-reason"] or b"").decode()


def test_extreme_dates_are_no_defect() -> None:
    """Year 1 is past, year 9999 is ahead: neither stops a partition."""
    driver = Driver(TUTORS)
    starts = ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00", "9999-12-31T23:59:59Z")
    assert outcomes(driver, *(session(scheduled_start=start) for start in starts)) == [
        "LATE",
        "APPLIED",
        "LATE",
        "APPLIED",
    ]
    driver.settle()
    assert published(driver)["metrics"]["sessions"] == 0
    assert not driver.poison


def test_the_largest_row_fits_into_its_records() -> None:
    """The longest names in every field: no cell comes near 1 MiB, nor does what is published."""
    long = "\u2028" * 256
    driver = told(
        session(session_id=long, student_id=long, subject=long, tutor_id=long),
        feedback(long, feedback_id=long, tutor_id=long),
        response(100_000, event_id=long, tutor_id=long),
    )
    driver.settle()
    assert max(len(key) + len(value) for key, value in driver.read().items()) < 10_000
    assert max(len(value) for value in driver.stats.values()) < 10_000
    assert sums(driver, entity=long).response_ms == 6_000_000_000
    assert msgspec.msgpack.encode(6_000_000_000 * int(LIMIT.most or 0))  # 3 x 10^14 ms: far from 63 bits


# -- the page for users ------------------------------------------------------------------------------------------------


def test_the_examples_of_the_docs_are_what_happens() -> None:
    """Their events, folded in their order, give their snapshot; the deleted session is an example of the least."""
    page = (Path(__file__).parents[2] / "docs" / "domains" / "tutors.md").read_text()
    examples = [
        json.loads(line)
        for block in re.findall("```json\n(.*?)```", page, re.DOTALL)
        for line in block.split("\n")
        if line
    ]
    *events, snapshot = examples
    driver = told(*events)
    assert driver.task.table.totals.outcomes[Outcome.APPLIED] == len(events) == 5
    driver.wait(SECONDS)
    driver.commit()
    assert published(driver, "7day", "t-7") == snapshot
    least = {name for name in events[1] if name != "type"}
    for name in least - {"deleted"}:
        with pytest.raises(msgspec.ValidationError, match=name):
            msgspec.convert({field: value for field, value in events[1].items() if field != name}, TUTORS.event)


def test_the_docs_have_the_numbers_of_the_code() -> None:
    """Limits and thresholds."""
    page = (Path(__file__).parents[2] / "docs" / "domains" / "tutors.md").read_text()
    assert f"{LIMIT.default:,} cells" in page
    assert f"{WAITING_LIMIT} wait per tutor" in page
    for rule in RULES:
        unit = {"avg_rating": 100, "no_show_count": 1}.get(rule.metric, MILLION)
        better, worse = (">=", "<") if rule.more_is_better else ("<=", ">")
        green = f"{better} {rule.green / unit:g}" if rule.green else "0"
        line = next(
            line for line in page.partition("## Metrics")[2].split("\n") if line.startswith(f"| `{rule.metric}` | ")
        )
        assert line.endswith(f"| {green} | {worse} {rule.red / unit:g} |"), rule
