"""All partitions' totals and top lists, held by every worker: a reader of the totals topics.

They are compacted and tiny (three records per partition), so that a global view is a merge of a few values in memory.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import msgspec
import orjson
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from app.clock import now_ms
from app.engine.fetch import reader
from app.engine.starting import start
from app.settings import Settings
from app.topology import topic_name
from tables.domain import Domain
from tables.event import OUTCOMES
from tables.recent import Seconds, recent
from tables.top import merge
from tables.totals import Whole

log = logging.getLogger("tidemark.engine")

RETRY_SECONDS = 1.0
COMPLETE_SECONDS = 30.0  # for a command that reads all of them before it says anything


class TotalsReader:
    """Follows the totals topics.

    Attributes:
        complete: set once it has caught up with what was there when it started.
        versions: domain's name -> how many of its records have been read.
        news: set whenever a version has grown; whoever waits for it clears it.
    """

    def __init__(self, settings: Settings, domains: Iterable[Domain]) -> None:
        self._settings = settings
        self._domains = {topic_name(settings, domain, "totals"): domain for domain in domains}
        self._totals: dict[tuple[str, int], Any] = {}
        self._tops: dict[tuple[str, int], dict[str, list[tuple[str, int]]]] = {}
        self._recents: dict[tuple[str, int], dict[str, Seconds]] = {}
        self._read_to: dict[TopicPartition, int] = {}  # after an error it goes on from there: numbers never go back
        self.complete = asyncio.Event()
        self.versions = {domain.name: 0 for domain in self._domains.values()}
        self.news = asyncio.Event()

    async def run(self) -> None:
        """Read until cancelled; a broker that cannot be reached is tried again."""
        while True:
            try:
                await self._follow()
            except (KafkaError, OSError) as error:
                log.warning("the totals cannot be read: %s; trying again", error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self) -> None:
        consumer = reader(self._settings.kafka())
        try:
            await start(consumer)
            partitions = [
                TopicPartition(topic, number) for topic in self._domains for number in range(self._settings.partitions)
            ]
            consumer.assign(partitions)
            for partition in partitions:
                consumer.seek(partition, self._read_to.get(partition, 0))  # one that is not there: the first that is
            ends = await consumer.end_offsets(partitions)
            while True:
                for partition, records in (await consumer.getmany(timeout_ms=200)).items():
                    for record in records:
                        self._take(partition, record)
                        self._read_to[partition] = record.offset + 1
                if not self.complete.is_set():
                    behind = [tp for tp in partitions if await consumer.position(tp) < ends[tp]]
                    if not behind:
                        self.complete.set()
        finally:
            with suppress(KafkaError):
                await consumer.stop()

    def _take(self, partition: TopicPartition, record: Any) -> None:
        try:
            self._read(partition, record)
        except (ValueError, TypeError, LookupError, AttributeError, msgspec.MsgspecError) as error:
            where = f"{partition.topic} partition {partition.partition} offset {record.offset}"
            log.error("%s is no totals record (%s); it is left out", where, error)  # noqa: TRY400 - the place says it all

    def _read(self, partition: TopicPartition, record: Any) -> None:
        domain = self._domains[partition.topic]
        body = orjson.loads(record.value) if record.value else None
        where = domain.name, partition.partition
        if record.key.endswith(b"/top"):
            self._tops[where] = {name: [(e, v) for e, v in best] for name, best in (body or {}).items()}
        elif record.key.endswith(b"/recent"):
            self._recents[where] = {
                name: {second: (rows, value) for second, (rows, value) in seconds.items()}
                for name, seconds in (body or {}).items()
            }
        elif body is not None and record.key == str(partition.partition).encode():
            body["outcomes"] = [body["outcomes"].get(name, 0) for name in OUTCOMES]
            totals = msgspec.convert(body, type=domain.totals)
            totals.lengthen()
            domain.totals().merge(totals)  # raises for a list that is too long: a later release's
            self._totals[where] = totals
        self.versions[domain.name] += 1
        self.news.set()

    def totals(self, domain: Domain, but: int | None = None) -> Any:
        """The domain's totals, merged over all partitions, or over all but one."""
        merged = domain.totals()
        for (name, partition), totals in self._totals.items():
            if name == domain.name and partition != but:
                merged.merge(totals)
        return merged

    def others(self, domain: Domain, partition: int) -> Any:
        """The totals of all other partitions, None until they have been read."""
        return self.totals(domain, partition) if self.complete.is_set() else None

    def whole(self, domain: Domain) -> Whole:
        """Everything that all partitions know together."""
        now = now_ms()
        return Whole(self.totals(domain), partial(self.top, domain), partial(self.recent, domain, now=now), now)

    def recent(self, domain: Domain, name: str, seconds: float, now: int) -> tuple[int, int]:
        """(rows seen in the last so many seconds, the sum of their values), over all partitions."""
        parts = [recents.get(name, {}) for (owner, _), recents in self._recents.items() if owner == domain.name]
        return recent(parts, seconds, now)

    def top(self, domain: Domain, name: str) -> list[tuple[str, int]]:
        """One of the domain's lists of the best, merged over all partitions."""
        return merge(tops.get(name, []) for (owner, _), tops in self._tops.items() if owner == domain.name)


@asynccontextmanager
async def following(settings: Settings, domains: Iterable[Domain]) -> AsyncIterator[TotalsReader]:
    """A reader that has caught up, and follows for as long as the context lasts.

    Raises:
        TimeoutError: it does not catch up; the message says so.
    """
    totals = TotalsReader(settings, domains)
    reading = asyncio.create_task(totals.run(), name="totals")
    try:
        try:
            await asyncio.wait_for(totals.complete.wait(), COMPLETE_SECONDS)
        except TimeoutError:
            raise TimeoutError(
                f"the totals topics could not be read in {COMPLETE_SECONDS:.0f} s; look at the broker's log"
            ) from None
        yield totals
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
