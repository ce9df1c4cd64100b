"""What is done with is freed by itself, without the collector of cycles: connections, and clients that have failed."""

import asyncio
import weakref

import pytest
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import GroupCoordinatorNotAvailableError

from app import kafka_client
from app.broker.ready import HOST

pytestmark = pytest.mark.usefixtures("uncollected")


@pytest.fixture(autouse=True)
def _installed() -> None:
    """As in every process of ours."""
    kafka_client.install()


async def test_a_connection_that_is_closed_is_gone() -> None:
    """At both of its ends; a worker is asked by others on a new one each time."""
    ends: list[weakref.ref[asyncio.BaseTransport]] = []

    async def serve(_requests: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        ends.append(weakref.ref(answers.transport))
        answers.close()
        await answers.wait_closed()

    async with await asyncio.start_server(serve, HOST, 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        ends.append(weakref.ref(writer.transport))
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        del reader, writer
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(ends) == 2
    assert [end() for end in ends] == [None, None]


async def test_a_client_that_found_no_coordinator_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a new cluster, and whenever a broker has been killed: each partition's producer asks, and asks again."""

    class Answer:
        error_code = GroupCoordinatorNotAvailableError.errno

    async def send(*_: object) -> Answer:
        return Answer()

    monkeypatch.setattr(AIOKafkaClient, "send", send)
    monkeypatch.setattr(AIOKafkaClient, "get_random_node", lambda _: 0)
    client = AIOKafkaClient(bootstrap_servers=f"{HOST}:1")
    left = weakref.ref(client)
    with pytest.raises(GroupCoordinatorNotAvailableError) as raised:
        await client.coordinator_lookup(CoordinationType.GROUP, "group")
    del client, raised
    await asyncio.sleep(0)
    assert left() is None


async def test_what_read_from_a_connection_that_was_reset_is_gone() -> None:
    """The task keeps its error, and that whoever has looked at it: the frame that holds the task."""

    async def reading() -> None:
        raise ConnectionResetError

    task = asyncio.create_task(reading())
    await asyncio.wait([task])
    left = weakref.ref(task)
    AIOKafkaConnection._on_read_task_error(lambda: None, task)
    del task
    assert left() is None
