"""A TCP proxy before a broker, with faults that are switched on and off while it runs.

    with Proxy(port, broker.port) as proxy:     # the broker advertises `port` on a listener of its own
        proxy.lose_answers(END_TXN, 3)
        proxy.cut()

It knows as much of Kafka as it needs: where a request or an answer begins and ends, and which answer belongs to which
request. So a fault never tears a connection at a place where TCP could not, and an answer that is lost belongs to a
request that the broker has carried out. What was lost stays lost: TCP loses the end of a stream, never a piece of its
middle. So a connection that has swallowed anything swallows everything from there on, until one of its ends closes it.
"""

import asyncio
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Any, Self, TypeVar

from app.broker.ready import HOST

# Kafka's numbers of its requests.
PRODUCE, OFFSET_FETCH, JOIN_GROUP, HEARTBEAT, SYNC_GROUP = 0, 9, 11, 12, 14
INIT_PRODUCER_ID, ADD_PARTITIONS_TO_TXN, ADD_OFFSETS_TO_TXN, END_TXN, TXN_OFFSET_COMMIT = 22, 24, 25, 26, 28
_SIZE = struct.Struct(">i")  # before every request and answer
_REQUEST = struct.Struct(">hhi")  # a request begins with its number, its version, its correlation id
_ANSWER = struct.Struct(">i")  # an answer with its correlation id
ACT_SECONDS = 5.0  # for the proxy's own thread to do what it is told

T = TypeVar("T")


class Way(Enum):
    """The two directions of a connection."""

    UP = "towards the broker"
    DOWN = "towards the client"


@dataclass(eq=False)
class Connection:
    """A client's connection, and ours to the broker on its behalf."""

    client: asyncio.StreamWriter
    broker: asyncio.StreamWriter
    swallows: set[Way] = field(default_factory=set)
    asked: dict[int, int] = field(default_factory=dict)  # correlation id -> the number of the request

    def abort(self) -> None:
        """Reset both ends: whatever is on its way is lost."""
        for writer in (self.client, self.broker):
            with suppress(RuntimeError, OSError):
                writer.transport.abort()


