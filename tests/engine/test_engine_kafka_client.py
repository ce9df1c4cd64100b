"""What aiokafka's client is made to do where brokers come and go."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from socket import create_server
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.admin import NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import GroupLoadInProgressError, KafkaConnectionError
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.structs import BrokerMetadata

from app import kafka_client, topology
from app.admin import administering
from app.broker.ready import HOST, free_port
from app.group import committed_offsets
from app.settings import Settings

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
