"""The demo itself: topics, a worker, every domain's records, and the wait until all of it is folded and committed."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
from aiokafka import TopicPartition

from app import topology
from app.connection import Connection
from app.demo.child import LOOK_SECONDS, Child, worker
from app.demo.data import played
from app.engine.fetch import consuming
from app.engine.totals import TotalsReader, following
from app.generate.writer import write
from app.ingest.report import Report
from app.settings import Settings
from tables import DOMAINS
from tables.domain import Domain
from tables.event import OUTCOMES
from tables.players import PLAYERS, totals_shown
from tables.views import TotalsView

STUCK_SECONDS = 60.0
RESTING_SECONDS = 1.5  # longer than the emission of the domains whose totals change with it (child.SOONER)
SHOWN = ("players", "hits", "damage", "kills", "groups")


@dataclass(frozen=True)
class Result:
    """What the demo has to tell.

    Attributes:
        events: outcomes of the players' records consumed in this run.
        players: the players' totals, those of earlier runs included.
        domains: the same of every domain, by name: `events`, `rows`, and `totals`, what its first view of all says.
        kafka: where it ran.
        seconds: from the command to the last commit, the start of Kafka included.
    """

    events: dict[str, int]
    players: dict[str, Any]
    domains: dict[str, dict[str, Any]]
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
    async with following(settings, DOMAINS) as totals, worker(settings) as child:
        await child.ready()
        before = {domain.name: list(totals.totals(domain).outcomes) for domain in DOMAINS}
        written = await write_all(settings)
        await _folded(settings, totals, child, before, written)
        done(_result(kafka, before, totals, began))
        if not once:
            with suppress(asyncio.CancelledError):  # Ctrl-C is the way to end
                await child.wait()


async def write_all(settings: Settings) -> dict[str, int]:
    """Write every domain's records into its source topic; how many there were."""
    written = {}
    records = played()
    for domain in DOMAINS:
        if domain.name in records:
            report = Report()
            topic = topology.topic_name(settings, domain, "events")
            await write(settings, topic, records[domain.name](report), report)
            written[domain.name] = report.written
    return written


async def _folded(
    settings: Settings, totals: TotalsReader, child: Child, before: dict[str, list[int]], written: dict[str, int]
) -> None:
    """Wait until all records are in the totals, and these rest. They are read committed: what they say is durable.

    Records of an earlier run that was cut short may still be on their way: then more than was written is to come, and
    the position tells. A topic that is written in transactions ends in markers that nobody folds: there the count does.
    """
    ends = {domain.name: await _end(settings, domain) for domain in DOMAINS}
    progress, moved = -1, time.monotonic()
    while True:
        merged = {domain.name: totals.totals(domain) for domain in DOMAINS}
        if all(
            merged[name].position >= ends[name] or sum(merged[name].outcomes) - sum(before[name]) >= number > 0
            for name, number in written.items()
        ):
            break
        consumed = sum(sum(each.outcomes) for each in merged.values())
        if consumed > progress:
            progress, moved = consumed, time.monotonic()
        elif time.monotonic() - moved > STUCK_SECONDS:
            raise child.error(f"{consumed} records are folded, and no more for {STUCK_SECONDS:.0f} s")
        child.check()
        await asyncio.sleep(LOOK_SECONDS)
    # What is published later changes totals once more (how many tutors are in which tier): until nothing moves.
    told, moved = _all(totals), time.monotonic()
    while time.monotonic() - moved < RESTING_SECONDS:
        child.check()
        await asyncio.sleep(LOOK_SECONDS)
        if _all(totals) != told:
            told, moved = _all(totals), time.monotonic()


def _all(totals: TotalsReader) -> list[Any]:
    return [msgspec.to_builtins(totals.totals(domain)) for domain in DOMAINS]


async def _end(settings: Settings, domain: Domain) -> int:
    """The number of offsets that a source topic has ever had: the sum of its partitions' ends."""
    topic = topology.topic_name(settings, domain, "events")
    async with consuming(settings) as consumer:
        ends = await consumer.end_offsets([TopicPartition(topic, number) for number in range(settings.partitions)])
        return sum(ends.values())


def _result(kafka: Connection, before: dict[str, list[int]], totals: TotalsReader, began: float) -> Result:
    domains = {domain.name: _told(domain, before[domain.name], totals) for domain in DOMAINS}
    players = totals_shown(totals.totals(PLAYERS))
    return Result(
        events=domains[PLAYERS.name]["events"],
        players={name: players[name] for name in SHOWN},
        domains=domains,
        kafka={
            "bootstrap_servers": kafka.settings.bootstrap_servers,
            "embedded": kafka.embedded,
            "version": kafka.version,
        },
        seconds=round(time.monotonic() - began, 2),
    )


def _told(domain: Domain, before: list[int], totals: TotalsReader) -> dict[str, Any]:
    whole = totals.whole(domain)
    outcomes = [now - then for now, then in zip(whole.totals.outcomes, before, strict=True)]
    view = next((view for view in domain.views if isinstance(view, TotalsView)), None)
    defaults = {parameter.name: parameter.default for parameter in view.parameters} if view else {}
    return {
        "events": {"consumed": sum(outcomes), **dict(zip(OUTCOMES, outcomes, strict=True))},
        "rows": whole.totals.keys,
        "totals": view.answer(whole, defaults) if view else {},
    }
