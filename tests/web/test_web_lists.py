"""Lists and aggregates go through all rows of all workers, in slices, in pages, and say what is missing."""

import asyncio
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from yarl import URL

from app.engine.owned import State
from app.web import peers, scans
from app.web.lists import Best, Page
from app.web.scans import SCANS, Scans
from app.web.worker import Worker
from tables.row import Row
from tables.table import Table
from tests.web.asking import FRESHNESS
from tests.web.conftest import Client, Serve, Two, bound_port, serve_two
from tests.web.declared import DECLARED, LIST, SHORT, SUM
from tests.web.installation import NAMES, Installation
from tests.web.test_web_restoring import restore

KILLS = {name: 40 - place for place, name in enumerate(NAMES)}
BY_NAME = sorted(NAMES)
BY_KILLS = sorted(NAMES, key=lambda name: -KILLS[name])


@pytest.fixture
async def two(serve: Serve) -> Two:
    """Both workers, served."""
    return await serve_two(serve, Installation())


async def ask(client: Client, path: str, status: int = 200, **query: str | int) -> Any:
    """The body of an answer."""
    async with client.get(URL(path).with_query(query)) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


def players(body: Any) -> list[str]:
    """Who is on a page."""
    return [line["player"] for line in body.get("lines", body.get("results"))]


async def test_a_list_merges_all_workers_in_one_order(two: Two) -> None:
    """Whoever is asked; with the count of all lines, freshness, and nothing missing."""
    for client in (two.left_client, two.right_client):
        body = await ask(client, LIST.path)
        assert players(body) == BY_NAME
        assert (body["total"], body["missing_partitions"]) == (len(NAMES), [])
        assert body.keys() > FRESHNESS
        assert body["as_of"].endswith("Z")
        assert players(await ask(client, LIST.path, by="kills")) == BY_KILLS


