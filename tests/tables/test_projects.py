"""Projects: what an upsert and a deletion do to the row and the totals, what the filters say, when a snapshot is taken.

The traps of the origin have their names.
"""

import json
from typing import Any

import pytest

from agents.driver import NOW, Driver
from agents.emit import MISSED_MS, take
from tables.event import Outcome, iso
from tables.projects import INTERVAL, MOST_NAMES, OTHER, PROJECTS, ProjectsTotals, bin_of, counts, record
from tables.totals import Whole
from tables.views import AggregateView, EntityView, ListView, TotalsView
from tests.docs.pages import page

Fields = dict[str, Any]
QUARTER_MS = 900_000
NEXT = NOW // QUARTER_MS * QUARTER_MS + QUARTER_MS  # the first boundary after the driver's start


def upserted(project_id: str = "ann", **over: Any) -> Fields:
    """A valid upsert."""
    facts = {"name": "Bridge", "status": "open", "priority": "high", "progress": 42.5}
    return {"type": "upserted", "project_id": project_id} | facts | over


def deleted(project_id: str = "ann") -> Fields:
    """A deletion."""
    return {"type": "deleted", "project_id": project_id}


def tell(driver: Driver, *events: Fields) -> Driver:
    """Send events under their projects' keys, and fold them."""
    for fields in events:
        driver.send(fields["project_id"], fields)
    driver.fold()
    return driver


def told(*events: Fields, **options: Any) -> Driver:
    """A driver that has folded these events."""
    return tell(Driver(PROJECTS, options=options), *events)


def totals(driver: Driver) -> Fields:
    """The counts of the driver's partition."""
    return counts(driver.task.table.totals)


def outcomes(driver: Driver) -> dict[str, int]:
    """How its records ended, without the zeros."""
    found = zip(Outcome, driver.task.table.totals.outcomes, strict=True)
    return {outcome.name: number for outcome, number in found if number}


# -- the fold ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("progress", "bin_"),
    [
        (-1e9, 0),
        (-0.1, 0),
        (-0.0, 0),
        (0, 0),
        (9.999_999, 0),
        (10, 1),
        (19.999, 1),
        (50, 5),
        (89.999_999_999, 8),
        (90, 9),
        (99.9, 9),
        (100, 9),
        (100.1, 9),
        (1e9, 9),
    ],
)
def test_trap_the_last_bin_holds_ninety_to_a_hundred(progress: float, bin_: int) -> None:
    """An index of floor(progress / 10) alone is 10 at a hundred percent: beyond the end of ten counts."""
    assert bin_of(progress) == bin_
    distribution = totals(told(upserted(progress=progress)))["progress_distribution"]
    assert distribution == [int(number == bin_) for number in range(10)]


