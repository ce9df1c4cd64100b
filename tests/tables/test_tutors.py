"""Tutors: windows to the millisecond, versions, feedback that waits, what is past, what a row keeps."""

from itertools import chain

import msgspec
import pytest

from agents.driver import NOW, Driver
from tables.event import DAY_MS, FUTURE_MS, Outcome, iso
from tables.tiers import MILLION, RULES
from tables.tutors import LIMIT, TUTORS, WAITING_LIMIT, horizon
from tables.windows import SPANS_MS, WINDOWS, measure
from tests.docs.pages import page
from tests.tables.inputs_tutors import (
    MONTH,
    QUARTER,
    SECONDS,
    WEEK,
    deleted,
    feedback,
    login,
    outcomes,
    published,
    response,
    session,
    sums,
    tell,
    told,
)

PAGE = page("docs/domains/tutors.md")

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
    *events, snapshot = chain(*PAGE.examples)
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
    assert f"{LIMIT.default:,} cells" in PAGE.text
    assert f"{WAITING_LIMIT} wait per tutor" in PAGE.text
    for rule in RULES:
        unit = {"avg_rating": 100, "no_show_count": 1}.get(rule.metric, MILLION)
        better, worse = (">=", "<") if rule.more_is_better else ("<=", ">")
        green = f"{better} {rule.green / unit:g}" if rule.green else "0"
        line = next(
            line
            for line in PAGE.text.partition("## Metrics")[2].split("\n")
            if line.startswith(f"| `{rule.metric}` | ")
        )
        assert line.endswith(f"| {green} | {worse} {rule.red / unit:g} |"), rule
