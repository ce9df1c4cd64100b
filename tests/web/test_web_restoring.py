"""Rows that are being restored are never served: 503 with Retry-After, and readiness says why."""

import pytest

from app.engine.engine import Engine
from app.engine.owned import State
from app.web.worker import Worker
from tables.views import EntityView, TopView, TotalsView, View
from tests.web.asking import VIEWS, name_of, path_of
from tests.web.conftest import Client
from tests.web.installation import Member


def restore(engine: Engine, *partitions: int) -> None:
    """Put partitions back to where a restore begins."""
    for (_, partition), owned in engine.owned.items():
        if partition in partitions:
            owned.state = State.RESTORING
            owned.task = None


@pytest.mark.parametrize("view", VIEWS, ids=name_of)
async def test_a_view_that_is_being_restored_says_when_to_ask_again(client: Client, worker: Worker, view: View) -> None:
    """503, Retry-After, and the error shape, for every kind of view."""
    restore(worker.engine, *range(4))
    worker.totals.complete.clear()
    async with client.get(path_of(view)) as answer:
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert (await answer.json())["error"]["code"] == "restoring"


async def test_a_search_names_the_partitions_that_are_missing(client: Client, worker: Worker) -> None:
    """The others answer meanwhile."""
    restore(worker.engine, 1, 3)
    async with client.get("/api/v1/players") as answer:
        assert answer.status == 200
        assert (await answer.json())["missing_partitions"] == [1, 3]


@pytest.mark.parametrize("view", VIEWS, ids=name_of)
async def test_a_view_is_refused_where_the_group_confirms_this_worker_no_more(
    client: Client, worker: Worker, view: View
) -> None:
    """Rows that another worker may have changed by now are not shown; merged totals are, as they are read."""
    worker.engine.group = Member(silent_seconds=worker.settings.session_timeout_seconds)
    async with client.get(path_of(view)) as answer:
        if isinstance(view, TopView | TotalsView):
            assert answer.status == 200
        elif isinstance(view, EntityView):
            assert answer.status == 503
            assert "confirms this worker no more" in (await answer.json())["error"]["message"]
        else:
            assert answer.status == 503 or (await answer.json())["missing_partitions"] == [0, 1, 2, 3]


async def test_readiness_gives_its_reasons(client: Client, worker: Worker) -> None:
    """503 and one line per partition, 200 when all is well."""
    async with client.get("/health/ready") as answer:
        assert (answer.status, await answer.json()) == (200, {"status": "ready"})
    restore(worker.engine, 2)
    worker.totals.complete.clear()
    async with client.get("/health/ready") as answer:
        assert answer.status == 503
        assert "Retry-After" in answer.headers
        reasons = (await answer.json())["error"]["reasons"]
    assert reasons == ["players[2] is restoring", "the totals of all partitions are still being read"]


async def test_a_worker_without_an_assignment_is_not_ready(client: Client, worker: Worker) -> None:
    """It lives, though."""
    worker.engine.group = Member(generation=-1)
    async with client.get("/health/ready") as ready, client.get("/health/live") as live:
        assert (ready.status, live.status) == (503, 200)


async def test_the_status_shows_a_restore(client: Client, worker: Worker) -> None:
    """State and what went wrong last; no numbers that are not served."""
    restore(worker.engine, 0)
    next(iter(worker.engine.owned.values())).last_error = "KafkaError: away"
    async with client.get("/api/v1/status") as answer:
        first = (await answer.json())["partitions"][0]
    assert (first["state"], first["error"], first["rows"]) == ("restoring", "KafkaError: away", None)
