"""What aiokafka's client is made to do where brokers come and go."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from socket import create_server

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError
from aiokafka.structs import BrokerMetadata

from app import kafka_client
from app.admin import administering
from app.broker.ready import HOST, free_port
from app.settings import Settings

GONE = 7  # a node that nobody is


def connected(kafka: str) -> AIOKafkaClient:
    """A client as all of ours are."""
    return AIOKafkaClient(**Settings(bootstrap_servers=kafka).kafka())


async def test_a_client_whose_brokers_are_all_gone_asks_the_bootstrap_servers_again(kafka: str) -> None:
    """It has looked while another broker was the only one; now that one is gone, and others are back."""
    client = connected(kafka)
    await client.bootstrap()
    try:
        known = {broker.nodeId for broker in client.cluster.brokers()}
        client.cluster._brokers = {GONE: BrokerMetadata(GONE, HOST, free_port(), None)}
        assert await client.force_metadata_update()
        assert {broker.nodeId for broker in client.cluster.brokers()} == known
    finally:
        await client.close()


async def test_a_closed_client_stays_closed(kafka: str) -> None:
    """Somebody who still asks it for metadata does not wake it up."""
    client = connected(kafka)
    await client.bootstrap()
    await client.close()
    client.cluster._brokers = {GONE: BrokerMetadata(GONE, HOST, free_port(), None)}
    assert not await client._metadata_update(client.cluster, None)
    assert client._sync_task is None


async def test_a_broker_that_hangs_is_given_up_for_another(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its kernel takes the connection; nobody answers."""
    monkeypatch.setattr(kafka_client, "SETUP_SECONDS", 0.2)
    with hanging() as port:
        client = connected(f"{HOST}:{port},{kafka}")
        for _ in range(10):  # in random order
            await client.bootstrap()
            assert client.cluster.brokers()
    await client.close()


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
    monkeypatch.setattr(client, "bootstrap", refuse)
    client.cluster._brokers = {GONE: BrokerMetadata(GONE, *address(kafka), None)}
    client._sync_task = asyncio.current_task()
    try:
        assert not await client._metadata_update(client.cluster, None)
        assert (await client._get_conn(GONE))._request_timeout == client._request_timeout_ms / 1000
    finally:
        client._sync_task = None
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


async def refuse() -> None:
    """What `bootstrap` does where no server answers."""
    raise KafkaConnectionError


def address(kafka: str) -> tuple[str, int]:
    """Host and port."""
    host, _, port = kafka.partition(":")
    return host, int(port)


@contextmanager
def hanging() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with create_server((HOST, 0)) as server:
        yield server.getsockname()[1]
