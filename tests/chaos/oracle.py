"""What must come out, in plain Python over the bytes of the input topic. Imports nothing of the product.

Written from the specification, not from the code: JSON by the standard library, one dict per kind of cell, one pass.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any
from urllib.parse import quote

from tests.oracle.interface import Raw

CLASS = {
    **dict.fromkeys(("competitive", "ranked", "Competitive", "esports"), "ranked"),
    **dict.fromkeys(("normal", "Normal", "official", "arcade", "event"), "normal"),
}
KINDS = {"damage", "kill", "knock_down"}
Key = tuple[str, ...]
"""(player, kind, ...)."""
ASKED = 40  # players whose views are asked for


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
        if event["at"][:4] > "2025" and day_ahead(event["at"]):  # the year alone is quicker to look at
            return None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return dict(event)


def day_ahead(at: str) -> bool:
    """Whether a time is more than a day ahead of the clock: no news, but a broken clock."""
    return datetime.fromisoformat(at).astimezone(UTC) > datetime.now(UTC) + timedelta(days=1)


def original_of(record: Raw) -> tuple[int, bytes] | None:
    """Of a resent dead letter: the partition that remembers it, and the place of its original."""
    places = [place for name, place in record.headers if name == "tidemark-resent"]
    return (record.partition, places[0] or b"") if places else None


class PlayersOracle:
    """All players, in one pass and in integers: a million events are quickly folded (see `tests.oracle.interface`)."""

    def __init__(self) -> None:
        self.cells: dict[Key, list[int]] = defaultdict(lambda: [0] * 8)
        self._last: dict[tuple[str, str], int] = {}
        self._resent: set[tuple[int, bytes]] = set()
        self._outcomes: Counter[str] = Counter()

    def fold(self, record: Raw) -> None:
        """Take the next record of its partition in. A resent dead letter counts unless its original has counted."""
        event, original = parse(record.value), original_of(record)
        if event is None:
            self._outcomes["invalid"] += 1
        elif record.key != event["player"].encode():
            self._outcomes["misrouted"] += 1
        elif original in self._resent or (not original and event["seq"] <= self._last_of(event)):
            self._outcomes["duplicate"] += 1
        else:
            self._outcomes["applied"] += 1
            self._resent |= {original} if original else set()
            self._last[event["player"], event["match"]] = max(event["seq"], self._last_of(event))
            self._apply(event)

    def _last_of(self, event: dict[str, Any]) -> int:
        return self._last.get((event["player"], event["match"]), -1)

    def outcomes(self) -> Mapping[str, int]:
        """How the records ended."""
        return self._outcomes

    def totals(self) -> Mapping[str, Any]:
        """The sums over everything."""
        damage = [cell for key, cell in self.cells.items() if key[1] == "damage"]
        weapon = [cell for key, cell in self.cells.items() if key[1] == "weapon"]
        return {
            "keys": len({player for player, _ in self._last}),
            "hits": sum(cell[0] for cell in damage),
            "damage": sum(cell[1] for cell in damage),
            "kills": sum(cell[0] for cell in weapon),
            "knock_downs": sum(cell[2] for cell in weapon),
            "groups": len({key[:4] for key in self.cells if key[1] == "damage"}),
        }

    def stats(self, _now: int) -> Mapping[bytes, Mapping[str, Any]]:
        """The sums of every player, and of every class of matches that he has played."""
        sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        for key, cell in self.cells.items():
            for class_ in () if key[1] == "day" else ("all", key[-1]):
                line = sums[f"{key[0]}/{class_}"]
                if key[1] == "damage":
                    line[0] += cell[0]
                    line[1] += cell[1]
                else:
                    line[2] += cell[0]
        return {
            name.encode(): {"hits": line[0], "damage": round(line[1] / 1_000_000, 4), "kills": line[2]}
            for name, line in sums.items()
            if not name.endswith("/other")
        }

    def answers(self, now: int) -> Iterable[tuple[str, Mapping[str, Any]]]:
        """The stats of some players as their views show them."""
        stats = self.stats(now)
        for player in sorted({player for player, _ in self._last})[:ASKED]:
            yield f"/api/v1/players/{quote(player, safe='')}/enhanced-stats", stats[f"{player}/all".encode()]

    def _apply(self, event: dict[str, Any]) -> None:
        """One event that counts."""
        player, class_ = event["player"], CLASS.get(event["match_type"], "other")
        weapon, reason = event.get("weapon") or "Unknown", event.get("reason") or "Unknown"
        day = datetime.fromisoformat(event["at"]).astimezone(UTC).date().isoformat()
        if event["type"] == "damage":
            amount = millionths(event["damage"])
            for name in ((player, "damage", weapon, reason, class_), (player, "day", day, class_)):
                self.cells[name][0] += 1
                self.cells[name][1] += amount
            return
        cell = self.cells[(player, "weapon", weapon, class_)]
        if event["type"] == "knock_down":
            cell[2] += 1
            return
        cell[0] += 1
        cell[1] += reason == "HeadShot"
        self.cells[(player, "day", day, class_)][2] += 1
        distance_cm = event.get("distance_cm")
        if distance_cm is not None and distance_cm >= 0:
            metres = Decimal(float(distance_cm)) / 100
            length = int((metres * 1_000_000).quantize(Decimal(1), ROUND_HALF_EVEN))
            cell[3] += length
            cell[4] = max(cell[4], length)
            cell[5 if metres < 50 else 6 if metres < 200 else 7] += 1
