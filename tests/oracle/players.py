"""What the players domain says of its input, in plain Python: nothing here comes from tables/ or agents/.

It keeps every accepted event and computes each answer from all of them, the slow and obvious way, in fractions.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, NamedTuple

Fields = dict[str, Any]

SOURCES = 500  # matches that a player's row remembers
DAYS = 400  # (day, class) pairs that it keeps
RANKED = ("competitive", "ranked", "Competitive", "esports")
NORMAL = ("normal", "Normal", "official", "arcade", "event")
CLASSES = ("ranked", "normal", "other")
CATEGORY = {  # one weapon of each category, as the publisher's dictionary has them, and one that nobody knows
    "WeapHK416_C": "AR",
    "WeapAK47_C": "AR",
    "WeapMini14_C": "DMR",
    "WeapKar98k_C": "SR",
    "WeapUMP_C": "SMG",
    "WeapWinchester_C": "Shotgun",
    "WeapM249_C": "LMG",
    "WeapM9_C": "Pistol",
    "WeapPan_C": "Melee",
    "PlayerMale_A_C": "Melee",
    "ProjGrenade_C": "Throwable",
    "WeapCrossbow_1_C": "Special",
    "BP_Motorbike_04_C": "Vehicle",
    "RedZoneBomb_C": "Environment",
    "Weap_of_tomorrow_C": "Other",
    "Unknown": "Other",
}


class Accepted(NamedTuple):
    """An event that counts, in the units that are summed."""

    type: str
    weapon: str
    reason: str
    class_: str
    day: str
    amount: int
    """Damage in millionths of a hit point."""
    distance: int | None
    """Of a kill, in micrometres."""
    headshot: bool


def class_of(match_type: str) -> str:
    """The class of a match type."""
    return "ranked" if match_type in RANKED else "normal" if match_type in NORMAL else "other"


def day_of(at: str) -> str:
    """The UTC date of an ISO 8601 time; one without a zone is UTC."""
    time = datetime.fromisoformat(at)
    offset = time.utcoffset() or timedelta(0)
    return (time.replace(tzinfo=UTC) - offset).date().isoformat()


def accept(event: Fields) -> Accepted:
    """An event in integers, each amount rounded by itself."""
    far = event.get("distance_cm")
    distance = None if event["type"] != "kill" or far is None or far < 0 else round(Fraction(far) * 10_000)
    return Accepted(
        event["type"],
        event.get("weapon") or "Unknown",
        event.get("reason") or "Unknown",
        class_of(event["match_type"]),
        day_of(event["at"]),
        round(Fraction(event.get("damage", 0)) * 1_000_000),
        distance,
        event["type"] == "kill" and event.get("reason") == "HeadShot",
    )


class Player:
    """One player's accepted events."""

    def __init__(self) -> None:
        self.events: list[Accepted] = []
        self.last: OrderedDict[str, int] = OrderedDict()

    def take(self, event: Fields) -> bool:
        """Accept an event, unless its match has been there with this index or a later one."""
        if event["seq"] <= self.last.get(event["match"], -1):
            return False
        self.last[event["match"]] = event["seq"]
        self.last.move_to_end(event["match"])
        if len(self.last) > SOURCES:
            self.last.popitem(last=False)
        self.events.append(accept(event))
        return True

    def of(self, match_type: str, *types: str) -> list[Accepted]:
        """The events of these types in a class of matches; `all` is every class."""
        return [
            event for event in self.events if match_type in ("all", event.class_) and (not types or event.type in types)
        ]

    def cells(self) -> dict[tuple[str, ...], list[int]]:
        """The row's cells by name: the integers, in their order."""
        cells: dict[tuple[str, ...], list[int]] = {}
        for event in self.events:
            if event.type == "damage":
                name: tuple[str, ...] = ("damage", event.weapon, event.reason, event.class_)
                same = [e for e in self.of(event.class_, "damage") if (e.weapon, e.reason) == name[1:3]]
                cells[name] = [len(same), sum(e.amount for e in same)]
            else:
                name = ("weapon", event.weapon, event.class_)
                same = [e for e in self.of(event.class_, "kill", "knock_down") if e.weapon == event.weapon]
                cells[name] = _weapon(same)
        return cells | self.days()

    def days(self) -> dict[tuple[str, ...], list[int]]:
        """The newest (day, class) cells, each with all events of that day."""
        days = sorted({(e.day, e.class_) for e in self.events if e.type != "knock_down"})
        return {
            ("day", day, class_): _day([e for e in self.of(class_) if e.day == day]) for day, class_ in days[-DAYS:]
        }

    def groups(self) -> int:
        """Distinct (weapon, reason) of hits."""
        return len({(event.weapon, event.reason) for event in self.of("all", "damage")})


def _weapon(events: list[Accepted]) -> list[int]:
    kills = [event for event in events if event.type == "kill"]
    far = [event.distance for event in kills if event.distance is not None]
    return [
        len(kills),
        sum(event.headshot for event in kills),
        len(events) - len(kills),
        sum(far),
        max(far, default=0),
        sum(um < 50_000_000 for um in far),
        sum(50_000_000 <= um < 200_000_000 for um in far),
        sum(um >= 200_000_000 for um in far),
    ]


