"""Assessments: what an event of either shape adds to its session. The traps of the origin have their names."""

import json
from itertools import chain, count, permutations
from operator import itemgetter
from typing import Any

import pytest

from agents.driver import NOW, Driver
from tables.assessments import ASSESSMENTS, IDS, KEPT, TIERS
from tables.event import FUTURE_MS, Outcome, iso
from tables.retention import newest_records
from tables.totals import Whole
from tables.views import Answer, EntityView, ListView, TotalsView
from tests.docs.pages import page

Fields = dict[str, Any]
_ids = count()
BODIES: dict[str, Fields] = {
    "lightweight": {
        "message_idx": 0,
        "signals": [],
        "frustration_ema": 0.25,
        "success_ema": 0.5,
        "triggering_event_id": "m",
    },
    "medium": {
        "checkpoint_id": "c",
        "message_range": [0, 9],
        "trigger": "interval",
        "summary": "s",
        "token_metrics": {"total_tokens": 100, "correction_ratio": 0.1, "retry_count": 0},
        "segment_score": 0.5,
    },
    "heavy": {"outcome": "success", "task_summary": "t", "frustration_trajectory": []},
}


def context(**over: Any) -> Fields:
    """A context of ann's, with an event id that has not been there."""
    fields = {
        "session_id": "ann",
        "event_id": f"e{next(_ids)}",
        "timestamp": iso(NOW),
        "active_learnings": [],
        "injection_method": "hook",
        "harness_type": "terminal",
    }
    return fields | over


def by_tier(tier: str = "lightweight", *, about: Fields | None = None, **over: Any) -> Fields:
    """A valid event in the first shape."""
    return {"tier": tier, "context": context(**(about or {}))} | BODIES.get(tier, {}) | over


def by_plugin(result_type: str = "lightweight", *, session: str = "ann", **payload: Any) -> Fields:
    """A valid event in the plugin's shape."""
    return {"event_id": f"e{next(_ids)}", "result_type": result_type, "session_id": session, "payload": payload}


def tell(driver: Driver, *events: Fields) -> Driver:
    """Send events under their sessions' keys, and fold them."""
    for fields in events:
        driver.send(fields["context"]["session_id"] if "context" in fields else fields["session_id"], fields)
    driver.fold()
    return driver


def told(*events: Fields, **options: Any) -> Driver:
    """A driver that has folded these events."""
    return tell(Driver(ASSESSMENTS, options=options), *events)


def view(driver: Driver, entity: str = "ann") -> Answer:
    """The answer of a session's view."""
    (one,) = (view for view in ASSESSMENTS.views if isinstance(view, EntityView))
    return one.answer(driver.row(entity), {}, NOW)


def stats(driver: Driver) -> Answer:
    """The answer of `/assess/stats`, as if there were this partition only."""
    (one,) = (view for view in ASSESSMENTS.views if isinstance(view, TotalsView))
    table = driver.task.table
    return one.answer(
        Whole(table.totals, lambda name: table.tops[name].best(), lambda _name, _seconds: (0, 0), NOW), {}
    )


def snapshots(driver: Driver) -> list[Fields]:
    """Every snapshot that was published, in order."""
    driver.commit()
    return [json.loads(record.value or b"") for record in driver.published.get("snapshots", [])]


def reason(fields: Fields, key: str = "ann") -> str:
    """Why a record is a dead letter."""
    driver = Driver(ASSESSMENTS)
    driver.send(key, fields)
    driver.fold()
    driver.commit()
    (letter,) = driver.dead_letters
    return (dict(letter.headers)["tidemark-reason"] or b"").decode()


def spread(**tiers: int) -> dict[str, int]:
    """A distribution."""
    return dict.fromkeys(TIERS, 0) | tiers


# -- the traps of the origin -------------------------------------------------------------------------------------------


