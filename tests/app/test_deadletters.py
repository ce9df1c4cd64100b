"""`tidemark deadletters` on a real Kafka, beside a worker."""

import asyncio
import json
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from click.testing import CliRunner, Result

from agents.driver import NOW
from app import topology
from app.broker.ready import free_port
from app.commands import main
from app.partitions import partitioner
from app.settings import Settings
from tables.event import iso
from tables.players import PLAYERS
from tests.chaos.checker import drained, totals_of
from tests.chaos.consume import read_raw
from tests.chaos.process import Worker, workers
from tests.tables.inputs import Fields, event

HOSTILE = "\x1b[2J\x1b]0;owned\x07"
TRACE = [("trace", b"\x00\xff")]
# What an operator's program does: the amount is a text, and has to be a number.
MEND = f"{sys.executable} -c " + shlex.quote(
    "import json, sys; said = json.load(sys.stdin); said['damage'] = float(said['damage']); json.dump(said, sys.stdout)"
)


def run(*arguments: str) -> Result:
    """The command line."""
    return CliRunner().invoke(main, ("deadletters", *arguments))


def lines(*arguments: str) -> list[dict[str, Any]]:
    """What it says with --json."""
    return [json.loads(line) for line in run(*arguments, "--json").stdout.splitlines()]


def states() -> dict[str, str]:
    """Id -> what has become of that letter."""
    return {line["id"]: line["state"] for line in lines("list", "players")}


def hit(seq: int, **over: Any) -> Fields:
    """A hit of ten in the match of all."""
    return event("damage", seq=seq, match="m", **over)


@pytest.fixture
def installation(loaded: Callable[..., Settings]) -> Settings:
    """Settings, also in the environment, and the players' topics; two partitions."""
    settings = loaded(TIDEMARK_PARTITIONS="2", TIDEMARK_WEB_PORT=str(free_port()))
    asyncio.run(topology.create(settings, [PLAYERS]))
    return settings


@pytest.fixture
def worker(installation: Settings, tmp_path: Path) -> Iterator[Worker]:
    """A running worker of the players."""
    with workers() as running:
        running.append(Worker(installation, tmp_path / "worker.log", "players", TIDEMARK_PLAYERS_STATS_SECONDS="0.1"))
        yield running[0]


def send(settings: Settings, *records: tuple[bytes | None, Fields | bytes, int]) -> None:
    """Records of the source: key, value, partition; all of one time, long ago enough to be told from now."""

    async def sending() -> None:
        producer = AIOKafkaProducer(**settings.kafka())
        await producer.start()
        try:
            for key, said, partition in records:
                value = said if isinstance(said, bytes) else json.dumps(said).encode()
                topic = topology.topic_name(settings, PLAYERS, "events")
                await producer.send_and_wait(
                    topic, value, key, partition=partition, timestamp_ms=NOW, headers=TRACE if b"{" not in value else []
                )
        finally:
            await producer.stop()

    asyncio.run(sending())


def outcomes(settings: Settings) -> dict[str, int]:
    """How all records have ended, once they have."""
    asyncio.run(drained(settings, 30))
    found: dict[str, int] = {}
    for body in asyncio.run(totals_of(settings, PLAYERS)).values():
        for name, count in body["outcomes"].items():
            found[name] = found.get(name, 0) + count
    return found


def test_letters_are_listed_shown_mended_and_resent_and_each_counts_once(
    installation: Settings, worker: Worker
) -> None:
    """From the producer's error to the number that is right; with kills on the way: `python -m tests.chaos resend`."""
    home = partitioner(2)(b"ann")
    send(
        installation,
        (b"ann", hit(1), home),
        (b"ann", hit(2, damage="12.5"), home),
        (b"ann", f"garbage {HOSTILE}".encode(), home),
        (b"nobody", hit(3), 1 - home),
        (None, hit(4), home),
        (b"ann", hit(9), home),
    )
    assert outcomes(installation) == {"applied": 2, "duplicate": 0, "late": 0, "invalid": 2, "misrouted": 2}
    text, garbage, keyless, other = _ids(installation, home)
    _look(garbage)

    dry = run("resend", "players", "--outcome", "invalid", "--with", MEND)
    passed = f"{text} would be resent {installation.prefix}players-events/{home}, and count: its row has counted"
    assert (dry.exit_code, passed in dry.stdout) == (1, True)
    assert f"{garbage} refused: --with" in dry.stdout
    assert "nothing was sent: --execute does it" in dry.stderr

    # One at a time, mended: it counts though sequence 9 was folded, and only once.
    assert run("resend", "players", text, "--with", MEND, "--execute", "--wait").stdout == f"{text} folded\n"
    again = run("resend", "players", text, "--with", MEND, "--execute", "--wait")
    assert (again.exit_code, again.stdout) == (0, f"{text} already folded\n")
    dry = run("resend", "players", text, "--with", MEND, "--unchecked")
    assert (dry.exit_code, "and change nothing (DUPLICATE)" in dry.stdout) == (0, True)
    twice = run("resend", "players", text, "--with", MEND, "--execute", "--wait", "--unchecked")
    assert (twice.exit_code, twice.stdout) == (0, f"{text} folded\n")
    assert outcomes(installation) == {"applied": 3, "duplicate": 1, "late": 0, "invalid": 2, "misrouted": 2}

    # Those with a wrong key by the entity's, two of them twice.
    rekeyed = run("resend", "players", "--outcome", "misrouted", "--rekey", "--execute", "--wait")
    assert (rekeyed.exit_code, rekeyed.stdout.count("folded")) == (0, 2)
    assert run("resend", "players", keyless, other, "--rekey", "--execute", "--unchecked").exit_code == 0
    assert outcomes(installation) == {"applied": 5, "duplicate": 3, "late": 0, "invalid": 2, "misrouted": 2}
    assert states() == {text: "folded", garbage: "open", keyless: "folded", other: "folded"}

    # What fails again is still about its first original.
    failed = run("resend", "players", garbage, "--execute", "--wait", "--unchecked")
    assert failed.exit_code == 1
    newer = failed.stdout.partition("a dead letter again, as ")[2].partition(":")[0]
    listed = {line["id"]: line for line in lines("list", "players")}
    assert listed[garbage]["state"] == f"again as {newer}"
    value = json.dumps(hit(5))
    assert run("resend", "players", newer, "--new-value", value, "--execute", "--wait").exit_code == 0
    assert set(states().values()) == {"folded"}
    assert outcomes(installation)["applied"] == 6
    assert CliRunner().invoke(main, ("verify", "players")).exit_code == 0
    worker.stop()
    _resent_as_they_were(installation)


