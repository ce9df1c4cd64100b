"""Starting a Kafka client so that nothing is left open when the start is cancelled.

aiokafka's clients find the brokers over a connection that only they know of; whoever cancels a start leaves it open,
and Python complains of it later. So a start that has begun is waited for, within a bound, before the cancellation goes
on.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Protocol

PATIENCE_SECONDS = 2.0  # a start takes some ms; brokers that need longer are not there


class Client(Protocol):
    """A producer or a consumer of aiokafka."""

    def start(self) -> Awaitable[None]:
        """Connect."""


async def start(client: Client) -> None:
    """Start a client. Whoever is cancelled meanwhile has to stop it all the same."""
    starting = asyncio.ensure_future(client.start())
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        with suppress(Exception):
            await asyncio.wait_for(starting, PATIENCE_SECONDS)
        raise
