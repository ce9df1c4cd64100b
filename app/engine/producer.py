"""The transactional producer of one (domain, partition).

Starting it fences whoever held its transactional id before: the broker aborts their open transaction and refuses
their later writes. There is no way back from a failure: the producer is given up, a new one is fenced, rows are
restored.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.client import CoordinationType
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    IllegalOperation,
    KafkaError,
    ProducerFenced,
    TopicAuthorizationFailedError,
)
from aiokafka.producer.sender import EndTxnHandler, TxnOffsetCommitHandler

from app.engine.errors import refusal
from app.engine.sender import PatientProduceHandler, PendingBatches, ask_once, pace
from app.rings import forgetting
from app.starting import start

log = logging.getLogger("tidemark.engine")

MAX_BATCH_BYTES = 512 * 1024  # half of the broker's default max.message.bytes; one cell is far smaller
STOP_SECONDS = 2  # what a transaction still waits for when its producer is given up is of no use to anybody


class Batch:
    """Records for one partition of a topic, packed into as few produce batches as they fit."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._builder = producer.create_batch()
        self.builders = [self._builder]

    def append(
        self, key: bytes | None, value: bytes | None, headers: tuple[tuple[str, bytes | None], ...] = ()
    ) -> None:
        """Add a record, in order."""
        listed = list(headers) if headers else []  # nearly always: this runs once per outgoing record
        while self._builder.append(key=key, value=value, timestamp=None, headers=listed) is None:
            self._builder.close()
            self._builder = self._producer.create_batch()
            self.builders.append(self._builder)


