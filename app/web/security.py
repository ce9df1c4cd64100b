"""Who may ask, how much at once, and what browsers may do with the answers.

With a token set, everything but liveness, the log-in form and the project's own static files needs it: as a bearer
token, or as the cookie that the form sets. The cookie holds an expiry and its signature, never the token; every worker
accepts it, because all have the same token.
"""

import hashlib
import hmac
import logging
import time
from asyncio import sleep
from collections.abc import Awaitable, Callable

from aiohttp import web

from app.web.answers import RefusedError

log = logging.getLogger("tidemark.web")

COOKIE = "tidemark"
SESSION_SECONDS = 12 * 3_600  # a working day with room
WRONG_TOKEN_SECONDS = 1.0  # what a wrong guess costs
QUERY_LIMIT = 2_048  # characters of a query string; the declared parameters need far fewer
BODY_LIMIT = 4_096  # bytes of a request's body: a log-in form
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
    """Checks tokens and sessions. An empty token lets everybody in: settings allow it on loopback only."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    @property
    def open(self) -> bool:
        """Whether no token is asked for."""
        return not self._token

    def is_token(self, given: str) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._token)

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
            return self.is_token(given.strip())
        return self._is_session(request.cookies.get(COOKIE, ""))

    def _is_session(self, cookie: str) -> bool:
        until, _, signature = cookie.partition(".")
        signed = hmac.compare_digest(signature.encode("utf-8", "surrogateescape"), self._sign(until).encode())
        return signed and int(until) > time.time()

    def _sign(self, until: str) -> str:
        return hmac.new(
            self._token, b"session until " + until.encode("utf-8", "surrogateescape"), hashlib.sha256
        ).hexdigest()

    # -- the log-in form ---------------------------------------------------------------------------------------------

    async def log_in(self, request: web.Request) -> web.StreamResponse:
        """Set the cookie for the right token; show the form again, with what was wrong, for another."""
        form = await request.post()
        if not self.is_token(str(form.get("token", ""))):
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
        resource = request.match_info.route.resource
        if (resource is not None and resource.canonical in PUBLIC) or self.allows(request):
            return await handler(request)
        if request.method == "GET" and "text/html" in request.headers.get("Accept", ""):
            raise web.HTTPSeeOther("/login")
        raise RefusedError(401, "token_required", "send the token: `Authorization: Bearer ...`, or log in at /login")


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
        code = error.reason.lower().replace(" ", "_")
        response = RefusedError(error.status, code, _explain(request, error)).response()
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except Exception:
        log.exception("%s %r failed", request.method, request.rel_url.raw_path)
        return RefusedError(500, "defect", "this is a defect of tidemark; the worker's log says more").response()


def _explain(request: web.Request, error: web.HTTPException) -> str:
    if isinstance(error, web.HTTPNotFound):
        return "there is nothing at this path; /api/v1 lists the views"
    if isinstance(error, web.HTTPMethodNotAllowed):
        return f"{request.method} is not possible here"
    return error.reason


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Tell browsers what they may do with any answer."""
    response.headers.update(HEADERS)
