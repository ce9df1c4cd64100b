"""Warm copies in the status: whose, how large, how far; and what they do not change."""

from aiokafka import TopicPartition
from yarl import URL

from agents.task import Task
from agents.warm import WarmCopy
from app.engine.standby import Copy
from tables.players import PLAYERS
from tables.table import Table
from tests.web.asking import ENTITY_VIEWS, path_of
from tests.web.conftest import Serve, serve_two
from tests.web.installation import NAMES, Installation


async def test_the_status_names_the_copies_of_all_workers_and_nobody_waits_for_them(serve: Serve) -> None:
    """One has been begun and is 3 records behind, the other has not; both workers are ready all the same."""
    two = await serve_two(serve, Installation())
    source = next(iter(two.left.engine.domains))
    two.left.engine.standby.follow([(source, 2)], [])
    two.right.engine.standby.follow([(source, 0)], [])
    copy = Copy(
        (source, 2), TopicPartition("a-changelog", 2), WarmCopy(Task(PLAYERS, 2, Table(PLAYERS, 2), source, len)), 0, 0
    )
    copy.warm.position, copy.end = 7, 10
    two.left.engine.standby._copies[source, 2] = copy
    for client in (two.left_client, two.right_client):
        async with client.get("/api/v1/status") as answer:
            body = await answer.json()
        assert sorted(body["standbys"], key=lambda line: line["partition"]) == [
            {"domain": "players", "partition": 0, "worker": two.right.url, "rows": None, "lag_records": None},
            {"domain": "players", "partition": 2, "worker": two.left.url, "rows": 0, "lag_records": 3},
        ]
        assert body["ready"]
        async with client.get("/health/ready") as answer:
            assert answer.status == 200


async def test_rows_of_a_copy_are_never_served(serve: Serve) -> None:
    """Only the owner answers: whoever has a copy forwards, and says so where the owner is silent."""
    two = await serve_two(serve, Installation())
    engine, owned = two.left.engine, next(iter(two.right.engine.owned.values()))
    assert owned.task is not None
    key = owned.source, owned.partition
    name = next(each for each in NAMES if engine.partition_of(each.encode()) == owned.partition)
    engine.standby.follow([key], [])
    engine.standby._copies[key] = Copy(key, TopicPartition(owned.changelog, 2), WarmCopy(owned.task), 0, 0)
    await two.right_client.close()
    async with two.left_client.get(URL(path_of(ENTITY_VIEWS[0], name), encoded=True)) as answer:
        assert answer.status == 503
