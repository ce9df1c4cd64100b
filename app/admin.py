"""Kafka's admin client for clusters: what one broker does not answer, another one is asked.

aiokafka's own asks one broker by chance, and gives up where that one is away. Until the others have noticed, which
takes some seconds, it is still named among them: one command of three would fail.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError, KafkaError, NodeNotReadyError, RequestTimedOutError, for_code
from aiokafka.protocol.admin import AlterConfigsRequest
from aiokafka.protocol.commit import OffsetFetchRequest

from app.kafka_client import SETUP_SECONDS, while_hanging
from app.settings import Settings
from app.starting import start

ANSWER_SECONDS = 40.0  # as aiokafka's own
RETRY_SECONDS = 0.1
AWAY = (NodeNotReadyError, KafkaConnectionError, RequestTimedOutError)


class Admin(AIOKafkaAdminClient):  # type: ignore[misc]
    """Asks another broker when one is away."""

    async def _send_request(self, request: Any, node_id: int | None = None) -> Any:
        if node_id is not None:
            answer: Any = await self._client.send(node_id, request)
            code: int = getattr(answer, "error_code", 0)
            if code and isinstance(request, OffsetFetchRequest):
                # aiokafka overlooks it, and a coordinator that is only loading looks as if it knew of no offset.
                raise for_code(code)
            return answer
        if isinstance(request, AlterConfigsRequest):
            # Not asked twice: a broker that hangs may still carry the first one out, after settings were put back.
            return await ask_any(self._client, request, away=(NodeNotReadyError,))
        return await while_hanging(lambda: ask_any(self._client, request), SETUP_SECONDS, ANSWER_SECONDS)

    async def _send_to_controller(self, request: Any) -> Any:
        """With KRaft any broker passes on what only the controller does, and the one that is named changes."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                while (named := self._client.cluster.controller) is None or not await self._client.ready(named.nodeId):
                    await self._client.force_metadata_update()
                    await asyncio.sleep(RETRY_SECONDS)
        except TimeoutError as error:
            raise KafkaConnectionError("no broker can be reached that speaks for the controller") from error
        return await super()._send_to_controller(request)


async def ask_any(client: AIOKafkaClient, request: Any, away: tuple[type[KafkaError], ...] = AWAY) -> Any:
    """Ask brokers in random order, one after the other, until one answers.

    Args:
        client: it knows the brokers.
        request: it may be asked twice, unless `away` says otherwise.
        away: errors for which the next broker is asked.

    Raises:
        KafkaError: what the last one did.
    """
    nodes = [broker.nodeId for broker in client.cluster.brokers()]
    if not nodes:
        raise NodeNotReadyError("no broker is known yet")
    *others, last = random.sample(nodes, len(nodes))
    for node in others:  # no error is kept: with its traceback it would keep the client, until cycles are looked for
        with suppress(*away):
            return await client.send(node, request)
    return await client.send(last, request)


@asynccontextmanager
async def administering(settings: Settings) -> AsyncIterator[Admin]:
    """An admin client, connected."""
    admin = Admin(**settings.kafka())
    try:  # around the start, too: one that fails has connections to close
        await start(admin)
        yield admin
    finally:
        await admin.close()
