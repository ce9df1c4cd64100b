"""Bench data: seeded events with Zipf-skewed keys, the same bytes in every run and on every machine."""

import asyncio
import random
import uuid
from collections.abc import Iterator
from itertools import accumulate, islice
from typing import Any

from aiokafka import AIOKafkaProducer

from app.partitions import partitioner

SEED = 20_180_405
PARTITIONS = 4
KEYS = 1_000
AT_MS = 1_760_000_000_000  # 2025-10-09; one event per ms from there on

PLAYERS = 10_000
PLAYERS_OF_A_MATCH = 100
MATCHES_AT_ONCE = 8
EVENTS_OF_A_MATCH = 2_000
WEAPONS = tuple(
    f"Weap{name}_C" for name in ("HK416", "AK47", "Kar98k", "Mini14", "UMP9", "SCAR-L", "M16A4", "SKS", "G18")
)
REASONS = ("TorsoShot", "TorsoShot", "HeadShot", "ArmShot", "LegShot", "PelvisShot")

PREFETCHED = 10_000  # random choices drawn at a time
BATCH_BYTES = 512 * 1024

Pair = tuple[bytes, bytes]
"""The key and the value of a record."""


def zipf(number: int) -> list[float]:
    """Cumulative weights 1, 1/2, 1/3, ... of so many ranks."""
    return list(accumulate(1 / rank for rank in range(1, number + 1)))


def _skewed(rng: random.Random, number: int) -> Iterator[int]:
    ranks, weights = range(number), zipf(number)
    while True:
        yield from rng.choices(ranks, cum_weights=weights, k=PREFETCHED)


def one_cell_events(number: int, keys: int = KEYS) -> Iterator[Pair]:
    """Events of the one-cell domain, 120 bytes each, over Zipf-skewed keys."""
    rng = random.Random(SEED)
    for n, entity in enumerate(islice(_skewed(rng, keys), number)):
        yield _measured(n, entity)


def one_event_per_key(number: int) -> Iterator[Pair]:
    """Events of the one-cell domain, each of another key: what fills a changelog with so many rows."""
    for n in range(number):
        yield _measured(n, n)


def stock_rows(number: int) -> Iterator[Pair]:
    """So many rows of a Faust table's changelog, each about as large as one of the one-cell domain's."""
    for n in range(number):
        yield b'"entity-%07d"' % n, b"[1,%d,%d]" % (n, AT_MS + n)


def _measured(n: int, entity: int) -> Pair:
    key = b"entity-%07d" % entity
    return key, (
        b'{"id":%d,"entity":"%s","amount":%d,"at":%d,"unit":"millimetres","site":"harbour-%02d"}'
        % (n, key, 1_000 + n * 7_919 % 9_000, AT_MS + n, n % 97)
    )


class Match:
    """One match: its players in the order of their zeal, each with two to four weapons."""

    def __init__(self, rng: random.Random) -> None:
        self.id = str(uuid.UUID(int=rng.getrandbits(128), version=4)).encode()
        self.players = [b"Player-%05d" % player for player in rng.sample(range(PLAYERS), PLAYERS_OF_A_MATCH)]
        self.weapons = [rng.sample(WEAPONS, rng.randint(2, 4)) for _ in self.players]
        self.sequence = 0


def damage_events(number: int) -> Iterator[Pair]:
    """Damage events of the players domain, of several matches at once; who hits is Zipf-skewed within a match."""
    rng = random.Random(SEED)
    matches = [Match(rng) for _ in range(MATCHES_AT_ONCE)]
    for n, player in enumerate(islice(_skewed(rng, PLAYERS_OF_A_MATCH), number)):
        match = matches[n % MATCHES_AT_ONCE]
        yield _damage(rng, n, match, player)
        match.sequence += 1
        if match.sequence == EVENTS_OF_A_MATCH:
            matches[n % MATCHES_AT_ONCE] = Match(rng)


def _damage(rng: random.Random, n: int, match: Match, player: int) -> Pair:
    key = match.players[player]
    weapon = match.weapons[player][n % len(match.weapons[player])].encode()
    reason = REASONS[n * 7 % len(REASONS)].encode()
    seconds, ms = divmod(n, 1_000)
    at = b"2025-10-09T%02d:%02d:%02d.%03dZ" % (seconds // 3_600 % 24, seconds // 60 % 60, seconds % 60, ms)
    return key, (
        b'{"type":"damage","match":"%s","seq":%d,"player":"%s","weapon":"%s","reason":"%s",'
        b'"damage":%.6f,"match_type":"official","at":"%s"}'
        % (match.id, match.sequence, key, weapon, reason, 1 + 60 * rng.random(), at)
    )


def assessment_events(number: int) -> Iterator[Pair]:
    """Assessments of Zipf-skewed sessions: nine of ten are of a message, 450 bytes; the others of a checkpoint."""
    rng = random.Random(SEED)
    sessions = [str(uuid.UUID(int=rng.getrandbits(128), version=4)).encode() for _ in range(KEYS)]
    for n, place in enumerate(islice(_skewed(rng, KEYS), number)):
        session, ms = sessions[place], AT_MS + n
        seconds = n // 1_000
        # A version 7 UUID: 48 bits of time, 12 and 62 random ones.
        id_ = b"%08x-%04x-7%03x-8%03x-%012x" % (ms >> 16, ms & 0xFFFF, n & 0xFFF, n >> 12 & 0xFFF, rng.getrandbits(48))
        at = b"2025-10-09T%02d:%02d:%02d.%03dZ" % (seconds // 3_600 % 24, seconds // 60 % 60, seconds % 60, n % 1_000)
        tier = b"checkpoint" if n % 10 == 9 else b"lightweight"
        yield (
            session,
            (
                b'{"tier":"%s","context":{"session_id":"%s","event_id":"%s","timestamp":"%s","active_learnings":["l-%d"],'
                b'"injection_method":"hook","harness_type":"terminal","harness_version":"2.1.0","project_id":"atlas"},'
                b'"message_idx":%d,"signals":["thanks"],"frustration_ema":%.4f,"success_ema":%.4f,'
                b'"triggering_event_id":"%s"}' % (tier, session, id_, at, n % 40, n, rng.random(), rng.random(), id_)
            ),
        )


async def preload(servers: str, topic: str, pairs: Iterator[Pair]) -> dict[int, int]:
    """Write events to their partitions; returns how many each has."""
    partition_of, everywhere = partitioner(PARTITIONS), range(PARTITIONS)
    producer = AIOKafkaProducer(bootstrap_servers=servers, max_batch_size=BATCH_BYTES)
    await producer.start()
    try:
        batches = [producer.create_batch() for _ in everywhere]
        counts = dict.fromkeys(everywhere, 0)
        sent: list[Any] = []
        for key, value in pairs:
            partition = partition_of(key)
            counts[partition] += 1
            while batches[partition].append(key=key, value=value, timestamp=None) is None:
                sent.append(await producer.send_batch(batches[partition], topic, partition=partition))
                batches[partition] = producer.create_batch()
        for partition, batch in enumerate(batches):
            sent.append(await producer.send_batch(batch, topic, partition=partition))
        await asyncio.gather(*sent)
    finally:
        await producer.stop()
    return counts