def _day(events: list[Accepted]) -> list[int]:
    hits = [event for event in events if event.type == "damage"]
    return [len(hits), sum(event.amount for event in hits), sum(event.type == "kill" for event in events)]


def _percent(events: Iterable[Accepted], name: Callable[[Accepted], str], amount: Callable[[Accepted], int]) -> Fields:
    sums: dict[str, int] = {}
    for event in events:
        sums[name(event)] = sums.get(name(event), 0) + amount(event)
    whole = sum(sums.values())
    return {key: float(round(Fraction(100 * part, whole), 2)) for key, part in sums.items() if part}


def _hp(events: Iterable[Accepted]) -> float:
    return float(round(Fraction(sum(event.amount for event in events), 1_000_000), 4))


def _metres(um: Fraction | int) -> float:
    return float(round(Fraction(um, 1_000_000), 2))


def enhanced_stats(name: str, player: Player, match_type: str) -> Fields:
    """The answer of the view of that name, and the body of the snapshot."""
    hits, kills = player.of(match_type, "damage"), player.of(match_type, "kill")
    lines = []
    for weapon in {event.weapon for event in player.of(match_type)}:
        sums = _weapon([event for event in player.of(match_type, "kill", "knock_down") if event.weapon == weapon])
        banded = sum(sums[5:])
        own = [event for event in hits if event.weapon == weapon]
        lines.append(
            {
                "weapon": weapon,
                "category": CATEGORY[weapon],
                "hits": len(own),
                "damage": _hp(own),
                "kills": sums[0],
                "headshots": sums[1],
                "knock_downs": sums[2],
                "average_kill_distance_m": _metres(Fraction(sums[3], banded)) if banded else None,
                "longest_kill_m": _metres(sums[4]) if banded else None,
                "kills_by_distance": {"close": sums[5], "mid": sums[6], "long": sums[7]},
            }
        )
    return {
        "player": name,
        "match_type": match_type,
        "hits": len(hits),
        "damage": _hp(hits),
        "kills": len(kills),
        "headshots": sum(event.headshot for event in kills),
        "knock_downs": len(player.of(match_type, "knock_down")),
        "longest_kill_m": _metres(max((event.distance or 0 for event in kills), default=0)),
        "weapon_category_stats": {
            "damage": _percent(hits, lambda event: CATEGORY[event.weapon], lambda event: event.amount),
            "kills": _percent(kills, lambda event: CATEGORY[event.weapon], lambda _: 1),
        },
        "damage_by_body_part": _percent(hits, lambda event: event.reason, lambda event: event.amount),
        "weapon_breakdown": sorted(lines, key=lambda line: str(line["weapon"])),
    }


def trend(player: Player, match_type: str) -> list[Fields]:
    """The days of the view of that name."""
    days: dict[str, list[int]] = {}
    for name, sums in player.days().items():
        if match_type in ("all", name[2]):
            days[name[1]] = [a + b for a, b in zip(days.get(name[1], [0, 0, 0]), sums, strict=True)]
    return [
        {"day": day, "hits": sums[0], "damage": float(round(Fraction(sums[1], 1_000_000), 4)), "kills": sums[2]}
        for day, sums in sorted(days.items())
    ]


def rank(player: Player, by: str, match_type: str) -> Fraction:
    """What a leaderboard compares; 0 keeps a player out."""
    kills = player.of(match_type, "kill")
    if by == "kills":
        return Fraction(len(kills))
    if by == "damage":
        return Fraction(sum(event.amount for event in player.of(match_type, "damage")))
    if by == "longest_kill":
        return Fraction(max((event.distance or 0 for event in kills), default=0))
    return Fraction(sum(event.headshot for event in kills), len(kills)) if len(kills) >= 20 else Fraction(-1)


class Players:
    """All players."""

    def __init__(self) -> None:
        self.players: dict[str, Player] = {}
        self.duplicates = 0

    def take(self, event: Fields) -> None:
        """One valid event, in the order of its partition."""
        player = self.players.setdefault(event["player"], Player())
        self.duplicates += not player.take(event)

    def totals(self) -> dict[str, int]:
        """The totals over everything."""
        events = [event for player in self.players.values() for event in player.events]
        return {
            "keys": len(self.players),
            "hits": sum(event.type == "damage" for event in events),
            "damage": sum(event.amount for event in events),
            "kills": sum(event.type == "kill" for event in events),
            "knock_downs": sum(event.type == "knock_down" for event in events),
            "groups": sum(player.groups() for player in self.players.values()),
        }

    def leaders(self, by: str, match_type: str) -> list[str]:
        """The ten best, ties by name."""
        ranked = [(-rank(player, by, match_type), name) for name, player in self.players.items()]
        least = 0 if by == "headshot_rate" else 1
        return [name for negative, name in sorted(ranked) if -negative >= least][:10]
