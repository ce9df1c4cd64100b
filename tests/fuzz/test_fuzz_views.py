"""Requests of any kind to every view of every domain: an answer, or a refusal in its one shape; never a 500."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from urllib.parse import quote_from_bytes, urlencode

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from app.web.parameters import parameters_of
from app.web.server import application
from tables import DOMAINS
from tables.views import View
from tests.fuzz.inputs import examples
from tests.web.conftest import bound_port
from tests.web.everything import Everything
from tests.web.stories import HOSTILE, tell

Ask = Callable[[bytes], tuple[int, bytes]]
VIEWS = tuple(view for domain in DOMAINS for view in domain.views)
OTHERS = (
    "/",
    "/api/v1",
    "/api/v1/status",
    "/api/v1/live",
    "/health/ready",
    "/health/live",
    "/login",
    "/static/x",
    "/x",
)
SECONDS = 3.0  # an answer takes some ms; half a request is never answered
VALUES = (
    "",
    "0",
    "1",
    "-1",
    "100",
    "101",
    "10000",
    "9" * 300,
    "1e3",
    "\u0663",
    "\uff11",
    "NaN",
    "null",
    "true",
    "false",
    "[]",
    "\x00",
    "%",
    "2025-06-15",
    "2025-02-30",
    "0000-00-00",
    "9999-12-31",
    "2025-W53",
    "2026-W54",
    "2025-13",
    "2025-06",
    "x" * 300,
    "ß",
    "\ud800",
    "name",
    "asc",
    "desc",
    HOSTILE,
)


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """Sends bytes to a worker with a few rows of every domain; returns the status and the body of what comes back."""
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    everything = Everything(1)
    tell(everything)
    runner = web.AppRunner(application(everything.worker), access_log=None, shutdown_timeout=0.1)
    port = bound_port()

    async def start() -> None:
        await runner.setup()
        from tests.web.conftest import _bound  # noqa: PLC0415

        await web.SockSite(runner, _bound.pop(port)).start()

    async def exchange(request: bytes) -> tuple[int, bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request)
            async with asyncio.timeout(SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                status = int(head.split()[1])
                # Endless, without a body, or good: its own tests look at it.
                if b"text/event-stream" in head or request.startswith(b"HEAD") or status < 400:
                    return status, b""
                return status, await reader.read(64 * 1024)
        except TimeoutError:
            assert_half_a_request(request)
            return 0, b""
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0, b""  # hung up on
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    loop.run_until_complete(start())
    yield lambda request: loop.run_until_complete(exchange(request))
    loop.run_until_complete(runner.cleanup())
    left = asyncio.all_tasks(loop)  # connections that were hung up on in the middle of a request
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=SECONDS))
    loop.close()


def assert_half_a_request(request: bytes) -> None:
    """Only a request whose body is yet to come may be left without an answer."""
    assert b"chunked" in request or b"Upgrade" in request, request


def text_value() -> SearchStrategy[bytes]:
    """A value of a parameter: what is nearly right, or anything."""
    return st.sampled_from(VALUES).map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=12)


@st.composite
def queries(draw: st.DrawFn, view: View) -> bytes:
    """A query string: its own parameters mostly, each once or twice, with values of any kind; or noise."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=30).map(lambda data: quote_from_bytes(data, safe="&=%+;/?").encode()))
    allowed = [value.encode() for parameter in parameters_of(view) for value in parameter.allowed]
    names = [parameter.name for parameter in parameters_of(view)] or ["limit"]
    values = text_value() | st.sampled_from(allowed) if allowed else text_value()
    pairs = draw(st.lists(st.tuples(st.sampled_from([*names, *names, "", "x"]), values), max_size=4))
    return urlencode(pairs).encode()


HEADERS: SearchStrategy[bytes] = st.lists(
    st.tuples(
        st.sampled_from(
            (
                b"If-None-Match",
                b"Last-Event-ID",
                b"Accept",
                b"Accept-Encoding",
                b"Authorization",
                b"Cookie",
                b"Origin",
                b"Sec-Fetch-Site",
                b"Content-Type",
                b"x-tidemark-forwarded",
                b"Range",
                b"Expect",
                b"Transfer-Encoding",
                b"Upgrade",
            )
        ),
        st.sampled_from(
            (
                b"",
                b"*",
                b'"',
                b'W/"x"',
                b"gzip",
                b"text/html",
                b"9" * 40,
                b"-1",
                b"Bearer ",
                b"tidemark=1.2",
                b"chunked",
            )
        )
        | st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20).map(
            lambda text: text.encode("latin-1")
        ),
    ),
    max_size=3,
).map(lambda pairs: b"".join(name + b": " + value + b"\r\n" for name, value in pairs))


def assert_shaped(request: bytes, status: int, body: bytes) -> None:
    """Not a 500; a refusal is JSON in the one shape, unless it is a page or aiohttp's own answer to broken HTTP."""
    assert status < 500 or status in (501, 503), (request, body)
    if status >= 400 and body.startswith(b"{"):
        assert {"code", "message"} <= json.loads(body)["error"].keys(), request


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.path)
@examples(8)
@given(data=st.data())
def test_no_question_is_answered_with_a_500(ask: Ask, data: st.DataObject, view: View) -> None:
    """Any query, any name of an entity, any headers."""
    entity = quote_from_bytes(data.draw(text_value()), safe="").encode() or b"%00"
    path = view.path.encode().replace(b"{entity}", entity)
    head = data.draw(st.just(b"") | HEADERS)
    request = b"GET " + path + b"?" + data.draw(queries(view)) + b" HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n"
    status, body = ask(request)
    assert_shaped(request, status, body)
    assert status in (0, 200, 304, 400, 404, 405, 411, 414, 417, 431, 501, 503), (request, body)


@examples(80)
@given(
    st.sampled_from((b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"get", b"\x00")),
    st.sampled_from([view.path.encode() for view in VIEWS] + [path.encode() for path in OTHERS])
    | st.binary(max_size=20).map(lambda data: b"/" + data),
    st.sampled_from((b"HTTP/1.1", b"HTTP/1.0", b"HTTP/9.9", b"")),
    HEADERS | st.binary(max_size=30),
    st.binary(max_size=40),
)
def test_no_request_of_any_kind_is_answered_with_a_500(
    ask: Ask, method: bytes, path: bytes, version: bytes, headers: bytes, body: bytes
) -> None:
    """Broken request lines, broken headers, bodies where none belongs; every other page, too."""
    size = b"Content-Length: %d\r\n" % len(body) if body else b""
    request = method + b" " + path + b" " + version + b"\r\nHost: localhost\r\n" + size + headers + b"\r\n" + body
    assert_shaped(request, *ask(request))