def _ids(settings: Settings, home: int) -> list[str]:
    """The ids of the four letters, in the order of their records; commits lie between them, perhaps."""
    source = topology.topic_name(settings, PLAYERS, "events")
    found = {(line["topic"], line["partition"], line["offset"]): line["id"] for line in lines("list", "players")}
    return [found[source, partition, offset] for partition, offset in ((home, 1), (home, 2), (home, 3), (1 - home, 0))]


def _look(garbage: str) -> None:
    """Listed, counted, and shown without a control character."""
    listed = run("list", "players", "--limit", "3")
    assert listed.stdout.count("\n") == 4
    assert "the newest 3 of 4" in listed.stderr
    summary = lines("list", "players", "--summary")
    assert [line["letters"] for line in summary] == [1, 1, 1, 1]
    shown = run("show", "players", garbage)
    assert r"garbage \x1b[2J" in shown.stdout
    assert "header     trace: \\x00\\xff" in shown.stdout
    assert f"timestamp  {iso(NOW)}" in shown.stdout
    assert "\x1b" not in shown.stdout + listed.stdout
    assert run("show", "players", garbage, "--raw").stdout_bytes == f"garbage {HOSTILE}".encode()


def _resent_as_they_were(settings: Settings) -> None:
    """A resent record keeps what is its own: time, headers, bytes."""
    source = asyncio.run(read_raw(settings, topology.topic_name(settings, PLAYERS, "events")))
    resent = [record for record in source if dict(record.headers).get("tidemark-resent")]
    assert len(resent) == 8
    assert {record.timestamp for record in resent} == {NOW}
    garbage = [record for record in resent if b"garbage" in (record.value or b"")]
    assert [record.headers[1:] for record in garbage] == [tuple(TRACE)]


@pytest.mark.usefixtures("installation")
def test_what_is_not_there_and_what_was_asked_wrongly_is_said() -> None:
    """Exit code 1 for a letter that is not there, 2 for a contradiction."""
    assert run("list", "players").stderr == "players has no such dead letter\n"
    missing = run("show", "players", "0/7")
    assert (missing.exit_code, "players has no dead letter 0/7; `tidemark" in missing.stderr) == (1, True)
    assert run("resend", "players", "0/7", "1/1").exit_code == 1
    assert run("resend", "players", "--all").exit_code == 0
    for wrong in (
        ("resend", "players"), ("resend", "players", "--all", "--wait"), ("resend", "players", "7"),
        ("resend", "players", "--all", "--new-value", "{}"), ("resend", "players", "0/1", "--rekey", "--new-key", "a"),
        ("resend", "players", "0/1", "--new-value", "{}", "--with", "jq ."), ("list", "players", "--since", "soon"),
        ("show", "players", "0/1", "--raw", "--json"),
    ):  # fmt: skip
        assert run(*wrong).exit_code == 2, wrong


@pytest.mark.parametrize("command", [("list", "players"), ("show", "players", "0/0"), ("resend", "players", "--all")])
def test_every_command_has_the_exit_codes_that_its_help_names(
    command: tuple[str, ...], loaded: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """2 for topics that are missing, 3 for a Kafka that does not answer."""
    settings = loaded()
    missing = run(*command)
    assert (missing.exit_code, f"{settings.prefix}players-events" in missing.stderr) == (2, True)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", f"127.0.0.1:{free_port()}")
    assert run(*command).exit_code == 3
    said = " ".join(run(command[0], "--help").stdout.split())
    assert "2: wrong usage or configuration; 3: no Kafka answers." in said


def test_a_letter_that_no_source_takes_is_refused_and_the_others_are_sent(installation: Settings) -> None:
    """A record of nearly 1 MiB fits without the header that names its original, and not with it."""
    headers = [("topic", b"t"), ("partition", b"0"), ("offset", b"1"), ("outcome", b"INVALID"), ("reason", b"why")]
    large = b"x" * (1024 * 1024 - 110)

    async def sending() -> None:
        producer = AIOKafkaProducer(**installation.kafka(), max_request_size=2 * 1024 * 1024)
        await producer.start()
        try:
            for value in (large, b"small"):
                ours = [("tidemark-" + name, text) for name, text in headers]
                topic = topology.topic_name(installation, PLAYERS, "dead-letters")
                await producer.send_and_wait(topic, value, b"ann", partition=0, headers=ours)
        finally:
            await producer.stop()

    asyncio.run(sending())
    said = run("resend", "players", "--all", "--unchecked", "--execute", "--wait", "--timeout", "0.1")
    assert said.exit_code == 1
    assert "0/0 refused: with the header that names its original" in said.stdout
    assert "0/1 not folded yet: the worker of " in said.stdout  # there is none
