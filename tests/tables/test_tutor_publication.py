"""Tutors: what is published when, and answered, at any time and across crashes. A trap of the origin has its name."""

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.driver import NOW, Driver
from tables.event import DAY_MS, iso
from tables.tiers import MILLION
from tables.totals import Whole
from tables.tutors import LIMIT, TUTORS
from tables.views import EntityView, ListView, Parameter, TotalsView
from tables.windows import SPANS_MS, WINDOWS
from tests.oracle import tutors as scratch
from tests.tables.inputs_tutors import (
    AT_RISK,
    MONTH,
    NEEDS_ATTENTION,
    SECONDS,
    STRONG,
    WEEK,
    Fields,
    feedback,
    login,
    published,
    response,
    session,
    tell,
    told,
)


def test_trap_a_tutor_with_an_event_every_20_seconds_is_published_every_30() -> None:
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
