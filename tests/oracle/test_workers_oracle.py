"""The workers domain against an oracle that shares no code with it: 24,000 records, five partitions, crashes."""

import json
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from random import Random
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
import pytest

from agents.driver import Driver
from app.generate.workers import events
from tables.event import DAY_MS, OUTCOMES, millis
from tables.recent import recent
from tables.top import merge
from tables.totals import Whole
from tables.views import AggregateView, EntityView, ListView, TopView, TotalsView
from tables.workers import DAYS, HISTORY, LIFETIME, MONTHS, WORKERS
from tests.oracle.asking import merged
from tests.oracle.difference import difference
from tests.oracle.driven import live_on
from tests.oracle.interface import Raw
from tests.oracle.workers import WorkersOracle, quantile

COUNT, WORKERS_COUNT, PARTITIONS, DAYS_SENT = 20_000, 60, 5, 5
START = 1_735_601_400_000  # 2024-12-30T23:30:00Z: over midnight every day, over a year's end on the second one
LIMITS = {HISTORY.name: 1003, DAYS.name: 3, MONTHS.name: 2}
POISON = (b"", b"{", b"[1,2", b"\xff\xfe", b"null", b'{"type":7}', b'{"type":"batch"}', b"[" * 3000)
NAMES = {"00000": "ann", "00001": 'b"\\/\x00\u2028😀'}
SPOILT: tuple[dict[str, Any], ...] = (
    {"keys_scanned": -1},
    {"keys_scanned": 1.5},
    {"duration_ms": True},
    {"worker_type": "gpu"},
    {"finished_at": "2099-01-01T00:00:00Z"},
    {"started_at": "2024-12-31"},
    {"started_at": "2090-12-31T00:00:00"},
    {"prefix_28": "0x"},
    {"error_message": 5},
    {"worker_id": ""},
)


class World(NamedTuple):
    """The same records, to both."""

    oracle: WorkersOracle
    drivers: list[Driver]

    @property
    def now(self) -> int:
        """Of all drivers."""
        return self.drivers[0].now

    def driver(self, worker: str) -> Driver:
        """The one that has a worker's partition."""
        return self.drivers[self.drivers[0].partition_of(worker.encode())]


