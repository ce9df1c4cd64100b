"""`tidemark verify` on a real Kafka, beside a worker."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin.records_to_delete import RecordsToDelete
from click.testing import CliRunner, Result

from app import topology
from app.admin import administering
from app.broker.ready import free_port
from app.commands import main
from app.settings import Settings
from tables import DOMAINS
from tables.players import PLAYERS
from tests.chaos.checker import drained
from tests.chaos.consume import latest, read_all
from tests.chaos.process import Worker, wait_for, workers

FAULTS = ("--duplicates", "0.02", "--disorder", "0.1", "--late", "0.05", "--poison", "0.02")


def run(*arguments: str) -> Result:
    """The command line."""
    return CliRunner().invoke(main, arguments)


def verdict(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and answer of `tidemark verify players`."""
    result = run("verify", "players", "--json", *arguments)
    return result.exit_code, json.loads(result.stdout)


@pytest.fixture
def installation(loaded: Callable[..., Settings]) -> Settings:
    """Settings, also in the environment, and topics; two partitions."""
    settings = loaded(TIDEMARK_PARTITIONS="2", TIDEMARK_WEB_PORT=str(free_port()))
    asyncio.run(topology.create(settings, DOMAINS))
    return settings


@pytest.fixture
def worker(installation: Settings, tmp_path: Path) -> Iterator[Worker]:
    """A running worker."""
    with workers() as running:
        running.append(Worker(installation, tmp_path / "worker.log"))
        yield running[0]


def topic(settings: Settings, role: str, partition: int) -> TopicPartition:
    """One of the players' topics."""
    return TopicPartition(topology.topic_name(settings, PLAYERS, role), partition)


def tamper(settings: Settings, partition: int, key: bytes, value: bytes | None) -> None:
    """Write into a changelog what no worker has written."""

    async def sending() -> None:
        producer = AIOKafkaProducer(**settings.kafka())
        await producer.start()
        try:
            where = topic(settings, "changelog", partition)
            await producer.send_and_wait(where.topic, key=key, value=value, partition=partition)
        finally:
            await producer.stop()

    asyncio.run(sending())


def test_a_worker_is_verified_while_it_runs_and_a_tampered_cell_is_found(
    installation: Settings, worker: Worker
) -> None:
    """Faults of every kind make no difference; a changed cell does, and is named; one that is no cell as well."""
    assert run("generate", "players", "--events", "5000", *FAULTS).exit_code == 0
    early = verdict()  # whatever it has committed by now
    assert early[0] == 0, early
    asyncio.run(drained(installation, 60))
    code, said = verdict()
    assert (code, said["ok"], said["domain"]) == (0, True, "players")
    parts = said["partitions"]
    assert [part["partition"] for part in parts] == [0, 1]
    assert {part["state"] for part in parts} == {"same"}
    assert sum(part["position"] for part in parts) > 5_000
    assert min(part["rows"] for part in parts) > 0
    assert sum(part["invalid"] for part in parts) > 50
    assert run("verify", "players", "--partition", "1").stdout.startswith("players[1]: same: ")
    worker.stop()

    cells = latest(asyncio.run(read_all(installation, topic(installation, "changelog", 0).topic)))
    key = next(key for key in cells[topic(installation, "changelog", 1)] if key and b'"damage"' in key)
    entity, *name = json.loads(key)
    tamper(installation, 1, key, b"\x01\x92\x07\x08")
    code, said = verdict()
    assert (code, said["ok"]) == (1, False)
    assert [(part["state"], part["differing"]) for part in said["partitions"]] == [("same", 0), ("different", 1)]
    first = said["partitions"][1]["first"]
    assert (first["entity"], first["cell"]) == (entity, name)
    assert first["changelog"] == {"hits": 7, "damage": 8}
    assert first["events"] != first["changelog"]
    shown = run("verify", "players", "--partition", "1")
    assert shown.exit_code == 1
    assert f"player {entity!r}, " in shown.stdout
    assert '  by the changelog: {"hits":7,"damage":8}' in shown.stdout

    tamper(installation, 1, key, b"nonsense")
    code, said = verdict("--partition", "1")
    assert code == 1
    where = f"{topic(installation, 'changelog', 1).topic} partition 1 offset "
    assert said["partitions"][0]["reason"].startswith(where)


def test_where_events_were_deleted_nothing_can_be_compared(installation: Settings, worker: Worker) -> None:
    """Exit code 4, and the partition says why; the others are compared."""
    assert run("generate", "players", "--events", "500").exit_code == 0
    asyncio.run(drained(installation, 60))
    worker.stop()
    source = topic(installation, "events", 0)

    async def delete() -> None:
        async with administering(installation) as admin:
            await admin.delete_records({source: RecordsToDelete(before_offset=5)})

    asyncio.run(delete())
    wait_for(lambda: verdict()[0] == 4, 30)
    gone, there = verdict()[1]["partitions"]
    assert (gone["state"], there["state"]) == ("unknown", "same")
    assert f"{source.topic} begins at offset 5" in gone["reason"]
    assert gone["rows"] > 0


@pytest.mark.usefixtures("installation")
def test_an_installation_without_a_record_is_what_its_events_say() -> None:
    """Nothing equals nothing, in every domain."""
    for domain in DOMAINS:
        result = run("verify", domain.name, "--json")
        assert result.exit_code == 0, result.output
        assert {part["state"] for part in json.loads(result.stdout)["partitions"]} == {"same"}


@pytest.mark.usefixtures("installation")
def test_a_partition_that_there_is_not_is_wrong_usage() -> None:
    """Exit code 2, and how many there are."""
    result = run("verify", "players", "--partition", "2")
    assert result.exit_code == 2
    assert "there are 2, from 0 on" in result.stderr
