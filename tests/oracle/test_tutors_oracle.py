"""The tutors domain against an oracle that shares no code with it: 20,000 records of 120 days, partitions, crashes."""

import json
import random
from itertools import islice
from typing import Any, NamedTuple

import pytest

from agents.driver import NOW, Driver
from app.generate import faults, tutors
from app.generate.commands import accepts
from app.generate.poison import Record
from tables.event import DAY_MS, OUTCOMES, iso
from tables.totals import Whole
from tables.tutors import LIMIT, TUTORS
from tables.views import EntityView, ListView, TotalsView, View
from tables.windows import WINDOWS
from tests.oracle.asking import merged
from tests.oracle.driven import live_on
from tests.oracle.interface import Raw
from tests.oracle.tutors import TutorsOracle, parsed, time_of

COUNT = 18_000
KEYS = 12
PARTITIONS = 5
START = NOW
ROOM = 700  # cells of a tutor: the busiest ones need more
SHARES = faults.Shares(duplicates=0.06, disorder=0.05, late=0.01, poison=0.04)


class World(NamedTuple):
    """The same records, to both."""

    oracle: TutorsOracle
    drivers: list[Driver]


def records() -> list[Record]:
    """From the generator, and what it does not make: deletions, corrections, lost sessions, times from everywhere."""
    chance = random.Random(5)
    made = []
    for entity, event in islice(tutors.events(random.Random(3), KEYS, START), COUNT):
        if event["type"] == "session" and chance.random() < 0.03:
            event["deleted"] = True
        if event["type"] == "feedback":
            if chance.random() < 0.1:
                event["session_id"] = "never"
            if chance.random() < 0.1:
                made.append(Record(entity.encode(), json.dumps(event | {"overall_rating": 1}).encode()))
                event["updated_at"] = iso(decode_time(event["submitted_at"]) + chance.randrange(0, 3))
        made.append(Record(entity.encode(), json.dumps(event).encode()))
        if chance.random() < 0.01:  # a backfill of long ago
            old = {name: _long_ago(value, chance) for name, value in event.items()}
            made.append(Record(entity.encode(), json.dumps(_again(old, chance)).encode()))
    return list(faults.faulty(made, SHARES, 8, accepts(TUTORS), faults.Summary()))


def decode_time(text: str) -> int:
    """A time in ms since the epoch."""
    return time_of({"type": "login", "at": text})


def _long_ago(value: Any, chance: random.Random) -> Any:
    if not (isinstance(value, str) and value.endswith("Z")):
        return value
    zone = chance.choice(("Z", "", "+00:00", "+05:30", "-08:00"))
    return iso(decode_time(value) - chance.choice((89, 91, 92, 300)) * DAY_MS)[:-1] + zone


def _again(event: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """As another event: with an id of its own."""
    name = {"session": "session_id", "feedback": "feedback_id"}.get(event["type"], "event_id")
    return event | {name: f"old-{chance.randrange(10**6)}"}


@pytest.fixture(scope="module")
def world() -> World:
    """Fold all records as their days go by, in batches of random size, with commits and crashes at random places."""
    chance = random.Random(7)
    oracle = TutorsOracle(ROOM)
    options = {LIMIT.name: ROOM}
    drivers = [
        Driver(TUTORS, number, partitions=PARTITIONS, options=options, now=START) for number in range(PARTITIONS)
    ]
    for record in records():
        event = parsed(record.value)
        driver = drivers[drivers[0].partition_of(record.key or b"")]
        if event is not None:
            driver.now = max(driver.now, time_of(event))
        gap = chance.choice((1, 1, 1, 2))  # of a producer's commit marker
        offset = driver.send(record.key, record.value, offset=(driver.source[-1].offset if driver.source else -1) + gap)
        oracle.fold(Raw(driver.partition, offset, record.key, record.value, driver.now))
        live_on(driver, chance, commit=0.01)
    end = max(driver.now for driver in drivers)
    for driver in drivers:
        driver.now = end
        driver.settle()
    return World(oracle, drivers)


def alike(found: Any, wanted: Any) -> bool:
    """Whether every field that is expected is there, with the same value."""
    if isinstance(wanted, dict):
        return all(name in found and alike(found[name], value) for name, value in wanted.items())
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(alike, found, wanted))
    return bool(found == wanted)


