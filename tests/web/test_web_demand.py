"""A POST publishes out of turn, by whoever owns partition 0; another site's page cannot send it."""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import orjson
import pytest

from agents.emit import take
from app.clock import now_ms
from app.engine.owned import Owned
from tables.event import iso
from tests.web.conftest import Client, Serve, Two, bound_port, serve_two
from tests.web.declared import DECLARED, PERIODIC
from tests.web.installation import NAMES, Installation
from tests.web.test_web_restoring import restore

BEARER = {"Authorization": "Bearer shared"}
PATH = PERIODIC.path


@pytest.fixture
async def two(serve: Serve) -> Two:
    """Both workers, served, with a token; `left` owns partition 0."""
    return await serve_two(serve, Installation(token="shared"))  # noqa: S106 - a token of tests


@pytest.fixture
def committing(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Partitions that commit in memory as soon as they are asked to; what they publish."""
    published: list[Any] = []
    demand = Owned.demand

    def demand_and_commit(self: Owned) -> "asyncio.Future[int]":
        future = demand(self)
        assert self.task is not None
        self.task.others = self.domain.totals
        now = now_ms()
        commit = take(self.task, now)
        published.extend(record for record in commit.outgoing if record.key == b"all")
        self.committed = commit.position
        self.demands.answer(list(self.demands.waiting), now)
        return future

    monkeypatch.setattr(Owned, "demand", demand_and_commit)
    return published


async def post(
    client: Client, path: str = PATH, status: int = 201, headers: Mapping[str, str] = MappingProxyType({})
) -> Any:
    """The body of an answer."""
    async with client.post(path, headers={**BEARER, **headers}) as answer:
        assert answer.status == status, await answer.text()
        assert answer.headers["Cache-Control"] == "no-store"
        return await answer.json()


async def test_whoever_is_asked_the_owner_publishes(two: Two, committing: list[Any]) -> None:
    """201 with the record's time and how fresh it is; one record per question."""
    for number, client in enumerate((two.left_client, two.right_client), 1):
        body = await post(client)
        assert body["published"] is True
        assert body["timestamp"] == iso(orjson.loads(committing[-1].value)["time"])
        assert body["partition"] == 0
        assert body["offset"] is not None
        assert body["as_of"] == iso(two.left.totals.totals(DECLARED).at)
        assert 0 <= body["age_seconds"] < 60
        assert len(committing) == number


async def test_only_a_post_publishes(two: Two, committing: list[Any]) -> None:
    """A GET, which any link makes, is refused with what is possible; so is a parameter."""
    async with two.left_client.get(PATH, headers=BEARER) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
    assert (await post(two.left_client, f"{PATH}?when=now", 400))["error"]["parameter"] == "when"
    assert committing == []


async def test_nothing_is_published_while_it_is_restored(two: Two, committing: list[Any]) -> None:
    """503 with Retry-After, also by way of another worker; the totals of the others have to be known, too."""
    two.left.totals.complete.clear()
    assert (await post(two.right_client, status=503))["error"]["code"] == "restoring"
    two.left.totals.complete.set()
    restore(two.left.engine, 0)
    for client in (two.left_client, two.right_client):
        async with client.post(PATH, headers=BEARER) as answer:
            assert answer.status == 503
            assert int(answer.headers["Retry-After"]) > 0
            assert (await answer.json())["error"]["code"] == "restoring"
    assert committing == []


async def test_an_owner_that_is_gone_is_503(two: Two) -> None:
    """Nobody else publishes in its place."""
    await two.left_client.close()
    assert (await post(two.right_client, status=503))["error"]["code"] == "owner_silent"


async def test_a_partition_that_is_lost_on_the_way_is_503(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the record is there, nobody knows."""

    def lost(_: Owned) -> "asyncio.Future[int]":
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        future.cancel()
        return future

    monkeypatch.setattr(Owned, "demand", lost)
    assert (await post(two.right_client, status=503))["error"]["code"] == "restoring"


async def test_a_commit_that_takes_too_long_is_503(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer does not wait for ever, and who waited is forgotten."""
    monkeypatch.setattr("app.web.demand.COMMIT_SECONDS", 0.05)
    worker = Installation().worker(bound_port())
    client = await serve(worker)
    assert (await post(client, status=503))["error"]["code"] == "not_durable"
    [owned] = [owned for owned in worker.engine.owned.values() if owned.partition == 0]
    owned.demands.answer(list(owned.demands.waiting), now_ms())
    assert owned.demands.waiting == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://["},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://{host}"},
    ],
)
async def test_a_page_of_another_site_cannot_publish(
    serve: Serve, committing: list[Any], headers: dict[str, str]
) -> None:
    """403: with the user's session, and where no token is asked for at all."""
    client = await serve(Installation().worker(bound_port()))
    ours = {name: value.replace("{host}", f"{client.host}:{client.port}") for name, value in headers.items()}
    assert (await post(client, status=403, headers=ours))["error"]["code"] == "cross_site"
    assert committing == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://{host}"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://behind.a.proxy"},
        {"Origin": "http://{host}"},
    ],
)
async def test_our_own_pages_and_programs_can(serve: Serve, committing: list[Any], headers: dict[str, str]) -> None:
    """A browser says where a request comes from; a program has nothing to say."""
    client = await serve(Installation().worker(bound_port()))
    ours = {name: value.replace("{host}", f"{client.host}:{client.port}") for name, value in headers.items()}
    assert (await post(client, headers=ours))["published"]
    assert len(committing) == 1
    assert b'"keys":' in committing[0].value


async def test_without_the_token_nothing_is_published(two: Two, committing: list[Any]) -> None:
    """401, as everywhere."""
    async with two.left_client.post(PATH) as answer:
        assert answer.status == 401
    assert committing == []


def test_the_players_of_these_tests_are_in_several_partitions() -> None:
    """Otherwise forwarding would not be tested."""
    engine = Installation().worker(1).engine
    assert len({engine.partition_of(name.encode()) for name in NAMES}) == 4
