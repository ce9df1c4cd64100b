"""The transactional producer of a partition, against a real Kafka."""

import asyncio
import time
import weakref
from collections.abc import AsyncIterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    InvalidProducerEpoch,
    KafkaError,
    NodeNotReadyError,
    NotEnoughReplicasError,
    ProducerFenced,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
)
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import EndTxnRequest, TxnOffsetCommitRequest

from app.engine import fetch
from app.engine import producer as module
from app.engine.producer import PartitionProducer, delivered_to
from app.engine.sender import UnansweredRequestError
from app.rings import forget
from app.settings import Settings

SECONDS = 10


@pytest.fixture
async def topic(kafka: str, prefix: str) -> AsyncIterator[str]:
    """A topic of one partition."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(prefix, 1, 1)])
    yield prefix
    await admin.close()


def producer_of(kafka: str, topic: str, timeout_seconds: float = 10) -> PartitionProducer:
    """A producer for the topic's one partition."""
    return PartitionProducer({"bootstrap_servers": kafka}, f"{topic}-0", 0, timeout_seconds)


async def transact(producer: PartitionProducer, topic: str, values: list[bytes], *, commit: bool = True) -> int:
    """Write values in one transaction; returns where the last of them left the log."""
    await producer.begin()
    batch = producer.batch()
    for value in values:
        batch.append(b"key", value)
    end = delivered_to([await sent for sent in await producer.send(topic, 0, batch)], batch)
    if commit:
        await producer.commit()
    return end


async def committed(kafka: str, topic: str, number: int) -> tuple[list[bytes], int]:
    """The first committed values of the topic, waited for; and the end of the log."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        values: list[bytes] = []
        while len(values) < number:
            for records in (await consumer.getmany(timeout_ms=1_000)).values():
                values += [record.value for record in records]
        return values, (await consumer.end_offsets([TopicPartition(topic, 0)]))[TopicPartition(topic, 0)]
    finally:
        await consumer.stop()


async def test_the_end_of_the_log_after_a_commit_is_known_without_asking(kafka: str, topic: str) -> None:
    """The answers to the produce requests and one commit marker tell where the log ends: parked rows rely on it."""
    producer = producer_of(kafka, topic)
    await producer.fence()
    values = [b"x" * 10_000 for _ in range(150)]  # three produce batches
    end = await transact(producer, topic, values) + 1
    assert await committed(kafka, topic, 150) == (values, end)
    await producer.release()


async def test_fencing_aborts_what_was_open_and_refuses_what_comes_later(kafka: str, topic: str) -> None:
    """The former owner's transaction is over when the new owner has fenced, and its commit fails."""
    former, present = producer_of(kafka, topic), producer_of(kafka, topic)
    await former.fence()
    await transact(former, topic, [b"lost"], commit=False)
    await present.fence()
    with pytest.raises(ProducerFenced):
        await former.commit()
    await transact(present, topic, [b"kept"])
    assert (await committed(kafka, topic, 1))[0] == [b"kept"]
    await former.release()
    await present.release()


async def test_an_unanswered_end_of_a_transaction_is_asked_once_and_is_fatal(kafka: str, topic: str) -> None:
    """No answer to EndTxn: no second request that could end the next transaction; a new fence shows what happened."""
    producer = producer_of(kafka, topic)
    await producer.fence()
    client, asked = producer._producer.client, []
    send = client.send

    async def swallow(node: int, request: Any, **options: Any) -> Any:
        answer = await send(node, request, **options)
        if isinstance(request, EndTxnRequest):
            asked.append(request)
            raise RequestTimedOutError  # the broker has done it; its answer is lost
        return answer

    client.send = swallow
    with pytest.raises(UnansweredRequestError):
        await transact(producer, topic, [b"committed after all"])
    assert len(asked) == 1
    with pytest.raises(ProducerFenced):
        await transact(producer, topic, [b"never"])
    client.send = send
    await producer.release()
    heir = producer_of(kafka, topic)
    await heir.fence()
    await transact(heir, topic, [b"goes on"])
    assert (await committed(kafka, topic, 2))[0] == [b"committed after all", b"goes on"]
    await heir.release()


class Held:
    """Holds a producer's first TxnOffsetCommit back, as a network may: the client hears nothing."""

    def __init__(self, producer: PartitionProducer) -> None:
        self._client = producer._producer.client
        self._send = self._client.send
        self._client.send = self._holding
        self._late: tuple[int, Any, dict[str, Any]] | None = None

    async def _holding(self, node: int, request: Any, **options: Any) -> Any:
        if self._late is None and isinstance(request, TxnOffsetCommitRequest):
            self._late = node, request, options
            raise RequestTimedOutError
        return await self._send(node, request, **options)

    async def arrive(self) -> int:
        """Let it arrive after all; returns the error's number that the broker answers with."""
        assert self._late is not None
        node, request, options = self._late
        answer = await self._send(node, request, **options)
        [(_, [(_, number)])] = answer.errors
        return int(number)