def test_trap_the_offset_does_not_stop_growing_at_the_stores_size() -> None:
    """The origin counted what it kept and called that an offset: at 100 it stood still. Ours is the log's own."""
    driver = Driver(ASSESSMENTS, options={KEPT.name: 3})
    sent = []
    for number in range(20):
        fields = by_tier()
        sent.append(driver.send("ann", fields, offset=number * 1000 + 7))
        driver.send("ann", fields)  # a duplicate is no assessment and has no snapshot
    driver.fold()
    assert [body["last_offset"] for body in snapshots(driver)] == sent == [number * 1000 + 7 for number in range(20)]
    driver.settle()
    assert json.loads(driver.stats[b"ann"])["last_offset"] == view(driver)["last_offset"] == sent[-1]


def test_trap_recovery_is_wired() -> None:
    """The origin began at nothing after a restart. Ours goes on: session, totals, memory of ids, ring."""
    events = [by_tier(tier) for tier in (*TIERS, "of tomorrow") for _ in range(5)]
    driver = told(*events, by_plugin("session_end", outcome="failure"), **{KEPT.name: 10})
    driver.commit()
    before = view(driver), stats(driver), driver.read()
    driver.crash()
    assert (view(driver), stats(driver), driver.read()) == before
    tell(driver, events[0], by_tier("heavy"))
    assert stats(driver)["total_assessments"] == 27
    last = snapshots(driver)[-1]
    assert (last["revision"], last["total_assessments"], last["last_offset"]) == (27, 27, 27)
    assert (
        last["tier_distribution"]
        == last["session"]["tier_distribution"]
        == spread(lightweight=5, medium=5, heavy=7, checkpoint=5)
    )


@pytest.mark.parametrize("kept", [1, 7, 100])
def test_trap_the_retention_constant_is_used(kept: int) -> None:
    """The origin had a STATS_RETENTION_COUNT and never asked it. Here it is the number of slots, 100 by default."""
    driver = told(*(by_tier() for _ in range(250)), **({} if kept == 100 else {KEPT.name: kept}))
    published = snapshots(driver)
    slots = [json.loads(value) for value in driver.latest("snapshots").values()]
    assert sorted(body["revision"] for body in slots) == list(range(251 - kept, 251))
    assert newest_records(slots, kept, itemgetter("revision")) == published[-kept:]


def test_trap_medium_and_heavy_are_counted() -> None:
    """The origin knew results `lightweight`, `checkpoint` and `session_end` only: two of its four tiers stayed 0."""
    tiers = ("lightweight", "medium", "medium", "heavy", "heavy", "heavy", "checkpoint")
    by_both = told(*map(by_tier, tiers), *map(by_plugin, tiers), by_plugin("session_end"))
    expected = spread(lightweight=2, medium=4, heavy=7, checkpoint=2)
    assert view(by_both)["tier_distribution"] == stats(by_both)["tier_distribution"] == expected
    assert stats(by_both)["total_assessments"] == view(by_both)["total_assessments"] == 15


def test_trap_snapshots_do_not_grow_with_the_number_of_sessions() -> None:
    """The origin's carried all sessions. With 10 or with 10,000, a record differs by the digits of its numbers."""
    sizes = []
    for sessions in (10, 10_000):
        driver = told(*(by_tier(about={"session_id": f"session-{number:06}"}) for number in range(sessions)))
        driver.commit()
        sizes.append(max(len(record.value or b"") for record in driver.published["snapshots"]))
    # lightweight, total, last_offset and revision have 2 digits with ten sessions, and 5 with 10,000
    assert 0 <= sizes[1] - sizes[0] <= 4 * 3
    assert sizes[1] < 400


def test_a_snapshot_is_bounded_whatever_is_sent() -> None:
    """The longest name, all of it escaped, and the greatest numbers: the record of an event has less than 2 KiB."""
    driver = told(by_tier(about={"session_id": "\x00" * 256}))
    totals = driver.task.table.totals
    totals.lightweight = totals.medium = totals.heavy = totals.checkpoint = totals.assessments = 1 << 62
    tell(driver, by_tier(about={"session_id": "\x00" * 256}))
    driver.settle()
    assert max(len(record.value or b"") for record in driver.published["snapshots"]) < 2048
    assert max(map(len, driver.stats.values())) < 4096


