"""Who may ask, how much at once, and what browsers may do with the answers.

With a token set, everything but liveness, the log-in form and the project's own static files needs it: as a bearer
token, or as the cookie that the form sets. The cookie holds an expiry and its signature, never the token; every worker
accepts it, because all have the same token.

Without a token a worker is on loopback, and every page that its user's browser has open could ask it under a name of
its own that resolves to 127.0.0.1 (DNS rebinding). So it answers under its own names only.

A page of another site can send a POST, with the user's session, without reading the answer. So one that a browser sends
must come from our own pages: `Sec-Fetch-Site` says so, or the `Origin` of a browser that does not tell. Programs send
neither.
"""

import hashlib
import hmac
import logging
import time
from asyncio import sleep, timeout
from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import urlsplit

from aiohttp import HttpVersion11, web

from app.web.answers import RefusedError
from app.web.assets import MISSING

log = logging.getLogger("tidemark.web")

COOKIE = "tidemark"
SESSION_SECONDS = 12 * 3_600  # a working day with room
WRONG_TOKEN_SECONDS = 1.0  # what a wrong guess costs
QUERY_LIMIT = 2_048  # characters of a query string; the declared parameters need far fewer
BODY_LIMIT = 4_096  # bytes of a request's body: a log-in form
BODY_SECONDS = 10.0  # for it to come
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
PUBLIC = ("/health/live", "/login", "/static/{path}")  # routes, not paths: there is no other spelling of a route

