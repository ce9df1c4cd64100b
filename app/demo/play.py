"""The demo itself: topics, a worker, a real match, and the wait until all of it is folded and committed."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

from aiokafka import TopicPartition

from app import topology
from app.connection import Connection
from app.demo.child import LOOK_SECONDS, Child, worker
from app.demo.cut import SAMPLE
from app.engine.fetch import reader
from app.engine.totals import TotalsReader
from app.ingest.array import elements
from app.ingest.progress import progress
from app.ingest.pubg import record, slim_events
from app.ingest.report import Report
from app.ingest.source import Source
from app.ingest.writer import write
from app.settings import Settings
from tables import DOMAINS
from tables.event import OUTCOMES
from tables.players import PLAYERS, PlayersTotals, totals_shown

TOTALS_SECONDS = 30.0
STUCK_SECONDS = 60.0
SHOWN = ("players", "hits", "damage", "kills", "groups")


@dataclass(frozen=True)
class Result:
    """What the demo has to tell.

    Attributes:
        events: outcomes of the records consumed in this run.
        players: the players' totals, those of earlier runs included.
        kafka: where it ran.
        seconds: from the command to the last commit, the start of Kafka included.
    """

    events: dict[str, int]
    players: dict[str, Any]
    kafka: dict[str, Any]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return asdict(self)


async def play(kafka: Connection, began: float, done: Callable[[Result], None], *, once: bool) -> None:
    """Run the demo: call `done` with the numbers, then keep running until cancelled, unless `once`.

    Args:
        kafka: where to run.
        began: `time.monotonic()` of the command's beginning.
        done: shows the result.
        once: end after it.

    Raises:
        ChildError: the worker failed, or does not get on.
    """
    settings = kafka.settings
    await topology.create(settings, DOMAINS)
    async with _totals(settings) as totals:
        before: PlayersTotals = totals.totals(PLAYERS)
        async with worker(settings) as child:
            await child.ready()
            await ingest_sample(settings)
            after = await _folded(settings, totals, child)
            done(_result(kafka, before, after, began))
            if not once:
                with suppress(asyncio.CancelledError):  # Ctrl-C is the way to end
                    await child.wait()


async def ingest_sample(settings: Settings) -> Report:
    """Write the sample match into the players' source topic."""
    report = Report()
    topic = topology.topic_name(settings, PLAYERS, "events")
    with Source(str(SAMPLE)) as source, progress(source) as shown:
        await write(settings, topic, shown(map(record, slim_events(elements(source), report))), report)
    return report


@asynccontextmanager
async def _totals(settings: Settings) -> AsyncIterator[TotalsReader]:
    totals = TotalsReader(settings, DOMAINS)
    following = asyncio.create_task(totals.run(), name="totals")
    try:
        await asyncio.wait_for(totals.complete.wait(), TOTALS_SECONDS)
        yield totals
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


async def _folded(settings: Settings, totals: TotalsReader, child: Child) -> PlayersTotals:
    """The totals once the whole source topic is in them. They are read committed: what they say is durable."""
    end = await _end(settings)
    position, moved = -1, time.monotonic()
    while True:
        merged: PlayersTotals = totals.totals(PLAYERS)
        if merged.position >= end:
            return merged
        if merged.position > position:
            position, moved = merged.position, time.monotonic()
        elif time.monotonic() - moved > STUCK_SECONDS:
            raise child.error(f"{position} of {end} records are folded, and no more for {STUCK_SECONDS:.0f} s")
        child.check()
        await asyncio.sleep(LOOK_SECONDS)


async def _end(settings: Settings) -> int:
    """The number of records that the source topic has ever had: the sum of its partitions' ends."""
    topic = topology.topic_name(settings, PLAYERS, "events")
    consumer = reader(settings.kafka())
    await consumer.start()
    try:
        ends = await consumer.end_offsets([TopicPartition(topic, number) for number in range(settings.partitions)])
        return sum(ends.values())
    finally:
        await consumer.stop()


def _result(kafka: Connection, before: PlayersTotals, after: PlayersTotals, began: float) -> Result:
    outcomes = [now - then for now, then in zip(after.outcomes, before.outcomes, strict=True)]
    players = totals_shown(after)
    return Result(
        events={"consumed": sum(outcomes), **dict(zip(OUTCOMES, outcomes, strict=True))},
        players={name: players[name] for name in SHOWN},
        kafka={
            "bootstrap_servers": kafka.settings.bootstrap_servers,
            "embedded": kafka.embedded,
            "version": kafka.version,
        },
        seconds=round(time.monotonic() - began, 2),
    )
