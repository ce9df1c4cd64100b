"""The connections of the web server: how many there may be, and how long one may be without a request.

aiohttp takes as many as there are file descriptors, which Kafka's connections need too, and waits for ever for the end
of half a request.
"""

import asyncio
import time
from contextlib import suppress
from typing import Any

from aiohttp import web

CONNECTIONS = 700  # at a time: 500 listeners and 200 who ask; the usual limit of a process is 1,024 open files
IDLE_SECONDS = 20.0  # without a whole request: a browser opens another connection, half a request never ends
LOOK_SECONDS = 1.0


class Connections:
    """Counts and bounds the connections of one server.

    Attributes:
        refused: closed at once, because there were too many.
        idle_closed: closed because no whole request came in time.
        stalled: broken by the kernel, because nobody took what was sent.
    """

    def __init__(self, *, most: int = CONNECTIONS, idle_seconds: float = IDLE_SECONDS) -> None:
        self.refused = self.idle_closed = self.stalled = 0
        self._most = most
        self._idle_seconds = idle_seconds
        self._server: web.Server | None = None

    @property
    def number(self) -> int:
        """How many there are."""
        return 0 if self._server is None else len(self._server.connections)

    async def watch(self, server: web.Server) -> None:
        """Bound the connections of a server, until cancelled."""
        self._server = server
        made, lost = server.connection_made, server.connection_lost

        def connection_made(handler: Any, transport: asyncio.Transport) -> None:
            made(handler, transport)
            if len(server.connections) > self._most:
                self.refused += 1
                transport.abort()

        def connection_lost(handler: Any, exc: BaseException | None = None) -> None:
            self.stalled += isinstance(exc, TimeoutError)
            lost(handler, exc)

        server.connection_made = connection_made  # type: ignore[method-assign] # there is no other place to look in
        server.connection_lost = connection_lost  # type: ignore[method-assign]
        since: dict[Any, float] = {}
        while True:
            await asyncio.sleep(min(LOOK_SECONDS, self._idle_seconds / 4))
            now = time.monotonic()
            waiting = [each for each in server.connections if each._current_request is None]  # noqa: SLF001 - nothing public tells
            since = {each: since.get(each, now) for each in waiting}
            for each, began in since.items():
                if now - began > self._idle_seconds and each.transport is not None:
                    self.idle_closed += 1
                    each.transport.abort()


class Runner(web.AppRunner):
    """aiohttp's runner, whose server's connections are bounded."""

    __slots__ = ("_connections", "_watching")

    def __init__(self, app: web.Application, connections: Connections, **options: Any) -> None:
        super().__init__(app, **options)
        self._connections = connections
        self._watching: asyncio.Task[None] | None = None

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        self._watching = asyncio.create_task(self._connections.watch(server), name="connections")
        await asyncio.sleep(0)  # it begins before anybody connects
        return server

    async def cleanup(self) -> None:
        """End with the server."""
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
        await super().cleanup()
