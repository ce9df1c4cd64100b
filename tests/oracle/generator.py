"""Seeded input for the oracle: many events with duplicates, disorder and poison, each labelled with what it is."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from tests.oracle.players import CATEGORY

PLAYERS = [f"player-{number}" for number in range(60)] + [
    "ANN",
    "ann",
    "Ann",
    "b/all",
    "😀",
    'q"\\',
    "nul\x00",
    "ranked",
]
MATCH_TYPES = ("competitive", "ranked", "esports", "official", "normal", "arcade", "custom", "airoyale", "", "Custom")
REASONS = ("HeadShot", "TorsoShot", "PelvisShot", "ArmShot", "LegShot", "NonSpecific", "", None)
WEAPONS = [*CATEGORY, "", None]
START = datetime(2023, 12, 25, tzinfo=UTC)  # a new year, a leap day and week 53 are ahead
POISON = (b"", b"null", b"{", b"\xff", b"[1]", b"[" * 5000, b'{"type": "damage"}', b'{"type": 1e400}')


class Labelled(NamedTuple):
    """A record, with its event where it is to be folded."""

    key: bytes | None
    value: bytes | None
    event: dict[str, Any] | None
    outcome: str
    """`folded`, `invalid` or `misrouted`."""


def generate(count: int, seed: int) -> Iterator[Labelled]:
    """As many records."""
    chance = random.Random(seed)
    sequence = 0
    sent: list[Labelled] = []
    for number in range(count):
        dice = chance.random()
        if dice < 0.08 and sent:  # a producer repeats itself, soon after or long after
            record = sent[-chance.randrange(1, min(len(sent), 2000) + 1)]
        elif dice < 0.11:
            record = _poison(chance, number, sequence)
        else:
            sequence += 1
            event = _event(chance, number, sequence - (chance.randrange(40) if dice < 0.2 else 0))
            record = Labelled(event["player"].encode(), json.dumps(event).encode(), event, "folded")
        sent.append(record)
        yield record


def _event(chance: random.Random, number: int, seq: int) -> dict[str, Any]:
    at = START + timedelta(days=number / 60 - chance.expovariate(1 / 20), microseconds=chance.randrange(10**6))
    zone = chance.choice(("Z", "+00:00", "", "+05:30", "-08:00"))
    event: dict[str, Any] = {
        "match": f"match-{number // 500 - (chance.random() < 0.1)}",
        "seq": max(0, seq),
        "player": chance.choice(PLAYERS[: chance.choice((5, 20, 100))]),
        "match_type": chance.choice(MATCH_TYPES),
        "at": at.replace(tzinfo=None).isoformat() + zone,
        "weapon": chance.choice(WEAPONS),
        "reason": chance.choice(REASONS),
        "unknown_field": {"of": ["a", "newer", "producer"]},
    }
    kind = chance.random()
    if kind < 0.6:
        return event | {"type": "damage", "damage": _damage(chance)}
    far = chance.choice((None, -1, -1.0, 0, 4999.9, 5000, 19_999.9999, 20_000, chance.uniform(0, 80_000)))
    return event | {"type": "kill" if kind < 0.85 else "knock_down", "distance_cm": far}


def _damage(chance: random.Random) -> float:
    return chance.choice((chance.uniform(0.1, 100), chance.randrange(1, 10**8) / 10**6, 100, 1e-9, 0.1, 33.333333))


def _poison(chance: random.Random, number: int, seq: int) -> Labelled:
    event = _event(chance, number, seq)
    key = event["player"].encode()
    kind = chance.randrange(4)
    if kind == 0:
        return Labelled(key, chance.choice(POISON), None, "invalid")
    if kind == 1:
        del event[chance.choice(("match", "seq", "player", "match_type", "at", "type"))]
        return Labelled(key, json.dumps(event).encode(), None, "invalid")
    if kind == 2:
        event[chance.choice(("match", "seq", "player", "match_type", "at", "weapon"))] = chance.choice((True, [], {}))
        return Labelled(key, json.dumps(event).encode(), None, "invalid")
    return Labelled(chance.choice((None, b"", b"\xff", b"someone else")), json.dumps(event).encode(), None, "misrouted")
