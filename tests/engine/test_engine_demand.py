"""A demand is answered when the commit that carries its record is durable, and given up when nobody can know."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from app import topology
from app.engine.engine import Engine
from app.engine.errors import GenerationError
from app.engine.owned import Owned
from app.engine.producer import PartitionProducer
from app.settings import Settings
from app.topology import topic_name
from tables.event import iso
from tests.chaos.consume import marked, read_all
from tests.web.declared import DECLARED
from tests.web.installation import Member

SECONDS = 20.0


class Installed:
    """An engine with one partition, on a real broker, alone in its group."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.engine = Engine(settings, [DECLARED])
        self.engine.group = Member()
        self.totals_known = True
        self.engine.others = lambda domain, _: domain.totals() if self.totals_known else None

    async def live(self) -> Owned:
        """The partition, once it is live."""
        async with asyncio.timeout(SECONDS):
            while not (owned := next(iter(self.engine.owned.values()))).live:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
        return owned

    async def records(self) -> list[dict[str, Any]]:
        """What is published and committed."""
        stats = topic_name(self.settings, DECLARED, "stats")
        await marked(self.settings, [stats])
        found = await read_all(self.settings, stats)
        return [json.loads(value or b"") for records in found.values() for _, _, value in records]


@pytest.fixture
async def installed(kafka: str, prefix: str) -> AsyncIterator[Installed]:
    """The partition is live; commits come once a minute, unless somebody is in a hurry."""
    settings = Settings(bootstrap_servers=kafka, prefix=prefix, partitions=1, commit_interval_seconds=60)
    await topology.create(settings, [DECLARED])
    found = Installed(settings)
    await found.engine.offsets.start()
    await found.engine.assigned([(topic_name(settings, DECLARED, "events"), 0)], generation=1)
    await found.live()
    yield found
    await found.engine.revoked()
    await found.engine.offsets.stop()


async def test_a_demand_is_answered_when_its_record_is_durable(installed: Installed) -> None:
    """At once, not at the next turn of the interval; with the record's time. Two that come together get one record."""
    owned = await installed.live()
    demands = [owned.demand(), owned.demand()]
    times = await asyncio.wait_for(asyncio.gather(*demands), SECONDS)
    assert [record["time"] for record in await installed.records()] == [times[0]] == [times[1]]
    later = await asyncio.wait_for(owned.demand(), SECONDS)
    assert [record["time"] for record in await installed.records()] == [times[0], later]
    assert iso(later) > iso(times[0])


async def test_a_demand_during_a_commit_gets_a_record_of_its_own(
    installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was taken before it was asked for is not its answer."""
    owned = await installed.live()
    commit = PartitionProducer.commit
    second: list[asyncio.Future[int]] = []

    async def asked_meanwhile(self: PartitionProducer) -> None:
        if not second:
            second.append(owned.demand())
        await commit(self)

    monkeypatch.setattr(PartitionProducer, "commit", asked_meanwhile)
    first = await asyncio.wait_for(owned.demand(), SECONDS)
    assert not second[0].done()
    times = [first, await asyncio.wait_for(second[0], SECONDS)]
    assert [record["time"] for record in await installed.records()] == times


async def test_a_demand_waits_for_the_totals_of_the_others(installed: Installed) -> None:
    """A commit that cannot carry it yet does not answer it."""
    owned = await installed.live()
    installed.totals_known = False
    first = owned.demand()
    done, _ = await asyncio.wait([first], timeout=0.5)
    assert not done
    installed.totals_known = True
    second = owned.demand()
    assert await asyncio.wait_for(first, SECONDS) == await asyncio.wait_for(second, SECONDS)
    assert len(await installed.records()) == 1


async def test_a_demand_is_given_up_when_its_commit_fails(
    installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows whether the record is there; the partition is restored, and the next demand is answered."""
    owned = await installed.live()

    async def fail(_: PartitionProducer) -> None:
        raise KafkaError("away")

    with monkeypatch.context() as patched:
        patched.setattr(PartitionProducer, "commit", fail)
        with pytest.raises(asyncio.CancelledError):
            await owned.demand()
        with pytest.raises(GenerationError):
            owned.demand()
    time = await asyncio.wait_for((await installed.live()).demand(), SECONDS)
    assert [record["time"] for record in await installed.records()] == [time]


async def test_a_demand_is_given_up_when_the_partition_goes(installed: Installed) -> None:
    """And is not met later, when the rows come back to a worker that nobody has asked."""
    owned = await installed.live()
    installed.totals_known = False
    demand = owned.demand()
    await installed.engine.revoked()
    assert demand.cancelled()
    with pytest.raises(GenerationError, match="parked"):
        owned.demand()
    installed.totals_known = True
    await installed.engine.assigned([(owned.source, 0)], generation=1)
    await installed.live()
    await installed.engine.revoked()
    assert await installed.records() == []


async def test_a_demand_whose_record_cannot_be_made_is_given_up(
    installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a defect of the domain: nobody is told that something was published. The partition stays live."""
    owned = await installed.live()
    assert owned.task is not None
    periodic = owned.domain.periodic
    assert periodic is not None

    def raising(*_: object) -> tuple[str, dict[str, Any]]:
        raise KeyError("defect")

    with monkeypatch.context() as patched:
        patched.setattr(owned.task, "domain", replace(owned.domain, periodic=replace(periodic, record=raising)))
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asyncio.shield(owned.demand()), SECONDS)
    assert owned.live
    time = await asyncio.wait_for(owned.demand(), SECONDS)
    assert [record["time"] for record in await installed.records()] == [time]
