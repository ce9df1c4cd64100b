"""Every view that a domain declares is served, before there is any event."""

from typing import Any

import pytest
from aiohttp import web

from tables import DOMAINS
from tables.views import AggregateView, EntityView, ListView, View
from tests.web.asking import FRESHNESS, name_of, path_of
from tests.web.conftest import Client, Serve, bound_port
from tests.web.everything import Everything

VIEWS = [view for domain in DOMAINS for view in domain.views]


@pytest.fixture
async def nothing_yet(serve: Serve) -> Client:
    """A client of the empty installation."""
    return await serve(Everything(bound_port()).worker)


@pytest.mark.parametrize("view", VIEWS, ids=name_of)
async def test_every_view_answers_before_there_is_an_event(nothing_yet: Client, view: View) -> None:
    """200 and not fresh at all; 404 for an entity that nobody knows yet."""
    async with nothing_yet.get(path_of(view, "nobody")) as answer:
        body: dict[str, Any] = await answer.json()
        assert answer.status == (404 if isinstance(view, EntityView) else 200), body
    if isinstance(view, EntityView):
        assert body["error"]["code"] == "unknown_entity"
        return
    assert body.keys() > FRESHNESS
    assert (body["as_of"], body["age_seconds"]) == (None, None)
    if isinstance(view, ListView | AggregateView):
        assert body["missing_partitions"] == []


async def test_no_path_is_declared_twice(nothing_yet: Client) -> None:
    """One of the two would never be asked."""
    app = nothing_yet.server.app  # type: ignore[attr-defined] # the test server has one
    assert isinstance(app, web.Application)
    served = [(route.method, route.resource.canonical) for route in app.router.routes() if route.resource]
    assert len(served) == len(set(served))


async def test_a_value_that_may_be_empty_is_named_among_the_allowed_ones(nothing_yet: Client) -> None:
    """`one of , true, false` would be a riddle."""
    async with nothing_yet.get("/stats?active=maybe") as answer:
        body: dict[str, Any] = await answer.json()
        assert answer.status == 400, body
    assert body["error"]["message"] == "active must be one of nothing, true, false"
    assert body["error"]["allowed"] == ["", "true", "false"]


RANGES = [view for view in VIEWS if {"from", "to"} <= {parameter.name for parameter in view.parameters}]


@pytest.mark.parametrize("view", RANGES, ids=name_of)
async def test_a_range_that_ends_before_it_begins_is_refused(nothing_yet: Client, view: View) -> None:
    """An empty list would look as if there were nothing; `from` and `to` alike are a range of one."""
    day, before = ("2026-02", "2026-01") if "monthly" in view.path else ("2026-02-01", "2026-01-31")
    path = path_of(view, "nobody")
    async with nothing_yet.get(path, params={"from": day, "to": before}) as answer:
        error = (await answer.json())["error"]
        assert (answer.status, error["parameter"], error["allowed"]) == (400, "from", [f"up to {before}"])
    async with nothing_yet.get(path, params={"from": day, "to": day}) as answer:
        assert answer.status != 400
