"""Generated input for the laws. A new domain adds one entry to `GIVEN`; nothing else in this folder changes.

An input list holds records and what happens between them: a crash is a value like any other.
"""

import json
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from agents.driver import NOW, Driver
from tables import DOMAINS
from tables.domain import Domain
from tables.event import FUTURE_MS, Outcome, iso

Fields = dict[str, Any]


class Given(NamedTuple):
    """What the laws need to know about a domain's input."""

    events: SearchStrategy[tuple[str, Fields]]
    """Valid events with their entities, few enough values that they meet each other."""
    spoilt: SearchStrategy[Fields]
    """Fields that, put over those of a valid event, make it INVALID."""


class Input(NamedTuple):
    """A record to be sent. `bad`: the outcome that it must have; None where that is the domain's to say."""

    key: bytes | None
    value: bytes | None
    bad: Outcome | None = None


class Between(Enum):
    """What may happen after a record; whatever it is, the records before it are one batch."""

    CUT = "the batch ends"
    COMMIT = "a commit"
    CRASH = "a crash"
    WAIT = "a second passes, and a commit"
    WAIT_LONG = "a minute passes, and a commit"


Step = Input | Between
END = NOW + 4 * 3_600_000  # after the longest story: twice 60 steps of a minute each

# -- players -----------------------------------------------------------------------------------------------------------

HOSTILE = ("ann", "Ann", 'b"\\/\x00\u2028😀', "ranked", "ann/all")
_DAYS = (NOW - 86_400_000, NOW - 1, NOW, NOW + FUTURE_MS)


def _players() -> SearchStrategy[tuple[str, Fields]]:
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

GIVEN = {"players": Given(_players(), st.sampled_from(_PLAYERS_SPOILT))}

# -- any domain --------------------------------------------------------------------------------------------------------

GARBAGE = (None, b"", b"{", b"null", b"[]", b"\xff\xfe", b"NaN", b'{"type": "\\ud800"}', b"[" * 3000, b'{"x":' * 3000)


def encoded(fields: Fields) -> bytes:
    """An event as a record's value."""
    return json.dumps(fields).encode()


def valid(domain: Domain) -> SearchStrategy[Input]:
    """Records that can be folded."""
    return GIVEN[domain.name].events.map(lambda event: Input(event[0].encode(), encoded(event[1])))


def bad(domain: Domain) -> SearchStrategy[Input]:
    """Records that cannot, and why."""
    events, spoilt = GIVEN[domain.name]
    invalid = st.builds(
        lambda event, over: Input(event[0].encode(), encoded(event[1] | over), Outcome.INVALID), events, spoilt
    )
    garbage = st.builds(
        lambda key, value: Input(key, value, Outcome.INVALID),
        st.sampled_from((b"ann", None, b"\xff")),
        st.sampled_from(GARBAGE),
    )
    misrouted = st.builds(
        lambda event, key: Input(key, encoded(event[1]), Outcome.MISROUTED),
        events,
        st.sampled_from((None, b"", b"\xff\xfe", b"nobody", b'"ann"')),
    )
    return st.one_of(invalid, garbage, misrouted)


def records(domain: Domain, size: int = 40) -> SearchStrategy[list[Input]]:
    """Valid records, duplicates and disorder among them, with one bad one in five or so."""
    good = valid(domain)
    return st.lists(st.one_of(good, good, good, good, bad(domain)), max_size=size)


def stories(domain: Domain, size: int = 60) -> SearchStrategy[list[Step]]:
    """Records, and what happens between them."""
    good = valid(domain)
    step: SearchStrategy[Step] = st.one_of(good, good, good, bad(domain), st.sampled_from(Between))
    return st.lists(step, max_size=size)


every_domain = pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.name)
EXAMPLES = settings(max_examples=60, deadline=None)


def only_records(story: Iterable[Step]) -> list[Input]:
    """The records of a story."""
    return [step for step in story if isinstance(step, Input)]


def play(driver: Driver, story: Sequence[Step]) -> Driver:
    """Let a story happen, up to its last step; `driver.settle()` ends it."""
    for step in story:
        if isinstance(step, Input):
            driver.send(step.key, step.value)
            continue
        driver.fold()
        if step is Between.CRASH:
            driver.crash()
        elif step is not Between.CUT:
            driver.wait({Between.COMMIT: 0, Between.WAIT: 1, Between.WAIT_LONG: 60}[step])
            driver.commit()
    return driver


def told(domain: Domain, story: Sequence[Step], key_limit: int | None = None) -> Driver:
    """A driver after a whole story."""
    return ended(play(Driver(domain, key_limit=key_limit), story))


def ended(driver: Driver) -> Driver:
    """The driver at the end of its story, which is the same moment for all: what changes with time is compared then."""
    driver.now = END
    driver.settle()
    return driver
