"""Players: weapon and damage statistics of PUBG matches, for radar charts.

Amounts are integers, so that they add up the same in every order: damage in millionths of a hit point (a recorded hit
has up to six decimals that matter: in units of 1/10,000 a match is off in its fourth decimal), distances in
micrometres (telemetry says centimetres; one is 10,000 um).
"""

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter, itemgetter
from typing import Annotated, Any, Literal

import msgspec

from tables.dedupe import Seen, SourceHead, is_duplicate, remember
from tables.domain import Domain, Top
from tables.emission import Debounced, Snapshot
from tables.event import Event, Name, Outcome, day_of, iso, millis
from tables.option import Option
from tables.retention import Newest, newest_cell
from tables.row import Cell, Row
from tables.totals import Totals, Whole
from tables.views import Answer, Asked, EntityView, Parameter, SearchView, TopView, TotalsView
from tables.weapons import CATEGORIES, RADAR, WEAPONS

DAMAGE_UNIT = 1_000_000  # 1 HP
METRE = 1_000_000  # um
CENTIMETRE = 10_000  # um
CLOSE, MID = 50 * METRE, 200 * METRE  # a band holds its lower edge and not its upper one
DAYS = Option("player_day_limit", 400, "A player keeps so many (day, class of matches) cells for trends.", least=1)
# What a row can hold is bounded, so that its snapshot always fits into a record (1 MiB): 300 x 2 kB + 32 x 1 kB. The
# dictionary has 209 causers and a handful of reasons; what comes beyond these counts as Unknown.
MOST_WEAPONS, MOST_REASONS = 300, 32
RATED_KILLS = 20  # fewer kills make no headshot rate

CLASSES = ("ranked", "normal", "other")
_CLASS_OF = dict.fromkeys(("competitive", "ranked", "Competitive", "esports"), 0) | dict.fromkeys(
    ("normal", "Normal", "official", "arcade", "event"), 1
)
_OTHER = 2  # custom, airoyale, seasonal, training, tutorialatoz, trainingroom, and whatever comes
SHOWN_CLASSES = ("all", "ranked", "normal")

_Weapon = Annotated[str, msgspec.Meta(max_length=128)]
_Distance = Annotated[float, msgspec.Meta(ge=-1e7, le=1e7)]
# Sums have 63 bits: 9.2e18 / (100,000 HP x 1e6) = 9e7 of the hardest hits there can be, or kills at 100 km.


class _Slim(Event):
    match: Name
    seq: Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
    player: Name
    match_type: Annotated[str, msgspec.Meta(max_length=64)]
    at: datetime
    weapon: _Weapon | None = None
    reason: _Weapon | None = None


class Damage(_Slim, tag_field="type", tag="damage", kw_only=True):
    """A hit: `damage` HP with `weapon` (a damage causer's id) at `reason` (the part of the body)."""

    damage: Annotated[float, msgspec.Meta(gt=0, le=100_000)]


class Kill(_Slim, tag_field="type", tag="kill", kw_only=True):
    """A kill, `distance_cm` centimetres away; negative or absent where there is no distance."""

    distance_cm: _Distance | None = None


class KnockDown(_Slim, tag_field="type", tag="knock_down", kw_only=True):
    """A knock-down, credited to its maker."""

    distance_cm: _Distance | None = None


class Sums(Cell):
    """A player's sums in one class of matches: what leaderboards compare without a look at the cells."""

    hits: int = 0
    damage: int = 0
    kills: int = 0
    headshots: int = 0
    knock_downs: int = 0
    longest: int = 0


_NO_SUMS = Sums()


class PlayerHead(SourceHead):
    """`classes`: the sums per class, in the order of CLASSES. `pending`: bit n stands for class n."""

    classes: tuple[Sums, Sums, Sums] = msgspec.field(default_factory=lambda: (Sums(), Sums(), Sums()))


class DamageCell(Cell):
    """("damage", weapon, reason, class)."""

    hits: int = 0
    damage: int = 0


class WeaponCell(Cell):
    """("weapon", weapon, class). The bands count kills that have a distance."""

    kills: int = 0
    headshots: int = 0
    knock_downs: int = 0
    distance: int = 0
    longest: int = 0
    close: int = 0
    mid: int = 0
    long: int = 0


class DayCell(Cell):
    """("day", YYYY-MM-DD, class)."""

    hits: int = 0
    damage: int = 0
    kills: int = 0


class PlayersTotals(Totals):
    """Flow: hits, damage, kills, knock_downs. Stock: groups, the distinct (player, weapon, reason) of hits."""

    hits: int = 0
    damage: int = 0
    kills: int = 0
    knock_downs: int = 0
    groups: int = 0


