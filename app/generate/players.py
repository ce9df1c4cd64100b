"""Believable matches: who is good is good in every match, evenings are busier than mornings, rifles than pans."""

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate
from random import Random
from typing import Any

from tables.event import DAY_MS, iso

PLAYERS_OF_A_MATCH = 64
PLAYERS_TO_A_MATCH = 200  # so many players have one match going on, on average
MOST_MATCHES = 50  # at once
EVENTS_OF_A_MATCH = (400, 1_200)  # a match of half an hour with a hit every two seconds
EVENT_MS = 1_800  # between two events of one match, at a middling hour
DRAWN = 4_096  # random choices at a time: a call costs as much as twenty choices

_WORDS = ("Swift", "Lone", "Silent", "Iron", "Lucky", "Zoë", "Grim", "Happy", "Old", "xX", "Nord", "Red")
_BEASTS = ("Fox", "Wolf", "Chicken", "Bear", "Owl", "Viper", "Hase", "Tiger", "Crow", "Lynx", "Pan")
# (damage causer, how often it is carried, mean damage of a hit in HP, median distance of a kill in cm, or 0)
_WEAPONS = (
    ("WeapHK416_C", 16, 21, 4_500),
    ("WeapBerylM762_C", 14, 23, 4_000),
    ("WeapAUG_C", 8, 21, 4_500),
    ("WeapSCAR-L_C", 6, 21, 4_200),
    ("WeapAK47_C", 6, 24, 3_500),
    ("WeapMini14_C", 9, 28, 12_000),
    ("WeapFNFal_C", 6, 32, 12_000),
    ("WeapSKS_C", 4, 31, 11_000),
    ("WeapKar98k_C", 7, 62, 20_000),
    ("WeapM24_C", 5, 60, 22_000),
    ("WeapUMP_C", 7, 18, 2_000),
    ("WeapVector_C", 4, 15, 1_500),
    ("WeapSaiga12_C", 3, 40, 900),
    ("WeapG18_C", 3, 12, 1_000),
    ("ProjGrenade_C", 4, 55, 2_500),
    ("WeapPan_C", 1, 60, 150),
    ("PlayerMale_A_C", 2, 15, 120),
    ("BP_Mirado_Open_05_C", 1, 60, 0),
)
# (part of the body, how often it is hit, what that does to the damage)
_REASONS = (
    ("TorsoShot", 38, 1.0),
    ("PelvisShot", 16, 0.95),
    ("ArmShot", 20, 0.6),
    ("LegShot", 16, 0.55),
    ("HeadShot", 10, 2.2),
)
_TYPES = (("official", 62), ("competitive", 20), ("arcade", 6), ("event", 4), ("custom", 4), ("airoyale", 4))
_KINDS = (("damage", 80), ("knock_down", 9), ("kill", 11))


def events(random: Random, keys: int, start: int) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Hits, knock-downs and kills of several matches at once, in time order.

    Args:
        random: the source of everything.
        keys: how many players there are.
        start: time of the first event, ms since the epoch.
    """
    number = min(MOST_MATCHES, max(1, keys // PLAYERS_TO_A_MATCH))
    popularity = list(accumulate(1 / rank for rank in range(1, keys + 1)))
    matches = [_Match(random, keys, popularity) for _ in range(number)]
    kinds, gaps = _drawn(random, _KINDS), _gaps(random)
    at = float(start)
    while True:
        place = int(random.random() * number)
        match = matches[place]
        yield match.event(random, next(kinds), int(at))
        if match.left <= 0:
            matches[place] = _Match(random, keys, popularity)
        at += next(gaps) * EVENT_MS / number / _rhythm(at)


def player(rank: int) -> str:
    """The name of the player of a rank, from 0 on; every one has another."""
    return f"{_WORDS[rank % len(_WORDS)]}{_BEASTS[rank // len(_WORDS) % len(_BEASTS)]}-{rank:04d}"


def _rhythm(at_ms: float) -> float:
    """How busy it is: 0.4 at 8 in the morning (UTC), 1.6 at 8 in the evening."""
    return 1 - 0.6 * math.sin(2 * math.pi * (at_ms / DAY_MS - 1 / 12))  # the sine is greatest six hours after 2:00


def _gaps(random: Random) -> Iterator[float]:
    expovariate = random.expovariate
    while True:
        yield from [expovariate(1.0) for _ in range(DRAWN)]


def _drawn(random: Random, weighed: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
    """First items, as often as the second ones say."""
    values, weights = [item[0] for item in weighed], list(accumulate(item[1] for item in weighed))
    while True:
        yield from random.choices(values, cum_weights=weights, k=DRAWN)


class _Match:
    """One match. `seq` is the index in its telemetry: what lies between two events is of no interest here."""

    def __init__(self, random: Random, keys: int, popularity: list[float]) -> None:
        self.id = f"{random.getrandbits(128):032x}"
        self.type = random.choices([name for name, _ in _TYPES], [weight for _, weight in _TYPES])[0]
        self.left = random.randint(*EVENTS_OF_A_MATCH)
        self.seq = random.randrange(500)
        size = min(keys, PLAYERS_OF_A_MATCH)
        drawn = random.choices(range(keys), cum_weights=popularity, k=4 * size)
        ranks = list(dict.fromkeys(drawn))[:size]
        self._players = [player(rank) for rank in ranks]
        weapons = [weapon for weapon in _WEAPONS for _ in range(weapon[1])]
        self._weapons = [random.sample(weapons, 3) for _ in ranks]
        zeal = list(accumulate(random.lognormvariate(0, 0.8) for _ in ranks))
        actors = random.choices(range(len(ranks)), cum_weights=zeal, k=self.left)
        reasons = random.choices(_REASONS, [weight for _, weight, _ in _REASONS], k=self.left)
        self._acts = list(zip(actors, reasons, strict=True))

    def event(self, random: Random, kind: str, at: int) -> tuple[str, dict[str, Any]]:
        """The next event."""
        self.left -= 1
        actor, (reason, _, factor) = self._acts.pop()
        chance = random.random()
        self.seq += 1 + int(80 * chance)
        name = self._players[actor]
        weapon, _, mean, median = self._weapons[actor][int(3 * chance * chance)]  # the first of three is the favourite
        slim = {
            "type": kind,
            "match": self.id,
            "seq": self.seq,
            "player": name,
            "match_type": self.type,
            "at": iso(at),
            "weapon": weapon,
            "reason": reason,
        }
        if kind == "damage":
            slim["damage"] = round(min(100.0, mean * factor * random.lognormvariate(0, 0.35)), 4)
        else:
            slim["distance_cm"] = round(median * random.lognormvariate(0, 0.9), 2) if median else -1
        return name, slim