class PartitionProducer:
    """A fenced producer of the transactions of one source partition."""

    def __init__(self, kafka: Mapping[str, Any], transactional_id: str, partition: int, timeout_seconds: float) -> None:
        self.transactional_id = transactional_id
        self.partition = partition
        self._producer = AIOKafkaProducer(
            **kafka,
            transactional_id=transactional_id,
            transaction_timeout_ms=round(timeout_seconds * 1000),
            max_batch_size=MAX_BATCH_BYTES,
            request_timeout_ms=max(1_000, round(timeout_seconds * 1000)),
        )
        pace(self._producer.client)
        self._timeout_seconds = timeout_seconds
        self._deadline = 0.0
        # See ask_once and PatientProduceHandler; test_engine_insides.py watches the originals.
        sender = self._producer._sender  # noqa: SLF001
        sender._do_txn_commit = self._end_transaction  # noqa: SLF001
        sender._do_txn_offset_commit = self._commit_offsets  # noqa: SLF001
        sender._send_produce_req = self._send_produce  # noqa: SLF001
        self._producer._message_accumulator._pending_batches = PendingBatches()  # noqa: SLF001

    async def _end_transaction(self, result: Any) -> None:
        # aiokafka's Sender._do_txn_commit, except that its handler asks once.
        sender, manager = self._producer._sender, self._producer._txn_manager  # noqa: SLF001
        await sender._message_accumulator.flush_for_commit()  # noqa: SLF001
        if manager.is_empty_transaction():
            manager.complete_transaction()
            return
        node_id = await sender._find_coordinator(CoordinationType.TRANSACTION, manager.transactional_id)  # noqa: SLF001
        await ask_once(EndTxnHandler(sender, result), node_id, self._deadline)

    async def _commit_offsets(self, offsets: Any, group: str) -> None:
        # aiokafka's Sender._do_txn_offset_commit, likewise; there are always offsets.
        sender, manager = self._producer._sender, self._producer._txn_manager  # noqa: SLF001
        try:
            node_id = await sender._find_coordinator(CoordinationType.GROUP, group)  # noqa: SLF001
        except GroupAuthorizationFailedError as error:
            manager.error_transaction(error)
            return
        await ask_once(TxnOffsetCommitHandler(sender, offsets, group), node_id, self._deadline)

    async def _send_produce(self, node_id: int, batches: Any) -> None:
        # aiokafka's Sender._send_produce_req with the patient handler in the place of its own.
        sender = self._producer._sender  # noqa: SLF001
        await PatientProduceHandler(sender, batches, self._deadline).do(node_id)
        sender._in_flight.remove(node_id)  # noqa: SLF001
        for partition in batches:
            sender._muted_partitions.remove(partition)  # noqa: SLF001

    async def fence(self) -> None:
        """Shut a former owner out: its open transaction is over when this returns, its later writes are refused."""
        await start(self._producer)

    async def begin(self) -> None:
        """Begin a transaction."""
        self._check()
        self._deadline = time.monotonic() + self._timeout_seconds
        await self._producer.begin_transaction()

    def _check(self) -> None:
        """Raise what ended this producer, if something has: aiokafka would fail an assertion."""
        manager = self._producer._txn_manager  # noqa: SLF001
        if manager.is_fatal_error():
            raise manager.wait_for_transaction_end().exception() or ProducerFenced("the producer is finished")

    def batch(self) -> Batch:
        """An empty batch of records."""
        return Batch(self._producer)

    async def send(self, topic: str, partition: int, batch: Batch) -> list["asyncio.Future[Any]"]:
        """Hand a batch to the sender; the futures resolve on delivery."""
        sent = []
        for builder in batch.builders:
            builder.close()
            try:
                future = await self._producer.send_batch(builder, topic, partition=partition)
            except IllegalOperation as error:  # the transaction ended between two batches
                raise self._ended_by(error) from error
            future.add_done_callback(_retrieved)
            for queued in self._producer._message_accumulator._batches.values():  # noqa: SLF001
                queued[-1]._drain_waiter.add_done_callback(_retrieved)  # noqa: SLF001 - fails with it; nobody awaits it
            sent.append(future)
        return sent

    async def add_offset(self, source: str, offset: int, group: str) -> None:
        """Make the source offset part of the transaction."""
        self._check()
        try:
            await self._add_offset(source, offset, group)
        except KafkaError as error:
            refused = refusal(error)
            if isinstance(refused, TopicAuthorizationFailedError) and not refused.args:
                raise TopicAuthorizationFailedError(source) from error  # aiokafka does not say which
            raise

    async def _add_offset(self, source: str, offset: int, group: str) -> None:
        try:
            await self._producer.send_offsets_to_transaction({TopicPartition(source, self.partition): offset}, group)
        except IllegalOperation as error:  # as in send
            raise self._ended_by(error) from error

    def _ended_by(self, error: IllegalOperation) -> BaseException:
        """What ended the transaction: it knows, and aiokafka's error, which is no KafkaError, does not."""
        waiter = self._producer._txn_manager.wait_for_transaction_end()  # noqa: SLF001
        reason = waiter.exception() if waiter.done() else None
        return reason if isinstance(reason, BaseException) else ProducerFenced(f"the transaction is over: {error}")

    async def commit(self) -> None:
        """Commit; on return all of it is visible. Any error leaves it unknown: fence anew and look."""
        self._check()
        await self._producer.commit_transaction()

    async def release(self) -> None:
        """Close the connections. An open transaction is left to the next fence, or to its timeout."""
        # Never flush: what a failed transaction still holds must not reach the log under a later one.
        accumulator, manager = self._producer._message_accumulator, self._producer._txn_manager  # noqa: SLF001
        queued = [batch for batches in accumulator._batches.values() for batch in batches]  # noqa: SLF001
        batches = (*queued, *accumulator._pending_batches)  # noqa: SLF001
        # A batch has a new waiter if it was to be sent again.
        futures = [future for batch in batches for future in (batch.future, batch._drain_waiter)]  # noqa: SLF001
        for future in futures:
            future.add_done_callback(_retrieved)
        if manager._transaction_waiter is not None:  # noqa: SLF001
            manager._transaction_waiter.add_done_callback(_retrieved)  # noqa: SLF001
        accumulator.fail_all(ProducerFenced("released"))
        accumulator._batches.clear()  # noqa: SLF001 - the sender would stumble over what has failed
        client = self._producer.client
        try:
            error = await _within(self._producer.stop())
            if error is not None and not isinstance(error, KafkaError):
                log.warning("%s: giving its producer up met %r", self.transactional_id, error, exc_info=error)
        finally:
            # Also when this is cancelled. One that is stalled would wait until what it has to say is taken.
            for connection in client._conns.values():  # noqa: SLF001
                if connection._writer is not None:  # noqa: SLF001
                    connection._writer.transport.abort()  # noqa: SLF001
            await _within(client.close())
            # What refers to this, or to the client itself, would keep all of it until the collector of cycles comes by.
            for name in ("_do_txn_commit", "_do_txn_offset_commit", "_send_produce_req"):
                vars(self._producer._sender).pop(name, None)  # noqa: SLF001
            vars(client).pop("_get_conn", None)
            # And what has failed keeps its error, that its traceback, and that whoever it came through.
            manager._transaction_waiter = self._producer._sender._sender_task = None  # noqa: SLF001


async def _within(ending: Coroutine[Any, Any, None]) -> BaseException | None:
    """Let it end, or leave it to itself after a while; returns what it raised.

    A connection that is stalled takes no goodbye. Neither that, nor that whatever waits for it is cancelled, must get
    out of here: it would end the restore of the partition without a word.
    """
    task = asyncio.create_task(forgetting(ending), name="giving up")
    task.add_done_callback(_retrieved)
    try:
        await asyncio.wait({task}, timeout=STOP_SECONDS)
    finally:
        task.cancel()
    return task.exception() if task.done() and not task.cancelled() else None


def delivered_to(metadata: Iterable[Any], batch: Batch) -> int:
    """The offset after the last record of a delivered batch, from the answers to its produce requests."""
    last = list(metadata)[-1]
    return int(last.offset) + int(batch.builders[-1].record_count())


def _retrieved(future: "asyncio.Future[Any]") -> None:
    """One failed delivery fails the commit; the others' errors are looked at, so that asyncio does not complain."""
    if not future.cancelled():
        future.exception()
