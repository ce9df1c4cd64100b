"""The assessments domain against an oracle that shares no code with it: 13,000 records, five partitions, crashes."""

import json
import random
from itertools import islice
from typing import Any, NamedTuple

import pytest

from agents.driver import NOW, Driver
from app.generate import assessments, faults
from app.generate.commands import accepts
from app.generate.poison import Record
from tables.assessments import ASSESSMENTS
from tables.event import OUTCOMES
from tables.top import merge
from tables.totals import Whole
from tables.views import EntityView, ListView, TotalsView
from tests.oracle.asking import merged
from tests.oracle.assessments import AssessmentsOracle
from tests.oracle.driven import live_on
from tests.oracle.interface import Raw

COUNT = 12_000
SESSIONS = 150
PARTITIONS = 5
SHARES = faults.Shares(duplicates=0.06, disorder=0.05, late=0.01, poison=0.04)


class World(NamedTuple):
    """The same records, to both."""

    oracle: AssessmentsOracle
    drivers: list[Driver]


def records() -> list[Record]:
    """From the generator, and some that it does not make: times from everywhere, ids of every kind, new tiers."""
    chance = random.Random(5)
    made = []
    for entity, event in islice(assessments.events(random.Random(3), SESSIONS, NOW - 40 * 3_600_000), COUNT):
        assert event is not None
        if "payload" in event and chance.random() < 0.3:
            del event["payload"]["timestamp"]
            if chance.random() < 0.5:
                event["event_id"] = f"plugin-{chance.getrandbits(40)}"
        if chance.random() < 0.02:
            event["tier" if "context" in event else "result_type"] = chance.choice(("ultra", "", "session_end"))
        made.append(Record(entity.encode(), json.dumps(event).encode()))
    return list(faults.faulty(made, SHARES, 8, accepts(ASSESSMENTS), faults.Summary()))


@pytest.fixture(scope="module")
def world() -> World:
    """Fold all records in batches of random size, with commits and crashes at random places."""
    chance = random.Random(7)
    oracle = AssessmentsOracle()
    drivers = [Driver(ASSESSMENTS, number, partitions=PARTITIONS) for number in range(PARTITIONS)]
    for record in records():
        driver = drivers[drivers[0].partition_of(record.key or b"")]
        gap = chance.choice((1, 1, 1, 2))  # of a producer's commit marker
        offset = driver.send(record.key, record.value, offset=(driver.source[-1].offset if driver.source else -1) + gap)
        oracle.fold(Raw(driver.partition, offset, record.key, record.value, driver.source[-1].timestamp))
        live_on(driver, chance)
    for driver in drivers:
        driver.settle()
    return World(oracle, drivers)


def whole(world: World) -> Whole:
    """What all partitions know together."""

    def top(name: str) -> list[tuple[str, int]]:
        return merge(driver.task.table.tops[name].best() for driver in world.drivers)

    return Whole(merged(world.drivers), top, lambda _name, _seconds: (0, 0), NOW)


def history(world: World, **asked: str) -> Any:
    """The answer of the list, as an owner of everything would give it."""
    (view,) = (view for view in ASSESSMENTS.views if isinstance(view, ListView))
    given = {"session": "", "page": "1", "per_page": "50"} | asked
    rows = [row for driver in world.drivers for row in driver.task.table.rows.values()]
    lines = sorted(((key, row) for row in rows for key, _ in view.lines(row, given, NOW)), key=lambda line: line[0])
    last = int(given["page"]) * int(given["per_page"])
    shown = [view.line(row, None, given, NOW) for _, row in lines[last - int(given["per_page"]) : last]]
    return view.answer(shown, len(lines), given, NOW)


def test_the_input_is_worth_it(world: World) -> None:
    """Enough of every outcome but LATE, which assessments never are, and of every tier."""
    outcomes = world.oracle.outcomes()
    assert outcomes["applied"] > 10_000
    assert min(outcomes["duplicate"], outcomes["invalid"]) > 200
    assert outcomes["misrouted"] > 50
    totals = world.oracle.totals()
    assert min(totals[name] for name in ("lightweight", "medium", "heavy", "checkpoint", "success", "partial")) > 20
    assert sum(totals[tier] for tier in ("lightweight", "medium", "heavy", "checkpoint")) < totals["assessments"]


def test_totals_and_outcomes_are_the_oracles(world: World) -> None:
    """Merged over the partitions."""
    totals = whole(world).totals
    expected = world.oracle.totals()
    assert {name: getattr(totals, name) for name in expected} == expected
    assert dict(zip(OUTCOMES, totals.outcomes, strict=True)) == dict.fromkeys(OUTCOMES, 0) | dict(
        world.oracle.outcomes()
    )


def test_stats_are_the_oracles(world: World) -> None:
    """The stats topic holds every session, as the oracle says it, and nobody else."""
    found = {key: json.loads(value) for driver in world.drivers for key, value in driver.stats.items()}
    expected = world.oracle.stats(NOW)
    assert found.keys() == expected.keys()
    assert {key: {name: found[key][name] for name in body} for key, body in expected.items()} == expected


def test_views_are_the_oracles(world: World) -> None:
    """The whole, every session, and every page of the list."""
    views = {type(view): view for view in ASSESSMENTS.views}
    stats, one = views[TotalsView], views[EntityView]
    assert isinstance(stats, TotalsView)
    assert isinstance(one, EntityView)
    assert stats.answer(whole(world), {}) == world.oracle.overall()
    for entity, session in world.oracle.sessions.items():
        driver = world.drivers[world.drivers[0].partition_of(entity.encode())]
        assert one.answer(driver.row(entity), {}, NOW) == session.body(entity)
        assert history(world, session=entity)["sessions"] == [session.body(entity)]
    pages = -(-len(world.oracle.sessions) // 30)
    for page in range(1, pages + 2):
        assert history(world, page=str(page), per_page="30") == world.oracle.history(page, 30)


def test_every_snapshot_is_the_running_total_of_its_partition(world: World) -> None:
    """One for each applied assessment, in order, each of its own offset: replayed, they are the totals."""
    for driver in world.drivers:
        bodies = [json.loads(record.value or b"") for record in driver.published["snapshots"]]
        assert [body["revision"] for body in bodies] == list(range(1, len(bodies) + 1))
        offsets = [body["last_offset"] for body in bodies]
        assert offsets == sorted(set(offsets))
        assert [body["total_assessments"] for body in bodies] == list(range(1, len(bodies) + 1))
        seen: dict[str, Any] = {}
        for body in bodies:
            seen[body["session"]["session_id"]] = body["session"]["tier_distribution"]
            summed = {tier: sum(tiers[tier] for tiers in seen.values()) for tier in body["tier_distribution"]}
            assert body["tier_distribution"] == summed
        assert seen == {entity: world.oracle.sessions[entity].tiers() for entity in driver.entities}