class Proxy:
    """Listens on `port` and hands everything on to `broker_port`; both on this machine. A thread of its own."""

    def __init__(self, port: int, broker_port: int, seed: int = 0) -> None:
        self.port = port
        self.passed: Counter[int] = Counter()  # requests that have reached the broker, by their number
        self.lost: Counter[int] = Counter()  # answers that have not reached the client, by their request's number
        self.late: Counter[int] = Counter()  # requests that were delivered late
        self._broker_port = broker_port
        self._rng = random.Random(seed)
        self._connections: set[Connection] = set()
        self._delay = {Way.UP: 0.0, Way.DOWN: 0.0}
        self._jitter = 0.0
        self._bytes_per_second = 0.0
        self._swallow: set[Way] = set()
        self._losing: Counter[int] = Counter()
        self._holding: dict[int, tuple[int, float]] = {}
        self._moving = {Way.UP: asyncio.Event(), Way.DOWN: asyncio.Event()}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._kept: socket.socket | None = None  # the port while nobody listens: no other process is to get it
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        self.stall()
        self._do(self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening, reset what is open, end the thread."""
        self._do(self._close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(ACT_SECONDS)
        self._loop.close()

    # -- faults, from any thread -------------------------------------------------------------------------------------

    def delay(self, up: float = 0.0, down: float = 0.0, jitter: float = 0.0) -> None:
        """Hold every request and answer back by so many seconds, and by up to `jitter` more; 0 ends it."""
        self._delay = {Way.UP: up, Way.DOWN: down}
        self._jitter = jitter

    def throttle(self, bytes_per_second: float) -> None:
        """Pass on so many bytes per second and connection; 0 ends it."""
        self._bytes_per_second = bytes_per_second

    def cut(self) -> int:
        """Reset all connections, now. New ones are accepted. Returns how many there were."""
        return self._do(self._cut)

    def refuse(self, *, on: bool) -> None:
        """Reset all connections and listen no more: as a broker whose process has ended. Or listen again."""
        self._do(self._stop_listening if on else self._listen)

    def swallow(self, *ways: Way) -> None:
        """Half-open: from now on everything sent these ways is lost without a word; none ends it for new connections.

        Connections stay accepted, data is taken and nothing is ever closed: as a firewall that has forgotten them.
        """
        self._swallow = set(ways)
        for connection in list(self._connections):
            connection.swallows |= self._swallow

    def stall(self, *ways: Way) -> None:
        """Nothing passes these ways, and nothing is lost; none ends it. As a network that comes back in time."""
        self._do(partial(self._stall, set(ways)))

    def lose_answers(self, api: int, times: int = 1) -> None:
        """The next `times` answers to this request are lost, after the broker has carried it out.

        So is everything after them on their connections, which stay open until the client gives them up.
        """
        self._losing[api] += times

    def deliver_late(self, api: int, seconds: float, times: int = 1) -> None:
        """The next `times` requests of this kind reach the broker so much later, whatever the client does meanwhile."""
        self._holding[api] = times, seconds

    def heal(self) -> None:
        """End all faults. Connections that have lost something stay lost."""
        self.delay()
        self.throttle(0)
        self.swallow()
        self.stall()
        self._losing.clear()
        self._holding.clear()
        self.refuse(on=False)

    # -- the machinery, on the proxy's own thread --------------------------------------------------------------------

    def _do(self, action: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return asyncio.run_coroutine_threadsafe(action(), self._loop).result(ACT_SECONDS)

    async def _listen(self) -> None:
        if self._server is None:
            kept, self._kept = self._kept or self._bound(), None
            self._server = await asyncio.start_server(self._serve, sock=kept)

    async def _stop_listening(self) -> None:
        if self._server is not None:
            # asyncio loses a connection that it has just accepted when its server is closed: accept no more before.
            for listening in self._server.sockets:
                self._loop.remove_reader(listening.fileno())
            await asyncio.sleep(0)
            self._server.close()
            self._server, self._kept = None, self._bound()
        await self._cut()

    def _bound(self) -> socket.socket:
        """A socket that has the port, and refuses who connects as long as it does not listen."""
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, self.port))
        return bound

    async def _cut(self) -> int:
        connections = list(self._connections)
        for connection in connections:
            connection.abort()
        return len(connections)

    async def _stall(self, ways: set[Way]) -> None:
        for way, moving in self._moving.items():
            if way in ways:
                moving.clear()
            else:
                moving.set()

    async def _close(self) -> None:
        await self._stop_listening()
        if self._kept is not None:
            self._kept.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, requests: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """A client has connected: connect to the broker, and pass on both ways until one end closes."""
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            answers, broker = await asyncio.open_connection(HOST, self._broker_port)
        except (OSError, asyncio.CancelledError):  # no broker, or the proxy closes
            client.transport.abort()
            return
        connection = Connection(client, broker, set(self._swallow))
        self._connections.add(connection)
        pumps = [
            asyncio.create_task(self._pass_requests(connection, requests)),
            asyncio.create_task(self._pass_answers(connection, answers)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass  # the proxy closes; asyncio's server would complain
        finally:
            self._connections.discard(connection)
            connection.abort()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pass_requests(self, connection: Connection, requests: asyncio.StreamReader) -> None:
        while (request := await _read(requests)) is not None:
            api, _, correlation = _REQUEST.unpack_from(request, _SIZE.size)
            times, seconds = self._holding.get(api, (0, 0.0))
            if times:
                self._holding[api] = times - 1, seconds
                await asyncio.sleep(seconds)  # the client's end may be closed meanwhile: nobody looks
                self.late[api] += 1
            connection.asked[correlation] = api
            if await self._send(connection, Way.UP, connection.broker, request):
                self.passed[api] += 1

    async def _pass_answers(self, connection: Connection, answers: asyncio.StreamReader) -> None:
        while (answer := await _read(answers)) is not None:
            (correlation,) = _ANSWER.unpack_from(answer, _SIZE.size)
            api = connection.asked.pop(correlation, -1)
            if self._losing[api] > 0 and Way.DOWN not in connection.swallows:
                self._losing[api] -= 1
                self.lost[api] += 1
                connection.swallows.add(Way.DOWN)
            await self._send(connection, Way.DOWN, connection.client, answer)
        if Way.DOWN in connection.swallows:  # that the broker has closed it is lost, too
            await asyncio.get_running_loop().create_future()

    async def _send(self, connection: Connection, way: Way, writer: asyncio.StreamWriter, data: bytes) -> bool:
        """Pass a whole request or answer on, unless it is to be lost; returns whether it was not."""
        pause = self._delay[way] + (self._rng.uniform(0, self._jitter) if self._jitter else 0.0)
        if self._bytes_per_second:
            pause += len(data) / self._bytes_per_second
        if pause:
            await asyncio.sleep(pause)
        await self._moving[way].wait()
        if way in connection.swallows:
            return False
        with suppress(OSError):  # whoever is gone is noticed by reading from it
            writer.write(data)
            await writer.drain()
        return True


async def _read(stream: asyncio.StreamReader) -> bytes | None:
    """A whole request or answer, with its size before it; None when the stream has ended."""
    try:
        size = await stream.readexactly(_SIZE.size)
        return size + await stream.readexactly(*_SIZE.unpack(size))
    except (asyncio.IncompleteReadError, OSError):
        return None