def answer(world: World, path: str, now: int) -> Any:
    """What the domain's views say under a path, by way of their functions."""
    route, _, query = path.partition("?")
    asked = dict(pair.split("=") for pair in query.split("&"))
    view: View
    for view in TUTORS.views:
        if isinstance(view, TotalsView) and view.path == route:
            return view.answer(Whole(merged(world.drivers), lambda _: [], lambda _name, _seconds: (0, 0), now), asked)
        if isinstance(view, ListView) and view.path == route:
            return listed(world, view, asked, now)
    view = next(view for view in TUTORS.views if isinstance(view, EntityView))
    name = route.removeprefix("/api/tutors/").removesuffix("/metrics")
    return view.answer(row(world, name), asked, now)


def row(world: World, name: str) -> Any:
    """A tutor's live row, wherever it is."""
    return world.drivers[world.drivers[0].partition_of(name.encode())].row(name)


def listed(world: World, view: ListView, asked: dict[str, str], now: int) -> Any:
    """A page of a list, merged as the web layer does it."""
    found = [
        (key, row, needed)
        for driver in world.drivers
        for row in driver.task.table.rows.values()
        for key, needed in view.lines(row, asked, now)
    ]
    found.sort(key=lambda line: line[0])
    lines = [view.line(row, needed, asked, now) for _, row, needed in found[: int(asked["per_page"])]]
    return view.answer(lines, len(found), asked, now)


def test_the_input_is_worth_it(world: World) -> None:
    """Every outcome, feedback that waits, that was lost and that was matched; rows that are full; every tier."""
    outcomes = world.oracle.outcomes()
    assert outcomes["applied"] > 10_000
    assert min(outcomes["duplicate"], outcomes["invalid"]) > 300
    assert min(outcomes["late"], outcomes["misrouted"]) > 50
    totals = world.oracle.totals()
    assert min(totals["feedback_unmatched"], totals["feedback_waiting"], totals["forgotten"]) > 5
    now = world.drivers[0].now
    bodies = list(world.oracle.stats(now).values())
    assert len({body["tier"] for body in bodies}) >= 4
    assert {body["metrics"]["truncated"] for body in bodies} == {False, True}


def test_the_outcomes_are_the_oracles(world: World) -> None:
    """Every one of the five, exactly."""
    assert dict(zip(OUTCOMES, merged(world.drivers).outcomes, strict=True)) == dict(world.oracle.outcomes())


def test_the_merged_totals_are_the_oracles(world: World) -> None:
    """Tutors, and the feedback that waits or was let go."""
    totals = merged(world.drivers)
    wanted = world.oracle.totals()
    assert {name: getattr(totals, name) for name in wanted} == wanted


@pytest.mark.parametrize("days", [0, 1, 6.5, 24, 80, 100])
def test_the_snapshots_are_the_oracles_as_days_go_by_without_an_event(world: World, days: float) -> None:
    """Every number of every tutor in every window: what was published last is right whenever one looks."""
    later = [driver.restored() for driver in world.drivers]
    for driver, task in zip(world.drivers, later, strict=True):
        before = driver.now, driver.task, dict(driver.published), driver.cells, driver.changelog
        driver.task, driver.cells, driver.changelog = task, dict(driver.cells), list(driver.changelog)
        driver.published = {role: list(records) for role, records in driver.published.items()}
        driver.wait(days * DAY_MS / 1000)
        driver.commit()
        wanted = world.oracle.stats(driver.now)
        for key, value in driver.stats.items():
            assert alike(json.loads(value), wanted[key]), key
        driver.now, driver.task, driver.published, driver.cells, driver.changelog = before
    assert {key for driver in world.drivers for key in driver.stats} == world.oracle.stats(world.drivers[0].now).keys()


@pytest.mark.parametrize("hours", [0, 5, 100])
def test_views_are_the_oracles(world: World, hours: int) -> None:
    """Tutors, lists, and at the time of the last publication the overview: at once, and hours later without a tick."""
    now = world.drivers[0].now + hours * 3_600_000
    asked = [each for each in world.oracle.answers(now) if not hours or "overview" not in each[0]]
    assert len(asked) >= 3 * len(WINDOWS)
    for path, wanted in asked:
        assert alike(answer(world, path, now), wanted), path
