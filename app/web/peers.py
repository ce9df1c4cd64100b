"""Asking other workers: the owner of a partition for its answer, all of them for their part of one.

A request that one worker sends to another carries `x-tidemark-forwarded`; whoever gets it answers from its own
partitions or refuses, and never asks on, so that two workers that disagree about an owner do not ask each other for
ever. Workers share one token. Their addresses come from the group's assignment: who may join the group is trusted.
"""

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, web
from yarl import URL

from app.rings import forget
from app.web.answers import unavailable
from app.web.worker import Worker
from tables.domain import Domain

log = logging.getLogger("tidemark.web")

T = TypeVar("T")

FORWARDED = "x-tidemark-forwarded"
SECONDS = 2.0  # for an answer: a view takes milliseconds, so whoever needs longer is not well
SILENT_SECONDS = 60.0  # between two lines about a worker that does not answer: a page asks every second
SCAN_SECONDS = 20.0  # for one that takes going through all rows, which is done beside the folding
PASSED_ON = ("Accept-Encoding", "If-None-Match")
RELAYED = ("Cache-Control", "Content-Encoding", "Content-Type", "ETag", "Retry-After", "Vary")


class Peers:
    """The other workers."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._session: ClientSession | None = None
        self._told_at: dict[str, float] = {}  # by address, when it was last said that a worker does not answer

    async def run(self, _app: web.Application) -> AsyncIterator[None]:
        """Keep one session of connections while the application runs."""
        # Bodies are relayed as they come, compressed ones too.
        async with ClientSession(auto_decompress=False, cookie_jar=DummyCookieJar()) as session:
            self._session = session
            yield
            self._session = None

    async def forward(
        self, request: web.Request, domain: Domain, partition: int, seconds: float = SECONDS
    ) -> web.Response:
        """The answer of a partition's owner, as it is.

        Raises:
            RefusedError: 503, when the owner is unknown or does not answer in time.
        """
        asked_for = f"the owner of partition {partition} of {domain.name}"
        owner = self._worker.owner(domain, partition)
        if owner is None or owner == self._worker.url or is_forwarded(request):
            raise unavailable("owner_unknown", f"{asked_for} is being settled")
        headers = {"Accept-Encoding": "identity"}
        headers |= {name: request.headers[name] for name in PASSED_ON if name in request.headers}
        try:
            status, relayed, body = await self._send(request, owner, headers, seconds)
        except (ClientError, TimeoutError) as error:
            raise unavailable("owner_silent", f"{asked_for} does not answer") from error
        if status == web.HTTPUnauthorized.status_code:
            raise unavailable("owner_refuses", "the owner refuses our token: all workers need the same web_token")
        return web.Response(status=status, body=body, headers=relayed)

    async def ask_all(self, request: web.Request, seconds: float = SECONDS) -> list[bytes]:
        """What all other workers say to the same request; nothing of those that do not answer with 200 in time."""
        if is_forwarded(request):
            return []
        answers = await asyncio.gather(*(self._ask(request, url, seconds) for url in self._worker.others()))
        return [answer for answer in answers if answer is not None]

    async def _ask(self, request: web.Request, url: str, seconds: float) -> bytes | None:
        try:
            status, _, body = await self._send(request, url, {"Accept-Encoding": "identity"}, seconds)
        except (ClientError, TimeoutError):
            return None
        return body if status == web.HTTPOk.status_code else None

    async def _send(
        self, request: web.Request, url: str, headers: dict[str, str], seconds: float
    ) -> tuple[int, dict[str, str], bytes]:
        if self._session is None:
            raise ClientError("stopping")
        token = self._worker.settings.web_token.get_secret_value().strip()
        if not token.isprintable():
            raise ClientError("web_token has characters that no header can carry")
        headers[FORWARDED] = "1"
        if token:
            headers["Authorization"] = f"Bearer {token}"
        # The path as it was sent: decoding it would lose the difference between a/b and a%2Fb.
        target = URL(url + request.rel_url.raw_path_qs, encoded=True)
        timeout = ClientTimeout(total=seconds, sock_connect=SECONDS)
        try:
            async with self._session.request(
                request.method, target, headers=headers, timeout=timeout, allow_redirects=False
            ) as answer:
                relayed = {name: answer.headers[name] for name in RELAYED if name in answer.headers}
                body = await answer.read()
        except (ClientError, TimeoutError) as error:
            self._missed(url, error)
            forget(error)
            raise
        return answer.status, relayed, body

    def _missed(self, url: str, error: Exception) -> None:
        """Say that a worker does not answer, once in a while and not for each question."""
        now = time.monotonic()
        if now - self._told_at.get(url, -math.inf) > SILENT_SECONDS:
            log.warning("%s does not answer: %s", url, str(error) or type(error).__name__)
            self._told_at = {other: at for other, at in self._told_at.items() if now - at < SILENT_SECONDS}
            self._told_at[url] = now


def is_forwarded(request: web.Request) -> bool:
    """Whether another worker asks."""
    return FORWARDED in request.headers


def understood(answers: Iterable[bytes], type_: type[T]) -> list[T]:
    """What workers of our own version say; what another version says is as good as silence."""
    found = []
    for answer in answers:
        try:
            found.append(msgspec.json.decode(answer, type=type_))
        except msgspec.MsgspecError:
            continue
    return found