# -- counting ----------------------------------------------------------------------------------------------------------


def test_a_snapshot_has_exactly_these_fields() -> None:
    """Readers of the topic rely on them."""
    driver = told(
        by_tier("heavy", about={"session_id": "b"}), by_tier(about={"timestamp": "2025-06-15T15:00:00+02:00"})
    )
    assert snapshots(driver)[-1] == {
        "tier_distribution": spread(lightweight=1, heavy=1),
        "total_assessments": 2,
        "session": {"session_id": "ann", "tier_distribution": spread(lightweight=1)},
        "last_offset": 1,
        "timestamp": "2025-06-15T13:00:00.000Z",
        "partition": 0,
        "revision": 2,
    }


@pytest.mark.parametrize("tier", ["ultra", "", "Heavy", "session_end"])
def test_a_tier_nobody_knows_counts_in_the_total_only(tier: str) -> None:
    """It is no error: the tiers add up to less than the total. A session's end is a result, not a tier."""
    driver = told(by_tier(), by_tier(tier), by_plugin("success"))
    assert stats(driver)["total_assessments"] == 3
    assert stats(driver)["tier_distribution"] == view(driver)["tier_distribution"] == spread(lightweight=1)


def test_an_event_with_a_tier_has_the_first_shape_whatever_else_it_has() -> None:
    """What the plugin's shape calls its own does not matter then."""
    driver = told(by_tier("heavy") | by_plugin("lightweight", session="bob"))
    assert driver.entities == ["ann"]
    assert view(driver)["tier_distribution"] == spread(heavy=1)


def test_buried_sessions_stay_in_the_totals() -> None:
    """An assessment was made, whoever is remembered."""
    driver = Driver(ASSESSMENTS, key_limit=1)
    tell(driver, by_tier("heavy"), by_tier("medium", about={"session_id": "b"}))
    assert stats(driver) == {
        "tier_distribution": spread(heavy=1, medium=1),
        "total_assessments": 2,
        "top_sessions": [],
    }
    driver.commit()
    assert stats(driver)["top_sessions"] == [{"session_id": "b", "assessment_count": 1}]


def test_averages_are_those_of_the_newest_message_that_says_them() -> None:
    """By its time, not by its arrival; of two at one time the later one. Other tiers say nothing of them."""
    driver = told(by_plugin("lightweight"))
    assert (view(driver)["success_ema"], view(driver)["frustration_ema"]) == (None, None)
    at = {"old": iso(NOW - 1), "new": iso(NOW)}
    tell(driver, by_tier(about={"timestamp": at["new"]}, success_ema=0.1, frustration_ema=-0.2))
    tell(driver, by_tier(about={"timestamp": at["old"]}, success_ema=0.8, frustration_ema=0.9))
    tell(driver, by_plugin("heavy", success_ema=0.3, timestamp=iso(NOW + 1)))
    assert (view(driver)["success_ema"], view(driver)["frustration_ema"]) == (0.1, -0.2)
    tell(driver, by_plugin("lightweight", success_ema=0.4, timestamp=at["new"]))
    assert (view(driver)["success_ema"], view(driver)["frustration_ema"]) == (0.4, -0.2)


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_each_average_is_as_of_its_own_time(order: tuple[int, ...]) -> None:
    """A plugin's result may say one of the two only: it does not keep an older one from saying the other."""
    said = [
        by_plugin("lightweight", timestamp=iso(NOW), success_ema=0.1, frustration_ema=0.2),
        by_plugin("lightweight", timestamp=iso(NOW + 1), frustration_ema=0.4),
        by_plugin("lightweight", timestamp=iso(NOW + 2), success_ema=0.5),
    ]
    driver = told(*(said[place] for place in order))
    assert (view(driver)["success_ema"], view(driver)["frustration_ema"]) == (0.5, 0.4)


