"""Hostile records: none of them stops a partition, each is where it belongs, and nothing good is lost beside it."""

import asyncio
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from random import Random
from unittest import mock

from aiokafka import AIOKafkaProducer
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from app import topology
from app.admin import administering
from app.generate.commands import accepts
from app.generate.poison import POISON, Record, spoil
from app.topology import topic_name
from tables.domain import Domain
from tables.event import DAY_MS
from tables.players import PLAYERS
from tests.chaos import expected
from tests.chaos.checker import Verdict
from tests.chaos.produce import produce
from tests.chaos.run import Run
from tests.chaos.scenarios.load import MEBIBYTE, WORKING_BYTES, Rss
from tests.oracle import live
from tests.oracle.interface import Oracle, Raw

Known = Mapping[tuple[bytes | None, bytes | None], str]
"""(key, value) of a record -> how it must end."""

# -- row 9 -------------------------------------------------------------------------------------------------------------

DEEP = 20_000  # levels of nesting
GARBAGE: tuple[bytes, ...] = (
    b"", b"\x00", b"\xff\xfe", b"{", b"[]", b"null", b"NaN", b"Infinity", b'"text"', b"7", b"-", b"1e400", b"9" * 5_000,
    b"\xef\xbb\xbf{}", b"{" * DEEP, b"[" * DEEP, b'{"a":' * DEEP, b'{"type":' + b"[" * DEEP + b"]" * DEEP + b"}",
    b'{"type":"\\ud800"}', b'{"type":1e400}', b'{"type":' + b"9" * 5_000 + b"}", zlib.compress(b"{}"),
)  # fmt: skip
KEYS = (None, b"", b"\xff\xfe", b"x" * 2_000, b"[null]", b"\xed\xa0\x80")


def knowing(oracle: type[Oracle], known: Known) -> type[Oracle]:
    """An oracle that is told of some records how they must end; of all others it knows by itself."""

    class Knowing(oracle):  # type: ignore[valid-type, misc] # whichever it is
        def __init__(self) -> None:
            super().__init__()
            self.told: Counter[str] = Counter()

        def fold(self, record: Raw) -> None:
            outcome = known.get((record.key, record.value))
            if outcome is None:
                super().fold(record)
            else:
                self.told[outcome] += 1

        def outcomes(self) -> Mapping[str, int]:
            return Counter(super().outcomes()) + self.told

    return Knowing


def poison(run: Run) -> Verdict:
    """Every kind of poison in every domain, in the middle of a good load: a dead letter each, at its place."""
    run.write()
    worker = run.worker()
    worker.wait_live(run.partitions())
    oracles: dict[str, type[Oracle]] = {}
    for domain in run.domains:
        known = dict(poisonous(domain, run.rng))
        good = live.events(domain, run.events, run.rng.randrange(1_000))
        records = mixed(good, list(known), run.rng)
        asyncio.run(produce(run.settings, topic_name(run.settings, domain, "events"), records))
        oracles[domain.name] = knowing(expected.ORACLES[domain.name], known)
    run.note("kinds of poison", str(len(POISON) + len(GARBAGE) + len(KEYS)))
    with mock.patch.dict(expected.ORACLES, oracles):
        verdict = run.finish(worker)
    if "its rows are dropped" in worker.said():
        raise RuntimeError(f"a record has cost a restore:\n{worker.said()[-3000:]}")
    return verdict


def poisonous(domain: Domain, rng: Random) -> Iterator[tuple[tuple[bytes | None, bytes | None], str]]:
    """Records that none of a domain's may be, with how they must end: garbage, and events spoilt in every way."""
    accepted = accepts(domain)
    good = [
        (key, value) for key, value in islice(live.events(domain, 2_000, 7), 500) if key and value and accepted(value)
    ]
    for number, garbage in enumerate(GARBAGE):
        yield (rng.choice(good)[0], garbage), "invalid"
        yield (KEYS[number % len(KEYS)], garbage), "invalid"
    for key in KEYS:
        yield (key, rng.choice(good)[1]), "misrouted"
    yield (None, None), "invalid"
    yield (b"\xff\xfe", None), "invalid"
    if domain.on_null is None:
        yield (good[0][0], None), "invalid"
    for kind in POISON:
        for key, value in rng.sample(good, 5):
            spoilt = spoil(Record(key, value), kind, rng, accepted)
            yield (spoilt.key, spoilt.value), "misrouted" if spoilt.poison.endswith(" key") else "invalid"


