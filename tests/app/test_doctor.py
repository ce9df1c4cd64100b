"""`tidemark doctor` on a real Kafka: it finds what is wrong, exactly there, and nothing where nothing is."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from click.testing import CliRunner

from app import topology
from app.admin import Admin, administering
from app.commands import main
from app.settings import Settings
from app.topology import topic_name
from tables.players import PLAYERS
from tables.projects import PROJECTS
from tests.app.folded import commit_offset, folded, held, write
from tests.chaos.process import wait_for


def doctor(*arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit code and findings, but for the one that an installation on a single broker always has."""
    result = CliRunner().invoke(main, ("doctor", *arguments, "--json"))
    assert result.exit_code in {0, 1}, result.output
    said = json.loads(result.stdout)
    assert said["ok"] == (result.exit_code == 0)
    return result.exit_code, [one for one in said["findings"] if "one replica (" not in one["what"]]


def places(findings: list[dict[str, Any]]) -> list[tuple[str, str, int | None]]:
    """Severity, topic and offset of each."""
    return [(one["severity"], one["topic"], one["offset"]) for one in findings]


@pytest.fixture
def settings(loaded: Callable[..., Settings]) -> Settings:
    """An installation of one partition, also in the environment."""
    return loaded(TIDEMARK_PARTITIONS="1", TIDEMARK_TRANSACTION_TIMEOUT_SECONDS="1")


def administer(settings: Settings, work: Callable[[Admin], Awaitable[Any]]) -> None:
    """Do something as an administrator would."""

    async def working() -> None:
        async with administering(settings) as admin:
            await work(admin)

    asyncio.run(working())


def test_every_bad_cell_is_named_with_its_offset_and_the_remedy_mends_it(settings: Settings) -> None:
    """Garbage, an unknown version, a truncated cell, an unknown name, another spelling; each once, and nothing else."""
    folded(settings, PLAYERS)
    assert doctor("players", "--deep") == (0, [])
    topic = topic_name(settings, PLAYERS, "changelog")
    cells = next(iter(held(settings, PLAYERS)["changelog"].values()))
    first, second, third = sorted(key for key in cells if key and b'"damage"' in key)[:3]
    bad: list[tuple[bytes | None, bytes | None]] = [
        (first, b"\x09" + cells[first][1:]),
        (second, cells[second][:-1]),
        (third.replace(b",", b", "), cells[third]),
        (b"\xff\xfe", b"\x01garbage"),
        (b'["ann","nothing"]', b"\x01\x90"),
        (b"[null]", b"\x01\x80\x80"),
    ]
    offset = write(settings, topic, bad)
    code, findings = doctor("players")
    assert code == 1
    assert sorted(places(findings)) == [("error", topic, offset + number) for number in range(len(bad))]
    said = {one["offset"] - offset: one["what"] for one in findings}
    assert said[0] == "not a cell of this version: its first byte is 0x09, not 0x01"
    assert "truncated" in said[1]
    assert said[2].startswith("another spelling of")
    assert said[4] == "there are no cells of kind 'nothing'"
    assert all("tidemark replay players --partition 0" in one["remedy"] for one in findings)
    shown = CliRunner().invoke(main, ("doctor", "players"))
    assert f"error: {topic} partition 0 offset {offset} key " in shown.stdout
    assert shown.stderr.endswith("6 errors, 1 note\n")
    assert CliRunner().invoke(main, ("replay", "players", "--execute")).exit_code == 0
    assert doctor("players", "--deep") == (0, [])


def test_a_head_that_is_gone_is_one_finding_with_the_cells_that_it_has_left(settings: Settings) -> None:
    """A stray tombstone: all of them for one cause, in the order of their offsets; what they share is said once."""
    folded(settings, PLAYERS)
    cells = next(iter(held(settings, PLAYERS)["changelog"].values()))
    head = next(key for key in cells if key and key.count(b",") == 0 and key != b"[null]")
    left = [key for key in cells if key and key.startswith(head[:-1] + b",")]
    write(settings, topic_name(settings, PLAYERS, "changelog"), [(head, None)])
    code, findings = doctor("players")
    assert (code, len(findings)) == (1, 2)
    verified = json.loads(CliRunner().invoke(main, ("verify", "players", "--json")).stdout)
    assert f" partition 0 offset {findings[-1]['offset']}: the head of " in json.dumps(verified)
    assert any(one["what"].endswith(": the head of one is gone") for one in findings)
    (finding,) = [one for one in findings if "other cells of its row are there" in one["what"]]
    assert finding["what"].startswith(f"the head of '{json.loads(head)[0]}' is gone")
    assert f"({len(left)} cells: offsets {finding['offset']}, " in finding["what"]
    assert CliRunner().invoke(main, ("doctor", "players")).stdout.count("tidemark replay players") == 1


def test_few_replicas_are_a_note(settings: Settings) -> None:
    """Not an error: it is what the embedded Kafka has. The remedy is in commands."""
    asyncio.run(topology.create(settings, [PLAYERS]))
    result = CliRunner().invoke(main, ("doctor", "players", "--json"))
    (finding,) = json.loads(result.stdout)["findings"]
    assert (result.exit_code, finding["severity"]) == (0, "note")
    assert finding["what"].startswith("5 topics have one replica (")
    assert "a lost disk is lost data" in finding["why"]
    assert "TIDEMARK_REPLICATION=3" in finding["remedy"]
    assert "--add-config min.insync.replicas=2" in finding["remedy"]


