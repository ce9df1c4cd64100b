"""Connections have bounds: too many are closed at once, half requests after a while."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack

import pytest
from aiohttp import web

from app.web.connections import Connections, Runner
from app.web.server import application
from app.web.worker import Worker
from tests.web.conftest import _bound

Connect = Callable[[bytes], socket.socket]
LISTEN = b"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def connections() -> Connections:
    """Three at a time, half a second each; whoever looks comes by once a second."""
    return Connections(most=3, idle_seconds=0.5)


@pytest.fixture
async def port(worker: Worker, connections: Connections) -> AsyncIterator[int]:
    """Where a worker with these bounds is served."""
    bound = _bound.pop(worker.settings.web_port)
    runner = Runner(application(worker, connections=connections), connections, shutdown_timeout=0.1)
    await runner.setup()
    await web.SockSite(runner, bound).start()
    yield worker.settings.web_port
    await runner.cleanup()


@pytest.fixture
def connect(port: int) -> Iterator[Connect]:
    """Connects and says something; closed when the test ends."""
    with ExitStack() as opened:

        def connected(said: bytes) -> socket.socket:
            client = opened.enter_context(socket.create_connection(("127.0.0.1", port)))
            client.sendall(said)
            client.setblocking(False)
            return client

        yield connected


async def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.02)


async def answer(client: socket.socket) -> bytes:
    """What comes first."""
    async with asyncio.timeout(5):
        return await asyncio.get_running_loop().sock_recv(client, 4_096)


@pytest.mark.parametrize("half", [b"", b"GET /api", b"GET /api/v1 HTTP/1.1\r\nHost: localhost\r\nX: "])
async def test_half_a_request_is_given_up(connect: Connect, connections: Connections, half: bytes) -> None:
    """Its sender is hung up on, and counted."""
    assert await answer(connect(half)) == b""
    assert connections.idle_closed == 1


async def test_one_too_many_is_closed_at_once(connect: Connect, connections: Connections) -> None:
    """And there is room again as soon as somebody has gone."""
    clients = [connect(b"") for _ in range(5)]
    await until(lambda: connections.refused == 2)
    for client in clients:
        client.close()
    await until(lambda: connections.number == 0)
    assert b" 200 " in await answer(connect(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"))


async def test_who_is_being_answered_is_not_idle(connect: Connect, connections: Connections) -> None:
    """A listener may be told of nothing for longer than half a request may take."""
    assert b"text/event-stream" in await answer(connect(LISTEN))
    connect(b"")
    await until(lambda: connections.idle_closed == 1)  # the other one, which came later
    await until(lambda: connections.number == 1)
