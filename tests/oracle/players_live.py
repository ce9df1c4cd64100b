"""The players' oracle, fed with the raw records of a topic."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from tests.oracle.interface import Raw
from tests.oracle.players import Players, enhanced_stats, trend

SHOWN = ("all", "ranked", "normal")
ASKED = 40  # players whose views are asked for
UNCOMPARED = "weapon_breakdown"  # its order is the product's own; its numbers are compared by tests without a broker


class PlayersOracle:
    """Every player's events."""

    def __init__(self) -> None:
        self.players = Players()
        self._outcomes: Counter[str] = Counter()

    def fold(self, record: Raw) -> None:
        """Take the next record of its partition in. The workload's bad records are no JSON, or miss most fields."""
        try:
            event = json.loads(record.value or b"")
            entity = event["player"].encode() if event["match"] and event["at"] else b""
        except (ValueError, KeyError, TypeError):
            self._outcomes["invalid"] += 1
            return
        if entity != record.key:
            self._outcomes["misrouted"] += 1
            return
        before = self.players.duplicates
        self.players.take(event)
        self._outcomes["applied" if self.players.duplicates == before else "duplicate"] += 1

    def outcomes(self) -> Mapping[str, int]:
        """How the records ended."""
        return self._outcomes

    def stats(self, _now: int) -> Mapping[bytes, Mapping[str, Any]]:
        """Three records for a player who has played both classes, fewer for others."""
        found = {}
        for name, player in self.players.players.items():
            for class_ in SHOWN:
                if player.of(class_):
                    found[f"{name}/{class_}".encode()] = _compared(enhanced_stats(name, player, class_))
        return found

    def totals(self) -> Mapping[str, Any]:
        """The sums over everything."""
        return self.players.totals()

    def answers(self, _now: int) -> Iterable[tuple[str, Mapping[str, Any]]]:
        """Some players' views, and the leaderboards."""
        for name in sorted(self.players.players)[:ASKED]:
            player = self.players.players[name]
            path = f"/api/v1/players/{quote(name, safe='')}"
            yield f"{path}/enhanced-stats", _compared(enhanced_stats(name, player, "all"))
            yield f"{path}/trend", {"days": trend(player, "all")}
        for by in ("kills", "damage", "longest_kill"):
            results = [{"player": name} for name in self.players.leaders(by, "all")]
            yield f"/api/v1/players/leaderboard?by={by}", {"results": results}


def _compared(body: dict[str, Any]) -> dict[str, Any]:
    compared = {key: value for key, value in body.items() if key != UNCOMPARED}
    return compared | {"longest_kill_m": body["longest_kill_m"] or None}  # nobody killed at a distance: none is shown