def test_trap_an_update_takes_the_old_value_out_first() -> None:
    """A project that changes everything is still one project, everywhere."""
    driver = told(
        upserted(),
        upserted(status="done", priority="low", progress=100, active=False),
        upserted("bob", progress=0),
    )
    assert totals(driver) == {
        "totals": {"projects": 2, "active": 1},
        "by_status": {"done": 1, "open": 1},
        "by_priority": {"high": 1, "low": 1},
        "progress_distribution": [1, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    }


@pytest.mark.parametrize("how", ["event", "null"])
def test_a_deleted_project_leaves_everything(how: str) -> None:
    """Row, changelog, stats topic and totals; a null value says the same as the event."""
    driver = told(upserted(), upserted("bob"))
    driver.settle()
    driver.send("ann", deleted() if how == "event" else None)
    driver.settle()
    assert driver.entities == ["bob"]
    assert driver.stats.keys() == {b"bob"}
    assert {json.loads(key)[0] for key in driver.cells} == {None, "bob"}
    assert totals(driver)["totals"] == {"projects": 1, "active": 1}
    assert outcomes(driver) == {"APPLIED": 3}
    driver.crash()
    assert driver.entities == ["bob"]


def test_to_delete_what_is_not_there_is_a_duplicate() -> None:
    """Deleted twice, or never there: nothing happens, and nothing is wrong."""
    driver = told(deleted(), upserted(), deleted(), deleted())
    driver.send("bob", None)
    driver.settle()
    assert outcomes(driver) == {"APPLIED": 2, "DUPLICATE": 3}
    assert totals(driver)["by_status"] == {}
    assert driver.dead_letters == []


def test_a_deleted_project_can_come_again() -> None:
    """Also in the same commit: its record is there in the end."""
    driver = told(upserted(progress=1))
    driver.settle()
    tell(driver, deleted(), upserted(progress=2))
    driver.settle()
    assert json.loads(driver.stats[b"ann"])["progress"] == 2
    assert driver.read() == driver.cells
    assert totals(driver)["totals"]["projects"] == 1


def test_an_upsert_that_says_nothing_new_is_a_duplicate() -> None:
    """Defaults that are spelled out, other ways to write a moment, and unknown fields say nothing new."""
    first = upserted(started_at="2025-06-15T12:00:00Z")
    again = upserted(started_at="2025-06-15T14:00:00.0001+02:00", active=True, customer_id=None, colour="red")
    driver = told(first, first, again)
    assert outcomes(driver) == {"APPLIED": 1, "DUPLICATE": 2}
    assert driver.row("ann").head.revision == 1


def test_an_older_upsert_that_comes_again_is_a_change_back() -> None:
    """Upserts carry no version: the order of the log is the order of the facts. The docs say so."""
    driver = told(upserted(status="open"), upserted(status="done"), upserted(status="open"))
    assert outcomes(driver) == {"APPLIED": 3}
    assert totals(driver)["by_status"] == {"open": 1}


def test_a_projects_time_is_its_records_timestamp() -> None:
    """Events have none of their own; the newest one counts."""
    driver = Driver(PROJECTS)
    driver.send("ann", upserted(), timestamp=NOW)
    driver.send("ann", upserted(status="done"), timestamp=NOW - 60_000)
    driver.settle()
    body = json.loads(driver.stats[b"ann"])
    assert body["updated_at"] == body["as_of"] == iso(NOW)


@pytest.mark.parametrize(
    ("over", "reason"),
    [
        ({"status": ""}, "status"),
        ({"progress": None}, "progress"),
        ({"progress": 1e10}, "progress"),
        ({"active": 1}, "active"),
        ({"started_at": "1969-12-31T23:59:59.999Z"}, "started_at"),
        ({"finished_at": "9999-12-31T23:59:59-14:00"}, "finished_at"),
        ({"name": 7}, "name"),
        ({"type": "created"}, "created"),
    ],
)
def test_the_reason_names_the_field(over: Fields, reason: str) -> None:
    """An INVALID record says what is wrong with it."""
    driver = Driver(PROJECTS)
    driver.send("ann", upserted() | over)
    driver.settle()
    (letter,) = driver.dead_letters
    assert reason in (dict(letter.headers)["tidemark-reason"] or b"").decode()


@pytest.mark.parametrize("key", [b"", b"x" * 257, b"\xff", None])
def test_a_null_value_needs_a_projects_id_as_its_key(key: bytes | None) -> None:
    """Nobody knows what it deletes."""
    driver = Driver(PROJECTS)
    driver.send(key, None)
    driver.settle()
    assert outcomes(driver) == {"INVALID": 1}


def test_a_project_that_the_limit_on_keys_buries_leaves_the_totals() -> None:
    """Off by default; a limit counts it out like a deletion."""
    driver = tell(Driver(PROJECTS, key_limit=1), upserted(status="done"), upserted("bob"))
    assert totals(driver)["by_status"] == {"open": 1}
    assert PROJECTS.key_limit == 0


# -- bounds ------------------------------------------------------------------------------------------------------------


def test_a_partition_tells_so_many_statuses_apart_and_no_more() -> None:
    """Further ones count as Other, and are taken out of it again, whatever has become of the names since."""
    driver = told(*(upserted(f"p{number}", status=f"s{number}", priority="x") for number in range(MOST_NAMES + 3)))
    by_status = totals(driver)["by_status"]
    assert len(by_status) == MOST_NAMES + 1
    assert by_status[OTHER] == 3
    tell(driver, deleted("p0"))  # now there is room
    tell(driver, upserted(f"p{MOST_NAMES}", status="late", priority="x"))  # was in Other
    by_status = totals(driver)["by_status"]
    assert (by_status[OTHER], by_status["late"]) == (2, 1)
    tell(driver, *(deleted(f"p{number}") for number in range(MOST_NAMES + 3)))
    assert totals(driver)["by_status"] == {}
    driver.commit()
    driver.crash()
    assert driver.read() == driver.cells


def test_a_status_called_other_is_one_of_the_others() -> None:
    """It takes no room from those that are told apart."""
    driver = told(
        upserted("o", status=OTHER),
        *(upserted(f"p{number}", status=f"s{number}") for number in range(MOST_NAMES + 1)),
    )
    assert totals(driver)["by_status"][OTHER] == 2


def test_a_snapshot_of_many_partitions_names_so_many_and_counts_all() -> None:
    """Every partition has its own names; the snapshot has the commonest, and all of the projects."""
    merged = ProjectsTotals(keys=300, by_status={f"s{number:03}": 2 for number in range(100)} | {OTHER: 100})
    merged.by_priority = {"high": 300}
    _, body = record(merged, NOW, {"snapshot_instance_id": "", "snapshot_env": ""})
    assert len(body["by_status"]) == MOST_NAMES + 1
    assert sum(body["by_status"].values()) == 300
    assert body["by_priority"] == {"high": 300}


# -- views -------------------------------------------------------------------------------------------------------------

ALL = {"customer_id": "", "active": "", "priority": "", "status": ""}
SOME = (
    upserted("a", name="Zebra", status="open", priority="high", customer_id="c1", progress=10),
    upserted("b", name="apple", status="open", priority="low", customer_id="c2", progress=95, active=False),
    upserted("c", name="Apple", status="done", priority="high", customer_id="c1", progress=100),
    upserted("d", name="app", status="done", priority="mid", progress=0),
)


def stats(driver: Driver, **asked: str) -> Fields:
    """The answer of `/stats`."""
    view = next(view for view in PROJECTS.views if isinstance(view, AggregateView))
    into = ProjectsTotals()
    for row in driver.task.table.rows.values():
        view.add(row, into, ALL | asked, NOW)
    return view.answer(into, ALL | asked)


@pytest.mark.parametrize(
    ("asked", "projects", "by_status"),
    [
        ({}, 4, {"open": 2, "done": 2}),
        ({"status": "open"}, 2, {"open": 2}),
        ({"customer_id": "c1"}, 2, {"open": 1, "done": 1}),
        ({"active": "true"}, 3, {"open": 1, "done": 2}),
        ({"active": "false"}, 1, {"open": 1}),
        ({"priority": "high", "status": "done", "customer_id": "c1", "active": "true"}, 1, {"done": 1}),
        ({"status": "nobody's"}, 0, {}),
        ({"customer_id": "c3"}, 0, {}),
    ],
)
def test_stats_count_the_projects_that_match(asked: dict[str, str], projects: int, by_status: dict[str, int]) -> None:
    """All filters together; none of them matches everything."""
    answer = stats(told(*SOME), **asked)
    assert (answer["totals"]["projects"], answer["by_status"]) == (projects, by_status)
    assert sum(answer["progress_distribution"]) == projects == sum(answer["by_priority"].values())


def test_without_a_filter_the_merged_totals_are_the_answer() -> None:
    """They say the same as going through all rows."""
    view = next(view for view in PROJECTS.views if isinstance(view, AggregateView))
    driver = told(*SOME)
    assert view.whole(ALL)
    assert not any(view.whole(ALL | {name: "x"}) for name in ALL)
    assert view.answer(driver.task.table.totals, ALL) == stats(driver)


def test_a_status_that_counts_under_other_is_found_by_its_name_and_by_other() -> None:
    """What `/status-meta` offers finds as many projects as it says; who asks for a name gets it."""
    names = [f"s{number:02}" for number in range(MOST_NAMES + 2)]
    driver = told(*(upserted(name, status=name, priority=name) for name in names))
    assert totals(driver)["by_status"][OTHER] == totals(driver)["by_priority"][OTHER] == 2
    last = names[-1]
    for by in ("status", "priority"):
        answer = stats(driver, **{by: last})
        assert (answer["totals"]["projects"], answer["by_status"], answer["by_priority"]) == (1, {last: 1}, {last: 1})
        assert stats(driver, **{by: OTHER})[f"by_{by}"] == dict.fromkeys(names[-2:], 1)
        assert listed(driver, "name", "asc", **{by: OTHER}) == "".join(names[-2:])


def test_filtered_counts_tell_no_more_names_apart_than_the_totals() -> None:
    """However many match."""
    driver = told(*(upserted(f"p{number}", status=f"s{number}", customer_id="c") for number in range(MOST_NAMES + 5)))
    answer = stats(driver, customer_id="c")
    assert (len(answer["by_status"]), answer["by_status"][OTHER]) == (MOST_NAMES + 1, 5)


def test_status_meta_says_what_the_filters_take() -> None:
    """What there is, with its number of projects, the commonest first, equal ones by name."""
    view = next(view for view in PROJECTS.views if isinstance(view, TotalsView))
    merged = told(*SOME).task.table.totals
    answer = view.answer(Whole(merged, lambda _name: [], lambda _name, _seconds: (0, 0), NOW), {})
    assert answer["statuses"] == [{"name": "done", "projects": 2}, {"name": "open", "projects": 2}]
    assert [choice["name"] for choice in answer["priorities"]] == ["high", "low", "mid"]
    assert answer["active"] == [{"name": "true", "projects": 3}, {"name": "false", "projects": 1}]
    assert answer["progress_bins"][-1] == {"from": 90, "to": 100}
    listed = next(view for view in PROJECTS.views if isinstance(view, ListView))
    allowed = {parameter.name: parameter.allowed for parameter in listed.parameters}
    assert (tuple(answer["sort"]), tuple(answer["direction"])) == (allowed["sort"], allowed["direction"])


def listed(driver: Driver, sort: str, direction: str, **asked: str) -> str:
    """The ids of `/projects`, in their order."""
    view = next(view for view in PROJECTS.views if isinstance(view, ListView))
    given = ALL | {"sort": sort, "direction": direction} | asked
    found = [
        (key, row.entity, view.line(row, needed, given, NOW))
        for row in driver.task.table.rows.values()
        for key, needed in view.lines(row, given, NOW)
    ]
    lines = [line for _, _, line in sorted(found, key=lambda item: item[:2])]
    return "".join(line["project_id"] for line in lines)


@pytest.mark.parametrize(
    ("sort", "direction", "ids"),
    [
        ("progress", "asc", "dabc"),
        ("progress", "desc", "cbad"),
        ("name", "asc", "dbca"),
        ("name", "desc", "abcd"),
        ("priority", "asc", "acbd"),
        ("priority", "desc", "dbac"),
        ("status", "desc", "abcd"),
        ("updated", "asc", "abcd"),
        ("updated", "desc", "abcd"),
    ],
)
def test_projects_are_sorted_upwards_and_downwards(sort: str, direction: str, ids: str) -> None:
    """Names whatever their case; what goes on after what has ended, and the other way round; equal ones by their id."""
    assert listed(told(*SOME), sort, direction) == ids


def test_the_list_is_filtered_like_the_stats() -> None:
    """The same parameters."""
    assert listed(told(*SOME), "name", "asc", customer_id="c1", active="true") == "ca"


def test_one_project_is_shown_with_all_that_is_known() -> None:
    """Times in UTC, in milliseconds; what is not known is null."""
    driver = told(upserted(started_at="2025-06-15T14:00:00+02:00", customer_id="c1"))
    view = next(view for view in PROJECTS.views if isinstance(view, EntityView))
    assert view.answer(driver.row("ann"), {}, NOW) == {
        "project_id": "ann",
        "name": "Bridge",
        "status": "open",
        "priority": "high",
        "customer_id": "c1",
        "active": True,
        "progress": 42.5,
        "started_at": "2025-06-15T12:00:00.000Z",
        "finished_at": None,
        "updated_at": iso(NOW),
    }


# -- snapshots ---------------------------------------------------------------------------------------------------------


def taken(driver: Driver) -> list[Fields]:
    """The snapshots that were published."""
    return [json.loads(record.value or b"") for record in driver.published.get("snapshots", [])]


def at(driver: Driver, now: int) -> Driver:
    """A commit at a time."""
    driver.now = now
    driver.commit()
    return driver


def test_one_snapshot_per_boundary_with_the_boundarys_time() -> None:
    """At the first commit after it, however many follow."""
    driver = told(*SOME)
    for now in (NOW, NEXT - 1, NEXT, NEXT + 1, NEXT + 999, NEXT + QUARTER_MS + 4321, NEXT + QUARTER_MS + 9999):
        at(driver, now)
    assert [body["timestamp"] for body in taken(driver)] == [iso(NEXT), iso(NEXT + QUARTER_MS)]
    assert taken(driver)[0] == {"timestamp": iso(NEXT)} | totals(driver)


def test_a_snapshot_counts_all_partitions() -> None:
    """The owner of partition 0 publishes the merged totals; the others publish nothing."""
    other = told(*SOME)
    first = at(told(upserted("e", status="new")), NOW)
    first.others = other.task.table.totals
    at(first, NEXT)
    (body,) = taken(first)
    assert body["totals"] == {"projects": 5, "active": 4}
    assert body["by_status"] == {"done": 2, "new": 1, "open": 2}
    second = Driver(PROJECTS, 1, partitions=2)
    at(at(second, NOW), NEXT)
    assert taken(second) == []


@pytest.mark.parametrize("steps", range(8))
def test_exactly_one_snapshot_whatever_crashes(steps: int) -> None:
    """Before, at and after the boundary, also between taking a commit and its end: the mark and the record are one."""
    driver = at(told(*SOME), NOW)
    for step, now in enumerate((NEXT - 2000, NEXT - 1, NEXT, NEXT + 1, NEXT + 500, NEXT + 1000, NEXT + 59_000)):
        driver.now = now
        if step == steps:
            take(driver.task, now)  # and the transaction is lost
            driver.crash()
        driver.commit()
        if step == steps - 1:
            driver.crash()
    assert [body["timestamp"] for body in taken(driver)] == [iso(NEXT)]


def test_boundaries_missed_while_nobody_ran_are_skipped() -> None:
    """A snapshot must not claim a time at which nobody looked; the next boundary is kept."""
    driver = at(told(*SOME), NOW)
    driver.crash()
    at(driver, NEXT + 3 * QUARTER_MS + MISSED_MS + 1)
    assert taken(driver) == []
    at(driver, NEXT + 4 * QUARTER_MS + MISSED_MS)
    assert [body["timestamp"] for body in taken(driver)] == [iso(NEXT + 4 * QUARTER_MS)]


def test_a_snapshot_waits_until_the_other_partitions_are_known() -> None:
    """Part of the truth is none; it comes as soon as they are."""
    driver = at(told(*SOME), NOW)
    driver.others = None
    at(driver, NEXT)
    assert taken(driver) == []
    driver.others = ProjectsTotals()
    at(driver, NEXT + 5000)
    assert [body["timestamp"] for body in taken(driver)] == [iso(NEXT)]


def test_a_snapshot_on_demand_has_the_time_of_its_taking() -> None:
    """Once per demand, beside those at the boundaries."""
    driver = at(told(*SOME), NOW)
    driver.task.demanded = True
    at(at(driver, NOW + 1234), NOW + 2000)
    assert [body["timestamp"] for body in taken(driver)] == [iso(NOW + 1234)]
    at(driver, NEXT)
    assert len(taken(driver)) == 2


def test_the_interval_is_an_option() -> None:
    """In seconds, aligned to UTC; a quarter of an hour unless somebody says otherwise."""
    assert (INTERVAL.default, INTERVAL.least) == (900, 1)
    driver = at(told(*SOME, snapshot_interval=60), NOW)
    minute = NOW // 60_000 * 60_000
    for second in range(1, 200):
        at(driver, NOW + second * 1000)
    assert [body["timestamp"] for body in taken(driver)] == [iso(minute + number * 60_000) for number in (1, 2, 3)]


def test_a_snapshot_names_its_deployment_and_environment_where_they_are_set() -> None:
    """And is keyed by the environment, in that key's own partition; left out where unset, under the empty key."""
    named = told(*SOME, snapshot_instance_id="eu-1", snapshot_env="prod")
    at(at(named, NOW), NEXT)
    (sent,) = named.published["snapshots"]
    assert (sent.key, sent.partition) == (b"prod", named.partition_of(b"prod"))
    assert list(taken(named)[0])[:3] == ["instance_id", "env", "timestamp"]
    plain = Driver(PROJECTS, partitions=5)
    at(at(plain, NOW), NEXT)
    (sent,) = plain.published["snapshots"]
    assert (sent.key, sent.partition) == (b"", plain.partition_of(b""))
    assert {"instance_id", "env"}.isdisjoint(taken(plain)[0])


def test_the_options_have_the_customary_variables() -> None:
    """INSTANCE_ID and ENV, as other services have them."""
    variables = {option.name: option.variable for option in PROJECTS.options}
    assert (variables["snapshot_instance_id"], variables["snapshot_env"]) == ("INSTANCE_ID", "ENV")


# -- the docs ----------------------------------------------------------------------------------------------------------


def test_the_examples_of_the_docs_are_what_happens() -> None:
    """The events are folded; the record, the snapshot and the answer are those that they lead to."""
    docs = page("docs/domains/projects.md")
    events, (published,), (snapshot,), (answer,) = docs.examples
    driver = told(*events, snapshot_instance_id="eu-1", snapshot_env="production")
    assert outcomes(driver) == {"APPLIED": len(events)}
    at(driver, NOW)
    at(driver, NEXT)
    assert json.loads(driver.stats[b"p-1"]) == published
    assert driver.stats.keys() == {b"p-1", b"p-2"}
    assert taken(driver) == [snapshot]
    assert stats(driver) == answer
    assert all(f"`{path}" in docs.text for path in ("/stats?", "/status-meta", "/projects?", "/projects/p-1"))
    assert all((option.variable or f"TIDEMARK_{option.name.upper()}") in docs.text for option in PROJECTS.options)
