"""`tidemark ingest` on a real Kafka: what is in the topic afterwards, and what the command says."""

import asyncio
import gzip
import json
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.partitioner import DefaultPartitioner
from click.testing import CliRunner, Result

from app import topology
from app.commands import main
from app.demo.cut import SAMPLE
from app.demo.farm import FARM
from app.engine.fetch import consuming, read_to
from app.settings import Settings
from tables.domain import Domain
from tables.players import PLAYERS
from tables.workers import WORKERS
from tests.ingest.conftest import Write
from tests.ingest.test_lines import GOOD

Topic = list[tuple[int, bytes, bytes]]


def _run(*arguments: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(main, ["ingest", *arguments], input=stdin)


def _topic(settings: Settings, domain: Domain = PLAYERS) -> Topic:
    """(partition, key, value) of every record of a domain's source."""

    async def read() -> Topic:
        async with consuming(settings) as consumer:
            partitions = _partitions(settings, domain)
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            found: Topic = []
            for partition in partitions:
                async for records in read_to(consumer, partition, ends[partition]):
                    found += [(partition.partition, record.key, record.value) for record in records]
            return found

    return asyncio.run(read())


def _partitions(settings: Settings, domain: Domain = PLAYERS) -> list[TopicPartition]:
    """The partitions of a domain's source."""
    topic = topology.topic_name(settings, domain, "events")
    return [TopicPartition(topic, number) for number in range(settings.partitions)]


def test_a_match_is_written_in_order_under_its_players_names(installation: Settings) -> None:
    """By Kafka's default partitioner, which the worker checks; and the report says what became of every element."""
    run = _run("pubg", str(SAMPLE), "--json")
    assert run.exit_code == 0, run.output
    (report,) = json.loads(run.stdout)["files"]
    assert (report["read"], report["written"], sum(report["skipped"].values())) == (5_459, 103, 5_356)
    records = _topic(installation)
    assert len(records) == 103
    everything = list(range(installation.partitions))
    sequences: dict[int, list[int]] = {}
    for partition, key, value in records:
        event = json.loads(value)
        assert key.decode() == event["player"]
        assert DefaultPartitioner()(key, everything, everything) == partition
        sequences.setdefault(partition, []).append(event["seq"])
    assert all(found == sorted(found) for found in sequences.values())


def test_a_farm_is_written_under_its_rigs_names_and_the_same_every_time(installation: Settings) -> None:
    """Ids are made of rig and window: what a second run writes is what the first one wrote, in its order."""
    farm = str(FARM)
    run = _run("smartpool", farm, "--json")
    assert run.exit_code == 0, run.output
    (report,) = json.loads(run.stdout)["files"]
    assert (report["read"], report["written"], sum(report["skipped"].values())) == (555, 475, 80)
    first = _topic(installation, WORKERS)
    assert all(key.decode() == json.loads(value)["worker_id"] for _, key, value in first)
    assert sum(json.loads(value)["keys_scanned"] for _, _, value in first) == 50_301_340_867_800
    assert _run("smartpool", farm).exit_code == 0
    twice = _topic(installation, WORKERS)
    for number in range(installation.partitions):
        once = [record for record in first if record[0] == number]
        assert [record for record in twice if record[0] == number] == once + once


def test_a_truncated_file_is_completed_by_the_whole_one(installation: Settings, tmp_path: Path) -> None:
    """What is written of half a file is the beginning of what the whole file writes, byte for byte: duplicates."""
    whole = b'[{"_T":"LogMatchDefinition","MatchId":"match.bro.official.x.one"}'
    hit = b',{"_T":"LogPlayerTakeDamage","_D":"2024-01-01T00:00:00Z","common":{"isGame":1},"damage":1,'
    whole += (hit + b'"attacker":{"name":"anna"}}') * 3 + b"]"
    half, file = tmp_path / "half.json", tmp_path / "whole.json"
    half.write_bytes(whole[:-30])
    file.write_bytes(whole)
    run = _run("pubg", str(half))
    assert run.exit_code == 1
    assert "it ends here: element 3 is cut off" in run.stderr
    assert "The 2 events before that are written" in run.stderr
    first = _topic(installation)
    assert _run("pubg", str(file)).exit_code == 0
    again = _topic(installation)[len(first) :]
    assert len(first) == 2
    assert again[: len(first)] == first
    assert len(again) == 3


@pytest.mark.parametrize("content", [b"", b"{}"])
def test_a_file_without_events_before_its_fault_is_not_said_to_have_some(
    installation: Settings, write: Write, content: bytes
) -> None:
    """Nothing is written, and nothing else is claimed."""
    run = _run("pubg", write(content))
    assert run.exit_code == 1
    assert "No event is written; mend or fetch the file again" in run.stderr
    assert _topic(installation) == []


def test_events_before_the_damage_of_a_gzip_file_are_written(installation: Settings, write: Write) -> None:
    """Exit code 1, and what is missing is the end."""
    run = _run("events", "players", write(gzip.compress(GOOD + b"\n" + GOOD)[:-8]), "--json")
    assert run.exit_code == 1
    assert "The event before that is written" in run.stderr
    assert "the gzip file is truncated or damaged after byte" in run.stderr
    assert len(_topic(installation)) == 1


def test_lines_from_standard_input_are_written_and_wrong_ones_named(installation: Settings) -> None:
    """Exit code 1 tells that something was refused; the rest is written nevertheless."""
    run = _run("events", "players", "-", "--json", stdin=GOOD + b"\n{}\n" + GOOD)
    assert run.exit_code == 1
    (report,) = json.loads(run.stdout)["files"]
    assert (report["file"], report["read"], report["written"], report["refused"]) == ("standard input", 3, 2, 1)
    assert report["reasons"][0]["line"] == 2
    assert [(key, value) for _, key, value in _topic(installation)] == [("Zoë".encode(), GOOD)] * 2


def test_without_topics_it_says_how_to_create_them(
    kafka: str, prefix: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A configuration's fault: exit code 2, and nothing is created by mistake."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("TIDEMARK_PREFIX", f"{prefix}-")
    run = _run("pubg", write(b"[]"))
    assert run.exit_code == 2
    assert "create them with: tidemark topics create" in run.stderr
