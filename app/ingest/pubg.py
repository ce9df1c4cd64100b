"""PUBG telemetry -> slim events of the players' domain: the rules of what counts, and who is credited."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from app.ingest.report import Report
from app.ingest.source import InputError
from app.ingest.telemetry import (
    TYPES,
    Attack,
    Character,
    DamageInfo,
    MatchDefinition,
    PlayerKill,
    PlayerKillV2,
    TakeDamage,
)
from tables.players import Damage, Kill, KnockDown

OTHER = "no hit, kill or knock-down"
NOT_IN_GAME = "before the match"
ENVIRONMENT = "nobody's: the environment"
NO_DAMAGE = "no damage"
SUICIDE = "a suicide"
NO_TEXT = "over the limits of an event: a name that is no text (half of a surrogate pair)"

HELD = 20_000  # events of a match that is not named yet; a match has some thousand, and its first one names it
_MATCH = re.compile(r"match\.bro\.([^.]+)\.(?:.*\.)?([^.]+)")
_UNKNOWN = "unknown"

Slim = Damage | Kill | KnockDown
Fields = dict[str, Any]


class Match(NamedTuple):
    """The source of a match's events, and what kind of match it is."""

    id: str
    type: str


def match_of(text: str, match_type: str = "") -> Match:
    """Read `match.bro.<type>....<uuid>`; anything else is an id, of the type given."""
    found = _MATCH.fullmatch(text)
    return Match(found[2], found[1]) if found else Match(text, match_type or _UNKNOWN)


def slim_events(
    elements: Iterable[tuple[int, dict[str, Any]]], report: Report, match_id: str = "", match_type: str = ""
) -> Iterator[Slim]:
    """The slim events of a telemetry array, in its order.

    Args:
        elements: the array's elements with their indexes.
        report: counts what is read, and what is skipped with the reason.
        match_id: for telemetry that does not name its match.
        match_type: for a match whose id does not tell its type.

    Raises:
        InputError: an element is mistyped, of another match, or its match is unknown; at `HELD` events at the latest.
    """
    match: Match | None = None
    held: list[Fields] = []  # until the match is known
    for index, element in elements:
        report.read += 1
        event = _parse(index, element)
        named = _named(event)
        if named:
            match = _same(match, match_of(named, match_type), index)
        fields = OTHER if event is None or isinstance(event, MatchDefinition) else credited(event)
        if isinstance(fields, str):
            report.skip(fields)
            continue
        held.append(fields | {"seq": index})
        if match is not None:
            yield from _slim(held, match, report)
            held.clear()
        elif len(held) > HELD:
            raise InputError(f"element {index}: {HELD:,} events came before one that names their match")
    if held and match is None:
        if not match_id:
            raise InputError("the telemetry does not name its match; give --match-id (and --match-type)")
        match = match_of(match_id, match_type)
    if match is not None:
        yield from _slim(held, match, report)


def credited(event: Attack | PlayerKill) -> Fields | str:
    """Who is credited with what, as fields of a slim event; or why nobody is."""
    if event.common.is_game < 1:
        return NOT_IN_GAME
    if isinstance(event, PlayerKill):
        return _killed(event)
    name = _name(event.attacker)
    if not name:
        return ENVIRONMENT
    about: Fields = {"player": name, "at": event.at} | _how(event)
    if not isinstance(event, TakeDamage):
        return about | {"type": "knock_down"} | _distance(event)
    return about | {"type": "damage", "damage": event.damage} if event.damage > 0 else NO_DAMAGE


def _killed(event: PlayerKill) -> Fields | str:
    killer: Character | None = event.killer
    how: DamageInfo = event
    if isinstance(event, PlayerKillV2):
        killer = event.finisher if event.killer is None else event.killer
        infos = (event.killer_damage_info, event.finish_damage_info)
        how = next((info for info in infos if info is not None and info.says()), DamageInfo())
    name = _name(killer)
    if not name:
        return ENVIRONMENT
    if event.is_suicide or name == _name(event.victim):
        return SUICIDE
    return {"type": "kill", "player": name, "at": event.at} | _how(how) | _distance(how)


def _name(character: Character | None) -> str:
    return (character.name if character else None) or ""


def _how(info: DamageInfo) -> Fields:
    found = {"weapon": info.damage_causer_name, "reason": info.damage_reason}
    return {name: text for name, text in found.items() if text}


def _distance(info: DamageInfo) -> Fields:
    return {} if info.distance is None or info.distance < 0 else {"distance_cm": info.distance}


def _parse(index: int, element: dict[str, Any]) -> MatchDefinition | Attack | PlayerKill | None:
    kind = element.get("_T")
    type_ = TYPES.get(kind) if isinstance(kind, str) else None
    if type_ is None:
        return None
    try:
        return msgspec.convert(element, type_)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:  # the latter for half a character in a field's name
        raise InputError(f"element {index}, a {kind}, is mistyped: {error}") from error


def _named(event: MatchDefinition | Attack | PlayerKill | None) -> str | None:
    if isinstance(event, MatchDefinition):
        return event.match_id
    return event.common.match_id if event else None


def _same(known: Match | None, named: Match, index: int) -> Match:
    if known is not None and known.id != named.id:
        raise InputError(f"element {index} is of match {named.id}, those before it of {known.id}; one match to a file")
    return known or named


def _slim(held: list[Fields], match: Match, report: Report) -> Iterator[Slim]:
    for fields in held:
        try:
            # The domain's own types decide: what they would refuse at the other end is never sent.
            slim = msgspec.convert(fields | {"match": match.id, "match_type": match.type}, Slim)
            record(slim)
        except msgspec.ValidationError as error:
            report.skip(f"over the limits of an event: {error}")
        except UnicodeEncodeError:  # JSON can spell half a character (`\\ud800`), UTF-8 and so the record cannot
            report.skip(NO_TEXT)
        else:
            yield slim


def record(event: Slim) -> tuple[bytes, bytes]:
    """The key and the value of a slim event's record."""
    return event.player.encode(), msgspec.json.encode(event)
