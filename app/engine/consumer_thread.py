"""Faust's thread around the consumer group's client, and what nothing public tells of that client."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.protocol.group import SyncGroupRequest
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import TP

from app.clock import elapsed
from app.engine import fetch, unreadable
from app.engine.errors import in_words

# Of one fetch. Within the request timeout of 30 s (app.main) it arrives over a network of 0.5 MB/s, too.
FETCH_MAX_BYTES = 16 * 1024 * 1024
CLOSE_SECONDS = 3.0  # for the group's consumer to say goodbye; without brokers it never could


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's thread around the group's aiokafka consumer.

    Attributes:
        confirmed_at: when the last request left, a heartbeat or the one for an assignment, whose answer says that the
            group's coordinator counts on this member; by `app.clock.elapsed`.
    """

    confirmed_at = 0.0

    def _create_worker_consumer(self, transport: Any) -> Any:
        fetch.install()
        consumer = super()._create_worker_consumer(transport)
        # Faust reads committed records only in its own exactly-once mode, and waits 1.5 s for an empty fetch.
        consumer._isolation_level = "read_committed"  # noqa: SLF001
        consumer._fetch_max_wait_ms = 500  # noqa: SLF001
        consumer._key_deserializer = fetch.PARSED  # noqa: SLF001
        consumer._fetch_max_bytes = FETCH_MAX_BYTES  # noqa: SLF001
        return consumer

    async def on_start(self) -> None:
        """Start, and note what the coordinator answers."""
        await super().on_start()
        coordinator = self._ensure_consumer()._coordinator  # noqa: SLF001 - nothing public tells
        self._beat, coordinator._do_heartbeat = coordinator._do_heartbeat, self._noted_heartbeat  # noqa: SLF001
        self._ask, coordinator._send_req = coordinator._send_req, self._noted_request  # noqa: SLF001

    async def _noted_heartbeat(self) -> bool:
        left_at = elapsed()
        answered = bool(await self._beat())
        if answered:
            self.confirmed_at = left_at
        return answered

    async def _noted_request(self, request: Any) -> Any:
        left_at = elapsed()
        answer = await self._ask(request)
        if isinstance(request, SyncGroupRequest) and not answer.error_code:
            self.confirmed_at = left_at  # not when the partitions are assigned: the process may be stopped in between
        return answer

    async def committed_offset(self, partition: TopicPartition) -> int | None:
        """The group's committed offset."""
        offset: int | None = await self.call_thread(self._ensure_consumer().committed, partition)
        return offset

    async def is_member(self) -> bool:
        """A heartbeat out of turn: its answer is the coordinator's word; a zombie learns here that it is one."""
        coordinator = self._ensure_consumer()._coordinator  # noqa: SLF001 - nothing public asks
        return bool(await self.call_thread(coordinator._do_heartbeat))  # noqa: SLF001

    async def get_over(self) -> None:
        """Take note of what has gone wrong in the group, and join it again.

        aiokafka waits until somebody has asked for its error, and does not beat its heart meanwhile. Usually a fetch
        asks; while no partition is live, nobody fetches.

        Raises:
            KafkaError: the error that there was.
            RuntimeError: the consumer's own loop has died of it: nobody will join the group any more.
        """
        if self._consumer is not None and self._consumer._coordinator is not None:  # noqa: SLF001 - it is starting
            await self.call_thread(self._get_over_now)

    async def _get_over_now(self) -> None:
        coordinator = self._ensure_consumer()._coordinator  # noqa: SLF001 - likewise
        task = coordinator._coordination_task  # noqa: SLF001
        if task.done() and not task.cancelled() and task.exception() is not None:
            raise RuntimeError(f"the consumer group's client has ended: {in_words(task.exception())}")
        try:
            coordinator.check_errors()
        except KafkaError:
            coordinator.request_rejoin()  # which also starts a heart that has stopped
            raise

    async def failed_at(self, fetched: Iterable[TP], error: KafkaError) -> tuple[TP, int] | None:
        """The partition that a fetch has failed at, and the offset; None where nobody knows."""
        place: tuple[TP, int] | None = await self.call_thread(self._failed_at_now, fetched, error)
        return place

    async def _failed_at_now(self, fetched: Iterable[TP], error: KafkaError) -> tuple[TP, int] | None:
        consumer = self._ensure_consumer()
        return unreadable.failed_at(consumer._fetcher, consumer._subscription, fetched, error)  # noqa: SLF001 - likewise

    async def on_thread_stop(self) -> None:
        """Leave the group, within a bound: without brokers nobody is there to say goodbye to."""
        with suppress(TimeoutError):
            await asyncio.wait_for(super().on_thread_stop(), CLOSE_SECONDS)

    async def stop(self) -> None:
        """Stop, unless the thread has ended: a crash and the app's end may both ask."""
        if not self.thread_loop.is_closed():
            await super().stop()

    async def seek_and_wait(self, tp: TP, offset: int) -> None:
        """Seek, on the consumer's own thread."""
        await self.call_thread(self._seek_now, tp, offset)

    async def _seek_now(self, tp: TP, offset: int) -> None:
        self._ensure_consumer().seek(TopicPartition(tp.topic, tp.partition), offset)

    async def pause(self, partitions: Iterable[TP]) -> None:
        """Stop the client from prefetching partitions that nobody will ask for."""
        await self.call_thread(self._pause_now, [TopicPartition(tp.topic, tp.partition) for tp in partitions])

    async def _pause_now(self, partitions: list[TopicPartition]) -> None:
        self._ensure_consumer().pause(*partitions)

    def ends(self, tp: TP) -> tuple[int, int] | None:
        """(high watermark, next offset to fetch) of a source partition as of the last fetch; None while unknown."""
        consumer = self._consumer
        partition = TopicPartition(tp.topic, tp.partition)
        if consumer is None or partition not in consumer.assignment():
            return None
        state = consumer._subscription.subscription.assignment.state_value(partition)  # noqa: SLF001
        if state.highwater is None or not state.has_valid_position:
            return None
        return state.highwater, state.position
