"""Every domain against its oracle on a real Kafka: 100,000 events each, and a worker that is killed in between.

The oracles share no code with the product. Everything is compared: outcomes, totals, every snapshot, views.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pytest

from app import topology
from app.settings import Settings
from tables import DOMAINS
from tables.domain import Domain
from tests.chaos import expected
from tests.chaos.process import Worker
from tests.chaos.run import QUICK
from tests.oracle import live
from tests.oracle.difference import difference
from tests.oracle.interface import Oracle
from tests.oracle.players_live import PlayersOracle

EVENTS = 100_000
KILLS = 3
SECONDS = 90.0
OPTIONS = QUICK | {"TIDEMARK_LOG_LEVEL": "info"}
# The players' own says more than the one that faults are judged by, and takes longer.
ORACLES: Mapping[str, type[Oracle]] = {**expected.ORACLES, "players": PlayersOracle}
JUDGED = [domain for domain in DOMAINS if domain.name in ORACLES]
every_domain = pytest.mark.parametrize("domain", JUDGED, ids=lambda domain: domain.name)


class World(NamedTuple):
    """What was folded by the worker, and by the oracles."""

    settings: Settings
    oracles: dict[str, Oracle]
    worker: Worker


@pytest.fixture(scope="module")
def world(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Write everything, fold it under SIGKILL at random moments, and let the oracles fold it, too."""
    settings = live.installation(kafka, f"oracle-{time.time_ns()}")
    folder = tmp_path_factory.mktemp("oracle")
    rng = random.Random(4)
    asyncio.run(topology.create(settings, DOMAINS))
    for domain in JUDGED:
        asyncio.run(live.write(settings, domain, live.events(domain, EVENTS, 11)))
    for _ in range(KILLS):
        worker = live.start(settings, folder, **OPTIONS)
        try:
            worker.wait_live(len(DOMAINS))
            time.sleep(rng.uniform(0.2, 1.5))  # into the middle of whatever it does
        finally:
            worker.kill()
    worker = live.start(settings, folder, **OPTIONS)
    try:
        oracles = {domain.name: ORACLES[domain.name]() for domain in JUDGED}
        for domain in JUDGED:
            for record in asyncio.run(live.raw(settings, domain)):
                oracles[domain.name].fold(record)
        yield World(settings, oracles, worker)
    finally:
        worker.kill()


@every_domain
def test_the_totals_and_outcomes_are_those_of_the_oracle(world: World, domain: Domain) -> None:
    """Exactly: every record counted once, whatever was killed when."""
    oracle = world.oracles[domain.name]

    def look() -> str:
        found = asyncio.run(live.merged_totals(world.settings, domain))
        wanted = dict(oracle.totals()) | {"outcomes": dict(oracle.outcomes())}
        return difference(found, wanted, "totals")

    live.eventually(look, SECONDS)


@every_domain
def test_every_snapshot_is_the_oracles(world: World, domain: Domain) -> None:
    """No key is missing, none is there that should not be."""
    oracle = world.oracles[domain.name]

    def look() -> str:
        found = asyncio.run(live.snapshots(world.settings, domain))
        wanted = oracle.stats(time.time_ns() // 1_000_000)
        unlike = sorted(found.keys() ^ wanted.keys())
        return f"keys that only one of both has: {unlike[:5]}" if unlike else difference(found, wanted, "stats")

    live.eventually(look, SECONDS)
    assert len(oracle.stats(time.time_ns() // 1_000_000)) > 10


@every_domain
def test_views_say_what_the_oracle_says(world: World, domain: Domain) -> None:
    """Over HTTP, from the worker that has been through it."""
    live.eventually(lambda: live.unlike(world.settings, world.oracles[domain.name]), SECONDS)


@every_domain
def test_the_input_is_worth_it(world: World, domain: Domain) -> None:
    """There are enough events, repeats and bad records to say something."""
    outcomes = Counter(world.oracles[domain.name].outcomes())
    assert sum(outcomes.values()) >= EVENTS
    assert outcomes["applied"] > EVENTS * 0.8
    assert outcomes["duplicate"] > EVENTS * 0.01
    assert outcomes["invalid"] > EVENTS * 0.001
