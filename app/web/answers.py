"""What every answer looks like: one envelope, one error shape, one encoding.

An answer is a JSON object with the view's own fields and its freshness: `as_of` (event time of the last folded event
that it shows), `age_seconds`, and the `partition` and `offset` of that event; both are null where an answer is merged
over partitions. A refusal is `{"error": {"code", "message", "parameter"?, "allowed"?, "reasons"?}}`.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import orjson
from aiohttp import ETag, web

from app.clock import now_ms
from tables.event import iso

COMPRESSED_BYTES = 1_024  # smaller bodies fit a packet or two as they are
NAMED = 256  # characters of a name that an error repeats: no name of an entity is longer
RETRY_SECONDS = 1  # a restore or a rebalance takes a few of these


class RefusedError(Exception):
    """A request that gets an error for an answer."""

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"code": code, "message": message, **more}}

    def response(self) -> web.Response:
        """The refusal as it goes out."""
        headers = {"Cache-Control": "no-store"}
        if self.status == web.HTTPServiceUnavailable.status_code:
            headers["Retry-After"] = str(RETRY_SECONDS)
        if self.status == web.HTTPUnauthorized.status_code:
            headers["WWW-Authenticate"] = 'Bearer realm="tidemark"'
        return web.Response(
            status=self.status, body=orjson.dumps(self.body), content_type="application/json", headers=headers
        )


def wrong_parameter(name: str, message: str, allowed: Iterable[str]) -> RefusedError:
    """400: names the parameter and what it may be."""
    return RefusedError(400, "wrong_parameter", message, parameter=name[:NAMED], allowed=list(allowed))


def unknown_entity(kind: str, entity: str) -> RefusedError:
    """404: names the entity."""
    return RefusedError(404, "unknown_entity", f"no {kind} is called {entity[:NAMED]!r}")


def unavailable(code: str, message: str, **more: Any) -> RefusedError:
    """503: ask again soon."""
    return RefusedError(503, code, message, **more)


def respond(
    request: web.Request, body: dict[str, Any], *, at: int, partition: int | None = None, offset: int | None = None
) -> web.Response:
    """A view's answer with its freshness.

    Args:
        request: what is answered; it may know the answer already (If-None-Match).
        body: the view's own fields.
        at: event time of the last folded event that the answer shows, ms since the epoch; 0 where there is none.
        partition: of that event, where the answer is of one partition.
        offset: of that event, likewise.
    """
    encoded = orjson.dumps(body | {"as_of": iso(at) if at else None, "partition": partition, "offset": offset})
    # The age changes with every request; an answer that has only grown older is the one that the client has.
    tag = blake2b(encoded, digest_size=16).hexdigest()
    if knows(request, tag):
        response = web.Response(status=304)
    else:
        age = orjson.dumps(max(0, now_ms() - at) / 1000 if at else None)
        whole = encoded[:-1] + b',"age_seconds":' + age + b"}"
        response = web.Response(body=whole, content_type="application/json")
        compress(request, response, len(whole))
    response.etag = weak(tag)
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def created(body: dict[str, Any], *, at: int, partition: int, offset: int) -> web.Response:
    """201: what was asked for has been published.

    Args:
        body: what has been published.
        at: event time of the last folded event that went into it, ms since the epoch; 0 where there is none.
        partition: whose transaction carried it.
        offset: of the last record that this partition has folded; -1 where there is none.
    """
    fresh = {
        "as_of": iso(at) if at else None,
        "partition": partition,
        "offset": offset if offset >= 0 else None,
        "age_seconds": max(0, now_ms() - at) / 1000 if at else None,
    }
    return web.Response(
        status=201,
        body=orjson.dumps(body | fresh),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def weak(tag: str) -> ETag:
    """A tag of what is said: the bytes differ by age and by compression."""
    return ETag(tag, is_weak=True)


def knows(request: web.Request, tag: str) -> bool:
    """Whether the client has the answer with this tag already."""
    return any(known.value in (tag, "*") for known in request.if_none_match or ())


def compress(request: web.Request, response: web.Response, size: int) -> None:
    """Compress a body that is worth it, for those who take it."""
    response.headers["Vary"] = "Accept-Encoding"
    if size >= COMPRESSED_BYTES and "gzip" in request.headers.get("Accept-Encoding", "").lower():
        response.enable_compression(web.ContentCoding.gzip)
