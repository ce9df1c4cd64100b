"""Without the token nothing is to be had; and what browsers may do with answers."""

import asyncio
import time
from dataclasses import replace

import pytest
from multidict import CIMultiDictProxy

from app.web.security import COOKIE, HEADERS, Guard
from tests.web.asking import VIEWS, path_of
from tests.web.conftest import Client, Serve, bound_port, raw
from tests.web.installation import Installation

TOKEN = "correct-horse"  # noqa: S105 - a token of tests
PATHS = [
    *map(path_of, VIEWS),
    "/",
    "/players",
    "/players/Ann",
    "/api/v1",
    "/api/v1/status",
    "/api/v1/live",
    "/health/ready",
    "/nowhere",
]


@pytest.fixture
async def closed(serve: Serve) -> Client:
    """A client of a worker that asks for a token."""
    return await serve(Installation(token=TOKEN).worker(bound_port()))


@pytest.mark.parametrize("path", PATHS)
async def test_nothing_is_answered_without_the_token(closed: Client, path: str) -> None:
    """401 with the way to ask; what does not exist is not told apart."""
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}, {"Cookie": f"{COOKIE}={TOKEN}"}):
        async with closed.get(path, headers=headers) as answer:
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            assert (await answer.json())["error"]["code"] == "token_required"


@pytest.mark.parametrize("path", PATHS[:-1])
async def test_the_token_opens_everything(closed: Client, path: str) -> None:
    """As a bearer token."""
    async with closed.get(path, headers={"Authorization": f"bearer {TOKEN}"}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    "path",
    ["/static/%2e%2e/api/v1/status", "/static%2F..%2Fapi/v1", "//api/v1/status", "/health%2Flive", "/LOGIN", "/static"],
)
async def test_no_other_spelling_of_a_path_gets_past_the_token(closed: Client, path: str) -> None:
    """What is public is decided by the route that answers, not by how its path was written."""
    async with closed.session.get(raw(closed, path)) as answer:
        assert answer.status in {401, 404}
        assert "partitions" not in await answer.text()


async def test_liveness_needs_no_token(closed: Client) -> None:
    """Whoever restarts dead workers holds no secrets."""
    async with closed.get("/health/live") as answer:
        assert answer.status == 200


async def test_a_browser_logs_in_by_a_form(closed: Client) -> None:
    """A page leads to the form, the token to the page; the cookie is out of reach for scripts and other sites."""
    html = {"Accept": "text/html"}
    async with closed.get("/players", headers=html, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/login")
    async with closed.post("/login", data={"token": TOKEN}, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/")
        cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN not in cookie
    session = {"Cookie": cookie.split(";")[0]}
    async with closed.get("/players", headers=session | html) as answer:
        assert answer.status == 200


async def test_a_wrong_token_opens_nothing(closed: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Back to the form, without a cookie."""
    monkeypatch.setattr("app.web.security.WRONG_TOKEN_SECONDS", 0.0)
    async with closed.post("/login", data={"token": "wrong"}, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/login#wrong")
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("change", ["later", "forged", "another token's", "expired", "nonsense", "not ASCII"])
async def test_a_session_that_we_did_not_sign_is_none(closed: Client, change: str) -> None:
    """A changed expiry, a made-up signature, another installation's, one that is over."""
    until, signature = Guard(TOKEN).session().split(".")
    expired = str(int(time.time()) - 1)
    session = {
        "later": f"{int(until) + 1}.{signature}",
        "forged": f"{until}.{'0' * 64}",
        "another token's": Guard("another").session(),
        "expired": f"{expired}.{Guard(TOKEN)._sign(expired)}",
        "nonsense": "nonsense",
        "not ASCII": "é.é",
    }[change]
    async with closed.get("/api/v1/status", headers={"Cookie": f"{COOKIE}={session}"}) as answer:
        assert answer.status == 401


@pytest.mark.parametrize("given", [f" {TOKEN}\t", TOKEN])
@pytest.mark.parametrize("ours", [f"{TOKEN} ", TOKEN])
def test_blanks_around_a_token_do_not_count(ours: str, given: str) -> None:
    """Neither in the setting nor in what is sent; sessions of both spellings are the same."""
    assert Guard(ours).is_token(given)
    assert not Guard(ours).is_token("")
    assert Guard(ours)._is_session(Guard(TOKEN).session())


def test_a_token_of_blanks_is_refused() -> None:
    """It would be compared as an empty one, and let everybody in."""
    with pytest.raises(ValueError, match="web_token"):
        Guard(" \t")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"token=%ff%fe", "application/x-www-form-urlencoded"),
        (b"token=\xff\xfe", "application/x-www-form-urlencoded"),
        (b"token=x", "application/x-www-form-urlencoded; charset=nonsense"),
        (b"token=+2AA-", "application/x-www-form-urlencoded; charset=utf-7"),
        (b"x", "multipart/form-data"),
        (b"x", "multipart/form-data; boundary=y"),
    ],
)
async def test_an_odd_form_is_a_wrong_token(
    closed: Client, monkeypatch: pytest.MonkeyPatch, body: bytes, kind: str
) -> None:
    """Never a defect."""
    monkeypatch.setattr("app.web.security.WRONG_TOKEN_SECONDS", 0.0)
    async with closed.post("/login", data=body, headers={"Content-Type": kind}, allow_redirects=False) as answer:
        assert (answer.status, answer.headers.get("Location")) == (303, "/login#wrong")


