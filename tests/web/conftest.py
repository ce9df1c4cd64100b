"""Workers served over HTTP, on ports of their own."""

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple, Protocol

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from app.web.live import Live
from app.web.server import application
from app.web.worker import Worker
from tests.web.browser import Page, browser
from tests.web.installation import Installation

Client = TestClient[web.Request, web.Application]


class Serve(Protocol):
    """Serves a worker at the address that it advertises; returns a client of it."""

    async def __call__(self, worker: Worker, live: Live | None = None) -> Client:
        """A `live` of other bounds than a worker's own, where a test cannot wait."""


_bound: dict[int, socket.socket] = {}


def bound_port() -> int:
    """A port for a worker, bound already: between asking for a free one and using it somebody else may take it."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    port: int = bound.getsockname()[1]
    _bound[port] = bound
    return port


def raw(client: Client, path: str) -> URL:
    """An address whose path goes out as it is written: clients take dots and double slashes out of others."""
    return URL(f"http://{client.host}:{client.port}{path}", encoded=True)


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serve workers until the test ends."""
    async with AsyncExitStack() as stack:

        async def start(worker: Worker, live: Live | None = None) -> Client:
            bound = _bound.pop(worker.settings.web_port)
            server = TestServer(
                application(worker, live), port=worker.settings.web_port, socket_factory=lambda *_: bound
            )
            return await stack.enter_async_context(TestClient(server))

        yield start


@pytest.fixture
def worker() -> Worker:
    """The only worker of an installation without a token."""
    return Installation().worker(bound_port())


@pytest.fixture
async def client(serve: Serve, worker: Worker) -> Client:
    """A client of the only worker."""
    return await serve(worker)


class Two(NamedTuple):
    """Two workers, served: `left` owns partitions 0 and 1, `right` 2 and 3."""

    left: Worker
    right: Worker
    left_client: Client
    right_client: Client


async def serve_two(serve: Serve, installation: Installation) -> Two:
    """Serve an installation's two workers."""
    left, right = installation.worker(bound_port(), (0, 1)), installation.worker(bound_port(), (2, 3))
    return Two(left, right, await serve(left), await serve(right))


def at(client: Client, path: str) -> str:
    """The address of a page."""
    return str(client.make_url("/")).rstrip("/") + path


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    """A browser's page."""
    async with browser(tmp_path) as opened:
        yield opened