async def test_an_offset_that_arrives_late_does_not_get_into_a_later_transaction(kafka: str, topic: str) -> None:
    """No answer to TxnOffsetCommit is fatal, too: the next fence raises the epoch, and the late one is refused."""
    producer, heir, group = producer_of(kafka, topic), producer_of(kafka, topic), f"{topic}-group"
    await producer.fence()
    held = Held(producer)
    await producer.begin()
    with pytest.raises(UnansweredRequestError, match="TxnOffsetCommit was not answered"):
        await producer.add_offset(topic, 100, group)
    await heir.fence()
    await heir.begin()
    await heir.add_offset(topic, 200, group)
    assert await held.arrive() == InvalidProducerEpoch.errno
    await heir.commit()
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    found = await admin.list_consumer_group_offsets(group)
    assert {partition.partition: committed.offset for partition, committed in found.items()} == {0: 200}
    await admin.close()
    await producer.release()
    await heir.release()


async def test_an_offset_that_could_not_be_sent_is_sent_to_the_next_coordinator(kafka: str, topic: str) -> None:
    """A group's coordinator that is restarted is no reason to restore all partitions of all workers."""
    producer = producer_of(kafka, topic)
    await producer.fence()
    client, refused = producer._producer.client, list[int]()
    send = client.send

    async def away(node: int, request: Any, **options: Any) -> Any:
        if isinstance(request, TxnOffsetCommitRequest) and not refused:
            refused.append(node)
            raise NodeNotReadyError
        return await send(node, request, **options)

    await producer.begin()
    await producer.add_offset(topic, 100, f"{topic}-group")
    await producer.commit()
    client.send = away
    await producer.begin()
    await producer.add_offset(topic, 200, f"{topic}-group")
    await producer.commit()
    assert refused
    await producer.release()


async def test_an_offset_that_is_put_off_for_longer_than_a_transaction_lasts_ends_the_producer(
    kafka: str, topic: str
) -> None:
    """Such as for a source that the broker does not know any more: else the commit would wait for ever."""
    producer = producer_of(kafka, topic, 2)
    await producer.fence()
    await producer.begin()
    with pytest.raises(UnansweredRequestError, match=r"TxnOffsetCommit was put off until .*error_code=3"):
        await producer.add_offset(f"no-{topic}", 100, f"{topic}-group")
    await producer.release()


async def test_a_producer_can_be_given_up_while_a_batch_is_to_be_sent_again(kafka: str, topic: str) -> None:
    """Its answer never came, and its connection is closed by the release: no error of the client's gets out of it."""
    producer = producer_of(kafka, topic)
    await producer.fence()
    client, asked = producer._producer.client, asyncio.Event()
    send, told = client.send, []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))

    async def lose(node: int, request: Any, **options: Any) -> Any:
        if not isinstance(request, ProduceRequest):
            return await send(node, request, **options)
        asked.set()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.1)
        raise RequestTimedOutError

    client.send = lose
    await producer.begin()
    batch = producer.batch()
    batch.append(b"key", b"value")
    sent = await producer.send(topic, 0, batch)
    await asyncio.wait_for(asked.wait(), SECONDS)
    await producer.release()
    assert all(isinstance(future.exception(), ProducerFenced) for future in sent)
    assert told == []