HEADERS = {
    # Nothing inline and nothing from elsewhere: a hostile name that slipped into a page could still not run.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "Server": "tidemark",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

Next = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Guard:
    """Checks tokens and sessions. An empty token lets everybody in: settings allow it on loopback only.

    Raises:
        ValueError: when the token consists of blanks: headers cannot tell it from none.
    """

    def __init__(self, token: str, hosts: Iterable[str] = ()) -> None:
        self._token = _plain(token)
        if token and not self._token:
            raise ValueError("web_token: nothing but blanks; set TIDEMARK_WEB_TOKEN")
        self._hosts = LOOPBACK | {host.lower() for host in hosts}

    @property
    def open(self) -> bool:
        """Whether no token is asked for."""
        return not self._token

    def is_token(self, given: str) -> bool:
        """Compare in constant time. Blanks around a token do not count: they get lost in headers and in forms."""
        return hmac.compare_digest(_plain(given), self._token)

    def is_ours(self, host: str | None) -> bool:
        """Whether a Host header names us, at whatever port. Browsers always send one."""
        if not self.open or host is None:
            return True
        try:
            return urlsplit(f"//{host}").hostname in self._hosts
        except ValueError:
            return False

    def session(self) -> str:
        """A new session's cookie."""
        until = str(int(time.time()) + SESSION_SECONDS)
        return f"{until}.{self._sign(until)}"

    def allows(self, request: web.Request) -> bool:
        """Whether the request may see what is not public."""
        if self.open:
            return True
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.is_token(given)
        return self._is_session(request.cookies.get(COOKIE, ""))

    def _is_session(self, cookie: str) -> bool:
        until, _, signature = cookie.partition(".")
        signed = hmac.compare_digest(_plain(signature), _plain(self._sign(until)))
        return signed and int(until) > time.time()

    def _sign(self, until: str) -> str:
        return hmac.new(self._token, b"session until " + _plain(until), hashlib.sha256).hexdigest()

    # -- the log-in form ---------------------------------------------------------------------------------------------

    async def log_in(self, request: web.Request) -> web.StreamResponse:
        """Set the cookie for the right token; show the form again, with what was wrong, for another."""
        try:
            async with timeout(BODY_SECONDS):
                given = str((await request.post()).get("token", ""))
        except TimeoutError as error:
            raise RefusedError(408, "request_timeout", f"no whole form within {BODY_SECONDS:g} s") from error
        except (ValueError, LookupError):  # not in its own charset, or in one that nobody knows
            given = ""
        if not self.is_token(given):
            await sleep(WRONG_TOKEN_SECONDS)
            raise web.HTTPSeeOther("/login#wrong")
        answer = web.HTTPSeeOther("/")
        answer.set_cookie(
            COOKIE, self.session(), max_age=SESSION_SECONDS, httponly=True, samesite="Strict", secure=request.secure
        )
        raise answer

    @web.middleware
    async def check(self, request: web.Request, handler: Next) -> web.StreamResponse:
        """Let in whoever may come in; send a browser that asks for a page to the log-in form."""
        if not self.is_ours(request.headers.get("Host")):
            raise RefusedError(421, "foreign_host", "this worker has no such name: ask it as localhost, or set a token")
        resource = request.match_info.route.resource
        if resource is not None and resource.canonical in PUBLIC:
            return await handler(request)
        if request.method not in SAFE and not is_same_origin(request):
            raise RefusedError(403, "cross_site", "a page of another site sent this")
        if self.allows(request):
            return await handler(request)
        if wants_page(request):
            raise web.HTTPSeeOther("/login")
        raise RefusedError(401, "token_required", "send the token: `Authorization: Bearer ...`, or log in at /login")


def _plain(text: str) -> bytes:
    """What is compared and signed: any text at all, without the blanks around it."""
    return text.strip().encode("utf-8", "surrogatepass")


def is_same_origin(request: web.Request) -> bool:
    """Whether a request comes from one of our own pages, or from no page at all."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    try:
        return origin is None or urlsplit(origin).netloc == request.headers.get("Host")
    except ValueError:
        return False


def wants_page(request: web.Request) -> bool:
    """Whether a browser asks for a page."""
    return request.method == "GET" and "text/html" in request.headers.get("Accept", "")


@web.middleware
async def limit_sizes(request: web.Request, handler: Next) -> web.StreamResponse:
    """Refuse what is longer than any honest request; aiohttp itself refuses lines and headers above 8,190 bytes."""
    if len(request.rel_url.raw_query_string) > QUERY_LIMIT:
        raise RefusedError(414, "query_too_long", f"the query is longer than {QUERY_LIMIT} characters")
    if (request.content_length or 0) > BODY_LIMIT:
        raise RefusedError(413, "body_too_large", f"the body is larger than {BODY_LIMIT} bytes")
    return await handler(request)


@web.middleware
async def shape_errors(request: web.Request, handler: Next) -> web.StreamResponse:
    """Give every refusal the one error shape; a defect says nothing of its insides."""
    try:
        return await handler(request)
    except RefusedError as refused:
        return refused.response()
    except web.HTTPRedirection:
        raise
    except web.HTTPException as error:
        if isinstance(error, web.HTTPNotFound) and wants_page(request) and not request.path.startswith("/api/"):
            return _missing()
        code = error.reason.lower().replace(" ", "_")
        response = RefusedError(error.status, code, _explain(request, error)).response()
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except Exception:
        log.exception("%s %r failed", request.method, request.rel_url.raw_path)
        return RefusedError(500, "defect", "this is a defect of tidemark; the worker's log says more").response()


def _missing() -> web.Response:
    headers = {"Cache-Control": "no-store", "Vary": "Accept"}
    return web.Response(status=404, body=MISSING, content_type="text/html", charset="utf-8", headers=headers)


def _explain(request: web.Request, error: web.HTTPException) -> str:
    if isinstance(error, web.HTTPNotFound):
        return "there is nothing at this path; /api/v1 lists the views"
    if isinstance(error, web.HTTPMethodNotAllowed):
        return f"{request.method} is not possible here"
    return error.reason


async def expect(request: web.Request) -> web.Response | None:
    """What aiohttp does about an `Expect` header, which comes before all else: but that the refusal has our shape.

    Its own repeats the header in the answer, and fails where that is no text: a 500 for anybody who asks.
    """
    if request.version < HttpVersion11:
        return None
    if request.headers.get("Expect", "").lower() != "100-continue":
        return RefusedError(417, "expectation_failed", "the only expectation is 100-continue").response()
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # the real answer is yet to come
    return None


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Tell browsers what they may do with any answer."""
    response.headers.update(HEADERS)