def test_tokens_are_summed_over_medium_and_outcomes_counted_over_heavy_assessments() -> None:
    """In either shape; a plugin's result may do without."""
    metrics = {"total_tokens": 11, "correction_ratio": 0, "retry_count": 0}
    driver = told(
        by_tier("medium"),
        by_plugin("medium", token_metrics=metrics, outcome="success"),
        by_plugin("medium"),
        by_plugin("lightweight", token_metrics=metrics),
        by_tier("heavy", outcome="partial"),
        by_plugin("session_end", outcome="abandoned", token_metrics=metrics),
        by_plugin("heavy", outcome="abandoned"),
        by_plugin("session_end"),
    )
    assert view(driver)["total_tokens"] == driver.task.table.totals.tokens == 111
    assert view(driver)["outcomes"] == {"success": 0, "partial": 1, "failure": 0, "abandoned": 2}


def test_first_and_last_are_by_event_time() -> None:
    """Whatever the order of arrival."""
    driver = told(*(by_tier(about={"timestamp": iso(NOW + ms)}) for ms in (5, 9, -7, 0)))
    assert (view(driver)["first_at"], view(driver)["last_at"]) == (iso(NOW - 7), iso(NOW + 9))


# -- times of the plugin's shape ---------------------------------------------------------------------------------------


def uuid7(at: int, rest: str = "-7abc-8def-0123456789ab") -> str:
    """A version 7 UUID of a time."""
    return f"{at:012x}"[:8] + "-" + f"{at:012x}"[8:] + rest


@pytest.mark.parametrize(
    ("event_id", "timestamp", "at"),
    [
        (uuid7(NOW - 5), iso(NOW - 3), NOW - 3),
        (uuid7(NOW - 5), None, NOW - 5),
        (uuid7(NOW - 5).upper(), None, NOW - 5),
        (uuid7(NOW - 5, "-4abc-8def-0123456789ab"), None, NOW),
        (uuid7(NOW - 5, "-7abc-cdef-0123456789ab"), None, NOW),
        (uuid7(NOW - 5) + "0", None, NOW),
        ("e", None, NOW),
    ],
    ids=["payload", "uuid7", "upper case", "version 4", "another variant", "too long", "no uuid"],
)
def test_a_plugins_result_has_the_time_of_its_payload_or_its_id_or_its_record(
    event_id: str, timestamp: str | None, at: int
) -> None:
    """In this order; the driver's records are of NOW."""
    driver = told(by_plugin("heavy", timestamp=timestamp) | {"event_id": event_id})
    assert view(driver)["last_at"] == iso(at)


def test_a_time_that_cannot_be_is_invalid_in_an_id_too() -> None:
    """More than a day ahead is a broken clock."""
    assert "more than a day ahead" in reason(by_plugin() | {"event_id": uuid7(NOW + FUTURE_MS + 1)})
    assert "more than a day ahead" in reason(by_tier(about={"timestamp": iso(NOW + FUTURE_MS + 1)}))
    assert "before 1970" in reason(by_tier(about={"timestamp": "1969-12-31T23:59:59.999Z"}))


# -- duplicates --------------------------------------------------------------------------------------------------------


def test_the_last_32_event_ids_of_a_session_are_recognised() -> None:
    """At the edge: 31 others later it is a duplicate, 32 others later it counts again; a restart changes nothing."""
    events = [by_tier() for _ in range(IDS.last + 1)]
    driver = told(*events[: IDS.last])
    tell(driver, *events[: IDS.last])
    driver.commit()
    driver.crash()
    tell(driver, *events[: IDS.last])
    assert view(driver)["total_assessments"] == IDS.last
    tell(driver, events[IDS.last], events[1])
    assert view(driver)["total_assessments"] == IDS.last + 1
    tell(driver, events[0])
    assert view(driver)["total_assessments"] == IDS.last + 2
    assert driver.task.table.totals.outcomes[Outcome.DUPLICATE] == 2 * IDS.last + 1


