"""The rollups domain against an oracle that shares no code with it: 12,000 snapshots, five partitions, crashes."""

import json
import random
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import msgspec
import pytest

from agents.driver import Driver
from app.generate.rollups import events
from tables.event import DAY_MS, Outcome, iso
from tables.rollups import ROLLUPS
from tests.oracle.asking import ask, merged
from tests.oracle.difference import difference
from tests.oracle.driven import live_on
from tests.oracle.interface import Raw
from tests.oracle.rollups import RollupsOracle

COUNT = 12_000
PARTITIONS = 5
START = 1_608_508_800_000  # 2020-12-21: week 53, a new year that begins in the old one's week, are ahead
NOW = START + 500 * DAY_MS  # after everything that is generated
Sent = tuple[bytes | None, bytes | None]
POISON = (b"", b"{", b"null", b"[1]", b"\xff", b'{"timestamp": "2021-01-01T00:00:00Z"}')
SPOILT = (
    ("totals", -1),
    ("totals", None),
    ("by_status", {"open": 1.5}),
    ("by_priority", ["high"]),
    ("progress_distribution", [0] * 9),
    ("timestamp", "yesterday"),
    ("timestamp", "1969-12-31T23:59:59Z"),
    ("timestamp", iso(NOW + 3 * DAY_MS)),
    ("instance_id", 7),
)


class World(NamedTuple):
    """The same records, to both."""

    oracle: RollupsOracle
    drivers: list[Driver]


def sent(chance: random.Random) -> Iterator[Sent]:
    """A quarter of an hour becomes nearly four: more weeks. Some come twice, or late by days; some are odd or bad."""
    recent: list[Sent] = []
    held: list[Sent] = []
    for env, made in islice(events(chance, 12, 0), COUNT):
        assert made is not None
        at = START + int(_ms(made["timestamp"]) * 3.7)
        event = made | {"timestamp": iso(at)}
        dice = chance.random()
        if dice < 0.02:
            event |= {"totals": event["totals"]["projects"], "instance_id": chance.choice((None, "", "a/b", "a%2Fb"))}
        record: Sent = env.encode(), json.dumps(event).encode()
        if dice > 0.95:
            held.append(record)
            continue
        yield record
        recent = [*recent[-199:], record]
        if held and dice < 0.05:
            yield held.pop(chance.randrange(len(held)))
        if dice > 0.91:
            yield chance.choice(recent)
        elif dice > 0.90:
            yield env.encode(), json.dumps(event | dict([chance.choice(SPOILT)])).encode()
        elif dice > 0.89:
            yield chance.choice((env.encode(), b"\xff")), chance.choice(POISON)
        elif dice > 0.88:
            yield chance.choice((None, b"somebody else")), record[1]
    yield from held


def _ms(stamp: str) -> int:
    day, time = stamp.split("T")
    hours, minutes, seconds = time.rstrip("Z").split(":")
    number = (int(day[:4]) - 1970) * 365 + (0, 31)[int(day[5:7]) - 1] + int(day[8:]) - 1
    return number * DAY_MS + (int(hours) * 60 + int(minutes)) * 60_000 + round(float(seconds) * 1000)


@pytest.fixture(scope="module")
def world() -> World:
    """Fold all records in batches of random size, with commits and crashes at random places.

    It is a backlog: the clock is far ahead, and closes nothing before the end has been read.
    """
    chance = random.Random(20)
    oracle = RollupsOracle()
    drivers = [Driver(ROLLUPS, number, partitions=PARTITIONS, now=NOW) for number in range(PARTITIONS)]
    for driver in drivers:
        driver.read_to_end = False
    for key, value in sent(chance):
        driver = drivers[drivers[0].partition_of(key or b"")]
        oracle.fold(Raw(driver.partition, driver.send(key, value, timestamp=NOW), key, value, NOW))
        live_on(driver, chance, commit=0.01, crash=0.002)
    for driver in drivers:
        driver.read_to_end = True
        driver.settle()
    return World(oracle, drivers)


def test_the_input_is_worth_it(world: World) -> None:
    """Enough of everything that agreement means something."""
    outcomes = world.oracle.outcomes()
    assert outcomes["applied"] > COUNT * 0.8
    assert min(outcomes["duplicate"], outcomes["late"], outcomes["invalid"], outcomes["misrouted"]) > 30
    weeks = {line["week"] for line in world.oracle.weekly(NOW)}
    assert {"2020-W52", "2020-W53", "2021-W01"} <= weeks
    assert any(line["missing_days"] for line in world.oracle.weekly(NOW))


def test_outcomes_and_totals_are_the_oracles(world: World) -> None:
    """Every record counted once; the clock has closed all weeks by now."""
    totals = merged(world.drivers)
    names = [outcome.name.lower() for outcome in Outcome]
    assert dict(zip(names, totals.outcomes, strict=True)) == {name: world.oracle.outcomes()[name] for name in names}
    found = msgspec.to_builtins(totals)
    expected = dict(world.oracle.totals()) | {"weeks": len(world.oracle.weekly(NOW))}
    assert {name: found[name] for name in expected} == expected


def test_the_stats_topic_is_the_oracles(world: World) -> None:
    """Every pick and every closed week, and nothing else."""
    expected = world.oracle.stats(NOW)
    found = {key: json.loads(value) for driver in world.drivers for key, value in driver.stats.items()}
    assert found.keys() == expected.keys()
    for key, body in expected.items():
        assert difference(found[key], body, key.decode()) == ""
        assert found[key].keys() - body.keys() == {"revision", "as_of", "partition", "offset"}


def test_the_views_are_the_oracles(world: World) -> None:
    """Both lists, of everything and of single environments."""
    answers = list(world.oracle.answers(NOW))
    assert len(answers) > 20
    for url, expected in answers:
        assert difference(ask(world.drivers, url, NOW), expected, url) == ""
