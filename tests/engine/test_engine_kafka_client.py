"""What aiokafka's client is made to do where brokers come and go."""

import asyncio
import time
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from socket import create_server
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer import fetcher
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import (
    GroupLoadInProgressError,
    KafkaConnectionError,
    NodeNotReadyError,
    RequestTimedOutError,
    UnknownTopicOrPartitionError,
)
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.structs import BrokerMetadata

from app import group, kafka_client, topology
from app.admin import administering, ask_any
from app.broker.ready import HOST, free_port
from app.engine import fetch
from app.group import committed_offsets
from app.settings import Settings
from app.starting import start

GONE = 7  # a node that nobody is


@pytest.fixture
async def topic(kafka: str, prefix: str) -> str:
    """One that exists, without records."""
    async with administering(Settings(bootstrap_servers=kafka)) as admin:
        await admin.create_topics([NewTopic(f"{prefix}topic", 2, 1)])
        await topology._wait_until_listed(admin, [f"{prefix}topic"])
    return f"{prefix}topic"


def connected(kafka: str) -> AIOKafkaClient:
    """A client as all of ours are."""
    return AIOKafkaClient(**Settings(bootstrap_servers=kafka).kafka())


async def test_a_client_whose_brokers_are_all_gone_asks_the_bootstrap_servers_again(kafka: str, topic: str) -> None:
    """It has looked while another broker was the only one; now that one is gone, and others are back."""
    client = connected(kafka)
    await client.bootstrap()
    try:
        await client.set_topics([topic])
        known, partitions = brokers(client), client.cluster.partitions_for_topic(topic)
        assert partitions
        client.cluster._brokers = {GONE: BrokerMetadata(GONE, HOST, free_port(), None)}
        seen: list[set[int] | None] = []
        client.cluster.add_listener(lambda cluster: seen.append(cluster.partitions_for_topic(topic)))
        assert await client.force_metadata_update()
        assert brokers(client) == known
        assert seen == [partitions]  # a group's leader that saw none for a moment would assign none
        assert {node for node, _ in client._conns} <= known | {GONE}
    finally:
        await client.close()


async def test_a_client_that_reaches_nobody_keeps_what_it_knows() -> None:
    """Neither the brokers nor the servers answer; it will ask them all again."""
    client = connected(f"{HOST}:{free_port()}")
    client.cluster._brokers = {GONE: BrokerMetadata(GONE, HOST, free_port(), None)}
    assert not await client._metadata_update(client.cluster, None)
    assert brokers(client) == {GONE}
    await client.close()