@pytest.mark.parametrize("bearer", ["é", "\udcff\udcfe", "日本"])
async def test_an_odd_bearer_token_is_a_wrong_one(closed: Client, bearer: str) -> None:
    """401, whatever its bytes."""
    reader, writer = await asyncio.open_connection(closed.host, closed.port)
    request = f"GET /api/v1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {bearer}\r\n\r\n"
    writer.write(request.encode("utf-8", "surrogateescape"))
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:6066", "localhost.evil.example", "127.0.0.1.nip.io", "192.0.2.1", "[::2]", "[", ""],
)
@pytest.mark.parametrize("path", ["/", "/api/v1/players/Ann/trend", "/static/style.css", "/nowhere"])
async def test_a_foreign_host_is_refused_without_a_token(client: Client, path: str, host: str) -> None:
    """A web site whose name resolves to loopback cannot read what this machine's user may."""
    async with client.get(path, headers={"Host": host}) as answer:
        assert answer.status == 421
        assert (await answer.json())["error"]["code"] == "foreign_host"


@pytest.mark.parametrize("host", ["localhost", "LocalHost:1", "127.0.0.1", "127.0.0.1:6066", "[::1]", "[::1]:6066"])
async def test_our_own_names_are_answered_at_any_port(client: Client, host: str) -> None:
    """Forwarded ports and proxies on this machine included."""
    async with client.get("/api/v1", headers={"Host": host}) as answer:
        assert answer.status == 200


async def test_the_configured_names_are_ours(serve: Serve) -> None:
    """Where the worker listens, and where others reach it."""
    worker = Installation().worker(bound_port())
    settings = worker.settings.model_copy(update={"web_host": "127.0.0.9", "web_url": "http://Tide.example:80/"})
    client = await serve(replace(worker, settings=settings))
    for host, status in (("127.0.0.9:1", 200), ("tide.example", 200), ("other.example", 421)):
        async with client.get("/api/v1", headers={"Host": host}) as answer:
            assert answer.status == status


async def test_with_a_token_every_host_is_answered(closed: Client) -> None:
    """The token is the guard; proxies may use any name."""
    async with closed.get("/api/v1", headers={"Host": "evil.example", "Authorization": f"Bearer {TOKEN}"}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("path", [*PATHS, "/login", "/static/style.css", "/health/live"])
async def test_every_answer_carries_the_security_headers(client: Client, path: str) -> None:
    """Pages, files, views, and errors alike."""
    async with client.get(path) as answer:
        assert HEADERS.items() <= headers_of(answer.headers).items()
    policy = HEADERS["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


def headers_of(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    """Headers in the spelling of HEADERS."""
    return {name: headers[name] for name in HEADERS if name in headers}
