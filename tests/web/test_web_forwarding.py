"""Two workers share the partitions, and each of them answers for all."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr
from yarl import URL

from app.engine.owned import State
from app.web.peers import FORWARDED
from app.web.security import COOKIE, Guard
from app.web.worker import Worker
from tests.web.asking import ENTITY_VIEWS, path_of
from tests.web.conftest import Client, Serve, Two, bound_port, serve_two
from tests.web.installation import NAMES, Installation

BEARER = {"Authorization": "Bearer shared"}


@pytest.fixture
async def two(serve: Serve) -> Two:
    """Both workers, served. They share a token."""
    return await serve_two(serve, Installation(token="shared"))  # noqa: S106 - a token of tests


async def ask(client: Client, path: str, status: int = 200, **headers: str) -> Any:
    """The body of an answer."""
    async with client.get(URL(path, encoded=True), headers=BEARER | headers) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


@pytest.mark.parametrize("name", NAMES)
async def test_both_workers_answer_alike(two: Two, name: str) -> None:
    """Whoever is asked, the owner answers; the names of entities survive the way there."""
    for view in ENTITY_VIEWS:
        left, right = await ask(two.left_client, path_of(view, name)), await ask(two.right_client, path_of(view, name))
        del left["age_seconds"], right["age_seconds"]
        assert left == right
        assert left["player"] == name


def foreign(worker: Worker) -> str:
    """A name whose partition another worker owns."""
    ours = {owned.partition for owned in worker.engine.owned.values()}
    return next(name for name in NAMES if worker.engine.partition_of(name.encode()) not in ours)


async def test_refusals_of_the_owner_are_passed_on(two: Two) -> None:
    """404, and the parameter of 400, come as they are."""
    unknown = next(
        name for number in range(99) if two.left.engine.partition_of((name := f"nobody {number}").encode()) > 1
    )
    body = await ask(two.left_client, path_of(ENTITY_VIEWS[0], unknown), status=404)
    assert unknown in body["error"]["message"]
    await ask(two.left_client, path_of(ENTITY_VIEWS[0], foreign(two.left)) + "?match_type=x", status=400)


async def test_tags_work_through_the_other_worker(two: Two) -> None:
    """304 comes from the owner."""
    path = path_of(ENTITY_VIEWS[0], foreign(two.left))
    async with two.left_client.get(URL(path, encoded=True), headers=BEARER) as first:
        tag = first.headers["ETag"]
    known = BEARER | {"If-None-Match": tag}
    async with two.left_client.get(URL(path, encoded=True), headers=known) as second:
        assert second.status == 304


async def test_an_owner_that_restores_says_so_through_the_other_worker(two: Two) -> None:
    """503 with its Retry-After."""
    for owned in two.right.engine.owned.values():
        owned.state = State.RESTORING
    path = path_of(ENTITY_VIEWS[0], foreign(two.left))
    async with two.left_client.get(URL(path, encoded=True), headers=BEARER) as answer:
        assert answer.status == 503
        assert "Retry-After" in answer.headers
        assert (await answer.json())["error"]["code"] == "restoring"


async def test_a_forwarded_question_is_not_forwarded_again(two: Two) -> None:
    """Two workers that take each other for the owner do not ask each other for ever."""
    path = path_of(ENTITY_VIEWS[0], foreign(two.left))
    body = await ask(two.left_client, path, status=503, **{FORWARDED: "1"})
    assert body["error"]["code"] == "owner_unknown"


async def test_a_partition_that_nobody_owns_is_503(two: Two) -> None:
    """While the group settles."""
    name = foreign(two.left)
    two.left.distribution()[two.right.url].clear()  # type: ignore[attr-defined] # the test's own dict
    body = await ask(two.left_client, path_of(ENTITY_VIEWS[0], name), status=503)
    assert body["error"]["code"] == "owner_unknown"


async def test_an_owner_that_is_gone_is_503(two: Two) -> None:
    """Not 500, and not a hanging request."""
    await two.right_client.close()
    body = await ask(two.left_client, path_of(ENTITY_VIEWS[0], foreign(two.left)), status=503)
    assert body["error"]["code"] == "owner_silent"


async def test_different_tokens_are_explained(serve: Serve) -> None:
    """The client's token was right: 401 would send it looking in the wrong place."""
    installation = Installation(token="shared")  # noqa: S106 - a token of tests
    left = installation.worker(bound_port(), (0, 1))
    client = await serve(left)
    await serve(installation.worker(bound_port(), (2, 3), token="another"))  # noqa: S106 - a token of tests
    body = await ask(client, path_of(ENTITY_VIEWS[0], foreign(left)), status=503)
    assert body["error"]["code"] == "owner_refuses"


async def test_a_search_merges_all_workers(two: Two) -> None:
    """In one order, with one limit, whoever is asked."""
    everybody = sorted(NAMES, key=lambda name: (name.casefold(), name))
    for client in (two.left_client, two.right_client):
        body = await ask(client, "/api/v1/players?limit=5")
        assert [found["player"] for found in body["results"]] == everybody[:5]
        assert body["more"]
        assert body["missing_partitions"] == []
        body = await ask(client, "/api/v1/players?limit=100")
        assert [found["player"] for found in body["results"]] == everybody
        assert not body["more"]


