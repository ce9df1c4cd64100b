"""aiokafka's client, made fit for clusters whose brokers come and go, in two things that Java's client does as well.

When none of the brokers that it knows answers, it asks the bootstrap servers again (KIP-899). A client that has looked
while only one broker was there would otherwise, once that one is gone, never hear of the others, who are back.

And a connection has to be set up within a few seconds (KIP-601). The kernel takes connections for a broker that hangs;
aiokafka would wait 40 s for its first answer, and open no other connection meanwhile.
"""

from typing import Any

from aiokafka import client
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError

SETUP_SECONDS = 5.0  # for each answer until it is set up; Java's socket.connection.setup.timeout.ms begins with 10 s

_update = AIOKafkaClient._metadata_update  # noqa: SLF001 - see test_engine_insides.py
_connect = client.create_conn


async def _metadata_update(self: AIOKafkaClient, cluster: Any, topics: Any) -> bool:
    if await _update(self, cluster, topics):
        return True
    if self._sync_task is None:
        return False
    try:
        await self.bootstrap()
    except KafkaConnectionError:
        return False
    return bool(await _update(self, cluster, topics))


async def _create_conn(host: str, port: int, *, request_timeout_ms: int, **options: Any) -> Any:
    setup_ms = min(request_timeout_ms, round(SETUP_SECONDS * 1000))
    connection = await _connect(host, port, request_timeout_ms=setup_ms, **options)
    connection._request_timeout = request_timeout_ms / 1000  # noqa: SLF001
    return connection


def install() -> None:
    """Make every aiokafka client of this process so."""
    AIOKafkaClient._metadata_update = _metadata_update  # noqa: SLF001
    client.create_conn = _create_conn
