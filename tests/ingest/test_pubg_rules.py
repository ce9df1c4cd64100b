"""What counts of a match, who is credited, and what a slim event says."""

from typing import Any

import msgspec
import pytest

from app.ingest import pubg
from app.ingest.source import InputError
from tables.players import PLAYERS
from tests.ingest.conftest import Ingest

UUID = "fc6db7bd-f16b-43e5-aa2d-1d6e2a66c57c"
MATCH = f"match.bro.official.2018-04.eu.squad-fpp.2018.04.05.{UUID}"
AT = "2018-04-05T20:51:00.8414374+00:00"
ANNA, BERT, CARL = {"name": "anna"}, {"name": "bert"}, {"name": "carl"}
GUN = {"damageCauserName": "WeapAK47_C", "damageReason": "HeadShot", "distance": 4900.0}
KNIFE = {"damageCauserName": "WeapMachete_C", "damageReason": "TorsoShot", "distance": 120.0}


def _event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"_T": kind, "_D": AT, "common": {"isGame": 1, "matchId": MATCH}} | fields


def _hit(**fields: Any) -> dict[str, Any]:
    return _event("LogPlayerTakeDamage", **{"attacker": ANNA, "damage": 10.5} | GUN | fields)


def _kill(**fields: Any) -> dict[str, Any]:
    return _event("LogPlayerKill", **{"killer": ANNA, "victim": BERT} | GUN | fields)


def _kill_v2(**fields: Any) -> dict[str, Any]:
    people = {"dBNOMaker": CARL, "finisher": CARL, "killer": ANNA, "victim": BERT}
    infos = {"dBNODamageInfo": KNIFE, "finishDamageInfo": KNIFE, "killerDamageInfo": GUN}
    return _event("LogPlayerKillV2", **people | infos | fields)


def _groggy(**fields: Any) -> dict[str, Any]:
    return _event("LogPlayerMakeGroggy", **{"attacker": ANNA, "victim": BERT, "dBNOId": 7} | GUN | fields)


NOT_YET = {"isGame": 0.1, "matchId": MATCH}


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"_T": "LogPlayerPosition"}, pubg.OTHER),
        ({"_T": ["LogPlayerKill"]}, pubg.OTHER),
        ({}, pubg.OTHER),
        (_hit(common=NOT_YET), pubg.NOT_IN_GAME),
        (_hit(common={}), pubg.NOT_IN_GAME),
        (_kill(common=NOT_YET), pubg.NOT_IN_GAME),
        (_kill_v2(common=NOT_YET), pubg.NOT_IN_GAME),
        (_groggy(common=NOT_YET), pubg.NOT_IN_GAME),
        (_hit(attacker=None), pubg.ENVIRONMENT),
        (_hit(attacker={}), pubg.ENVIRONMENT),
        (_hit(attacker={"name": ""}), pubg.ENVIRONMENT),
        (_hit(attacker={"name": None}), pubg.ENVIRONMENT),
        (_groggy(attacker={}), pubg.ENVIRONMENT),
        (_kill(killer=None), pubg.ENVIRONMENT),
        (_kill(killer={}), pubg.ENVIRONMENT),
        (_kill_v2(killer=None, finisher=None), pubg.ENVIRONMENT),
        (_kill_v2(killer={}), pubg.ENVIRONMENT),
        (_hit(damage=0), pubg.NO_DAMAGE),
        (_hit(damage=-1.5), pubg.NO_DAMAGE),
        (_kill(victim=ANNA), pubg.SUICIDE),
        (_kill(isSuicide=True), pubg.SUICIDE),
        (_kill_v2(victim=ANNA), pubg.SUICIDE),
        (_kill_v2(isSuicide=True), pubg.SUICIDE),
        (_kill_v2(killer=None, victim=CARL), pubg.SUICIDE),
    ],
)
def test_what_does_not_count_is_skipped_with_its_reason(ingest: Ingest, event: dict[str, Any], reason: str) -> None:
    """Before the match, the environment, no damage, suicides, and all other events."""
    events, report = ingest(event)
    assert events == []
    assert report.skipped == {reason: 1}


ANNAS_GUN = {"player": "anna", "weapon": "WeapAK47_C", "reason": "HeadShot"}


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        (_hit(), ANNAS_GUN | {"type": "damage", "damage": 10.5}),
        (_hit(distance=None), ANNAS_GUN | {"type": "damage", "damage": 10.5}),
        (_kill(), ANNAS_GUN | {"type": "kill", "distance_cm": 4900.0}),
        (_kill(distance=-1), ANNAS_GUN | {"type": "kill", "distance_cm": None}),
        (_groggy(), ANNAS_GUN | {"type": "knock_down", "distance_cm": 4900.0}),
        (_kill_v2(), ANNAS_GUN | {"type": "kill", "distance_cm": 4900.0}),
        (_kill_v2(finisher=None, finishDamageInfo=None, dBNOMaker=None, dBNODamageInfo=None), ANNAS_GUN),
        (_kill_v2(killer=None, killerDamageInfo=None), {"player": "carl", "weapon": "WeapMachete_C"}),
        (_kill_v2(killerDamageInfo=None), {"player": "anna", "weapon": "WeapMachete_C", "distance_cm": 120.0}),
        (_kill_v2(killerDamageInfo={}), {"player": "anna", "reason": "TorsoShot"}),
        (_kill_v2(killerDamageInfo=None, finishDamageInfo=None), {"player": "anna", "weapon": None, "reason": None}),
        (_hit(damageCauserName="", damageReason=None), {"player": "anna", "weapon": None, "reason": None}),
    ],
)
def test_credit_and_circumstances(ingest: Ingest, event: dict[str, Any], fields: dict[str, Any]) -> None:
    """The killer is credited, the finisher only where there is no killer; weapon, reason, distance are of the deed."""
    (slim,), _ = ingest(event)
    assert msgspec.to_builtins(slim).items() >= fields.items()


