"""The numbers of a telemetry file by plain counting, with nothing of the project in between."""

from collections import Counter
from fractions import Fraction
from typing import Any


def numbers(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Hits, damage, groups, kills and players of an old-style telemetry array (`LogPlayerKill`, no V2)."""
    damage: Counter[tuple[str, str, str]] = Counter()
    amount = Fraction()
    kills: Counter[str] = Counter()
    for event in events:
        if event.get("common", {}).get("isGame", 0) < 1:
            continue
        if event["_T"] == "LogPlayerTakeDamage" and event["damage"] > 0 and (event["attacker"] or {}).get("name"):
            damage[event["attacker"]["name"], event["damageCauserName"], event["damageReason"]] += 1
            amount += Fraction(event["damage"])
        if event["_T"] == "LogPlayerKill" and (event["killer"] or {}).get("name"):
            kills[event["killer"]["name"]] += event["killer"]["name"] != event["victim"]["name"]
    return {
        "players": len({name for name, _, _ in damage} | set(kills)),
        "hits": damage.total(),
        "damage": round(float(amount), 4),
        "kills": kills.total(),
        "groups": len(damage),
    }
