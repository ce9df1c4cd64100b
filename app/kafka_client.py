"""aiokafka's client, made fit for clusters whose brokers come, go and hang.

When none of the brokers that it knows answers, it asks the bootstrap servers again (KIP-899). A client that has looked
while only one broker was there would otherwise, once that one is gone, never hear of the others, who are back.

A connection has to be set up within a few seconds (KIP-601). The kernel takes connections for a broker that hangs;
aiokafka would wait 40 s for its first answer, and open no other connection meanwhile. A client that is started where
nobody else answers tries again for as long as that.

A broker that does not say soon who the brokers are is not waited for, as long as others may be asked: a client that has
noticed that one hangs asks by chance the very same.

A consumer ends when it is stopped, and says nothing of what it has given up.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiokafka import client
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import KafkaConnectionError, NodeNotReadyError, RequestTimedOutError
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.structs import BrokerMetadata

from app import rings
from app.rings import forgetting

SETUP_SECONDS = 10.0  # for each answer until it is set up; as Java's socket.connection.setup.timeout.ms
ANSWER_SECONDS = 10.0  # for metadata
MISSED_SECONDS = 0.5  # a fetcher that has heard that it is to stop does so in a few ms
T = TypeVar("T")

_update = AIOKafkaClient._metadata_update  # noqa: SLF001 - see test_engine_insides.py
_bootstrap = AIOKafkaClient.bootstrap
_connect = client.create_conn
_send = AIOKafkaConnection.send


async def _metadata_update(self: AIOKafkaClient, cluster: Any, topics: Any) -> bool:
    return bool(await _update(self, cluster, topics) or await _update_from_servers(self, cluster, topics))


async def _update_from_servers(self: AIOKafkaClient, cluster: Any, topics: Any) -> bool:
    """Ask the bootstrap servers, as if they were brokers of the cluster.

    Not by `bootstrap`: it forgets all topics for a moment, and a group whose leader sees none assigns none.
    """
    servers = {f"{host}:{port}": BrokerMetadata(f"{host}:{port}", host, port, None) for host, port, _ in self.hosts}
    self.cluster._brokers = {**self.cluster._brokers, **servers}  # noqa: SLF001
    try:
        return bool(await _update(self, cluster, topics))
    finally:
        known = self.cluster._brokers  # noqa: SLF001 - others, if they have told
        self.cluster._brokers = {node: broker for node, broker in known.items() if node not in servers}  # noqa: SLF001
        for server in servers:
            connection = self._conns.pop((server, ConnectionGroup.DEFAULT), None)
            if connection is not None:
                connection.close()


async def while_hanging(attempt: Callable[[], Awaitable[T]], hung_seconds: float, seconds: float) -> T:
    """Try again for so many seconds what has failed because somebody hung: it took long. A refusal comes at once.

    Raises:
        KafkaError: what the last attempt did.
    """
    began = time.monotonic()
    while True:
        tried = time.monotonic()
        try:
            return await attempt()
        except (KafkaConnectionError, NodeNotReadyError, RequestTimedOutError):
            now = time.monotonic()
            if now - tried < hung_seconds or now - began > seconds:
                raise


async def _bootstrap_again(self: AIOKafkaClient) -> None:
    seconds = self._request_timeout_ms / 1000
    await while_hanging(lambda: _bootstrap(self), min(SETUP_SECONDS, seconds), seconds)


async def _create_conn(host: str, port: int, *, request_timeout_ms: int, **options: Any) -> Any:
    setup_ms = min(request_timeout_ms, round(SETUP_SECONDS * 1000))
    connection = await _connect(host, port, request_timeout_ms=setup_ms, **options)
    connection._request_timeout = request_timeout_ms / 1000  # noqa: SLF001
    return connection


def _send_soon(self: AIOKafkaConnection, request: Any, *arguments: Any, **options: Any) -> Any:
    whole = self._request_timeout
    try:
        if request.API_KEY == MetadataRequest.API_KEY:
            self._request_timeout = min(whole, ANSWER_SECONDS)
        return forgetting(_send(self, request, *arguments, **options))  # which has taken the time over
    finally:
        self._request_timeout = whole


async def _close_fetcher(self: Fetcher) -> None:
    """Close as aiokafka does, with two of its gaps closed.

    Its routine misses that it is cancelled while it takes in a new assignment, and would go on for ever: it is said
    again. And a fetch that has failed and waits to be repeated raises CancelledError when it is cancelled: out of
    here, it would leave the connections open, and end whoever stops the consumer as if somebody had cancelled him.
    """
    self._closed = True
    while not self._fetch_task.done():
        self._fetch_task.cancel()
        await asyncio.wait([self._fetch_task], timeout=MISSED_SECONDS)
    for waiter in self._fetch_waiters:
        self._notify(waiter)
    for task in self._pending_tasks:
        task.cancel()
    # What any of them had to say has been said to those who read.
    await asyncio.gather(self._fetch_task, *self._pending_tasks, return_exceptions=True)
    self._pending_tasks.clear()  # one that was cancelled keeps what ended it, and that, by its traceback, this fetcher


def install() -> None:
    """Make every aiokafka client of this process so."""
    rings.install()
    AIOKafkaClient._metadata_update = _metadata_update  # noqa: SLF001
    AIOKafkaClient.bootstrap = _bootstrap_again
    AIOKafkaConnection.send = _send_soon
    client.create_conn = _create_conn
    Fetcher.close = _close_fetcher
