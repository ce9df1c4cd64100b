"""Trouble with the brokers: what passes by itself, what stops the worker, and one line when either begins or ends.

An idle partition commits nothing, and a client of Kafka tries again in silence. So the brokers are asked a small
question again and again: whether they answer is known within `WATCH_SECONDS + ANSWER_SECONDS`.
"""

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aiokafka import TopicPartition
from aiokafka.errors import AuthenticationFailedError, KafkaError, UnknownTopicOrPartitionError

from app import topology
from app.engine.errors import in_words, refusal
from app.reach import look

if TYPE_CHECKING:
    from app.engine.engine import Engine

log = logging.getLogger("tidemark.engine")

WATCH_SECONDS = 2.0
ANSWER_SECONDS = 5.0  # a broker that needs longer for an offset is not serving
# Credentials are refused for a moment while they are being changed. Three looks, 2-7 s apart, are no moment.
REFUSED_LOOKS = 3
REPEAT_SECONDS = 600.0  # a group that goes on failing in the same way says so again


class Watch:
    """Whether the brokers answer.

    Attributes:
        unreachable: since when they do not, and why; empty while they do.
        waiting: the partitions whose commit has had no answer for longer than a transaction may last.
    """

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._refused = 0  # looks in a row at which every server refused the credentials
        self._said = ""  # what of it was logged
        self._since = ""
        self._told_until: dict[str, float] = {}  # kind of the group's error -> when it is to be said again
        self._asking = asyncio.Lock()
        self.unreachable = ""
        self.waiting: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Look until cancelled; stop the worker where waiting mends nothing."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            error = await self.look()
            if error is not None:
                self._engine.stop_for(error, "the brokers")
                return
            await self._ask_group()

    async def _ask_group(self) -> None:
        if self._engine.ask_group is None:
            return
        try:
            await asyncio.wait_for(self._engine.ask_group(), ANSWER_SECONDS)
        except KafkaError as error:
            await self.group_failed(error)
        except TimeoutError:
            pass  # its thread is busy with a rebalance

    async def look(self) -> Exception | None:
        """Ask once; returns what the worker has to stop for."""
        engine = self._engine
        partition = TopicPartition(next(iter(engine.domains)), 0)
        try:
            await asyncio.wait_for(engine.offsets.ends(partition), ANSWER_SECONDS)
        except (KafkaError, TimeoutError, OSError) as error:
            engine.offsets.reconnect()
            return await self.verdict(error) or await self._unreachable(error)
        self._answers()
        self._note_waiting()
        return None

    async def group_failed(self, error: KafkaError) -> bool:
        """The group met an error: it passes, or the worker stops. Said once per kind in a while."""
        return await self._passes(error, "the consumer group", "it is joined again")

    async def fetch_failed(self, error: KafkaError) -> bool:
        """A fetch did: likewise."""
        return await self._passes(error, "a fetch", "it is repeated")

    async def _passes(self, error: KafkaError, where: str, remedy: str) -> bool:
        final = await self.verdict(error)
        if final is not None:
            self._engine.stop_for(final, where)
            return False
        kind = type(error).__name__
        now = time.monotonic()
        if not self.unreachable and now > self._told_until.get(kind, 0.0):
            log.warning("%s: %s; %s", where, in_words(error), remedy)
            self._told_until[kind] = now + REPEAT_SECONDS
        return True

    async def verdict(self, error: Exception) -> Exception | None:
        """What the worker has to stop for, where trying again does not mend an error; else None."""
        if isinstance(error, UnknownTopicOrPartitionError) and not self.unreachable:
            # The client raises this by itself, too, when brokers do not answer in time. So ask them; one at a time.
            async with self._asking:
                return await self._topics()
        return refusal(error)

    async def _topics(self) -> Exception | None:
        """What is wrong with the topics, as far as the brokers say."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await topology.verify(self._engine.settings, self._engine.domains.values())
        except topology.TopologyError as wrong:
            return wrong
        except (KafkaError, TimeoutError, OSError) as error:
            return refusal(error)
        return None

    async def _unreachable(self, error: Exception) -> Exception | None:
        if not self.unreachable:
            self._since = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
            self.unreachable = f"Kafka does not answer since {self._since}"
        looks = await look(self._engine.settings)
        self._refused = self._refused + 1 if all(found.refused for found in looks) else 0
        reasons = [f"{found.server}: {found.reason}" for found in looks if found.reason]
        why = "; ".join(reasons) or in_words(error)
        self.unreachable = f"Kafka does not answer since {self._since} ({why})"
        kind = "refused" if self._refused else "away"
        if kind != self._said:  # one line per change; while they are away the reason may flicker
            self._said = kind
            log.error("%s; trying again", self.unreachable)
        return AuthenticationFailedError(why) if self._refused >= REFUSED_LOOKS else None

    def _answers(self) -> None:
        if self.unreachable:
            log.warning("Kafka answers again, not since %s", self._since)
        self.unreachable, self._said, self._refused = "", "", 0

    def _note_waiting(self) -> None:
        """Say of which partitions a commit is waited for: brokers that do not serve them may serve all others."""
        patience = self._engine.settings.transaction_timeout_seconds
        long_ago = time.monotonic() - patience
        waiting = frozenset(
            repr(owned) for owned in self._engine.owned.values() if 0 < owned.committing_since < long_ago
        )
        for name in sorted(waiting - self.waiting):
            log.warning("%s: its commit has had no answer for %.0f s; trying again", name, patience)
        self.waiting = waiting