def test_one_assessment_in_both_shapes_is_one() -> None:
    """The id tells, not the shape; another session's event of the same id is another one."""
    id_ = uuid7(NOW)
    driver = told(by_tier(about={"event_id": id_}), by_plugin() | {"event_id": id_.upper()})
    tell(driver, by_plugin() | {"event_id": id_.replace("-", "")})
    assert view(driver)["total_assessments"] == 1
    tell(driver, by_plugin(session="bob") | {"event_id": id_})
    assert stats(driver)["total_assessments"] == 2


# -- what is no event --------------------------------------------------------------------------------------------------

REQUIRED = [(tier, name) for tier, body in BODIES.items() for name in body]


@pytest.mark.parametrize(("tier", "name"), REQUIRED)
@pytest.mark.parametrize("present", [True, False], ids=["null", "missing"])
def test_what_a_tier_needs_has_to_be_there(tier: str, name: str, present: bool) -> None:  # noqa: FBT001
    """The reason names the field."""
    fields = by_tier(tier, **{name: None})
    if not present:
        del fields[name]
    assert f"`{name}`" in reason(fields)


@pytest.mark.parametrize("name", ["session_id", "event_id", "timestamp", "active_learnings", "injection_method"])
def test_a_context_is_complete(name: str) -> None:
    """Missing, null or of another type: INVALID, and the reason names the field."""
    fields = by_tier("checkpoint")
    for wrong in (None, 5):
        assert f"$.context.{name}" in reason(fields | {"context": fields["context"] | {name: wrong}})
    del fields["context"][name]
    assert f"`{name}`" in reason(fields)


@pytest.mark.parametrize("name", ["session_id", "event_id", "payload", "result_type"])
def test_a_plugins_result_is_complete(name: str) -> None:
    """All four fields, none of them null."""
    assert f"`{name}`" in reason(by_plugin() | {name: None})
    assert f"`$.{name}`" in reason(by_plugin() | {name: 5})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("message_idx", -1),
        ("message_idx", 1.5),
        ("message_idx", True),
        ("signals", "thanks"),
        ("frustration_ema", 1_000_001),
        ("success_ema", "0.5"),
        ("segment_score", 1.0001),
        ("segment_score", -1.0001),
        ("message_range", 5),
        ("outcome", "won"),
        ("frustration_trajectory", {}),
        ("token_metrics", []),
        ("tier", 5),
    ],
)
def test_what_is_there_has_to_be_of_its_type(name: str, value: Any) -> None:
    """In its range too, in either shape, needed or not; the reason names the field."""
    assert f"`$.{name}`" in reason(by_tier("checkpoint") | {name: value})
    if name != "tier":
        assert f"`$.payload.{name}`" in reason(by_plugin("checkpoint", **{name: value}))


def test_neither_shape_is_none() -> None:
    """The reason names what tells them apart."""
    assert reason({"context": context()}) == "has neither `tier` nor `result_type`"
    assert reason({"tier": "of tomorrow"}) == "`context` is missing or null in a `of tomorrow`"
    assert reason(by_plugin() | {"tier": ""}) == "`context` is missing or null in a ``"


@pytest.mark.parametrize("score", [-1, 0, 1, 0.999999])
def test_the_edges_of_a_score_are_in_its_range(score: float) -> None:
    """-1 to 1, both included."""
    assert stats(told(by_tier("medium", segment_score=score)))["total_assessments"] == 1


# -- what is published and shown ---------------------------------------------------------------------------------------


