"""Every declared view answers, with its freshness, or says what is wrong with the question."""

from dataclasses import replace
from typing import Any

import pytest
from yarl import URL

from app.web.worker import Worker
from tables.players import PLAYERS, enhanced_stats, totals_shown
from tables.views import Parameter, TotalsView, View
from tests.web.asking import CHOICES, ENTITY_VIEWS, FRESHNESS, VIEWS, name_of, path_of
from tests.web.conftest import Client, Serve, bound_port
from tests.web.installation import HOSTILE, NAMES, Installation


async def ask(client: Client, path: str, status: int = 200) -> Any:
    """The body of an answer; the path goes out as it is."""
    async with client.get(URL(path, encoded=True)) as answer:
        assert answer.status == status, await answer.text()
        assert answer.content_type == "application/json"
        return await answer.json()


@pytest.mark.parametrize("view", VIEWS, ids=name_of)
async def test_every_declared_view_answers_with_its_freshness(client: Client, view: View) -> None:
    """200, with as_of, age_seconds, partition and offset beside the view's own fields."""
    body = await ask(client, path_of(view))
    assert body.keys() > FRESHNESS
    assert body["as_of"].endswith("Z")
    assert 0 <= body["age_seconds"] < 60
    assert (body["partition"] is None) == (view not in ENTITY_VIEWS)


@pytest.mark.parametrize("match_type", ["all", "ranked", "normal"])
async def test_enhanced_stats_are_the_domains_own(client: Client, worker: Worker, match_type: str) -> None:
    """The answer's fields are those of the domain, at the top level, for each class of matches."""
    body = await ask(client, f"/api/v1/players/Ann/enhanced-stats?match_type={match_type}")
    owned, row = worker.engine.row(PLAYERS, "Ann")
    assert row is not None
    assert enhanced_stats(row, match_type).items() <= body.items()
    assert (body["partition"], body["offset"]) == (owned.partition, row.head.offset)
    assert len(body["radar"]) == 10


@pytest.mark.parametrize(("view", "parameter"), CHOICES)
async def test_a_wrong_value_is_refused_with_the_allowed_ones(client: Client, view: View, parameter: Parameter) -> None:
    """400 names the parameter and what it may be."""
    body = await ask(client, f"{path_of(view)}?{parameter.name}=<wrong>", status=400)
    assert body["error"]["code"] == "wrong_parameter"
    assert body["error"]["parameter"] == parameter.name
    assert body["error"]["allowed"] == list(parameter.allowed)


@pytest.mark.parametrize("view", VIEWS, ids=name_of)
async def test_an_unknown_parameter_is_refused_with_the_known_ones(client: Client, view: View) -> None:
    """A misspelt parameter is not ignored: the answer would be to another question."""
    body = await ask(client, f"{path_of(view)}?mach_type=all", status=400)
    assert body["error"]["parameter"] == "mach_type"
    assert body["error"]["message"] == "this view has no parameter 'mach_type'"
    assert {parameter.name for parameter in view.parameters} <= set(body["error"]["allowed"])


async def test_a_parameter_given_twice_is_refused(client: Client) -> None:
    """Which one is meant is not for the server to guess."""
    body = await ask(client, "/api/v1/players/Ann/trend?match_type=all&match_type=ranked", status=400)
    assert body["error"]["parameter"] == "match_type"


@pytest.mark.parametrize("view", ENTITY_VIEWS, ids=name_of)
async def test_an_unknown_entity_is_named(client: Client, view: View) -> None:
    """404 says who is not known."""
    body = await ask(client, path_of(view, "Nobody/at all"), status=404)
    assert body["error"]["code"] == "unknown_entity"
    assert "'Nobody/at all'" in body["error"]["message"]


@pytest.mark.parametrize("name", HOSTILE)
async def test_every_name_has_an_address(client: Client, name: str) -> None:
    """Slashes, quotes, markup, percent signs, line feeds: the percent-encoded name finds its row, and only its own."""
    for view in ENTITY_VIEWS:
        assert (await ask(client, path_of(view, name)))["player"] == name


