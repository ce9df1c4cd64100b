"""Tiers of tutors: the sums over a window of sessions, the metrics that follow from them, and the tier that these make.

Everything is an integer: shares are millionths of a percent, a rating is hundredths of a star, times are milliseconds.
A metric is rounded once, half up, and its tier is decided by the rounded number: whoever reads a record can check it.
None is what has nothing to divide by; 0 is 0.
"""

from fractions import Fraction
from typing import NamedTuple

from tables.row import Cell
from tables.views import Answer

MILLION = 1_000_000
MINUTE_MS = 60_000
PUNCTUAL_MINUTES = 10  # a session may begin so late and still be on time
GOOD_RATING = 4  # of 5: from here on a first session was a success

TIERS = ("Exemplary", "Strong", "Developing", "Needs Attention", "At Risk")  # the best first
EXEMPLARY, STRONG, DEVELOPING, NEEDS_ATTENTION, AT_RISK = range(len(TIERS))


class Sums(Cell):
    """What a window adds up to."""

    sessions: int = 0
    """All of them, no-shows and rescheduled ones included."""
    completed: int = 0
    """With an actual start, and no no-show."""
    no_shows: int = 0
    rescheduled: int = 0
    """By the tutor."""
    punctual: int = 0
    """Completed, and not more than ten minutes late."""
    engagements: int = 0
    """Sessions with an engagement score."""
    engagement: int = 0
    """The sum of those, in millionths (0 to 1 each)."""
    objectives: int = 0
    """Sessions of which it is known whether the objectives were met."""
    objectives_met: int = 0
    ratings: int = 0
    """Feedback, of all sessions."""
    rating: int = 0
    """The sum of its stars."""
    first_rated: int = 0
    """First sessions with feedback."""
    first_successes: int = 0
    """Of those, the ones with four stars or more."""
    logins: int = 0
    responses: int = 0
    response_ms: int = 0
    response_p50_ms: int | None = None
    response_p95_ms: int | None = None
    truncated: bool = False
    """Something of the window has been let go, because the row was full."""

    def add(self, other: "Sums") -> None:
        """Add what another span of time adds up to. Percentiles do not add up."""
        for name in _ADDED:
            setattr(self, name, getattr(self, name) + getattr(other, name))


_ADDED = tuple(
    name for name in Sums.__struct_fields__ if name not in {"response_p50_ms", "response_p95_ms", "truncated"}
)


class Metrics(NamedTuple):
    """What follows from sums: millionths of a percent, a rating in hundredths, times in ms."""

    avg_rating: int | None
    first_session_success_rate: int | None
    reschedule_rate: int | None
    no_show_count: int
    engagement_score: int | None
    learning_objectives_met_pct: int | None
    response_time_avg_ms: int | None


class Rule(NamedTuple):
    """When a metric is a green flag, and when a red one: at the green limit already, beyond the red one only."""

    metric: str
    green: int
    red: int
    more_is_better: bool


RULES = (
    Rule("avg_rating", 450, 350, more_is_better=True),
    Rule("first_session_success_rate", 85 * MILLION, 70 * MILLION, more_is_better=True),
    Rule("reschedule_rate", 10 * MILLION, 15 * MILLION, more_is_better=False),
    Rule("no_show_count", 0, 3, more_is_better=False),
    Rule("engagement_score", 80 * MILLION, 60 * MILLION, more_is_better=True),
    Rule("learning_objectives_met_pct", 90 * MILLION, 80 * MILLION, more_is_better=True),
)


def quotient(part: int, whole: int, scale: int = 1) -> int | None:
    """`scale` x part / whole, rounded half up; None where there is nothing to divide by. Neither is negative."""
    return (2 * scale * part + whole) // (2 * whole) if whole else None


def metrics_of(sums: Sums) -> Metrics:
    """The metrics of a window."""
    percent = 100 * MILLION
    return Metrics(
        quotient(sums.rating, sums.ratings, 100),
        quotient(sums.first_successes, sums.first_rated, percent),
        quotient(sums.rescheduled, sums.sessions, percent),
        sums.no_shows,
        engagement_score(sums),
        quotient(sums.objectives_met, sums.objectives, percent),
        quotient(sums.response_ms, sums.responses),
    )


def engagement_score(sums: Sums) -> int | None:
    """40 % logins per session (one is enough), 40 % the sessions' own scores, 20 % punctuality; None without sessions.

    Each part is from 0 to 100. Sessions without a score count as 0.5; where nothing was attended nothing was punctual.
    """
    if not sums.sessions:
        return None
    score = Fraction(40 * min(sums.logins, sums.sessions), sums.sessions)
    score += Fraction(40 * sums.engagement, MILLION * sums.engagements) if sums.engagements else 20
    if sums.completed:
        score += Fraction(20 * sums.punctual, sums.completed)
    return quotient(score.numerator, score.denominator, MILLION)


def flags_of(metrics: Metrics) -> tuple[list[str], list[str]]:
    """The metrics that are a green flag, and those that are a red one. What is None is neither."""
    green, red = [], []
    for name, green_limit, red_limit, more_is_better in RULES:
        value: int | None = getattr(metrics, name)
        if value is None:
            continue
        if value >= green_limit if more_is_better else value <= green_limit:
            green.append(name)
        elif value < red_limit if more_is_better else value > red_limit:
            red.append(name)
    return green, red


def tier_by_flags(green: int, red: int) -> int:
    """The tier, as an index of TIERS, of so many green and red flags: the first rule that fits."""
    if green >= 5 and not red:  # noqa: PLR2004 - the rules themselves
        return EXEMPLARY
    if red >= 3:  # noqa: PLR2004 - likewise
        return AT_RISK
    if red:
        return NEEDS_ATTENTION
    return STRONG if green >= 3 else DEVELOPING  # noqa: PLR2004 - likewise


def tier_of(sums: Sums) -> int | None:
    """The tier of a window, as an index of TIERS; a tutor without sessions has none."""
    if not sums.sessions:
        return None
    green, red = flags_of(metrics_of(sums))
    return tier_by_flags(len(green), len(red))


def shown(sums: Sums) -> Answer:
    """A window's metrics in the units that people read: stars, percent, minutes."""
    metrics = metrics_of(sums)
    green, red = flags_of(metrics) if sums.sessions else ([], [])
    return {
        "sessions": sums.sessions,
        "sessions_completed": sums.completed,
        "no_show_count": sums.no_shows,
        "feedback_count": sums.ratings,
        "avg_rating": _over(metrics.avg_rating, 100),
        "first_session_success_rate": _over(metrics.first_session_success_rate, MILLION),
        "reschedule_rate": _over(metrics.reschedule_rate, MILLION),
        "learning_objectives_met_pct": _over(metrics.learning_objectives_met_pct, MILLION),
        "engagement_score": _over(metrics.engagement_score, MILLION),
        "logins": sums.logins,
        "message_responses": sums.responses,
        "response_time_avg_minutes": _minutes(metrics.response_time_avg_ms),
        "response_time_p50_minutes": _minutes(sums.response_p50_ms),
        "response_time_p95_minutes": _minutes(sums.response_p95_ms),
        "green_flags": green,
        "red_flags": red,
        "truncated": sums.truncated,
    }


def named(tier: int | None) -> str | None:
    """The name of a tier."""
    return None if tier is None else TIERS[tier]


def _over(value: int | None, unit: int) -> float | None:
    return None if value is None else value / unit


def _minutes(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else round(milliseconds / MINUTE_MS, 3)
