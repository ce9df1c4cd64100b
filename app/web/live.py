"""Server-sent events: whenever the merged totals of a domain have changed, whoever listens is told.

A listener is told of the latest state of each domain, once a second at most. There is one slot per domain, which all
share, so nothing piles up for one that reads slowly: it gets the newest state when it is ready. One that has not taken
what was sent to it for ten seconds is dropped.

Event ids grow. A listener that comes back with the last one it got (`Last-Event-ID`) is told at once what it has
missed; one that comes without, everything. Ids of another worker, or of an earlier start, are none of ours, and count
as none: the ids of one start begin at its time.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from itertools import count
from typing import NamedTuple

import orjson
from aiohttp import web
from aiohttp_sse import EventSourceResponse

from app.clock import now_ms
from app.web.answers import unavailable
from app.web.parameters import asked
from app.web.worker import Worker
from tables.domain import Domain
from tables.event import iso
from tables.views import Parameter

log = logging.getLogger("tidemark.web")

LISTENERS = 500  # at a time; each costs a connection and what the kernel holds for it
EVERY_SECONDS = 1.0  # between two events of a domain
HEARTBEAT_SECONDS = 15.0  # proxies cut connections that are silent for 30 s and more
SEND_SECONDS = 10.0  # for a listener to take what was sent
# What the kernel keeps of what one listener has not taken (it doubles the number): some dozen events. By itself it
# would keep megabytes for each, and it would take a day until they are full.
SEND_BUFFER_BYTES = 8 * 1024
GROUPS = 50  # of listeners, woken one per turn of the loop: a send takes 40 us, and there may be six domains
LOOK_SECONDS = 1.0  # until the place of a listener that has gone is free again
IDS_PER_MS = 1_000_000  # so the ids of two starts are apart, unless one millisecond is


class Change(NamedTuple):
    """The latest state of a domain, as it is sent."""

    number: int
    domain: str
    data: str


class Live:
    """The listeners of this worker, and what they are told."""

    def __init__(
        self,
        worker: Worker,
        *,
        listeners: int = LISTENERS,
        every_seconds: float = EVERY_SECONDS,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        send_seconds: float = SEND_SECONDS,
    ) -> None:
        self._worker = worker
        self._most = listeners
        self._every_seconds = every_seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._send_seconds = send_seconds
        self._parameters = (
            Parameter("domain", "", tuple(domain.name for domain in worker.domains), "one domain; all where empty"),
        )
        self._listening = 0
        self.refused = 0  # because there were too many
        self.dropped = 0  # because they did not take what was sent
        self._ending = False
        self._first = self._number = now_ms() * IDS_PER_MS
        self._latest: dict[str, Change] = {}
        self._arrivals = count()
        # Of each group; new ones each time, so that nobody misses what comes while he sends.
        self._news = [asyncio.Event() for _ in range(GROUPS)]

    async def run(self, _app: web.Application) -> AsyncIterator[None]:
        """Tell of changes while the application runs."""
        telling = asyncio.create_task(self._tell(), name="live")
        yield
        telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling

    async def end(self, _app: web.Application) -> None:
        """Let all listeners go: the worker stops, and would wait for them."""
        self._ending = True
        await self._wake()

    async def _tell(self) -> None:
        totals = self._worker.totals
        told = dict.fromkeys(totals.versions, 0)
        await totals.complete.wait()
        while True:
            await totals.news.wait()
            totals.news.clear()
            changed = [domain for domain in self._worker.domains if totals.versions[domain.name] != told[domain.name]]
            told |= totals.versions
            for domain in changed:
                try:
                    self._note(domain)
                except Exception:
                    log.exception("%s: its listeners cannot be told", domain.name)
            await self._wake()
            await asyncio.sleep(self._every_seconds)

    def _note(self, domain: Domain) -> None:
        totals = self._worker.totals.totals(domain)
        state = {
            "domain": domain.name,
            "as_of": iso(totals.at) if totals.at else None,
            "consumed": sum(totals.outcomes),
            "keys": totals.keys,
        }
        self._number += 1
        self._latest[domain.name] = Change(self._number, domain.name, orjson.dumps(state).decode())

    async def _wake(self) -> None:
        for group, news in enumerate(self._news):
            self._news[group] = asyncio.Event()
            news.set()
            await asyncio.sleep(0)

    async def listen(self, request: web.Request) -> web.StreamResponse:
        """The events of one domain, or of all."""
        name = asked(request.query, self._parameters)["domain"]
        if self._listening >= self._most:
            self.refused += 1
            raise unavailable("too_many_listeners", f"{self._most} are listening already")
        names = [name] if name else [domain.name for domain in self._worker.domains]
        response = EventSourceResponse(ping_interval=self._heartbeat_seconds, send_timeout=self._send_seconds)
        self._listening += 1
        try:
            await response.prepare(request)
            _keep_little(request)
            async with response:
                await self._send(request, response, names, self._known(request))
        except TimeoutError as error:
            self.dropped += 1
            log.info("a listener that takes nothing is dropped: %r", error)
        except ConnectionError as error:
            log.debug("a listener has gone: %r", error)
        finally:
            self._listening -= 1
        return response

    @property
    def listening(self) -> int:
        """How many listen."""
        return self._listening

    def _known(self, request: web.Request) -> int:
        """The id of the last event that a listener has got; 0 for none of ours."""
        given = request.headers.get("Last-Event-ID", "")
        number = int(given) if given.isascii() and given.isdigit() and len(given) <= len(str(self._number)) else 0
        return number if self._first <= number <= self._number else 0

    async def _send(
        self, request: web.Request, response: EventSourceResponse, names: Iterable[str], known: int
    ) -> None:
        group = next(self._arrivals) % GROUPS
        while not self._ending and request.transport is not None and response.is_connected():
            news = self._news[group]
            owed = [change for name in names if (change := self._latest.get(name)) and change.number > known]
            for change in sorted(owed):
                await response.send(change.data, id=str(change.number), event=change.domain)
                known = change.number
            with suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), LOOK_SECONDS)


def _keep_little(request: web.Request) -> None:
    """Bound what is kept for a listener that reads slowly: in the kernel and in the transport."""
    transport = request.transport
    sock = None if transport is None else transport.get_extra_info("socket")
    if transport is not None and sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        transport.set_write_buffer_limits(high=SEND_BUFFER_BYTES)
