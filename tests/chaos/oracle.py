"""What must come out, in plain Python over the bytes of the input topic. Imports nothing of the project.

Written from the specification, not from the code: JSON by the standard library, one dict per kind of cell, one pass.
"""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

CLASS = {
    **dict.fromkeys(("competitive", "ranked", "Competitive", "esports"), "ranked"),
    **dict.fromkeys(("normal", "Normal", "official", "arcade", "event"), "normal"),
}
KINDS = {"damage", "kill", "knock_down"}
Key = tuple[str, ...]


@dataclass
class Expected:
    """The state that one partition must have: cells by (player, kind, ...), counts of how records ended."""

    cells: dict[Key, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0] * 8))
    revisions: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    offsets: dict[str, int] = field(default_factory=dict)
    last: dict[tuple[str, str], int] = field(default_factory=dict)
    outcomes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    dead: list[tuple[int, bytes | None, bytes | None]] = field(default_factory=list)


def millionths(number: Any) -> int:
    """A JSON number in millionths, rounded half to even."""
    return int((Decimal(float(number)) * 1_000_000).quantize(Decimal(1), ROUND_HALF_EVEN))


def parse(value: bytes | None) -> dict[str, Any] | None:
    """The event, or None where the record cannot be one."""
    try:
        event = json.loads(value or b"", parse_constant=lambda _: None)
        if event["type"] not in KINDS or not isinstance(event["seq"], int):
            return None
        if not all(isinstance(event[name], str) for name in ("match", "player", "match_type", "at")):
            return None
        if event["type"] == "damage" and not 0 < event["damage"] <= 100_000:
            return None
    except (ValueError, KeyError, TypeError):
        return None
    return dict(event)


def fold(records: list[tuple[int, bytes | None, bytes | None]]) -> Expected:
    """The state after all records of one partition."""
    state = Expected()
    for offset, key, value in records:
        event = parse(value)
        if event is None:
            state.outcomes["invalid"] += 1
            state.dead.append((offset, key, value))
        elif key != event["player"].encode():
            state.outcomes["misrouted"] += 1
            state.dead.append((offset, key, value))
        elif event["seq"] <= state.last.get((event["player"], event["match"]), -1):
            state.outcomes["duplicate"] += 1
        else:
            state.outcomes["applied"] += 1
            apply(state, event)
            state.offsets[event["player"]] = offset
    return state


def apply(state: Expected, event: dict[str, Any]) -> None:
    """One event that counts."""
    player, class_ = event["player"], CLASS.get(event["match_type"], "other")
    weapon, reason = event.get("weapon") or "Unknown", event.get("reason") or "Unknown"
    state.last[player, event["match"]] = event["seq"]
    state.revisions[player] += 1
    day = datetime.fromisoformat(event["at"]).astimezone(UTC).date().isoformat()
    if event["type"] == "damage":
        amount = millionths(event["damage"])
        for name in ((player, "damage", weapon, reason, class_), (player, "day", day, class_)):
            state.cells[name][0] += 1
            state.cells[name][1] += amount
        return
    cell = state.cells[(player, "weapon", weapon, class_)]
    if event["type"] == "knock_down":
        cell[2] += 1
        return
    cell[0] += 1
    cell[1] += reason == "HeadShot"
    state.cells[(player, "day", day, class_)][2] += 1
    distance_cm = event.get("distance_cm")
    if distance_cm is not None and distance_cm >= 0:
        metres = Decimal(float(distance_cm)) / 100
        length = int((metres * 1_000_000).quantize(Decimal(1), ROUND_HALF_EVEN))
        cell[3] += length
        cell[4] = max(cell[4], length)
        cell[5 if metres < 50 else 6 if metres < 200 else 7] += 1