async def test_a_search_names_the_partitions_of_a_silent_worker(two: Two) -> None:
    """And answers with the others."""
    await two.right_client.close()
    body = await ask(two.left_client, "/api/v1/players?limit=100")
    assert body["missing_partitions"] == [2, 3]
    found = {line["player"] for line in body["results"]}
    assert found == {name for name in NAMES if two.left.engine.partition_of(name.encode()) < 2}


async def test_a_silent_worker_is_told_of_once_in_a_while(
    two: Two, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A page that asks every second fills no log, and a worker that stays silent is not forgotten."""

    def said() -> int:
        return sum(f"{two.right.url} does not answer: " in record.getMessage() for record in caplog.records)

    await two.right_client.close()
    for _ in range(3):
        assert (await ask(two.left_client, "/api/v1/status"))["silent_workers"] == [two.right.url]
    assert said() == 1
    monkeypatch.setattr("app.web.peers.SILENT_SECONDS", 0)
    await ask(two.left_client, "/api/v1/status")
    assert said() == 2


async def test_the_status_merges_all_workers(two: Two) -> None:
    """Every partition with its owner; whose owner is silent is unknown."""
    body = await ask(two.left_client, "/api/v1/status")
    assert [line["worker"] for line in body["partitions"]] == [two.left.url] * 2 + [two.right.url] * 2
    assert {line["url"] for line in body["workers"]} == {two.left.url, two.right.url}
    await two.right_client.close()
    body = await ask(two.left_client, "/api/v1/status")
    assert [line["state"] for line in body["partitions"]] == ["live", "live", "unknown", "unknown"]
    assert body["silent_workers"] == [two.right.url]


async def test_the_status_is_not_ready_while_partitions_cannot_be_reached(two: Two) -> None:
    """A silent worker, and a partition that nobody owns; each worker itself stays ready."""
    assert (await ask(two.left_client, "/api/v1/status"))["ready"]
    await two.right_client.close()
    body = await ask(two.left_client, "/api/v1/status")
    assert not body["ready"]
    assert body["reasons"] == [f"{two.right.url} does not answer", "players[2] is unknown", "players[3] is unknown"]
    del two.left.distribution()[two.right.url]  # type: ignore[attr-defined] # the test's own dict
    body = await ask(two.left_client, "/api/v1/status")
    assert (body["ready"], body["silent_workers"]) == (False, [])
    assert body["reasons"] == ["players[2] is unknown", "players[3] is unknown"]
    assert await ask(two.left_client, "/health/ready") == {"status": "ready"}


async def test_the_status_says_which_worker_has_what_reason(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the other one's engine says comes with its address, once."""
    monkeypatch.setattr(two.right.engine, "reasons_not_ready", lambda: ["players[2] is parked"])
    next(owned for owned in two.right.engine.owned.values() if owned.partition == 2).state = State.PARKED
    body = await ask(two.left_client, "/api/v1/status")
    assert (body["ready"], body["reasons"]) == (False, [f"{two.right.url}: players[2] is parked"])
    assert await ask(two.left_client, "/health/ready") == {"status": "ready"}


def with_token(token: str) -> tuple[Worker, Worker]:
    """Two workers with a token that settings would have refused or stripped."""
    installation = Installation()
    left, right = (
        replace(worker, settings=worker.settings.model_copy(update={"web_token": SecretStr(token)}))
        for worker in (installation.worker(bound_port(), (0, 1)), installation.worker(bound_port(), (2, 3)))
    )
    return left, right


@pytest.mark.parametrize("token", [" padded\t", "größe ☃", "quo\"te's; a=b, \\", "inner  blanks", "trailing\n"])
async def test_an_odd_token_forwards(serve: Serve, token: str) -> None:
    """Blanks around it, letters beyond ASCII, punctuation: workers with the same token understand each other."""
    left, right = with_token(token)
    client = await serve(left)
    await serve(right)
    bearer = {"Authorization": f"Bearer {token.strip()}"}
    async with client.get(URL(path_of(ENTITY_VIEWS[0], foreign(left)), encoded=True), headers=bearer) as answer:
        assert answer.status == 200, await answer.text()


@pytest.mark.parametrize("token", ["line\nfeed", "bell\x07", "half a \udc80 letter"])
async def test_a_token_that_no_header_can_carry_is_no_defect(serve: Serve, token: str) -> None:
    """503 for what the other worker owns; who has logged in by the form sees the rest."""
    left, right = with_token(token)
    client = await serve(left)
    await serve(right)
    session = {"Cookie": f"{COOKIE}={Guard(token).session()}"}
    async with client.get(URL(path_of(ENTITY_VIEWS[0], foreign(left)), encoded=True), headers=session) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (503, "owner_silent")