def mixed(good: Iterable[live.Sent], bad: list[live.Sent], rng: Random) -> Iterator[live.Sent]:
    """The good ones in their order, with the bad ones anywhere among them, three of them in a row now and then."""
    rng.shuffle(bad)
    for record in good:
        yield record
        if bad and rng.random() < 0.1:
            for _ in range(min(len(bad), rng.choice((1, 1, 3)))):
                yield bad.pop()
    yield from bad


# -- row 11 ------------------------------------------------------------------------------------------------------------

LARGEST_BYTES = 40 * MEBIBYTE
# The process itself, what any load may take, and a packed batch: as unpacked, as a record, as text, as what is kept.
BOUND_BYTES = 150 * MEBIBYTE + WORKING_BYTES + 4 * LARGEST_BYTES


def oversized(run: Run) -> Verdict:
    """Events as large as brokers take, batches that unpack to far more, topics that take more, or less, than ours."""
    run.write()
    events = topic_name(run.settings, PLAYERS, "events")
    asyncio.run(_configured(run, events, {"max.message.bytes": str(12 * MEBIBYTE)}))
    asyncio.run(_large(run, events))
    worker = run.worker()
    run.write()
    run.drain()
    peak = Rss(worker).peak()
    run.note("memory at most, bound (MiB)", f"{peak / MEBIBYTE:.0f}, {BOUND_BYTES / MEBIBYTE:.0f}")
    if peak > BOUND_BYTES:
        raise RuntimeError(f"memory has been {peak:,} bytes, at most {BOUND_BYTES:,}")
    worker.stop()
    for role in ("changelog", "totals", "dead-letters")[: 3 if run.faults > 1 else 1]:
        _refused(run, topic_name(run.settings, PLAYERS, role))
    worker = run.worker()
    worker.wait_live(run.partitions())
    return run.finish(worker)


async def _large(run: Run, topic: str) -> None:
    """Large records, some of them events; packed, most of them take a thousandth of what they unpack to."""
    plain = AIOKafkaProducer(**run.settings.kafka(), max_request_size=12 * MEBIBYTE)
    packed = AIOKafkaProducer(**run.settings.kafka(), max_request_size=64 * MEBIBYTE, compression_type="gzip")
    await asyncio.gather(plain.start(), packed.start())
    try:
        for number, size in enumerate((900_000, MEBIBYTE - 2_000, 5 * MEBIBYTE, 11 * MEBIBYTE)):
            await plain.send_and_wait(topic, key=b"large", value=_event(number, size))
            await plain.send_and_wait(topic, key=b"large", value=b"x" * size)
        for number, size in enumerate(
            (2 * MEBIBYTE, 20 * MEBIBYTE)[: run.faults + 1] + (LARGEST_BYTES,) * (run.faults > 1), 10
        ):
            await packed.send_and_wait(topic, key=b"large", value=_event(number, size))
            await packed.send_and_wait(topic, key=b"large", value=b" " * size)
            await packed.send_and_wait(topic, key=b"k" * size, value=b"{}")
    finally:
        await asyncio.gather(plain.stop(), packed.stop())


def _event(number: int, size: int) -> bytes:
    """An event of so many bytes, most of them in a field that nobody knows."""
    event = {
        "type": "damage", "match": "large", "seq": number, "player": "large", "match_type": "official",
        "at": "2026-01-05T00:00:00Z", "damage": 1.5,
    }  # fmt: skip
    return json.dumps(event | {"unknown": "x" * (size - 160)}).encode()


def _refused(run: Run, topic: str) -> None:
    """A topic that takes less than our batches: refused at the start, by name; mended as it says, it goes on."""
    asyncio.run(_configured(run, topic, {"max.message.bytes": "1000", "cleanup.policy": "compact"}))
    worker = run.worker()
    code = worker.wait_dead()
    if code == 0 or topic not in worker.said() or "max.message.bytes=1000" not in worker.said():
        raise RuntimeError(f"the worker ended with {code} and did not name {topic}:\n{worker.said()[-3000:]}")
    if not asyncio.run(topology.alter(run.settings, run.domains)):  # what `tidemark topics create` does
        raise RuntimeError(f"{topic} was not mended")


async def _configured(run: Run, topic: str, config: Mapping[str, str]) -> None:
    async with administering(run.settings) as admin:
        own = {"retention.ms": str(7 * DAY_MS)} if topic.endswith("-events") else {}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, own | dict(config))])