# -- the fold ----------------------------------------------------------------------------------------------------------


def reduce(row: Row, event: Damage | Kill | KnockDown, at: int, totals: PlayersTotals) -> Outcome:
    """One slim event into its player's row. Source of duplicates: the match, with the index of the event in it."""
    head: PlayerHead = row.head
    match, sequence = event.match, event.seq
    if head.source == match and sequence > head.sequence:  # nearly every event: spares the calls, says the same
        head.sequence = sequence
    elif is_duplicate(row, match, sequence):
        return Outcome.DUPLICATE
    else:
        remember(row, match, sequence)
    number = _CLASS_OF.get(event.match_type, _OTHER)
    sums, class_ = head.classes[number], CLASSES[number]
    weapon = event.weapon or "Unknown"
    head.pending |= 1 << number
    if type(event) is Damage:
        amount = round(event.damage * DAMAGE_UNIT)
        name = ("damage", weapon, event.reason or "Unknown", class_)
        cell = row.cells.get(name)
        if cell is None:
            cell = row.cell(_new_group(row, name, totals), DamageCell)
        else:
            row.touch(name)
        cell.hits += 1
        cell.damage += amount
        sums.hits += 1
        sums.damage += amount
        day = _day(row, at, class_)
        day.hits += 1
        day.damage += amount
        totals.hits += 1
        totals.damage += amount
    elif type(event) is Kill:
        _kill(_weapon(row, weapon, class_), sums, event)
        _day(row, at, class_).kills += 1
        totals.kills += 1
    else:
        _weapon(row, weapon, class_).knock_downs += 1
        sums.knock_downs += 1
        totals.knock_downs += 1
    return Outcome.APPLIED


def _kill(cell: WeaponCell, sums: Sums, event: Kill) -> None:
    cell.kills += 1
    sums.kills += 1
    if event.reason == "HeadShot":  # the damage reason; the damage *category* never says so
        cell.headshots += 1
        sums.headshots += 1
    if event.distance_cm is None or event.distance_cm < 0:
        return
    distance = round(event.distance_cm * CENTIMETRE)
    cell.distance += distance
    cell.longest = max(cell.longest, distance)
    sums.longest = max(sums.longest, distance)
    if distance < CLOSE:
        cell.close += 1
    elif distance < MID:
        cell.mid += 1
    else:
        cell.long += 1


def _day(row: Row, at: int, class_: str) -> DayCell:
    """The newest days are kept, each complete, in whatever order events come."""
    day: DayCell = newest_cell(row, ("day", day_of(at), class_), DayCell, row.table.options[DAYS.name])
    return day


def _weapon(row: Row, weapon: str, class_: str) -> WeaponCell:
    name = ("weapon", weapon, class_)
    if name not in row.cells:
        name = ("weapon", _within(row, weapon), class_)
    cell: WeaponCell = row.cell(name, WeaponCell)
    return cell


def _within(row: Row, weapon: str) -> str:
    if len(row.cells) < MOST_WEAPONS:  # of all kinds: so there are not too many weapons, and none has to be counted
        return weapon
    weapons = {name[1] for name in row.cells if name[0] in {"damage", "weapon"}}
    return weapon if weapon in weapons or len(weapons) < MOST_WEAPONS else "Unknown"


def _new_group(row: Row, name: tuple[str, str, str, str], totals: PlayersTotals) -> tuple[str, str, str, str]:
    """The name of a damage cell that the row does not have yet, within the bounds; counts a new group."""
    kind, weapon, reason, class_ = name
    weapon = _within(row, weapon)
    if len(row.cells) >= MOST_REASONS:  # likewise
        reasons = {name[2] for name in row.cells if name[0] == "damage"}
        reason = reason if reason in reasons or len(reasons) < MOST_REASONS else "Unknown"
    if not any((kind, weapon, reason, class_) in row.cells for class_ in CLASSES):
        totals.groups += 1
    return kind, weapon, reason, class_


def bury(row: Row, totals: PlayersTotals) -> None:
    """Take the stock totals of a buried player out."""
    totals.groups -= len({name[1:3] for name, _ in row.of_kind("damage")})


# -- answers -----------------------------------------------------------------------------------------------------------


def _classes(match_type: str) -> tuple[str, ...]:
    return CLASSES if match_type == "all" else (match_type,)


def _percentages(amounts: dict[str, int]) -> dict[str, float]:
    whole = sum(amounts.values())
    return {name: round(100 * amount / whole, 2) for name, amount in amounts.items() if amount} if whole else {}


