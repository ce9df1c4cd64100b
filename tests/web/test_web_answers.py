"""One envelope, one error shape, tags, compression, limits."""

import gzip
from dataclasses import replace
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession

from tables.players import PLAYERS
from tables.views import EntityView, View
from tests.web.asking import VIEWS, name_of, path_of
from tests.web.conftest import Client, Serve, bound_port
from tests.web.installation import Installation

STATS = "/api/v1/players/Ann/enhanced-stats"
LARGE = "/api/v1/players?limit=100"


@pytest.mark.parametrize("view", VIEWS, ids=name_of)
async def test_an_answer_that_only_grew_older_is_not_sent_again(client: Client, view: View) -> None:
    """Its tag stays; whoever has it gets 304 and no body."""
    async with client.get(path_of(view)) as first:
        tag = first.headers["ETag"]
    assert tag.startswith('W/"')  # bodies with one tag differ by their age
    async with client.get(path_of(view), headers={"If-None-Match": tag}) as second:
        assert (second.status, second.headers["ETag"], await second.read()) == (304, tag, b"")
    async with client.get(path_of(view), headers={"If-None-Match": '"another"'}) as third:
        assert third.status == 200


async def test_a_large_answer_is_compressed_for_those_who_take_it(client: Client) -> None:
    """And only for those."""
    url = client.make_url(LARGE)
    async with ClientSession(auto_decompress=False) as session:
        async with session.get(url, headers={"Accept-Encoding": "gzip"}) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            assert orjson.loads(gzip.decompress(await answer.read()))["results"]
        async with session.get(url, headers={"Accept-Encoding": "identity"}) as answer:
            assert "Content-Encoding" not in answer.headers
            assert answer.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/static/nothing.js", 404, "not_found"),
        ("GET", "/table", 404, "not_found"),
        ("GET", "/router", 404, "not_found"),
        ("POST", STATS, 405, "method_not_allowed"),
        ("GET", f"{STATS}?{'x' * 2_049}", 414, "query_too_long"),
        ("GET", "/api/v1/status?verbose=1", 400, "wrong_parameter"),
    ],
)
async def test_every_refusal_has_one_shape(client: Client, method: str, path: str, status: int, code: str) -> None:
    """Also those that no view makes: {"error": {"code", "message", ...}}."""
    async with client.request(method, path) as answer:
        assert (answer.status, answer.content_type) == (status, "application/json")
        error = (await answer.json())["error"]
    assert error["code"] == code
    assert error["message"]


async def test_a_large_body_is_refused(client: Client) -> None:
    """Whatever it is for."""
    async with client.post("/login", data=b"x" * 5_000) as answer:
        assert answer.status == 413
        assert (await answer.json())["error"]["code"] == "body_too_large"


async def test_a_defect_says_nothing_of_its_insides(serve: Serve) -> None:
    """500 in the error shape; the traceback is for the log."""

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("secret")

    domain = replace(PLAYERS, views=(EntityView("/broken/{entity}", "Raises.", broken),))
    client = await serve(Installation(domain).worker(bound_port()))
    async with client.get("/broken/Ann") as answer:
        assert answer.status == 500
        assert "secret" not in await answer.text()
        assert (await answer.json())["error"]["code"] == "defect"
