"""Two workers share the partitions, and each of them answers for all."""

from typing import Any, NamedTuple

import pytest
from yarl import URL

from app.engine.owned import State
from app.web.peers import FORWARDED
from app.web.worker import Worker
from tests.web.asking import ENTITY_VIEWS, path_of
from tests.web.conftest import Client, Serve, bound_port
from tests.web.installation import NAMES, Installation

BEARER = {"Authorization": "Bearer shared"}


class Two(NamedTuple):
    """Two workers: `left` owns partitions 0 and 1, `right` 2 and 3. They share a token."""

    left: Worker
    right: Worker
    left_client: Client
    right_client: Client


@pytest.fixture
async def two(serve: Serve) -> Two:
    """Both workers, served."""
    installation = Installation(token="shared")  # noqa: S106 - a token of tests
    left, right = installation.worker(bound_port(), (0, 1)), installation.worker(bound_port(), (2, 3))
    return Two(left, right, await serve(left), await serve(right))


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


async def test_the_status_merges_all_workers(two: Two) -> None:
    """Every partition with its owner; whose owner is silent is unknown."""
    body = await ask(two.left_client, "/api/v1/status")
    assert [line["worker"] for line in body["partitions"]] == [two.left.url] * 2 + [two.right.url] * 2
    assert {line["url"] for line in body["workers"]} == {two.left.url, two.right.url}
    await two.right_client.close()
    body = await ask(two.left_client, "/api/v1/status")
    assert [line["state"] for line in body["partitions"]] == ["live", "live", "unknown", "unknown"]
    assert body["silent_workers"] == [two.right.url]