def category(weapon: str) -> str:
    """The weapon category of a damage causer's id; `Other` for one that nobody knows."""
    return WEAPONS.get(weapon, (weapon, "Other"))[1]


def _metres(micrometres: int) -> float:
    return round(micrometres / METRE, 2)


def _hp(damage: int) -> float:
    return round(damage / DAMAGE_UNIT, 4)


def breakdown(row: Row, match_type: str) -> list[Answer]:
    """What a player did with each weapon in a class of matches, by damage, then name."""
    weapons: dict[str, WeaponCell] = {}
    hits: dict[str, list[int]] = {}
    classes = _classes(match_type)
    for name, cell in row.cells.items():
        if name[-1] not in classes:
            continue
        if name[0] == "damage":
            sums = hits.setdefault(name[1], [0, 0])
            sums[0] += cell.hits
            sums[1] += cell.damage
        elif name[0] == "weapon":
            into = weapons.setdefault(name[1], WeaponCell())
            for part in ("kills", "headshots", "knock_downs", "distance", "close", "mid", "long"):
                setattr(into, part, getattr(into, part) + getattr(cell, part))
            into.longest = max(into.longest, cell.longest)
    lines = [
        _weapon_line(weapon, hits.get(weapon, [0, 0]), weapons.get(weapon, WeaponCell()))
        for weapon in hits.keys() | weapons.keys()
    ]
    return sorted(lines, key=lambda line: (-line["damage"], line["weapon"]))


def _weapon_line(weapon: str, hits: list[int], cell: WeaponCell) -> Answer:
    banded = cell.close + cell.mid + cell.long
    return {
        "weapon": weapon,
        "name": WEAPONS.get(weapon, (weapon, ""))[0],
        "category": category(weapon),
        "hits": hits[0],
        "damage": _hp(hits[1]),
        "kills": cell.kills,
        "headshots": cell.headshots,
        "knock_downs": cell.knock_downs,
        "average_kill_distance_m": _metres(round(cell.distance / banded)) if banded else None,
        "longest_kill_m": _metres(cell.longest) if banded else None,
        "kills_by_distance": {"close": cell.close, "mid": cell.mid, "long": cell.long},
    }


def enhanced_stats(row: Row, match_type: str) -> Answer:
    """The numbers behind a player's radar chart. Percentages add up to 100 within rounding, or the map is empty."""
    damage, kills = dict.fromkeys(CATEGORIES, 0), dict.fromkeys(CATEGORIES, 0)
    body: dict[str, int] = {}
    classes = _classes(match_type)
    for name, cell in sorted(row.cells.items(), key=itemgetter(0)):
        if name[-1] not in classes:
            continue
        if name[0] == "damage":
            damage[category(name[1])] += cell.damage
            body[name[2]] = body.get(name[2], 0) + cell.damage
        elif name[0] == "weapon":
            kills[category(name[1])] += cell.kills
    sums = [row.head.classes[CLASSES.index(class_)] for class_ in classes]
    return {
        "player": row.entity,
        "match_type": match_type,
        "hits": sum(part.hits for part in sums),
        "damage": _hp(sum(part.damage for part in sums)),
        "kills": sum(part.kills for part in sums),
        "headshots": sum(part.headshots for part in sums),
        "knock_downs": sum(part.knock_downs for part in sums),
        "longest_kill_m": _metres(max(part.longest for part in sums)) or None,
        "weapon_category_stats": {"damage": _percentages(damage), "kills": _percentages(kills)},
        "damage_by_body_part": _percentages(body),
        "weapon_breakdown": breakdown(row, match_type),
    }


def snapshots(row: Row, _now: int, _totals: PlayersTotals) -> Sequence[Snapshot]:
    """One record per class that has changed, and `all`: the body of `enhanced-stats`."""
    changed = [class_ for number, class_ in enumerate(CLASSES) if row.head.pending >> number & 1]
    shown = [class_ for class_ in SHOWN_CLASSES if class_ == "all" or class_ in changed]
    played = [class_ for class_, sums in zip(CLASSES, row.head.classes, strict=True) if sums != _NO_SUMS]
    if len(played) == 1:  # most players know one class of matches: the same numbers, computed once
        whole = enhanced_stats(row, "all")
        return [Snapshot(class_, whole | {"match_type": class_}) for class_ in shown]
    return [Snapshot(class_, enhanced_stats(row, class_)) for class_ in shown]


def _enhanced(row: Row, asked: Asked, _now: int) -> Answer:
    return enhanced_stats(row, asked["match_type"]) | {"radar": list(RADAR)}


