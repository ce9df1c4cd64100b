"""Tiers of tutors: every metric, every flag at its edges, every rule. The traps of the origin have their names."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.driver import NOW
from tables.event import DAY_MS
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
from tables.windows import nearest_rank
from tests.tables.inputs_tutors import (
    AT_RISK,
    DEVELOPING,
    EXEMPLARY,
    NEEDS_ATTENTION,
    STRONG,
    Fields,
    feedback,
    login,
    response,
    session,
    sums,
    told,
)

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
