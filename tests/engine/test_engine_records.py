"""Bad records, and bad domains, through a real Kafka and a real worker."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from app import topology
from app.broker import ready
from app.settings import Settings
from tables.players import PLAYERS
from tests.chaos.consume import latest, read_all
from tests.chaos.process import Worker, workers
from tests.engine.defective import DEFECTIVE, total_of

HIT = {
    "type": "damage", "match": "m", "seq": 0, "player": "ann", "match_type": "official", "weapon": "WeapAK47_C",
    "reason": "HeadShot", "damage": 10.5, "at": "2026-01-01T00:00:00Z",
}  # fmt: skip
BAD: list[tuple[str, bytes | None, bytes | None, str]] = [
    ("bad JSON", b"ann", b"{not json", "malformed"),
    ("a wrong type", b"ann", orjson.dumps(HIT | {"damage": "ten"}), "$.damage"),
    ("a missing field", b"ann", b'{"type":"damage"}', "missing required field"),
    ("an unknown type", b"ann", orjson.dumps(HIT | {"type": "dance"}), "dance"),
    ("NaN", b"ann", json.dumps(HIT | {"damage": float("nan")}).encode(), "malformed"),
    ("1e400", b"ann", orjson.dumps(HIT).replace(b"10.5", b"1e400"), "out of range"),
    ("a huge integer", b"ann", orjson.dumps(HIT).replace(b'"seq":0', b'"seq":' + b"9" * 400), "$.seq"),
    ("deep nesting", b"ann", b'{"type":"damage","x":' + b"[" * 100_000, ""),
    ("a null value", b"ann", None, "null"),
    ("0 bytes", b"ann", b"", "the value is empty"),
    ("a null key", None, orjson.dumps(HIT), "no key"),
    ("a key that is not UTF-8", b"\xff\xfe", orjson.dumps(HIT), "not the event's player"),
    ("a key of another player", b"bob", orjson.dumps(HIT), "not the event's player"),
    ("the far future", b"ann", orjson.dumps(HIT | {"at": "2999-01-01T00:00:00Z"}), "ahead of now"),
]


def installation(kafka: str, prefix: str) -> Settings:
    """An installation of one partition, so that the order of records is the order of the list."""
    return Settings(
        bootstrap_servers=kafka, prefix=f"{prefix}-", partitions=1, instance_id="w", web_port=ready.free_port()
    )


async def send(settings: Settings, topic: str, records: list[tuple[bytes | None, bytes | None]]) -> None:
    """Write records, in order."""
    producer = AIOKafkaProducer(**settings.kafka())
    await producer.start()
    for key, value in records:
        await producer.send_and_wait(topic, value=value, key=key, partition=0, headers=[("trace", b"abc")])
    await producer.stop()


async def letters_of(settings: Settings, topic: str, number: int) -> list[Any]:
    """The first dead letters, waited for."""
    consumer = AIOKafkaConsumer(
        **settings.kafka(), isolation_level="read_committed", auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        letters: list[Any] = []
        async with asyncio.timeout(30):
            while len(letters) < number:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    letters += records
        return letters
    finally:
        await consumer.stop()


@pytest.fixture
def worker_log(tmp_path: Path) -> Path:
    """The worker's log."""
    return tmp_path / "worker.log"


async def test_every_bad_record_becomes_a_dead_letter_and_the_partition_goes_on(
    kafka: str, prefix: str, worker_log: Path
) -> None:
    """Topic, partition, offset, reason and the original bytes and headers are there; what follows is folded."""
    settings = installation(kafka, prefix)
    await topology.create(settings, [PLAYERS])
    source = topology.topic_name(settings, PLAYERS, "events")
    await send(settings, source, [(key, value) for _, key, value, _ in BAD] + [(b"ann", orjson.dumps(HIT))])
    with workers() as running:
        running.append(Worker(settings, worker_log, PLAYERS.name))
        letters = await letters_of(settings, topology.topic_name(settings, PLAYERS, "dead-letters"), len(BAD))
        for offset, ((what, key, value, reason), letter) in enumerate(zip(BAD, letters, strict=True)):
            headers = dict(letter.headers)
            assert (letter.key, letter.value) == (key, value), what
            assert headers["tidemark-topic"] == source.encode(), what
            assert headers["tidemark-partition"] == b"0", what
            assert headers["tidemark-offset"] == str(offset).encode(), what
            assert reason in headers["tidemark-reason"].decode(), (what, headers["tidemark-reason"])
            assert headers["trace"] == b"abc", what
        totals = await settled_totals(settings, len(BAD) + 1)
        running[0].stop()
    assert totals["hits"] == 1
    outcomes = totals["outcomes"]
    assert sum(outcomes.values()) == len(BAD) + 1
    assert outcomes["invalid"] + outcomes["misrouted"] == len(BAD)


