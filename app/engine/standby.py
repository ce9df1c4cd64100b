"""Warm copies of partitions that other workers own, so that failover need not read a changelog from its beginning.

The assignor says whose standby this worker is. One consumer tails all those changelogs, committed records only, in
short turns: it shares the event loop with folding. When a partition is assigned to this worker, step 4 of the order
*assigned* promotes its copy: it is brought up to exactly the changelog's end, checked, and made what a restore would
have made. Any doubt about a copy (it is beyond the log's end, what it has to read next is gone, the topic was made
anew, a cell is none, it does not fit the committed offset) and it is dropped; the rows are restored from the log.

No copy is ever served, and none keeps this worker from being ready.
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from agents.task import Task
from agents.warm import WarmCopy
from app.clock import now_ms
from app.engine import fetch, promotion
from app.engine.changelog import new_task
from app.engine.errors import cancelled_by_us
from app.starting import start
from app.topology import topic_name

if TYPE_CHECKING:
    from app.engine.engine import Engine
    from app.engine.owned import Owned

log = logging.getLogger("tidemark.engine")

Key = tuple[str, int]
"""Source topic and partition, as in `Engine.owned`."""

TURN_RECORDS = 1_000  # applied without an await in between: 1,000 x 3 us = 3 ms
FETCH_BYTES = 1024 * 1024  # per partition and fetch: of many partitions at once
IDLE_MS = 200  # for a poll that brings nothing
RETRY_SECONDS = 1.0
LOOK_SECONDS = 0.05
# Before a copy that was dropped is begun anew, doubled each time until it has been at the log's end again: whatever was
# wrong may still be, and reading it all for nothing costs half of the event loop.
DROPPED_SECONDS, DROPPED_MOST_SECONDS = 10.0, 640.0
OWN_FIRST_SECONDS = 30.0  # after an assignment, for as long as partitions of our own are being restored
# A tombstone may be compacted away after `delete.retention.ms` (Kafka's default: 24 hours), and whoever had not read it
# by then would keep what it has buried. Half of that.
STALE_MS = 12 * 3_600_000
TOO_LATE = "it was behind for too long: tombstones may have been compacted away"


@dataclass(eq=False)
class Copy:
    """One copy, and how far it is."""

    key: Key
    changelog: TopicPartition
    warm: WarmCopy
    topic_id: int
    read_to_end_at: int  # when it was last at the log's end (or begun), ms since the epoch
    end: int | None = None  # the high watermark as of the last fetch
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def lag_records(self) -> int | None:
        """High watermark minus position; None while unknown."""
        return None if self.end is None else max(0, self.end - self.warm.position)


class Standby:
    """The copies of this worker. `follow` is called with each assignment, `promote` by each partition taken over."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._wanted: set[Key] = set()
        self._copies: dict[Key, Copy] = {}
        self._blocked: dict[Key, float] = {}  # not before this time, by the monotonic clock
        self._drops: dict[Key, int] = {}  # in a row
        self._followed_at = 0.0
        self._changed = asyncio.Event()  # something is to be copied that is not, or the reverse

    # -- what others may ask -----------------------------------------------------------------------------------------

    @property
    def wanted(self) -> list[Key]:
        """Whose standby this worker is."""
        return sorted(self._wanted)

    def copy(self, key: Key) -> Copy | None:
        """The copy of a partition, if one has been begun."""
        return self._copies.get(key)

    # -- assignment --------------------------------------------------------------------------------------------------

    def follow(self, standbys: Iterable[Key], owned: Iterable[Key]) -> None:
        """Take an assignment in: copies to be kept, and partitions that are ours, whose copies may be promoted."""
        self._wanted = set(standbys)
        for key in self._copies.keys() - self._wanted - set(owned):
            self._free(self._copies.pop(key))
        self._followed_at = time.monotonic()
        self._changed.set()

    # -- tailing -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the copies warm until cancelled."""
        told = ""
        while True:
            await self._changed.wait()
            try:
                with cancelled_by_us():
                    await self._tail()
                told = ""
            except Exception as error:  # noqa: BLE001 - copies are a help: whatever befalls them, the worker goes on
                reason = f"{type(error).__name__}: {error}"
                if told != reason:  # one line per change of state, not one per attempt
                    told = reason
                    log.warning("the warm copies cannot be kept up: %s; trying again", reason)
                if not isinstance(error, KafkaError | OSError | TimeoutError):
                    for key in list(self._copies):  # nobody knows what it has left half done
                        self._free(self._copies.pop(key))
                self._changed.set()
                await asyncio.sleep(RETRY_SECONDS)

    async def _tail(self) -> None:
        """Follow what is wanted, until nothing is."""
        self._changed.clear()
        if not self._wanted:
            return
        consumer = self._consumer()
        try:
            await start(consumer)
            self._changed.set()
            copies: list[Copy] = []
            while self._wanted:
                await self._own_first()
                if self._changed.is_set():
                    self._changed.clear()
                    copies = await self._assign(consumer)
                await self._turn(consumer, copies)
        finally:
            with suppress(KafkaError):
                await fetch.stop(consumer)

    def _consumer(self) -> AIOKafkaConsumer:
        fetch.install()
        return AIOKafkaConsumer(
            **self._engine.settings.kafka(),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="none",  # what is gone is gone: a copy that goes on somewhere else would be wrong
            max_partition_fetch_bytes=FETCH_BYTES,
            key_deserializer=fetch.PARSED,
        )

    async def _own_first(self) -> None:
        """Let partitions of our own become live before anything is copied: somebody waits for those."""
        until, owned = self._followed_at + OWN_FIRST_SECONDS, self._engine.owned
        while time.monotonic() < until and not all(one.live for one in owned.values()):  # noqa: ASYNC110 - many events
            await asyncio.sleep(LOOK_SECONDS)

    async def _assign(self, consumer: AIOKafkaConsumer) -> list[Copy]:
        now = time.monotonic()
        copies = []
        for key in self.wanted:
            if self._blocked.get(key, now) > now:
                continue
            copy = self._copies.get(key)
            if copy is None:
                copy = await self._begin(key)
                if key not in self._wanted:  # another assignment has come meanwhile
                    continue
                self._copies[key] = copy
            copies.append(copy)
        consumer.assign([copy.changelog for copy in copies])
        for copy in copies:
            consumer.seek(copy.changelog, copy.warm.position)
        return copies

    async def _begin(self, key: Key) -> Copy:
        engine, (source, partition) = self._engine, key
        domain = engine.domains[source]
        changelog = TopicPartition(topic_name(engine.settings, domain, "changelog"), partition)
        topic_id, begun_at = await engine.offsets.topic_id(changelog.topic), now_ms()
        copy = Copy(key, changelog, WarmCopy(new_task(engine, domain, partition, {})), topic_id, begun_at)
        copy.warm.position = await engine.offsets.beginning(changelog)
        return copy

    async def _turn(self, consumer: AIOKafkaConsumer, copies: list[Copy]) -> None:
        """Apply the next records: few at a time, then a rest of the same length, so that folding has its half."""
        if not copies:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), RETRY_SECONDS)
            return
        try:
            records = await consumer.getmany(timeout_ms=IDLE_MS, max_records=TURN_RECORDS)
        except OffsetOutOfRangeError as error:
            gone = error.args[0]
            for copy in copies:
                if copy.changelog in gone:
                    self._drop(
                        copy, f"the log no longer has offset {gone[copy.changelog]}: it was cut off or made anew"
                    )
            return
        began = time.monotonic()
        for copy in copies:
            async with copy.turn:
                await self._take(consumer, copy, records.get(copy.changelog, []))
        if records:
            await asyncio.sleep(time.monotonic() - began)

    async def _take(self, consumer: AIOKafkaConsumer, copy: Copy, records: list[Any]) -> None:
        if self._changed.is_set():  # since the poll: every copy is about to be sought to its own position
            return
        if _is_stale(copy):
            self._drop(copy, TOO_LATE)
            return
        warm = copy.warm
        warm.read(records)
        warm.position = await consumer.position(copy.changelog)  # at once: nothing else moves it
        copy.end = consumer.highwater(copy.changelog)
        stable = consumer.last_stable_offset(copy.changelog)
        if stable is None or warm.position < stable:
            return
        copy.read_to_end_at = consumer.last_poll_timestamp(copy.changelog)  # of an answer; silence makes it no younger
        if warm.settled:
            return
        try:
            for _ in warm.settle():
                await asyncio.sleep(0)
        except Exception as error:  # noqa: BLE001 - rows that do not make sense together: a domain may raise anything
            self._drop(copy, f"{type(error).__name__}: {error}")
        else:
            self._drops.pop(copy.key, None)

    def _drop(self, copy: Copy, reason: str) -> None:
        log.warning("%s: its warm copy is dropped: %s; it is begun anew", _name(copy), reason)
        if self._copies.get(copy.key) is copy:
            del self._copies[copy.key]
        self._free(copy)
        drops = self._drops.get(copy.key, 0)
        self._drops[copy.key] = drops + 1
        seconds = min(DROPPED_SECONDS * 2**drops, DROPPED_MOST_SECONDS)
        self._blocked[copy.key] = time.monotonic() + seconds
        asyncio.get_running_loop().call_later(seconds, self._changed.set)
        self._changed.set()

    def _free(self, copy: Copy) -> None:
        self._engine.freeing.table(copy.warm.task.table, copy.turn)

    # -- promotion ---------------------------------------------------------------------------------------------------

    async def promote(self, owned: "Owned", end: int) -> Task | None:
        """The rows as of the changelog's end, made of the copy; None where there is none, or any doubt about it.

        Whoever is interrupted on the way to the end (another rebalance, a broker that does not answer) leaves the copy
        as it is, for the next attempt.

        Args:
            owned: a fenced partition, so that nobody writes its changelog any more.
            end: of its changelog, with no transaction open on it.
        """
        copy = self._copies.get((owned.source, owned.partition))
        if copy is None:
            return None
        async with copy.turn:
            doubt = TOO_LATE if _is_stale(copy) else await promotion.bring_up(owned, copy, end)
            self._copies.pop(copy.key, None)  # from here on it is the partition's, or nothing
            doubt = doubt or await promotion.finish(copy)
        if doubt:
            log.warning(
                "%s: its warm copy is dropped: %s; the rows are restored from the changelog", _name(copy), doubt
            )
            self._free(copy)
            return None
        copy.warm.task.poison = owned.poison
        return copy.warm.task


def _is_stale(copy: Copy) -> bool:
    return now_ms() - copy.read_to_end_at > STALE_MS


def _name(copy: Copy) -> str:
    return f"{copy.warm.task.domain.name}[{copy.warm.task.partition}]"