async def test_pages_are_consecutive_and_end(two: Two) -> None:
    """All lines are on exactly one page, whatever its size; the total is on every page."""
    for size in (1, 3, 5, 16, 100):
        seen: list[str] = []
        for number in range(1, len(NAMES) // size + 3):
            body = await ask(two.right_client, LIST.path, page=number, per_page=size)
            assert body["total"] == len(NAMES)
            assert (body["page"], body["per_page"]) == (str(number), str(size))
            seen += players(body)
        assert seen == BY_NAME


async def test_a_list_counts_and_shows_what_matches(two: Two) -> None:
    """The declared parameters reach every worker."""
    body = await ask(two.left_client, LIST.path, least=KILLS[NAMES[5]])
    assert sorted(players(body)) == sorted(NAMES[:5])
    assert body["total"] == 5


async def test_a_list_of_one_entity_looks_at_no_other_row(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever owns it; of one that nobody knows there is no line."""
    monkeypatch.setattr(Scans, "each_row", None)
    for name in NAMES:
        body = await ask(two.left_client, LIST.path, who=name)
        assert (players(body), body["total"], body["missing_partitions"]) == ([name], 1, [])
    body = await ask(two.left_client, LIST.path, who="nobody")
    assert (players(body), body["total"]) == ([], 0)


async def test_a_list_that_is_not_paged_shows_no_more_than_it_may(two: Two) -> None:
    """Without `page`, with all that match counted."""
    body = await ask(two.left_client, SHORT.path, by="kills")
    assert (players(body), body["total"]) == (BY_KILLS[:3], len(NAMES))
    error = (await ask(two.left_client, SHORT.path, 400, page=1))["error"]
    assert (error["parameter"], error["allowed"]) == ("page", ["least", "by"])


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("page", "0", "1..10000"),
        ("page", "-1", "1..10000"),
        ("page", "x", "1..10000"),
        ("page", "", "1..10000"),
        ("page", "²", "1..10000"),
        ("page", "9" * 200, "1..10000"),
        ("page", "501", "1..500"),
        ("per_page", "0", "1..100"),
        ("per_page", "101", "1..100"),
        ("per_page", "1.5", "1..100"),
        ("day", "yesterday", "a date like 2026-01-31"),
    ],
)
async def test_a_wrong_value_is_refused_with_what_is_allowed(two: Two, name: str, value: str, allowed: str) -> None:
    """400 names the parameter: of the list's own, and of those that it checks itself."""
    error = (await ask(two.left_client, LIST.path, 400, **{name: value}))["error"]
    assert (error["code"], error["parameter"], error["allowed"]) == ("wrong_parameter", name, [allowed])
    assert error["message"] == f"{name} must be {allowed}"


async def test_the_last_page_within_reach_is_answered(two: Two) -> None:
    """10,000 lines from the first one; a check lets good values and the default through."""
    assert players(await ask(two.left_client, LIST.path, page=500, day="2026-02-28")) == []
    assert players(await ask(two.left_client, LIST.path, page=100, per_page=100, day="")) == []
    await ask(two.left_client, LIST.path, 400, page=101, per_page=100)


async def test_a_silent_workers_partitions_are_missing(two: Two) -> None:
    """The others' lines and sums are shown."""
    await two.right_client.close()
    expected = {name for name in NAMES if two.left.engine.partition_of(name.encode()) < 2}
    body = await ask(two.left_client, LIST.path)
    assert (set(players(body)), body["total"], body["missing_partitions"]) == (expected, len(expected), [2, 3])
    body = await ask(two.left_client, SUM.path)
    assert (body["players"], body["missing_partitions"]) == (len(expected), [2, 3])


async def test_a_worker_that_does_not_answer_in_time_is_silent(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the connection and says nothing."""

    async def never(*_: Any) -> Any:
        await asyncio.Event().wait()

    for module in ("lists", "aggregates"):
        monkeypatch.setattr(f"app.web.{module}.SCAN_SECONDS", 0.2)
    share = Scans.share
    asked_first = []

    async def left_only(self: Scans, question: Any, scan: Any) -> Any:
        asked_first.append(self)
        return await (share(self, question, scan) if self is asked_first[0] else never())

    monkeypatch.setattr(Scans, "share", left_only)
    assert (await ask(two.left_client, LIST.path))["missing_partitions"] == [2, 3]
    assert (await ask(two.left_client, SUM.path))["missing_partitions"] == [2, 3]


async def test_a_partition_that_is_being_restored_is_missing(two: Two) -> None:
    """On either side; when all are, the answer is 503."""
    restore(two.left.engine, 1)
    restore(two.right.engine, 2)
    for view in (LIST, SUM):
        assert (await ask(two.left_client, view.path))["missing_partitions"] == [1, 2]
    restore(two.left.engine, 0)
    restore(two.right.engine, 3)
    for view in (LIST, SUM):
        assert (await ask(two.left_client, view.path, 503))["error"]["code"] == "restoring"


async def test_a_partition_that_two_workers_claim_counts_once(serve: Serve) -> None:
    """While it moves, both may have its rows."""
    installation = Installation()
    left, right = installation.worker(bound_port(), (0, 1, 2)), installation.worker(bound_port(), (1, 2, 3))
    client = await serve(left)
    await serve(right)
    body = await ask(client, LIST.path)
    assert (players(body), body["total"]) == (BY_NAME, len(NAMES))
    body = await ask(client, SUM.path)
    assert (body["players"], body["kills"]) == (len(NAMES), sum(KILLS.values()))


async def test_an_answer_of_another_version_is_missing(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its partitions are named; nothing is shown of what is not understood."""

    async def strange(*_: Any) -> list[bytes]:
        return [b'{"parts":"newer"}', b"[]]", b'[{"partition":2,"at":1,"totals":{"keys":"many"}}]']

    monkeypatch.setattr(peers.Peers, "ask_all", strange)
    for view in (LIST, SUM):
        assert (await ask(two.left_client, view.path))["missing_partitions"] == [2, 3]


async def test_an_aggregate_adds_up_all_workers(two: Two) -> None:
    """What matches, once."""
    for client in (two.left_client, two.right_client):
        body = await ask(client, SUM.path, least=KILLS[NAMES[5]])
        good = NAMES[:5]
        assert (body["players"], body["kills"], body["folded"]) == (5, sum(KILLS[name] for name in good), 0)
        assert body.keys() > FRESHNESS


async def test_an_aggregate_of_everything_is_the_totals(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """No row is looked at; the outcomes, which no row knows, tell."""
    monkeypatch.setattr(Scans, "each_row", None)
    body = await ask(two.left_client, SUM.path, least="whole")
    assert (body["folded"], body["missing_partitions"]) == (2 * sum(KILLS.values()), [])
    two.left.totals.complete.clear()
    assert (await ask(two.left_client, SUM.path, 503, least="whole"))["error"]["code"] == "restoring"


# -- slices ------------------------------------------------------------------------------------------------------------


def table_of(worker: Worker, partition: int) -> Table:
    """The rows of a partition."""
    owned = next(owned for owned in worker.engine.owned.values() if owned.partition == partition)
    assert owned.task is not None
    return owned.task.table


@pytest.fixture
def one_row_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices as short as can be: everybody has a turn after each row."""
    monkeypatch.setattr(scans, "SLICE_SECONDS", 0.0)


@pytest.mark.usefixtures("one_row_slices")
async def test_rows_that_come_and_go_between_slices_harm_nobody() -> None:
    """One that is buried before its turn is not visited, one that is new may be missed, every other one is visited."""
    worker = Installation().worker(1)
    table = max((table_of(worker, number) for number in range(4)), key=lambda table: len(table.rows))
    keys = list(table.rows)
    assert len(keys) >= 3
    visited: list[str] = []

    def visit(row: Row) -> None:
        visited.append(row.entity)
        if len(visited) == 1:
            table.bury(keys[1])
            table.insert(b"new", Row(table, "new", table.rows[keys[0]].head))
            table.rows.move_to_end(keys[0])

    await Scans().each_row(table, visit)
    assert visited == [key.decode() for key in keys if key != keys[1]]


@pytest.mark.usefixtures("one_row_slices")
async def test_a_partition_that_is_lost_on_the_way_is_missing(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows may be ahead of the log by then: none of its lines is shown."""
    each_row = Scans.each_row

    async def losing(self: Scans, table: Table, visit: Any) -> None:
        await each_row(self, table, visit)
        for owned in two.left.engine.owned.values():
            if owned.partition == 0:
                owned.state = State.RESTORING

    monkeypatch.setattr(Scans, "each_row", losing)
    expected = {name for name in NAMES if two.left.engine.partition_of(name.encode()) != 0}
    body = await ask(two.left_client, LIST.path)
    assert (set(players(body)), body["missing_partitions"]) == (expected, [0])


async def test_a_line_whose_cell_has_gone_is_left_out(serve: Serve) -> None:
    """Between the count and the line a row may have dropped what the line needs."""

    def gone(row: Row, *_: Any) -> Any:
        if row.entity == "Bob":
            raise KeyError("day")
        return {"player": row.entity}

    domain = replace(DECLARED, views=(replace(LIST, line=gone),))
    body = await ask(await serve(Installation(domain).worker(bound_port())), LIST.path)
    assert players(body) == [name for name in BY_NAME if name != "Bob"]


async def test_equal_questions_at_one_time_share_one_scan(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """Listeners that all ask at an event cost what one costs."""
    visits = 0
    visit = Best.visit

    def counting(self: Best, row: Row) -> None:
        nonlocal visits
        visits += 1
        visit(self, row)

    monkeypatch.setattr(Best, "visit", counting)
    bodies = await asyncio.gather(*(ask(two.left_client, LIST.path) for _ in range(10)))
    assert all(players(body) == BY_NAME for body in bodies)
    assert visits < 5 * len(NAMES)


async def test_too_many_different_questions_are_refused() -> None:
    """503: what runs already keeps the worker busy for a while."""
    running = Scans()
    held = asyncio.Event()
    waiting = [asyncio.ensure_future(running.share(number, held.wait)) for number in range(SCANS)]
    await asyncio.sleep(0)
    same = asyncio.ensure_future(running.share(0, held.wait))
    with pytest.raises(Exception, match="being answered already"):
        await running.share("another", held.wait)
    held.set()
    assert await asyncio.gather(*waiting, same) == [True] * (SCANS + 1)
    assert await running.share("another", held.wait)


async def test_scans_take_turns_and_leave_the_loop_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many run, there is one slice between two turns of the loop; all of them get on alike."""
    running, clock, ended = Scans(), count(), 0
    monkeypatch.setattr(scans, "perf_counter", clock.__next__)  # a visit takes a second
    monkeypatch.setattr(scans, "SLICE_SECONDS", 5)
    turns: list[list[int]] = [[]]

    async def watch() -> None:
        while ended < 8:
            await asyncio.sleep(0)
            turns.append([])

    async def scan(number: int) -> None:
        nonlocal ended
        await running.each([number] * 100, visit)
        ended += 1

    def visit(number: int) -> None:
        turns[-1].append(number)

    await asyncio.gather(watch(), *(scan(number) for number in range(8)))
    slices = [turn for turn in turns if turn]
    assert all(len(slice_) == 5 and len(set(slice_)) == 1 for slice_ in slices)
    assert [slice_[0] for slice_ in slices] == list(range(8)) * 20


def test_a_page_never_compares_rows() -> None:
    """Lines with equal keys are told apart by entity and by their number in the row."""
    table = Table(DECLARED, 0)

    def three(_row: Row, *_: Any) -> Any:
        return [([1], "a"), ([1], "b"), ([0], "c")]

    best = Best(replace(LIST, lines=three), {}, 0, 4)
    for entity in ("b", "a", "c"):
        best.visit(Row(table, entity, None))
    assert [(match.entity, match.needed) for match in best.matches] == [("a", "c"), ("b", "c"), ("c", "c"), ("a", "a")]
    assert best.total == 9
    assert Page([], []).lines == []


async def test_the_index_lists_pages_and_what_a_post_asks_for(two: Two) -> None:
    """With the parameters that the views' kinds bring along."""
    body = await ask(two.left_client, "/api/v1")
    found = {view["path"]: [parameter["name"] for parameter in view["parameters"]] for view in body["views"]}
    assert found[LIST.path] == ["least", "by", "day", "who", "page", "per_page"]
    assert found[SHORT.path] == ["least", "by"]
    assert body["actions"] == [
        {"domain": "players", "method": "POST", "path": "/api/v1/snapshots", "about": "Publish now."}
    ]
