"""The projects domain against an oracle that shares no code with it: 20,000 events, five partitions, crashes."""

import json
import random
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import msgspec
import pytest

from agents.driver import NOW, Driver
from app.generate.projects import events
from tables.event import Outcome
from tables.projects import PROJECTS
from tests.oracle.asking import ask, merged
from tests.oracle.difference import difference
from tests.oracle.driven import live_on
from tests.oracle.interface import Raw
from tests.oracle.projects import ProjectsOracle

COUNT = 20_000
PARTITIONS = 5
Sent = tuple[bytes | None, bytes | None]
POISON = (b"", b"{", b"null", b"[1]", b"\xff", b'{"type": "upserted"}', b'{"type": "deleted"}', b'{"type": 7}')
SPOILT = (
    ("progress", "50"),
    ("progress", 1e12),
    ("status", ""),
    ("priority", None),
    ("active", 1),
    ("name", "n" * 257),
    ("started_at", "1969-12-31T23:00:00Z"),
    ("finished_at", "9999-12-31T23:59:59-01:00"),
    ("customer_id", 7),
)


class World(NamedTuple):
    """The same records, to both."""

    oracle: ProjectsOracle
    drivers: list[Driver]


def sent(chance: random.Random) -> Iterator[Sent]:
    """The generator's events, some twice, some late, some odd or bad; more statuses than a partition tells apart."""
    recent: list[Sent] = []
    for key, event in islice(events(chance, 2_000, NOW), COUNT):
        dice = chance.random()
        fields = event
        if event is not None and event["type"] == "upserted" and dice < 0.3:
            fields = event | {"status": f"odd-{chance.randrange(400)}", "progress": chance.uniform(-20, 120)}
            fields |= {"customer_id": None, "name": chance.choice(("Ärger", "ÄRGER", "z\x00", "z", ""))}
        record: Sent = key.encode(), None if fields is None else json.dumps(fields).encode()
        yield record
        recent = [*recent[-99:], record]
        if dice > 0.93:
            yield chance.choice(recent)
        elif dice > 0.91 and event is not None and event["type"] == "upserted":
            yield key.encode(), json.dumps(event | dict([chance.choice(SPOILT)])).encode()
        elif dice > 0.90:
            yield chance.choice((key.encode(), None, b"\xff")), chance.choice(POISON)
        elif dice > 0.89:
            yield b"somebody else", record[1] or b"{}"


@pytest.fixture(scope="module")
def world() -> World:
    """Fold all records in batches of random size, with commits and crashes at random places."""
    chance = random.Random(19)
    oracle = ProjectsOracle()
    drivers = [Driver(PROJECTS, number, partitions=PARTITIONS) for number in range(PARTITIONS)]
    for key, value in sent(chance):
        driver = drivers[drivers[0].partition_of(key or b"")]
        at = NOW + chance.randrange(10_000_000)
        offset = driver.send(key, value, timestamp=at)
        oracle.fold(Raw(driver.partition, offset, key, value, at))
        live_on(driver, chance)
    for driver in drivers:
        driver.settle()
    return World(oracle, drivers)


def test_the_input_is_worth_it(world: World) -> None:
    """Enough of everything that agreement means something."""
    outcomes = world.oracle.outcomes()
    assert outcomes["applied"] > COUNT * 0.8
    assert min(outcomes["duplicate"], outcomes["invalid"], outcomes["misrouted"]) > 100
    assert "Other" in world.oracle.counts()["by_status"]
    assert len(world.oracle.known) > 100


def test_outcomes_and_totals_are_the_oracles(world: World) -> None:
    """Every record counted once; the stock is that of the living."""
    totals = merged(world.drivers)
    names = [outcome.name.lower() for outcome in Outcome]
    assert dict(zip(names, totals.outcomes, strict=True)) == {name: world.oracle.outcomes()[name] for name in names}
    found = msgspec.to_builtins(totals)
    expected = world.oracle.totals()
    assert {name: found[name] for name in expected} == expected


def test_the_stats_topic_is_the_oracles(world: World) -> None:
    """Every living project, none of the deleted ones, and nothing else."""
    expected = world.oracle.stats(NOW)
    found = {key: json.loads(value) for driver in world.drivers for key, value in driver.stats.items()}
    assert found.keys() == expected.keys()
    for key, body in expected.items():
        assert {name: found[key][name] for name in body} == body, key


def test_the_views_are_the_oracles(world: World) -> None:
    """Counts, filters, single projects, and lists in every order."""
    answers = list(world.oracle.answers(NOW))
    assert len(answers) > 60
    for url, expected in answers:
        assert difference(ask(world.drivers, url, NOW), expected, url) == ""