async def test_search_is_by_case_folded_prefix_in_order(client: Client) -> None:
    """Whatever the case of the question and of the names."""
    body = await ask(client, "/api/v1/players?search=aNN")
    assert [found["player"] for found in body["results"]] == ["Ann", "anna", "ANNABEL"]
    assert not body["more"]
    assert body["missing_partitions"] == []


async def test_a_page_of_a_search_is_bounded(client: Client) -> None:
    """`limit` is obeyed, and the answer says that there is more."""
    body = await ask(client, "/api/v1/players?limit=3")
    assert [found["player"] for found in body["results"]] == sorted(NAMES, key=lambda name: (name.casefold(), name))[:3]
    assert body["more"]


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1e2", "", "²", "9" * 200])
async def test_a_limit_out_of_range_is_refused(client: Client, limit: str) -> None:
    """1..100, in plain digits."""
    body = await ask(client, str(URL("/api/v1/players").with_query(limit=limit)), status=400)
    assert body["error"]["parameter"] == "limit"
    assert body["error"]["allowed"] == ["1..100"]


async def test_the_leaderboard_ranks_over_all_partitions(client: Client) -> None:
    """Ten lines, the best first, from the totals of every partition."""
    body = await ask(client, "/api/v1/players/leaderboard?by=kills")
    assert [(line["rank"], line["player"], line["value"]) for line in body["results"]] == [
        (place + 1, name, 40 - place) for place, name in enumerate(NAMES[:10])
    ]


async def test_the_totals_are_everybodys(client: Client) -> None:
    """Sums over all partitions, in the units that people read."""
    body = await ask(client, "/api/v1/players/totals")
    fights = sum(40 - place for place in range(len(NAMES)))
    assert (
        body.items()
        >= {
            "players": len(NAMES),
            "hits": fights,
            "damage": 12.5 * fights,
            "kills": fights,
            "knock_downs": 0,
            "groups": len(NAMES),
        }.items()
    )


async def test_a_newly_declared_view_is_served(serve: Serve) -> None:
    """A view of the totals, declared by a domain and by nobody else."""
    view = TotalsView("/api/v1/players/sums", "All of them.", lambda whole, _: totals_shown(whole.totals))
    client = await serve(Installation(replace(PLAYERS, views=(view,))).worker(bound_port()))
    body = await ask(client, "/api/v1/players/sums")
    assert body["players"] == len(NAMES)
    assert body["kills"] == sum(40 - place for place in range(len(NAMES)))
    assert (await ask(client, "/api/v1"))["views"][0]["path"] == "/api/v1/players/sums"


async def test_the_index_lists_every_declared_view(client: Client) -> None:
    """With its parameters and their allowed values."""
    body = await ask(client, "/api/v1")
    assert [view["about"] for view in body["views"]] == [view.about for view in VIEWS]
    search = next(view for view in body["views"] if view["path"] == "/api/v1/players")
    assert [parameter["name"] for parameter in search["parameters"]] == ["search", "limit"]


async def test_the_status_adds_up(client: Client) -> None:
    """Consumed is the sum of the outcomes, and all partitions are there."""
    body = await ask(client, "/api/v1/status")
    assert (body["ready"], body["reasons"]) == (True, [])
    [domain] = body["domains"]
    assert domain["consumed"] == sum(domain["outcomes"].values()) == 2 * sum(40 - place for place in range(len(NAMES)))
    assert [(line["partition"], line["state"], line["lag_records"]) for line in body["partitions"]] == [
        (number, "live", 0) for number in range(4)
    ]
    assert sum(line["rows"] for line in body["partitions"]) == domain["keys"] == len(NAMES)
    assert sum(line["position"] for line in body["partitions"]) == domain["consumed"]