async def test_a_broker_that_hangs_is_given_up_for_another(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its kernel takes the connection; nobody answers."""
    monkeypatch.setattr(kafka_client, "SETUP_SECONDS", 0.2)
    began = time.monotonic()
    with hanging() as port:
        client = connected(f"{HOST}:{port},{kafka}")
        try:
            for _ in range(10):  # in random order
                await client.bootstrap()
                assert client.cluster.brokers()
        finally:
            await client.close()
    assert time.monotonic() - began < client._request_timeout_ms / 1000


async def test_the_only_broker_is_tried_again_when_it_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may go on; it is waited for as long as for any answer."""
    monkeypatch.setattr(kafka_client, "SETUP_SECONDS", 0.2)
    with hanging() as port:
        client, began = connected(f"{HOST}:{port}"), time.monotonic()
        client._request_timeout_ms = 1000
        with pytest.raises(KafkaConnectionError):
            await client.bootstrap()
    assert time.monotonic() - began >= 1


async def test_a_broker_that_refuses_is_not() -> None:
    """Nobody is there: that is said at once."""
    client, began = connected(f"{HOST}:{free_port()}"), time.monotonic()
    with pytest.raises(KafkaConnectionError):
        await client.bootstrap()
    assert time.monotonic() - began < kafka_client.SETUP_SECONDS


async def test_metadata_is_not_waited_for_as_long_as_other_answers(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that hangs when it is asked who the others are costs that much only; its connection keeps its time."""
    monkeypatch.setattr(kafka_client, "ANSWER_SECONDS", 0.0)
    client = connected(kafka)
    client.cluster._brokers = {GONE: BrokerMetadata(GONE, *address(kafka), None)}
    try:
        assert not await client._metadata_update(client.cluster, None)
        assert (await client._get_conn(GONE))._request_timeout == client._request_timeout_ms / 1000
    finally:
        await client.close()


async def test_an_answer_may_take_longer_than_a_connection(kafka: str) -> None:
    """Only setting it up has the shorter time: joining a group is answered when all others have joined, too."""
    client = connected(kafka)
    await client.bootstrap()
    try:
        connection = await client._get_conn(client.get_random_node())
        assert connection._request_timeout == client._request_timeout_ms / 1000 > kafka_client.SETUP_SECONDS
    finally:
        await client.close()


async def test_a_question_goes_to_another_broker_when_one_is_away(kafka: str) -> None:
    """Of those that are named one does not exist: every answer comes all the same."""
    async with administering(Settings(bootstrap_servers=kafka)) as admin:
        for _ in range(10):
            admin._client.cluster._brokers[GONE] = BrokerMetadata(GONE, HOST, free_port(), None)
            assert await admin.list_topics() is not None


async def test_what_only_the_controller_does_waits_for_one(kafka: str) -> None:
    """The broker that was named as the controller is gone: the others name another one."""
    async with administering(Settings(bootstrap_servers=kafka)) as admin:
        admin._client.cluster.controller = BrokerMetadata(GONE, HOST, free_port(), None)
        assert (await admin.delete_topics(["no-such-topic"])).topic_error_codes


def brokers(client: AIOKafkaClient) -> set[int]:
    """The ids of those that it knows."""
    return {broker.nodeId for broker in client.cluster.brokers()}


def address(kafka: str) -> tuple[str, int]:
    """Host and port."""
    host, _, port = kafka.partition(":")
    return host, int(port)


async def test_a_coordinator_that_is_loading_is_asked_again(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Right after an election it answers that it has no offsets, with an error that aiokafka overlooks."""
    answers = [SimpleNamespace(error_code=GroupLoadInProgressError.errno, topics=[]), SimpleNamespace(topics=[])]

    async def send(node: int, request: Any) -> Any:
        answered.append(node)
        return (
            answers.pop(0)
            if isinstance(request, OffsetFetchRequest)
            else SimpleNamespace(error_code=0, coordinator_id=1)
        )

    settings = Settings(bootstrap_servers=kafka)
    answered: list[int] = []
    async with administering(settings) as admin:
        monkeypatch.setattr(admin._client, "send", send)
        assert await committed_offsets(admin, settings) == {}
    assert answers == []


@contextmanager
def hanging() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with create_server((HOST, 0)) as server:
        yield server.getsockname()[1]


class Failing:
    """A client of which every request fails at once, as far as a fetcher asks."""

    _metadata_max_age_ms = 300_000

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.cluster = SimpleNamespace(leader_for_partition=lambda _: 0)
        self.failed = asyncio.Event()

    async def send(self, *_: Any) -> Any:
        """Fail."""
        self.failed.set()
        raise KafkaConnectionError("reset")


async def test_a_consumer_whose_fetch_has_failed_is_stopped_without_a_word_of_it() -> None:
    """The fetch waits to be repeated; its cancellation must not come out as that of whoever stops the consumer."""
    kafka_client.install()
    client, subscriptions, partition = Failing(), SubscriptionState(), TopicPartition("players-events", 0)
    reading = fetcher.Fetcher(client, subscriptions, retry_backoff_ms=60_000)
    subscriptions.assign_from_user([partition])
    subscriptions.seek(partition, 0)
    async with asyncio.timeout(5):
        await client.failed.wait()
        pending = set(reading._pending_tasks)
        await reading.close()
    assert pending
    assert all(task.done() for task in pending)


async def test_a_consumer_that_misses_that_it_is_to_stop_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As aiokafka's, which takes the first cancellation for one of what it had on its way."""
    kafka_client.install()
    monkeypatch.setattr(kafka_client, "MISSED_SECONDS", 0.05)
    reading = fetcher.Fetcher(Failing(), SubscriptionState())
    reading._fetch_task.cancel()
    begun, missed = asyncio.Event(), 0

    async def routine() -> None:
        nonlocal missed
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            missed += 1
            await asyncio.sleep(60)

    reading._fetch_task = asyncio.create_task(routine())
    async with asyncio.timeout(5):
        await begun.wait()
        await reading.close()
    assert missed == 1


async def test_a_consumer_whose_stop_is_cancelled_is_stopped_all_the_same(kafka: str, topic: str) -> None:
    """Its connections would stay open, and a second stop does nothing."""
    consumer = fetch.reader(Settings(bootstrap_servers=kafka).kafka())
    await consumer.start()
    consumer.assign([TopicPartition(topic, 0)])
    stopping = asyncio.create_task(fetch.stop(consumer))
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert not any(connection.connected() for connection in consumer._client._conns.values())
    assert consumer._client._sync_task is None


async def test_who_knows_no_broker_yet_is_not_ready() -> None:
    """A cluster without topics may answer without a broker: that passes, like one that is away."""
    client = connected(f"{HOST}:{free_port()}")
    with pytest.raises(NodeNotReadyError):
        await ask_any(client, None)
    await client.close()


async def test_settings_that_no_broker_tells_are_not_taken_for_none(kafka: str, prefix: str) -> None:
    """They would be lost at the next change, which sets all of a topic's settings."""
    async with administering(Settings(bootstrap_servers=kafka)) as admin:
        with pytest.raises(UnknownTopicOrPartitionError, match=f"{prefix}nowhere"):
            await topology.set_configs(admin, {f"{prefix}nowhere": {"cleanup.policy": "compact"}})


async def test_a_coordinator_that_hangs_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """By then it may be another one; and at the end it is said that it does not answer."""
    monkeypatch.setattr(group, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(group, "COORDINATOR_SECONDS", 0.5)
    asked = 0

    async def hanging(*, answers: bool) -> str:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0 if answers and asked > 1 else 60)
        return "answer"

    assert await group.coordinated(lambda: hanging(answers=True)) == "answer"
    with pytest.raises(RequestTimedOutError, match="coordinator"):
        await group.coordinated(lambda: hanging(answers=False))


async def fine(consumer: AIOKafkaConsumer) -> None:
    """A restore reads to the end, and stops in the middle of a fetch."""
    assert [records async for records in fetch.read_to(consumer, next(iter(consumer.assignment())), 0)] == []


async def cut_off(consumer: AIOKafkaConsumer) -> None:
    """The fetch on its way fails, and waits to be repeated when the consumer is stopped."""
    for connection in list(consumer._client._conns.values()):
        connection.close()
    await asyncio.sleep(0)
    await asyncio.sleep(0)


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("end", [fine, cut_off])
async def test_a_consumer_leaves_nothing_behind_however_it_ended(
    kafka: str, topic: str, end: Callable[[AIOKafkaConsumer], Awaitable[None]]
) -> None:
    """The collector of cycles hardly ever comes by: what errors keep by their tracebacks would stay for good."""
    async with fetch.consuming(Settings(bootstrap_servers=kafka)) as consumer:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        left = [weakref.ref(each) for each in (consumer, consumer._client, consumer._fetcher)]
        await end(consumer)
    del consumer
    await asyncio.sleep(0)
    assert [each() for each in left] == [None] * len(left)


@pytest.mark.usefixtures("uncollected")
async def test_a_client_that_finds_nobody_leaves_nothing_behind() -> None:
    """Whoever tries again and again would keep each of them."""
    consumer = fetch.reader(Settings(bootstrap_servers=f"{HOST}:{free_port()}").kafka())
    left = weakref.ref(consumer._client)
    with pytest.raises(KafkaConnectionError):
        await start(consumer)
    await fetch.stop(consumer)
    del consumer
    await asyncio.sleep(0)
    assert left() is None