def test_the_marker_of_a_transaction_is_no_record_that_waits(settings: Settings) -> None:
    """A source that is written in transactions ends in one; it is behind the group's offset after every clean stop."""
    asyncio.run(topology.create(settings, [PLAYERS]))
    source = TopicPartition(topic_name(settings, PLAYERS, "events"), 0)

    async def story() -> None:
        producer = AIOKafkaProducer(**settings.kafka(), transactional_id=f"{settings.prefix}producer")
        await producer.start()
        try:
            async with producer.transaction():
                await (await producer.send(source.topic, key=b"x", value=b"x", partition=0))
        finally:
            await producer.stop()

    asyncio.run(story())
    (finding,) = doctor("players")[1]
    assert finding["what"].startswith("1 record waits to be folded")
    commit_offset(settings, source, 1)
    assert "group" not in {one["check"] for one in doctor("players")[1]}


def test_a_number_that_is_wrong_and_well_formed_is_found_by_the_events(settings: Settings) -> None:
    """No reading of the changelog tells; --deep does, and shows both."""
    folded(settings, PLAYERS)
    cells = next(iter(held(settings, PLAYERS)["changelog"].values()))
    key = next(key for key in cells if key and b'"damage"' in key)
    write(settings, topic_name(settings, PLAYERS, "changelog"), [(key, b"\x01\x92\x07\x08")])
    assert doctor("players") == (0, [])
    code, findings = doctor("players", "--deep")
    assert (code, [one["check"] for one in findings]) == (1, ["events"])
    assert '{"hits":7,"damage":8}' in findings[0]["what"]


def test_an_offset_that_was_moved_and_a_source_that_was_created_anew_are_told_apart(settings: Settings) -> None:
    """The former with the command that moves it back; the latter also when it has grown past the rows' position."""
    folded(settings, PROJECTS)
    source = TopicPartition(topic_name(settings, PROJECTS, "events"), 0)
    totals = next(iter(held(settings, PROJECTS)["totals"].values()))
    position = json.loads(totals[b"0"])["position"]
    commit_offset(settings, source, 7)
    code, (finding, _) = doctor("projects")
    assert (code, finding["severity"]) == (1, "error")
    assert f"has committed offset 7, and the rows end at {position}" in finding["what"]
    assert f"--reset-offsets --to-offset {position} --execute" in finding["remedy"]
    commit_offset(settings, source, position)
    assert doctor("projects") == (0, [])

    administer(settings, lambda admin: admin.delete_topics([source.topic]))
    code, findings = doctor("projects")
    assert code == 1
    assert (findings[0]["topic"], findings[0]["what"]) == (source.topic, "does not exist")
    assert findings[0]["remedy"] == "create it with: tidemark topics create"
    assert CliRunner().invoke(main, ("topics", "create")).exit_code == 0
    code, findings = doctor("projects")
    assert (code, len(findings)) == (1, 1)
    assert "it is not the topic that the rows were folded from" in findings[0]["what"]
    write(settings, source.topic, [(b"x", None)] * (position + 5))
    code, findings = doctor("projects")
    assert "it is not the topic that the rows were folded from" in findings[0]["what"]
    assert "tidemark reset projects --execute" in findings[0]["remedy"]
    assert CliRunner().invoke(main, ("reset", "projects", "--execute")).exit_code == 0
    code, findings = doctor("projects")
    assert (code, [one["where"] for one in findings]) == (0, [f"{source.topic} partition 0"])
    assert findings[0]["what"].startswith(f"{position + 5} records wait to be folded, and no worker of the group ")


def test_a_transaction_that_nobody_ends_is_found_with_the_commands_that_end_it(settings: Settings) -> None:
    """Once it is older than any of ours may be."""
    folded(settings, PLAYERS)
    topic = topic_name(settings, PLAYERS, "stats")

    async def story() -> None:
        producer = AIOKafkaProducer(
            **settings.kafka(), transactional_id=f"{settings.prefix}stranger", transaction_timeout_ms=60_000
        )
        await producer.start()
        try:
            await producer.begin_transaction()
            sent = await (await producer.send(topic, key=b"x", value=b"x", partition=0))
            found: list[tuple[int, list[dict[str, Any]]]] = []

            def look() -> bool:
                found.append(doctor("players"))
                return found[-1][0] == 1

            await asyncio.to_thread(wait_for, look, 20)
            (finding,) = found[-1][1]
            assert (finding["topic"], finding["offset"]) == (topic, sent.offset)
            assert f"--topic {topic} --partition 0 --start-offset {sent.offset}" in finding["remedy"]
        finally:
            await producer.abort_transaction()
            await producer.stop()

    asyncio.run(story())
    assert doctor("players") == (0, [])


def test_settings_that_a_broker_or_a_topic_has_wrong_are_found(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too small a maximum, too many replicas to be in sync, timeouts that the broker refuses."""
    asyncio.run(topology.create(settings, [PLAYERS]))
    topic = topic_name(settings, PLAYERS, "changelog")
    wrong = {"cleanup.policy": "delete", "max.message.bytes": "1000", "min.insync.replicas": "2"}
    administer(settings, lambda admin: admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, wrong)]))
    wait_for(lambda: len(doctor("players")[1]) == 3, 10)
    found = {one["what"]: one["topic"] for one in doctor("players")[1]}
    assert found["has cleanup.policy=delete, wanted compact"] == topic
    assert any(what.startswith("has max.message.bytes=1000, wanted") for what in found)
    assert "min.insync.replicas=2, and 1 replica" in found
    assert CliRunner().invoke(main, ("topics", "create")).exit_code == 0
    monkeypatch.setenv("TIDEMARK_SESSION_TIMEOUT_SECONDS", "6")
    monkeypatch.setenv("TIDEMARK_REPLICATION", "3")
    code, findings = doctor("projects")
    assert code == 1
    assert "1 brokers answer, and TIDEMARK_REPLICATION is 3" in [one["what"] for one in findings]
