"""Players: hits, kills and knock-downs of a few players with hostile names."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from agents.driver import NOW
from tables.event import FUTURE_MS, iso
from tests.laws.given import Fields, Given

HOSTILE = ("ann", "Ann", 'b"\\/\x00\u2028😀', "ranked", "ann/all")
_DAYS = (NOW - 86_400_000, NOW - 1, NOW, NOW + FUTURE_MS)


def _players() -> SearchStrategy[tuple[str, Fields | None]]:
    common: dict[str, SearchStrategy[Any]] = {
        "match": st.sampled_from(("m1", "m2", "ranked")),
        "seq": st.integers(0, 9),
        "player": st.sampled_from(HOSTILE),
        "match_type": st.sampled_from(("competitive", "official", "custom", "")),
        "at": st.sampled_from(_DAYS).map(iso),
    }
    words: dict[str, SearchStrategy[Any]] = {
        "weapon": st.sampled_from(("WeapHK416_C", "WeapPan_C", "damage", "", None)),
        "reason": st.sampled_from(("HeadShot", "TorsoShot", "", None)),
    }
    hit = {"type": st.just("damage"), "damage": st.integers(1, 10**8).map(lambda units: units / 10**6)}
    kill = {"type": st.sampled_from(("kill", "knock_down"))}
    far = {"distance_cm": st.sampled_from((None, -1, 0, 4999.9, 5000, 20_000))}
    either = st.fixed_dictionaries(common | hit, optional=words) | st.fixed_dictionaries(
        common | kill, optional=words | far
    )
    return either.map(lambda fields: (fields["player"], fields))


_PLAYERS_SPOILT: tuple[Fields, ...] = (
    {"type": "suicide"},
    {"match": ""},
    {"match": None},
    {"seq": -1},
    {"seq": True},
    {"seq": 1.5},
    {"seq": 10**30},
    {"player": ""},
    {"player": ["ann"]},
    {"player": "x" * 257},
    {"match_type": 1},
    {"weapon": "w" * 129},
    {"at": "yesterday"},
    {"at": "2016-12-31T23:59:60Z"},
    {"at": "9999-12-31T23:59:59-14:00"},
    {"at": "0001-01-01T00:00:00+14:00"},
    {"at": iso(NOW + 3 * FUTURE_MS)},
    {"type": "damage", "damage": 0},
    {"type": "damage", "damage": "5"},
    {"type": "kill", "distance_cm": {}},
)

GIVEN = Given(_players(), st.sampled_from(_PLAYERS_SPOILT))