def test_stats_hold_the_latest_of_a_session_a_second_after_its_first_change() -> None:
    """Debounced: a session with an event every moment is still published every second."""
    driver = told(by_tier())
    driver.commit()
    assert driver.stats == {}
    driver.wait(0.999)
    tell(driver, by_tier("heavy"))
    driver.commit()
    assert driver.stats == {}
    driver.wait(0.001)
    driver.commit()
    body = json.loads(driver.stats[b"ann"])
    assert {name: body[name] for name in view(driver)} == view(driver)
    assert body["revision"] == body["total_assessments"] == 2


def test_the_top_sessions_are_the_ten_with_the_most_assessments() -> None:
    """Ties by name."""
    names = [f"s{number:02}" for number in range(12)]
    driver = told(
        *(by_tier(about={"session_id": name}) for number, name in enumerate(names) for _ in range(number // 2))
    )
    driver.commit()
    assert stats(driver)["top_sessions"] == [
        {"session_id": f"s{number:02}", "assessment_count": number // 2} for number in (10, 11, 8, 9, 6, 7, 4, 5, 2, 3)
    ]


def history(driver: Driver, **asked: Any) -> Answer:
    """The answer of `/assess/history`, as an owner of everything would give it."""
    (view,) = (view for view in ASSESSMENTS.views if isinstance(view, ListView))
    given = {"session": "", "page": "1", "per_page": "2"} | {name: str(value) for name, value in asked.items()}
    rows = driver.task.table.rows.values()
    lines = sorted(((key, row) for row in rows for key, _ in view.lines(row, given, NOW)), key=lambda line: line[0])
    first = (int(given["page"]) - 1) * int(given["per_page"])
    shown = [view.line(row, None, given, NOW) for _, row in lines[first : first + int(given["per_page"])]]
    return view.answer(shown, len(lines), given, NOW)


def test_history_has_the_last_assessed_first_in_pages() -> None:
    """Ties by session; a page beyond the last is empty and says so."""
    times = {"a": 1, "b": 3, "c": 3, "d": 2, "e": 0}
    driver = told(*(by_tier(about={"session_id": name, "timestamp": iso(NOW + ms)}) for name, ms in times.items()))
    pages = [history(driver, page=page) for page in (1, 2, 3, 4)]
    assert [[line["session_id"] for line in page["sessions"]] for page in pages] == [["b", "c"], ["d", "a"], ["e"], []]
    assert [page["has_more"] for page in pages] == [True, True, False, False]
    assert {(page["total"], page["per_page"], page["total_pages"]) for page in pages} == {(5, 2, 3)}
    assert pages[0]["sessions"][0] == view(driver, "b")


def test_history_of_one_session_is_that_session_or_nothing() -> None:
    """The name is taken as it is."""
    driver = told(by_tier(), by_tier(about={"session_id": "Ann"}))
    one = history(driver, session="Ann")
    assert ([line["session_id"] for line in one["sessions"]], one["total"], one["has_more"]) == (["Ann"], 1, False)
    none = history(driver, session="nobody")
    assert (none["sessions"], none["total"], none["total_pages"], none["has_more"]) == ([], 0, 0, False)


def test_the_option_is_called_as_in_the_origin() -> None:
    """`TIDEMARK_STATS_RETENTION_COUNT`, 100, and at least one."""
    assert KEPT in ASSESSMENTS.options
    assert (KEPT.name, KEPT.default, KEPT.least) == ("stats_retention_count", 100, 1)
    (topic,) = ASSESSMENTS.topics
    assert (topic.role, topic.name, topic.retention_days) == ("snapshots", "assessments-snapshots", None)


# -- the page for users ------------------------------------------------------------------------------------------------


def test_the_examples_of_the_docs_are_what_happens() -> None:
    """Their events, folded in their order, give their snapshot and their answer."""
    *events, snapshot, answer = chain(*page("docs/domains/assessments.md").examples)
    driver = told(*events)
    assert snapshots(driver)[-1] == snapshot
    assert view(driver, "s-1") == answer
    assert driver.task.table.totals.outcomes[Outcome.APPLIED] == len(events) == 5