def believable() -> Iterator[dict[str, Any]]:
    """More than an hour of each of five days. The first workers have a job of its own for every event."""
    for day in range(DAYS_SENT):
        made = events(Random(day), WORKERS_COUNT, START + day * DAY_MS)
        for number, (name, event) in enumerate(islice(made, COUNT // DAYS_SENT)):
            worker = NAMES.get(name[-5:], name)
            if name[-5:] < "00015":
                event |= {"job_id": f"{day}-{number}", "started_at": event["finished_at"]}
            yield event | {"worker_id": worker}


def sent(chance: Random) -> Iterator[tuple[bytes | None, bytes, int]]:
    """The generator's events, made worse: key, value, time."""
    seen: list[dict[str, Any]] = []
    held: list[dict[str, Any]] = []
    for event in believable():
        at = millis(datetime.fromisoformat(event["finished_at"]))
        seen.append(event)
        dice = chance.random()
        if dice < 0.03:
            held.append(event)
        else:
            yield *_record(event), at
        if held and dice > 0.97:
            yield *_record(held.pop(chance.randrange(len(held)))), at
        if dice < 0.08:
            yield *_record(chance.choice(seen[-chance.choice((20, COUNT)) :])), at
        if 0.5 < dice < 0.53:
            yield event["worker_id"].encode(), _record(event | chance.choice(SPOILT))[1], at
            yield event["worker_id"].encode(), chance.choice(POISON), at
            yield chance.choice((None, b"", b"\xff", b"nobody")), _record(event)[1], at


def _record(event: dict[str, Any]) -> tuple[bytes, bytes]:
    return event["worker_id"].encode(), json.dumps(event).encode()


@pytest.fixture(scope="module")
def world() -> World:
    """Fold all records in batches of random size, with commits and crashes at random places."""
    chance = Random(7)
    drivers = [Driver(WORKERS, number, partitions=PARTITIONS, options=LIMITS) for number in range(PARTITIONS)]
    for key, value, at in sent(chance):
        driver = drivers[drivers[0].partition_of(key or b"")]
        driver.now = max(driver.now if driver.source else 0, at)
        driver.send(key, value)
        live_on(driver, chance)
    end = max(driver.now for driver in drivers) + 1000
    oracle = WorkersOracle(PARTITIONS, *LIMITS.values())
    for driver in drivers:
        for record in driver.source:
            oracle.fold(Raw(driver.partition, record.offset, record.key, record.value, record.timestamp))
        driver.now = end
        driver.settle()
    return World(oracle, drivers)


def test_the_input_is_worth_it(world: World) -> None:
    """Every outcome is there, often; single batches, days and months are pruned; some worker is active."""
    outcomes = world.oracle.outcomes()
    assert min(outcomes[name] for name in OUTCOMES) > 20, outcomes
    assert outcomes["applied"] > 15_000
    assert max(len({did.day for did in worker.did}) for worker in world.oracle.workers.values()) > LIMITS[DAYS.name]
    assert 0 < world.oracle.overview(world.now)["active_workers"] < len(world.oracle.workers)


def test_outcomes_and_totals_are_the_oracles(world: World) -> None:
    """Over all partitions, exactly."""
    totals = merged(world.drivers)
    assert dict(zip(OUTCOMES, totals.outcomes, strict=True)) == dict(world.oracle.outcomes())
    expected = world.oracle.totals()
    assert {name: getattr(totals, name) for name in expected} == expected


def test_every_snapshot_is_the_oracles(world: World) -> None:
    """And nobody else's is there."""
    found = {key: json.loads(value) for driver in world.drivers for key, value in driver.stats.items()}
    expected = world.oracle.stats(world.now)
    assert found.keys() == expected.keys()
    assert difference(found, expected) == ""


def test_every_view_is_the_oracles(world: World) -> None:
    """All of them, as the oracle asks for them."""
    asked = 0
    for path, expected in world.oracle.answers(world.now):
        assert difference(answer(world, path), expected, path) == ""
        asked += 1
    assert asked > 50


def test_quantiles_are_within_one_percent(world: World) -> None:
    """Of every worker's lifetime and days."""
    for name, worker in world.oracle.workers.items():
        row = world.driver(name).row(name)
        for kept, did in ((LIFETIME, worker.did), *((("day", day), did) for day, did in worker.periods(10, 3).items())):
            for percent in (50, 95, 100):
                exact = quantile(did, percent)
                found = row.cells[kept].speeds.quantile(percent)
                assert (found is None) == (exact is None)
                assert exact is None or found == pytest.approx(float(exact), rel=0.010001)


def test_single_batches_are_as_many_as_the_limit(world: World) -> None:
    """Over all partitions together."""
    rows = [row for driver in world.drivers for row in driver.task.table.rows.values()]
    assert sum(len(row.of_kind("batch")) for row in rows) == LIMITS[HISTORY.name]


# -- asking without a web server ---------------------------------------------------------------------------------------


def answer(world: World, url: str) -> dict[str, Any]:
    """What a view answers, put together from all partitions as the web layer does it."""
    parts = urlsplit(url)
    view, entity = _find(parts.path)
    given = {parameter.name: parameter.default for parameter in view.parameters} | dict(parse_qsl(parts.query))
    tables = [driver.task.table for driver in world.drivers]
    if isinstance(view, EntityView):
        return view.answer(world.driver(entity).row(entity), given, world.now)
    if isinstance(view, TopView):
        best = merge(table.tops[view.name(given)].best() for table in tables)
        lines = [
            {"rank": n, "worker": name, "value": view.value(value, given)} for n, (name, value) in enumerate(best, 1)
        ]
        return {"results": lines}
    if isinstance(view, TotalsView):
        return view.answer(_whole(world), given)
    rows = [row for table in tables for row in table.rows.values()]
    if isinstance(view, AggregateView):
        assert view.totals is not None
        into = view.totals()
        for row in rows:
            view.add(row, into, given, world.now)
        return view.answer(into, given)
    assert isinstance(view, ListView)
    found = sorted((key, row.entity, row) for row in rows for key, _ in view.lines(row, given, world.now))
    page = [view.line(row, None, given, world.now) for *_, row in found[:20]]
    return view.answer(page, len(found), given, world.now)


def _find(path: str) -> tuple[Any, str]:
    for view in WORKERS.views:
        before, brace, after = view.path.partition("{entity}")
        inner = path[len(before) : len(path) - len(after)]
        if path == view.path or (brace and path == before + inner + after and "/" not in inner):
            return view, unquote(inner)
    raise LookupError(path)


def _whole(world: World) -> Whole:
    parts = [json.loads(driver.totals[f"{driver.partition}/recent".encode()]) for driver in world.drivers]
    return Whole(
        msgspec.convert(msgspec.to_builtins(merged(world.drivers)), WORKERS.totals),
        lambda _name: [],
        lambda name, seconds: recent([part[name] for part in parts], seconds, world.now),
        world.now,
    )
