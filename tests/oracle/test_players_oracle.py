"""The players domain against an oracle that shares no code with it: 24,000 events, three partitions, crashes."""

import random
from typing import Any, NamedTuple

import msgspec
import pytest

from agents.driver import Driver
from tables.event import Outcome
from tables.players import BY, CLASSES, PLAYERS, SHOWN_CLASSES
from tables.top import merge
from tables.views import EntityView, TopView
from tests.oracle.asking import merged
from tests.oracle.driven import live_on
from tests.oracle.generator import Labelled, generate
from tests.oracle.players import Player, Players, enhanced_stats, rank, trend

COUNT = 24_000
PARTITIONS = 3
NOW = 1_767_225_600_000  # 2026: after everything that is generated


class World(NamedTuple):
    """The same records, to both."""

    records: list[Labelled]
    oracle: Players
    drivers: list[Driver]


@pytest.fixture(scope="module")
def world() -> World:
    """Fold all records in batches of random size, with commits and crashes at random places."""
    chance = random.Random(7)
    oracle, records = Players(), list(generate(COUNT, seed=42))
    drivers = [Driver(PLAYERS, number, partitions=PARTITIONS, now=NOW) for number in range(PARTITIONS)]
    for record in records:
        driver = drivers[drivers[0].partition_of(record.key or b"")]
        driver.send(record.key, record.value, offset=_offset(driver, chance))
        if record.event is not None:
            oracle.take(record.event)
        live_on(driver, chance)
    for driver in drivers:
        driver.settle()
    return World(records, oracle, drivers)


def _offset(driver: Driver, chance: random.Random) -> int:
    """The next offset, with gaps: commit markers of the producers' transactions."""
    return (driver.source[-1].offset if driver.source else -1) + chance.choice((1, 1, 1, 2, 3))


def row(world: World, name: str) -> Any:
    """A player's live row, wherever it is."""
    key = name.encode()
    return world.drivers[world.drivers[0].partition_of(key)].row(name)


def view(path_end: str) -> EntityView:
    """The view of one row whose path ends like this."""
    return next(view for view in PLAYERS.views if isinstance(view, EntityView) and view.path.endswith(path_end))


def alike(answer: Any, expected: Any) -> bool:
    """Equal, but for the last decimal of a number that was rounded for show; the cells are compared exactly."""
    if isinstance(expected, dict):
        return all(alike(answer[name], value) for name, value in expected.items())
    if isinstance(expected, list):
        return len(answer) == len(expected) and all(map(alike, answer, expected))
    if isinstance(expected, float):
        return bool(answer == pytest.approx(expected, abs=0.010001 if expected > 1 else 0.01))
    return bool(answer == expected)


def test_the_input_is_worth_it(world: World) -> None:
    """Enough events, duplicates and poison that agreement means something."""
    folded = [record for record in world.records if record.event is not None]
    assert len(folded) >= 20_000
    assert world.oracle.duplicates > 1_000
    assert len(world.records) - len(folded) > 500


def test_every_row_is_the_oracles(world: World) -> None:
    """Every integer of every cell of every player."""
    assert {name for driver in world.drivers for name in driver.entities} == world.oracle.players.keys()
    for name, player in world.oracle.players.items():
        cells = {
            cell: list(msgspec.structs.astuple(value))
            for cell, value in row(world, name).cells.items()
            if cell[0] != "source"
        }
        assert cells == player.cells(), name


def test_the_heads_sums_are_those_of_the_cells(world: World) -> None:
    """What leaderboards compare is what the breakdown adds up to."""
    for name, player in world.oracle.players.items():
        for class_, sums in zip(CLASSES, row(world, name).head.classes, strict=True):
            assert list(msgspec.structs.astuple(sums)) == _sums(player, class_), (name, class_)


def _sums(player: Player, class_: str) -> list[int]:
    hits, kills = player.of(class_, "damage"), player.of(class_, "kill")
    return [
        len(hits),
        sum(event.amount for event in hits),
        len(kills),
        sum(event.headshot for event in kills),
        len(player.of(class_, "knock_down")),
        max((event.distance or 0 for event in kills), default=0),
    ]


def test_the_merged_totals_are_the_oracles(world: World) -> None:
    """Sums, groups and outcomes over all partitions."""
    totals = merged(world.drivers)
    expected = world.oracle.totals()
    assert {name: getattr(totals, name) for name in expected} == expected
    outcomes = dict.fromkeys(Outcome, 0)
    outcomes[Outcome.INVALID] = sum(record.outcome == "invalid" for record in world.records)
    outcomes[Outcome.MISROUTED] = sum(record.outcome == "misrouted" for record in world.records)
    outcomes[Outcome.DUPLICATE] = world.oracle.duplicates
    outcomes[Outcome.APPLIED] = len(world.records) - sum(outcomes.values())
    assert totals.outcomes == list(outcomes.values())
    assert sum(len(driver.dead_letters) for driver in world.drivers) == sum(outcomes.values()) - (
        outcomes[Outcome.APPLIED] + outcomes[Outcome.DUPLICATE]
    )


@pytest.mark.parametrize("match_type", SHOWN_CLASSES)
def test_enhanced_stats_are_the_oracles(world: World, match_type: str) -> None:
    """The view, and the snapshot on the stats topic, of every player."""
    for name, player in world.oracle.players.items():
        expected = enhanced_stats(name, player, match_type)
        answer = view("enhanced-stats").answer(row(world, name), {"match_type": match_type}, NOW)
        assert alike(_by_weapon(answer), expected), name
        driver = world.drivers[world.drivers[0].partition_of(name.encode())]
        published = driver.stats.get(f"{name}/{match_type}".encode())
        assert (published is not None) == bool(player.of(match_type)), name
        if published is not None:
            assert alike(_by_weapon(msgspec.json.decode(published)), expected), name


def _by_weapon(answer: dict[str, Any]) -> dict[str, Any]:
    lines = answer["weapon_breakdown"]
    assert [line["damage"] for line in lines] == sorted((line["damage"] for line in lines), reverse=True)
    return answer | {"weapon_breakdown": sorted(lines, key=lambda line: str(line["weapon"]))}


@pytest.mark.parametrize("match_type", SHOWN_CLASSES)
def test_trends_are_the_oracles(world: World, match_type: str) -> None:
    """Every day of every player, months' ends, the leap day and the year's end among them."""
    days = set()
    for name, player in world.oracle.players.items():
        answer = view("trend").answer(row(world, name), {"match_type": match_type}, NOW)
        expected = trend(player, match_type)
        assert alike(answer["days"], expected), name
        days |= {line["day"] for line in expected}
    assert {"2024-02-29", "2024-12-31", "2024-01-31"} <= days


@pytest.mark.parametrize("match_type", SHOWN_CLASSES)
@pytest.mark.parametrize("by", BY)
def test_leaderboards_are_the_oracles(world: World, by: str, match_type: str) -> None:
    """All twelve lists, merged over the partitions: who, in which order, and with which value."""
    asked = {"by": by, "match_type": match_type}
    board = next(view for view in PLAYERS.views if isinstance(view, TopView))
    best = merge(driver.task.table.tops[board.name(asked)].best() for driver in world.drivers)
    assert [name for name, _ in best] == world.oracle.leaders(by, match_type)
    unit = {"kills": 1, "damage": 10**6, "longest_kill": 10**6, "headshot_rate": 1}[by]
    for name, value in best:
        expected = float(rank(world.oracle.players[name], by, match_type) / unit)
        assert board.value(value, asked) == pytest.approx(expected, abs=0.01)
