"""All partitions' totals and top lists, held by every worker: a reader of the totals topics.

They are compacted and tiny (three records per partition), so that a global view is a merge of a few values in memory.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Annotated, Any

import msgspec
import orjson
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from app.clock import now_ms
from app.engine.errors import refusal
from app.engine.fetch import consuming
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
# Decoded into what they must be: a list with a text for a value would fail in every view that merges it.
_decode_tops = msgspec.json.Decoder(dict[str, list[tuple[str, int]]]).decode
_Second = Annotated[str, msgspec.Meta(pattern="^[0-9]{1,12}$")]
_decode_recents = msgspec.json.Decoder(dict[str, Mapping[_Second, tuple[int, int]]]).decode


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
        """Read until cancelled; a broker that cannot be reached is tried again.

        Raises:
            KafkaError: the brokers refuse it for good.
        """
        told = False
        while True:
            try:
                await self._follow()
            except (KafkaError, OSError) as error:
                if refusal(error) is not None:
                    raise
                if not told:  # one line, not one per attempt
                    log.warning("the totals cannot be read: %s; trying again", error)
                told = True
                await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self) -> None:
        async with consuming(self._settings) as consumer:
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

    def _take(self, partition: TopicPartition, record: Any) -> None:
        try:
            self._read(partition, record)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError, msgspec.MsgspecError) as error:
            where = f"{partition.topic} partition {partition.partition} offset {record.offset}"
            log.error("%s is no totals record (%s); it is left out", where, error)  # noqa: TRY400 - the place says it all

    def _read(self, partition: TopicPartition, record: Any) -> None:
        domain = self._domains[partition.topic]
        where, own = (domain.name, partition.partition), b"%d" % partition.partition
        if record.key == own + b"/top":
            self._tops[where] = _decode_tops(record.value) if record.value else {}
        elif record.key == own + b"/recent":
            self._recents[where] = _decode_recents(record.value) if record.value else {}
        elif record.key == own and record.value:
            body = orjson.loads(record.value)
            body["outcomes"] = [body["outcomes"].get(name, 0) for name in OUTCOMES]
            totals = msgspec.convert(body, type=domain.totals)
            totals.lengthen()
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
        complete = asyncio.create_task(totals.complete.wait())
        await asyncio.wait([complete, reading], timeout=COMPLETE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        complete.cancel()
        if reading.done():
            reading.result()
        if not totals.complete.is_set():
            raise TimeoutError(
                f"the totals topics could not be read in {COMPLETE_SECONDS:.0f} s; look at the broker's log"
            )
        yield totals
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