def _trend(row: Row, asked: Asked, _now: int) -> Answer:
    days: dict[str, DayCell] = {}
    for (_, day, class_), cell in row.of_kind("day"):
        if class_ in _classes(asked["match_type"]):
            into = days.setdefault(day, DayCell())
            into.hits, into.damage, into.kills = (
                into.hits + cell.hits,
                into.damage + cell.damage,
                into.kills + cell.kills,
            )
    return {
        "player": row.entity,
        "match_type": asked["match_type"],
        "days": [
            {"day": day, "hits": cell.hits, "damage": _hp(cell.damage), "kills": cell.kills}
            for day, cell in sorted(days.items())
        ],
    }


def _found(row: Row) -> Answer:
    sums = row.head.classes
    return {
        "player": row.entity,
        "hits": sum(part.hits for part in sums),
        "damage": _hp(sum(part.damage for part in sums)),
        "kills": sum(part.kills for part in sums),
        "last_seen_at": iso(row.head.at),
    }


def totals_shown(totals: Any) -> Answer:
    """The players' totals in the units that people read."""
    return {
        "players": totals.keys,
        "hits": totals.hits,
        "damage": _hp(totals.damage),
        "kills": totals.kills,
        "knock_downs": totals.knock_downs,
        "groups": totals.groups,
    }


def _whole(whole: Whole, _asked: Asked) -> Answer:
    return totals_shown(whole.totals)


# -- the lists of the best ---------------------------------------------------------------------------------------------

By = Literal["kills", "damage", "headshot_rate", "longest_kill"]
_RATE = 1_000_000  # a headshot rate is an integer of millionths


def _rank(by: str, match_type: str) -> Top:
    # Every list asks for every changed row at every commit: what can be decided once is decided here.
    numbers = [CLASSES.index(class_) for class_ in _classes(match_type)]
    value = attrgetter({"longest_kill": "longest", "headshot_rate": "headshots"}.get(by, by))
    merge = max if by == "longest_kill" else sum

    def one_class(row: Row) -> int | None:
        return value(row.head.classes[numbers[0]]) or None

    def all_classes(row: Row) -> int | None:
        first, second, third = row.head.classes
        return merge((value(first), value(second), value(third))) or None

    def rate(row: Row) -> int | None:
        sums = row.head.classes
        kills = 0
        for number in numbers:
            kills += sums[number].kills
        return _RATE * sum(sums[number].headshots for number in numbers) // kills if kills >= RATED_KILLS else None

    if by == "headshot_rate":
        return Top(f"{by}/{match_type}", rate)
    return Top(f"{by}/{match_type}", one_class if len(numbers) == 1 else all_classes)


def _shown(value: int, asked: Asked) -> float:
    by = asked["by"]
    if by == "damage":
        return _hp(value)
    if by == "longest_kill":
        return _metres(value)
    return round(value / _RATE, 4) if by == "headshot_rate" else value


BY = ("kills", "damage", "headshot_rate", "longest_kill")
_MATCH_TYPE = Parameter("match_type", "all", SHOWN_CLASSES, "class of matches; all = ranked + normal + other")

PLAYERS = Domain(
    name="players",
    entity_name="player",
    version=1,
    event=Damage | Kill | KnockDown,
    entity=lambda event: event.player,
    at=lambda event: millis(event.at),
    reduce=reduce,
    head=PlayerHead,
    cells={"damage": DamageCell, "weapon": WeaponCell, "day": DayCell, "source": Seen},
    totals=PlayersTotals,
    bury=bury,
    snapshots=snapshots,
    suffixes=SHOWN_CLASSES,
    emission=Debounced(5.0),
    retention=(Newest("day", DAYS),),
    tops=tuple(_rank(by, match_type) for by in BY for match_type in SHOWN_CLASSES),
    searchable=True,
    views=(
        SearchView("/api/v1/players", "Players by the beginning of their name.", _found),
        TopView(
            "/api/v1/players/leaderboard",
            "The ten best players; a headshot rate takes 20 kills or more.",
            name=lambda asked: f"{asked['by']}/{asked['match_type']}",
            value=_shown,
            parameters=(Parameter("by", "kills", BY, "what to compare"), _MATCH_TYPE),
        ),
        TotalsView(
            "/api/v1/players/totals",
            "Everybody's sums; groups are the distinct (player, weapon, body part) of hits.",
            _whole,
        ),
        EntityView(
            "/api/v1/players/{entity}/enhanced-stats", "A player's weapons in percent.", _enhanced, (_MATCH_TYPE,)
        ),
        EntityView("/api/v1/players/{entity}/trend", "A player's days.", _trend, (_MATCH_TYPE,)),
    ),
)
