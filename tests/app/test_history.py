"""`tidemark history`: the newest records of a topic, of a key, of a ring."""

import asyncio
import json
from collections.abc import Sequence

import orjson
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from click.testing import CliRunner, Result

from agents.driver import Driver
from app import topology
from app.clock import now_ms
from app.commands import main
from app.history import newest as reading
from app.history.newest import newest, newest_of_ring
from app.history.shown import line
from app.settings import Settings, load
from tables import DOMAINS
from tables.domain import Domain
from tables.event import iso
from tables.players import PLAYERS
from tables.printable import printable
from tables.retention import slot_key
from tables.table import TOTALS_KEY

Sent = tuple[int, bytes | None, bytes | None]
"""(partition, key, value)"""
BASE_MS = now_ms()  # older records would begin a segment of their own, and be compacted while one looks
RINGS = [domain for domain in DOMAINS if domain.per_event is not None]


def run(*arguments: str) -> Result:
    """The command."""
    return CliRunner().invoke(main, ["history", *arguments])


def told(*arguments: str) -> list[dict[str, object]]:
    """What it says to scripts."""
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return [json.loads(text) for text in result.stdout.splitlines()]


@pytest.fixture
def installation(kafka: str, prefix: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings, also in the environment, and topics."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("TIDEMARK_PREFIX", f"{prefix}-")
    monkeypatch.setenv("TIDEMARK_PARTITIONS", "2")
    settings = load()
    asyncio.run(topology.create(settings, [PLAYERS, *RINGS]))
    return settings


def send(settings: Settings, topic: str, records: Sequence[Sent], *, abort: bool = False) -> None:
    """Write records in one transaction, as workers do; their times are a ms apart."""

    async def sending() -> None:
        producer = AIOKafkaProducer(**settings.kafka(), transactional_id=f"{settings.prefix}test")
        await producer.start()
        try:
            await producer.begin_transaction()
            futures = [
                await producer.send(topic, key=key, value=value, partition=partition, timestamp_ms=BASE_MS + number)
                for number, (partition, key, value) in enumerate(records)
            ]
            await asyncio.gather(*futures)
            await (producer.abort_transaction() if abort else producer.commit_transaction())
        finally:
            await producer.stop()

    asyncio.run(sending())


def stats(settings: Settings) -> str:
    """The players' stats topic."""
    return topology.topic_name(settings, PLAYERS, "stats")


def test_the_newest_come_last_over_all_partitions(installation: Settings) -> None:
    """With partition, offset, time, key and value; aborted records are nobody's; named with the prefix or without."""
    records: list[Sent] = [(number % 2, b"k%d" % number, b'{"number": %d}' % number) for number in range(50)]
    send(installation, stats(installation), records)
    send(installation, stats(installation), [(0, b"never", b"{}")], abort=True)
    found = told("players-stats", "--limit", "3")
    assert found == told(stats(installation), "--limit", "3")
    assert [record["value"] for record in found] == [{"number": 47}, {"number": 48}, {"number": 49}]
    assert found[0] == {
        "partition": 1,
        "offset": 23,
        "time": iso(BASE_MS + 47),
        "key": "k47",
        "value": {"number": 47},
    }
    assert len(told("players-stats")) == 20


def test_a_key_is_found_however_far_back(installation: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of its records and nobody else's, tombstones included; read in looks that go further and further back."""
    monkeypatch.setattr(reading, "LEAST_LOOK", 16)
    monkeypatch.setattr(reading, "FIRST_LOOK", 1)
    records: list[Sent] = [(0, b"ann/all", b'{"number": 0}'), *((0, b"bob/all", b"{}") for _ in range(500))]
    records += [(0, b"ann/all", None), *((0, b"annette/all", b"{}") for _ in range(40)), (0, b"ann/all", b"1")]
    send(installation, stats(installation), records)
    assert [record["value"] for record in told("players-stats", "ann/all")] == [{"number": 0}, None, 1]
    assert [record["value"] for record in told("players-stats", "ann/all", "--limit", "2")] == [None, 1]
    assert [record["offset"] for record in told("players-stats", "--limit", "100")] == list(range(443, 543))
    nothing = run("players-stats", "zoe/all")
    assert (nothing.exit_code, nothing.stdout) == (0, "")
    assert "holds no such record" in nothing.stderr


def test_a_changelog_is_read_by_entity_and_decoded_by_name(installation: Settings) -> None:
    """Cells have their fields by name; the entity asks for all of its cells, the key for one."""
    driver = Driver(PLAYERS)
    for seq, player in enumerate(("ann", "bob", "ann")):
        event = {"type": "damage", "match": "m", "seq": seq, "player": player, "match_type": "official", "damage": 1.5}
        driver.send(player, event | {"at": "2025-06-01T00:00:00Z", "weapon": "WeapPan_C", "reason": "HeadShot"})
    driver.settle()
    topic = topology.topic_name(installation, PLAYERS, "changelog")
    send(installation, topic, [(0, record.key, record.value) for record in driver.changelog])
    cells = {str(record["key"]): record["value"] for record in told("tidemark-players-changelog", "ann")}
    assert cells.keys() == {
        '["ann"]',
        '["ann","damage","WeapPan_C","HeadShot","normal"]',
        '["ann","day","2025-06-01","normal"]',
    }
    assert cells['["ann","damage","WeapPan_C","HeadShot","normal"]'] == {"hits": 2, "damage": 3_000_000}
    head = cells['["ann"]']
    assert isinstance(head, dict)
    assert (head["revision"], head["classes"][1]["hits"]) == (2, 2)
    (one,) = told(topic, '["bob","day","2025-06-01","normal"]')
    assert one["value"] == {"hits": 1, "damage": 1_500_000, "kills": 0}
    totals = told(topic, TOTALS_KEY.decode(), "--limit", "1")
    assert totals[0]["value"]["outcomes"][0] == 3  # type: ignore[index]


def test_dead_letters_tell_their_reason_and_their_bytes(installation: Settings) -> None:
    """What is no JSON is shown as text, headers by name; on a terminal nothing of it can act."""
    driver = Driver(PLAYERS)
    driver.send("\x1b[2Jann", b"{\xff\x1b]0;", headers=[("theirs", b"1"), ("tidemark-reason", b"forged")])
    driver.settle()
    topic = topology.topic_name(installation, PLAYERS, "dead-letters")
    letter = driver.dead_letters[0]

    async def sending() -> None:
        producer = AIOKafkaProducer(**installation.kafka())
        await producer.start()
        try:
            await producer.send_and_wait(
                topic, key=letter.key, value=letter.value, headers=list(letter.headers), partition=0
            )
        finally:
            await producer.stop()

    asyncio.run(sending())
    (found,) = told("players-dead-letters")
    assert found["text"] == "{\\xff\x1b]0;"
    assert found["value"] is None
    headers = found["headers"]
    assert isinstance(headers, dict)
    assert (headers["tidemark-outcome"], headers["tidemark-offset"], headers["theirs"]) == ("INVALID", "0", "1")
    assert headers["tidemark-reason"] != "forged"
    shown = run("players-dead-letters")
    assert "\x1b" not in shown.stdout
    assert "\\x1b[2Jann" in shown.stdout
    assert "INVALID" in shown.stdout
    assert len(shown.stdout.splitlines()) == 2


def ring(settings: Settings, role: str = "stats") -> str:
    """A topic to be used as a ring."""
    return topology.topic_name(settings, PLAYERS, role)


def snapshot(partition: int, revision: int, size: int) -> Sent:
    """A record of a ring, under its slot."""
    return partition, slot_key(partition, revision, size), orjson.dumps({"revision": revision, "partition": partition})


def revisions(
    settings: Settings, limit: int, slot: int | None = None, *, partitions: Sequence[int] = (0, 1)
) -> list[str]:
    """`partition:revision` of what a ring's reader finds."""
    found = asyncio.run(newest_of_ring(settings, ring(settings), partitions, limit, slot))
    return [f"{one.partition}:{one.revision}" for one in found]


def test_a_ring_holds_the_newest_of_each_partition_in_order(installation: Settings) -> None:
    """Uncompacted, with buried slots, with a stranger's records, and after another size: never more than the ring."""
    records = [snapshot(0, revision, 4) for revision in range(10)] + [snapshot(1, 1, 4)]
    send(installation, ring(installation), [*records, (1, b"1/2", b"no JSON"), (1, b"1/3", b'{"revision": "x"}')])
    assert revisions(installation, 4) == ["0:6", "0:7", "0:8", "0:9", "1:1"]
    assert revisions(installation, 2) == ["0:8", "0:9", "1:1"]
    assert revisions(installation, 100) == ["0:6", "0:7", "0:8", "0:9", "1:1"]
    assert revisions(installation, 4, partitions=(1,)) == ["1:1"]
    assert revisions(installation, 4, slot=3, partitions=(0,)) == ["0:7"]
    resized: list[Sent] = [snapshot(0, 8, 2), snapshot(0, 9, 2), (0, b"0/2", None), (0, b"0/3", None)]
    send(installation, ring(installation), resized)
    assert revisions(installation, 4) == ["0:8", "0:9", "1:1"]


@pytest.mark.parametrize("domain", RINGS, ids=lambda domain: domain.name)
def test_the_command_knows_a_ring_by_its_topic(installation: Settings, domain: Domain) -> None:
    """As many of each partition as the ring's option says; a key is a partition, or one of its slots."""
    assert domain.per_event is not None
    declared = domain.per_event.ring
    size = int(declared.limit.default)
    topic = topology.topic_name(installation, domain, declared.role)
    send(installation, topic, [snapshot(n % 2, n // 2, size) for n in range(2 * size + 20)])  # 10 more than fit
    found = [record["value"]["revision"] for record in told(topic, "1")]  # type: ignore[index]
    assert found == list(range(10, size + 10))
    assert len(told(topic)) == 2 * size
    assert len(told(topic, "--limit", "3")) == 6
    (one,) = told(topic, "1/5")
    assert one["value"] == {"revision": size + 5, "partition": 1}
    for wrong in ("2", "ann", "1/", "1/x", "-1"):
        result = run(topic, "--", wrong)
        assert result.exit_code == 2, wrong
        assert "is a ring; give a partition (0 to 1), or partition/slot" in result.stderr


@pytest.mark.usefixtures("installation")
def test_an_unknown_topic_is_wrong_usage_and_the_closest_is_named() -> None:
    """Exit code 2."""
    result = run("player-stats")
    assert result.exit_code == 2
    assert "there is no topic 'player-stats' in this installation; did you mean players-stats?" in result.stderr
    assert "`tidemark topics describe` lists them" in run("\x1b").stderr


def test_reading_ends_where_the_topic_ended_at_the_start(installation: Settings) -> None:
    """Also of a partition without a record, and of one whose end is a commit marker."""
    send(installation, stats(installation), [(0, b"k", b"1")])
    found = asyncio.run(newest(installation, stats(installation), (0, 1), 5, lambda _record: True))
    assert [(one.partition, one.record.value) for one in found] == [(0, b"1")]
    assert TopicPartition(stats(installation), 0).partition == found[0].partition


def test_a_record_without_a_time_has_none() -> None:
    """Kafka says -1."""
    driver = Driver(PLAYERS, now=-1)
    driver.send(None, None)
    shown = line(driver.source[0], 3, None)
    assert shown == {"partition": 3, "offset": 0, "time": None, "key": None, "value": None}


def test_text_that_acts_on_terminals_is_shown_by_its_numbers() -> None:
    """Escapes, line breaks, text direction, halves of surrogate pairs; names in any script stay as they are."""
    assert printable("a\x1b[2J\r\n\x9b\u202e\ud800") == "a\\x1b[2J\\r\\n\\x9b\\u202e\\ud800"
    assert printable("Zoë 💥 Ж") == "Zoë 💥 Ж"
