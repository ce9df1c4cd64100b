"""The input of every fault scenario: seeded players' events with repeats and poison, written to a real topic."""

import random
from collections.abc import Iterator

import orjson

from app import topology
from app.settings import Settings
from tables.players import PLAYERS
from tests.chaos.produce import produce

WEAPONS = ("WeapHK416_C", "WeapAK47_C", "WeapM9_C", "WeapKar98k_C", "PlayerMale_A_C", "ProjGrenade_C", None)
REASONS = ("HeadShot", "TorsoShot", "ArmShot", "LegShot", "PelvisShot", None)
TYPES = ("official", "competitive", "custom", "event", "seasonal")
MATCH_PLAYERS, MATCH_EVENTS, MATCHES_AT_ONCE = 100, 2_000, 5
POISON = (b"", b"{", b'{"type":"damage"}', b"[1,2", b'{"type":"kill","match":7}', b"\xff\xfe", b'{"damage":1e400}')


def records(events: int, seed: int) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) of `events` records: 95 % new events, 4 % repeats of recent ones, 1 % that cannot be folded."""
    rng = random.Random(seed)
    recent: list[tuple[bytes, bytes]] = []
    sequences: dict[str, int] = {}
    for number in range(events):
        if recent and rng.random() < 0.04:
            yield rng.choice(recent)
            continue
        first = number // (MATCH_EVENTS * MATCHES_AT_ONCE) * MATCHES_AT_ONCE
        match = f"match-{seed}-{first + rng.randrange(MATCHES_AT_ONCE)}"
        player = f"player-{(hash_of(match) + rng.randrange(MATCH_PLAYERS)) % 10_000}"
        if rng.random() < 0.01:
            yield player.encode(), rng.choice(POISON)
            continue
        sequences[match] = sequences.get(match, -1) + 1
        record = player.encode(), orjson.dumps(event(rng, match, sequences[match], player, seed))
        if len(recent) < 200:
            recent.append(record)
        else:
            recent[rng.randrange(200)] = record
        yield record


def hash_of(text: str) -> int:
    """A number for a text, the same in every process."""
    return int.from_bytes(text.encode(), "big") % 9_973 * MATCH_PLAYERS // 7


def event(rng: random.Random, match: str, seq: int, player: str, seed: int) -> dict[str, object]:
    """One slim event."""
    slim: dict[str, object] = {
        "match": match,
        "seq": seq,
        "player": player,
        "match_type": TYPES[hash_of(match) % len(TYPES)],
        "weapon": rng.choice(WEAPONS),
        "reason": rng.choice(REASONS),
        "at": f"2026-{1 + seed % 9:02d}-{1 + seq % 28:02d}T{seq % 24:02d}:{seq % 60:02d}:00.{seq % 1000:03d}Z",
    }
    kind = rng.random()
    if kind < 0.8:
        return slim | {"type": "damage", "damage": rng.randrange(1, 100_000_000) / 1_000_000}
    if kind < 0.9:
        return slim | {"type": "kill", "distance_cm": rng.choice((None, -1, rng.randrange(30_000), 4_999.99, 5_000))}
    return slim | {"type": "knock_down"}


async def write(settings: Settings, events: int, seed: int) -> int:
    """Create the topics where they are missing and write a workload; returns how many records it has."""
    await topology.create(settings, [PLAYERS])
    await produce(settings, topology.topic_name(settings, PLAYERS, "events"), records(events, seed))
    return events
