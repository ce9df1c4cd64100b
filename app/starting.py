"""Starting and stopping a Kafka client so that nothing is left open when that is cancelled.

aiokafka's clients find the brokers over a connection that only they know of; whoever cancels a start leaves it open,
and Python complains of it later. A stop that is cancelled closes nothing of what would have come next, and the second
one does nothing at all. So what has begun is waited for, within a bound, before the cancellation goes on.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Protocol

PATIENCE_SECONDS = 2.0  # a start takes some ms; brokers that need longer are not there


class Client(Protocol):
    """A producer, a consumer or an admin client of aiokafka."""

    def start(self) -> Awaitable[None]:
        """Connect."""


async def start(client: Client) -> None:
    """Start a client. Whoever is cancelled meanwhile has to stop it all the same."""
    await ended(client.start())


async def ended(work: Awaitable[None]) -> None:
    """Await it; a cancellation goes on when it has ended, or a while later."""
    working = asyncio.ensure_future(work)
    try:
        await asyncio.shield(working)
    except asyncio.CancelledError:
        with suppress(Exception):
            await asyncio.wait_for(working, PATIENCE_SECONDS)
        raise
    finally:
        del working  # which keeps its error, and that, by its traceback, this frame