async def test_what_a_producer_stumbles_over_when_it_is_given_up_stops_nobody(
    kafka: str, topic: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A defect of the client is told of; the partition is fenced and restored by another producer as ever."""
    producer, stop = producer_of(kafka, topic), AIOKafkaProducer.stop
    await producer.fence()

    async def stumble(client: AIOKafkaProducer) -> None:
        await stop(client)
        raise KeyError("a batch")

    monkeypatch.setattr(AIOKafkaProducer, "stop", stumble)
    await producer.release()
    assert "giving its producer up met KeyError('a batch')" in caplog.text


async def test_a_connection_that_does_not_end_is_not_waited_for(
    kafka: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is stalled takes no goodbye: it is left, and whoever restores the partition goes on."""
    monkeypatch.setattr(module, "STOP_SECONDS", 0.2)
    producer = producer_of(kafka, topic)
    await producer.fence()
    connections = list(producer._producer.client._conns.values())
    for connection in connections:
        connection._closed_fut = asyncio.get_running_loop().create_future()
    await asyncio.wait_for(producer.release(), 5)
    assert connections
    assert not any(connection.connected() for connection in connections)


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("lost", [ProduceRequest, EndTxnRequest])
async def test_a_producer_that_failed_leaves_nothing_behind(kafka: str, topic: str, lost: type) -> None:
    """Its errors do not keep it by their tracebacks, as long as whoever has caught one forgets it."""
    producer = producer_of(kafka, topic, timeout_seconds=2)
    await producer.fence()
    inside, client = producer._producer, weakref.proxy(producer._producer.client)

    async def refuse(node: int, request: Any, **options: Any) -> Any:
        if isinstance(request, lost):
            raise RequestTimedOutError
        return await AIOKafkaClient.send(client, node, request, **options)

    inside.client.send = refuse
    with suppress(TimeoutError):
        await failed(producer, topic)
    left = parts_of(inside)
    del inside.client.send, inside
    await producer.release()
    del producer
    await gone(left)


@pytest.mark.usefixtures("uncollected")
async def test_a_producer_that_was_given_up_leaves_nothing_behind(
    kafka: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker is silent for longer than anybody waits: whatever was cancelled does not keep it, either."""
    monkeypatch.setattr(module, "STOP_SECONDS", 0.2)
    producer = producer_of(kafka, topic)
    await producer.fence()
    inside, client, asked = producer._producer, weakref.proxy(producer._producer.client), asyncio.Event()

    async def hang(node: int, request: Any, **options: Any) -> Any:
        if isinstance(request, ProduceRequest):
            asked.set()
            await asyncio.Event().wait()
        return await AIOKafkaClient.send(client, node, request, **options)

    inside.client.send = hang
    transaction = asyncio.create_task(transact(producer, topic, [b"x"]))
    await asyncio.wait_for(asked.wait(), 5)
    transaction.cancel()
    await asyncio.wait({transaction})
    del transaction
    left = parts_of(inside)
    del inside.client.send, inside
    await producer.release()
    del producer
    await gone(left)


def parts_of(inside: AIOKafkaProducer) -> list[weakref.ref[Any]]:
    """What must not be left of a producer."""
    return [weakref.ref(each) for each in (inside, inside.client, inside._sender, inside._message_accumulator)]


async def gone(left: list[weakref.ref[Any]]) -> None:
    """Wait until nothing of it is there: the last of its tasks ends a little later."""
    async with asyncio.timeout(5):
        while any(each() is not None for each in left):  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0.01)


def test_errors_that_come_of_each_other_are_forgotten() -> None:
    """As when a refusal is raised from the error that it was the cause of."""
    refused, met = TopicAuthorizationFailedError("a topic"), KafkaError()
    met.__cause__, refused.__cause__ = refused, met
    with suppress(KafkaError):
        raise refused
    assert refused.__traceback__ is not None
    forget(refused)
    assert (refused.__traceback__, met.__traceback__) == (None, None)


async def failed(producer: PartitionProducer, topic: str) -> None:
    """A transaction that fails, and whose error is forgotten, as an owned partition does."""
    try:
        await transact(producer, topic, [b"x"])
    except KafkaError as error:
        forget(error)
    else:
        raise AssertionError


@pytest.mark.usefixtures("uncollected")
async def test_clients_that_were_given_up_leave_nothing_behind(kafka: str, topic: str) -> None:
    """A worker fences and restores whenever something fails: what it used for that is freed by itself."""
    producer = producer_of(kafka, topic)
    await producer.fence()
    await transact(producer, topic, [b"x"])
    async with fetch.consuming(Settings(bootstrap_servers=kafka)) as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        assert [record async for records in fetch.read_to(consumer, TopicPartition(topic, 0), 1) for record in records]
        inside = producer._producer, producer._producer.client, consumer, consumer._client, consumer._coordinator
        left = [weakref.ref(each) for each in inside]
    await producer.release()
    del inside, consumer, producer
    await asyncio.sleep(0)
    assert [each() for each in left] == [None] * len(left)


def lacks_replicas(producer: PartitionProducer, topic: str, seconds: float) -> list[float]:
    """Let the brokers say for so long that too few replicas are in sync; returns when they were asked, in seconds."""
    client, asked, began = producer._producer.client, [], time.monotonic()
    send = client.send

    async def refuse(node: int, request: Any, **options: Any) -> Any:
        passed = time.monotonic() - began
        if not isinstance(request, ProduceRequest) or passed > seconds:
            return await send(node, request, **options)
        asked.append(passed)
        partition: tuple[Any, ...] = (0, NotEnoughReplicasError.errno, -1, -1, -1, [], None)
        return SimpleNamespace(API_VERSION=8, topics=[(topic, [partition])])

    client.send = refuse
    return asked


async def test_too_few_replicas_pass_when_there_are_enough_in_time(kafka: str, topic: str) -> None:
    """The broker's "not now" is asked again, with pauses, within the transaction; nothing is written twice."""
    producer = producer_of(kafka, topic)
    await producer.fence()
    asked = lacks_replicas(producer, topic, 1.0)
    await transact(producer, topic, [b"in the end"])
    assert 2 <= len(asked) <= 11  # 100 ms between two
    assert (await committed(kafka, topic, 1))[0] == [b"in the end"]
    await producer.release()


async def test_too_few_replicas_for_longer_than_a_transaction_are_told(kafka: str, topic: str) -> None:
    """Not for ever: past its time-out the transaction could not be committed, and the reason would never be heard."""
    producer = producer_of(kafka, topic, timeout_seconds=1)
    await producer.fence()
    asked = lacks_replicas(producer, topic, 60)
    with pytest.raises(NotEnoughReplicasError):
        await transact(producer, topic, [b"never"])
    assert 1 <= asked[-1] < 3
    await producer.release()
    heir = producer_of(kafka, topic)
    await heir.fence()
    await transact(heir, topic, [b"when they are back"])
    assert (await committed(kafka, topic, 1))[0] == [b"when they are back"]
    await heir.release()
