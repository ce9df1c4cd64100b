"""The transactional producer of one (domain, partition).

Starting it fences whoever held its transactional id before: the broker aborts their open transaction and refuses
their later writes. There is no way back from a failure: the producer is given up, a new one is fenced, rows are
restored.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine, Iterable, Mapping
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import (
    BrokerResponseError,
    GroupAuthorizationFailedError,
    IllegalOperation,
    KafkaError,
    NodeNotReadyError,
    ProducerFenced,
    TopicAuthorizationFailedError,
)
from aiokafka.producer.sender import EndTxnHandler, SendProduceReqHandler, TxnOffsetCommitHandler

from app.engine.errors import forget, refusal
from app.engine.starting import start

log = logging.getLogger("tidemark.engine")

MAX_BATCH_BYTES = 512 * 1024  # half of the broker's default max.message.bytes; one cell is far smaller
FENCE_SECONDS = 30
STOP_SECONDS = 2  # what a transaction still waits for when its producer is given up is of no use to anybody
RECONNECT_SECONDS = (0.1, 0.2, 0.5, 1.0)  # between attempts to reach a broker; the last one repeats


class UnansweredRequestError(ProducerFenced):
    """The broker did not answer a request that could spoil the *next* transaction if it arrived late (KAFKA-17754).

    A late EndTxn would end it, a late TxnOffsetCommit put an older offset into it. aiokafka would repeat the request
    and go on under the same epoch, so nothing could tell a late one apart. A subclass of ProducerFenced, because
    aiokafka's sender lets that one through and stops: this producer is finished, and the fence of the next one raises
    the epoch.
    """


async def ask_once(handler: EndTxnHandler | TxnOffsetCommitHandler, node_id: int, deadline: float) -> None:
    """Ask as aiokafka's `BaseHandler.do`, except that no answer is fatal, and "not now" is taken until a deadline.

    After "not now" the sender asks again by itself.

    Raises:
        UnansweredRequestError: nobody knows whether the broker has done it, or it has not within the transaction's
            time.
    """
    request = handler.create_request()
    name = type(request).__name__.partition("Request")[0]
    try:
        answer = await handler._sender.client.send(node_id, request, group=handler.group)  # noqa: SLF001
    except NodeNotReadyError as error:  # nothing was sent, so nothing can come late: another coordinator may do it
        backoff, why = handler.handle_error(), repr(error)
    except KafkaError as error:
        raise UnansweredRequestError(f"{name} was not answered: {error!r}") from error
    else:
        backoff, why = handler.handle_response(answer), repr(answer)
    if backoff is None:
        return
    if time.monotonic() > deadline:
        raise UnansweredRequestError(f"{name} was put off until the transaction's time was over: {why}")
    await asyncio.sleep(backoff)


class PatientProduceHandler(SendProduceReqHandler):
    """aiokafka's handler, except that brokers who say "not now" are asked again until a deadline, not for ever.

    Past the transaction's own timeout it could not be committed any more, and the broker's reason (too few replicas,
    for one) would never be heard. Without any answer it is as before: sequence numbers make repeating safe.
    """

    def __init__(self, sender: Any, batches: Any, deadline: float) -> None:
        super().__init__(sender, batches)
        self._deadline = deadline

    async def do(self, node_id: int) -> Any:
        """Send; a batch that fails keeps its error, and that, by its traceback, the frame that holds the batch."""
        try:
            return await super().do(node_id)
        finally:
            for batch in self._batches.values():
                if batch.future.done() and not batch.future.cancelled():
                    with suppress(Exception):
                        batch.future.result()  # moves the traceback from the future to the error
                    forget(batch.future.exception())

    def _can_retry(self, error: Exception, batch: Any) -> bool:
        if isinstance(error, BrokerResponseError) and time.monotonic() > self._deadline:
            return False
        return bool(super()._can_retry(error, batch))


def pace(client: AIOKafkaClient) -> None:
    """Make a client pause after each connection that cannot be made, a little longer each time, up to a second.

    By itself it tries ten times a second, and a worker has a producer per partition.
    """
    connect, failures = client._get_conn, 0  # noqa: SLF001 - see test_engine_insides.py

    async def paced(*arguments: Any, **options: Any) -> Any:
        nonlocal failures
        connection = await connect(*arguments, **options)
        if connection is None:
            await asyncio.sleep(RECONNECT_SECONDS[min(failures, len(RECONNECT_SECONDS) - 1)])
        failures = 0 if connection is not None else failures + 1
        return connection

    client._get_conn = paced  # noqa: SLF001


class PendingBatches(set[Any]):
    """Batches on their way to a broker.

    Aiokafka takes one out when it is done, and when it is to be sent again. A batch that is given up while its answer
    is awaited is done, and then to be sent again: the second time it would raise KeyError, out of the producer's stop.
    """

    def remove(self, batch: Any) -> None:
        """Take it out, if it is in."""
        self.discard(batch)


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
        """Shut a former owner out: its open transaction is over when this returns, its later writes are refused.

        Raises:
            TimeoutError: not within a bound; aiokafka's client may wait for ever for an answer that was lost.
        """
        async with asyncio.timeout(FENCE_SECONDS + self._timeout_seconds):
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
    task = asyncio.create_task(ending, name="giving up")
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