def test_slim_events_name_match_index_type_and_time(ingest: Ingest) -> None:
    """Their source is the match's id, their sequence the index in the array; seven digits of a second are fine."""
    events, report = ingest({"_T": "LogMatchDefinition", "MatchId": MATCH}, {}, _hit(), {}, _kill())
    assert [(event.match, event.match_type, event.seq) for event in events] == [(UUID, "official", n) for n in (2, 4)]
    assert str(events[0].at) == "2018-04-05 20:51:00.841437+00:00"
    assert (report.read, report.skipped.total()) == (5, 3)


def test_a_record_is_keyed_by_player_and_decodes_to_its_event(ingest: Ingest) -> None:
    """What is written is what the worker reads."""
    for event in ingest(_hit(), _kill(), _groggy())[0]:
        key, value = pubg.record(event)
        assert key == b"anna"
        assert msgspec.json.decode(value, type=PLAYERS.event) == event


NAMELESS = {"isGame": 1}


@pytest.mark.parametrize(
    ("events", "options", "match"),
    [
        ([_hit(common=NAMELESS), {"_T": "LogMatchDefinition", "MatchId": MATCH}], {}, (UUID, "official")),
        ([_hit()], {"match_id": "else", "match_type": "ranked"}, (UUID, "official")),
        ([_hit(common=NAMELESS)], {"match_id": "mine", "match_type": "ranked"}, ("mine", "ranked")),
        ([_hit(common=NAMELESS)], {"match_id": "mine"}, ("mine", "unknown")),
        ([_hit(common=NAMELESS)], {"match_id": MATCH}, (UUID, "official")),
        ([_hit(common={"isGame": 1, "matchId": UUID})], {"match_type": "custom"}, (UUID, "custom")),
    ],
)
def test_match_by_definition_then_common_then_option(
    ingest: Ingest, events: list[dict[str, Any]], options: dict[str, str], match: tuple[str, str]
) -> None:
    """Events that come before their match is named wait for it."""
    (slim,), _ = ingest(*events, **options)
    assert (slim.match, slim.match_type) == match


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([_hit(common=NAMELESS)], "give --match-id"),
        ([_hit(), _hit(common={"isGame": 1, "matchId": "other"})], "element 1 is of match other"),
        ([{}, _hit(damage="10")], r"element 1, a LogPlayerTakeDamage, is mistyped: .* `\$.damage`"),
        ([_hit(attacker="anna")], r"element 0, .* `\$.attacker`"),
        ([_kill(_D="yesterday")], r"element 0, a LogPlayerKill, .* `\$._D`"),
        ([_kill_v2(killerDamageInfo=[])], r"element 0, a LogPlayerKillV2, .* `\$.killerDamageInfo`"),
    ],
)
def test_a_mistyped_or_nameless_match_is_an_error(ingest: Ingest, events: list[dict[str, Any]], message: str) -> None:
    """With the element's index, its type and the field."""
    with pytest.raises(InputError, match=message):
        ingest(*events)


def test_half_a_surrogate_pair_is_skipped_and_the_rest_goes_on(ingest: Ingest) -> None:
    """JSON can spell it, a record cannot hold it: in any text of an event, its match included."""
    bad = "bad\ud800name"
    deeds = [_hit(attacker={"name": bad}), _hit(damageCauserName=bad), _kill(damageReason=bad)]
    events, report = ingest(*deeds, _hit())
    assert len(events) == 1
    assert report.skipped == {pubg.NO_TEXT: 3}
    events, report = ingest(_hit(common={"isGame": 1, "matchId": bad}))
    assert (events, report.skipped) == ([], {pubg.NO_TEXT: 1})


@pytest.mark.parametrize(
    ("event", "field"),
    [
        (_hit(damage=100_001), "damage"),
        (_hit(damageCauserName="x" * 129), "weapon"),
        (_hit(attacker={"name": "x" * 257}), "player"),
        (_kill(distance=2e9), "distance_cm"),
    ],
)
def test_over_the_limits_is_skipped_and_the_rest_goes_on(ingest: Ingest, event: dict[str, Any], field: str) -> None:
    """What the worker would refuse is not sent to it."""
    events, report = ingest(event, _hit())
    assert len(events) == 1
    ((reason, number),) = report.skipped.items()
    assert "over the limits" in reason
    assert f"$.{field}" in reason
    assert number == 1