async def test_header_names_that_are_not_text_do_not_stop_the_partition(
    kafka: str, prefix: str, worker_log: Path
) -> None:
    """The client's parser raises on them, for the whole batch and for ever; the fold goes on all the same."""
    settings = installation(kafka, prefix)
    await topology.create(settings, [PLAYERS])
    source = topology.topic_name(settings, PLAYERS, "events")
    producer = AIOKafkaProducer(**settings.kafka())
    await producer.start()
    batch = producer.create_batch()
    batch._builder = _DefaultRecordBatchBuilderPy(2, 0, 0, -1, -1, 0, 100_000)  # the one in C writes only UTF-8
    for seq in range(3):
        headers = [(HostileName("x"), b"1")] if seq == 1 else []
        batch.append(key=b"ann", value=orjson.dumps(HIT | {"seq": seq}), timestamp=None, headers=headers)
    await (await producer.send_batch(batch, source, partition=0))
    await producer.stop()
    with workers() as running:
        running.append(Worker(settings, worker_log, PLAYERS.name))
        assert (await settled_totals(settings, 3))["hits"] == 3
        running[0].stop()


class HostileName(str):
    """A header name whose bytes are not UTF-8."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        """What goes on the wire."""
        return b"\xff\xfe"


async def settled_totals(settings: Settings, position: int) -> dict[str, Any]:
    """The totals once so many records have been committed."""
    async with asyncio.timeout(30):
        while True:
            found = latest(await read_all(settings, topology.topic_name(settings, PLAYERS, "totals")))
            body = next(iter(found.values())).get(b"0", b'{"position":0}')
            totals: dict[str, Any] = orjson.loads(body)
            if totals["position"] == position:
                return totals
            await asyncio.sleep(0.1)


async def test_a_defect_of_a_domain_costs_the_record_and_nothing_else(
    kafka: str, prefix: str, worker_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fold that raises half way: the rows are restored, the record becomes a dead letter, the others count once."""
    settings = installation(kafka, prefix)
    await topology.create(settings, [DEFECTIVE])
    numbers = [1, 2, 13, 4, 13, 5]
    events: list[tuple[bytes | None, bytes | None]] = [
        (b"k", orjson.dumps({"key": "k", "number": number})) for number in numbers
    ]
    await send(settings, topology.topic_name(settings, DEFECTIVE, "events"), events)
    monkeypatch.setattr("tests.chaos.process.COMMAND", [sys.executable, "-m", "tests.engine.defective"])
    with workers() as running:
        running.append(Worker(settings, worker_log))
        letters = await letters_of(settings, topology.topic_name(settings, DEFECTIVE, "dead-letters"), 2)
        assert [dict(letter.headers)["tidemark-offset"] for letter in letters] == [b"2", b"4"]
        assert b"ZeroDivisionError: thirteen" in dict(letters[0].headers)["tidemark-reason"]
        changelog = topology.topic_name(settings, DEFECTIVE, "changelog")
        async with asyncio.timeout(30):
            while True:
                cells = next(iter(latest(await read_all(settings, changelog)).values()))
                if b'["k"]' in cells and total_of(cells[b'["k"]']) == 1 + 2 + 4 + 5:
                    break
                await asyncio.sleep(0.1)
        assert running[0].stop() == 0
