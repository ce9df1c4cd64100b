"""Generated input for the laws. A new domain adds one module `given_<domain>.py` and one entry to `GIVEN`.

An input list holds records and what happens between them: a crash is a value like any other.
"""

import json
from collections.abc import Iterable, Sequence
from enum import Enum
from operator import itemgetter
from typing import NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from agents.driver import NOW, Driver
from tables import DOMAINS
from tables.domain import Domain
from tables.event import Outcome
from tests.laws import (
    given_assessments,
    given_players,
    given_projects,
    given_rollups,
    given_tutors,
    given_workers,
)
from tests.laws.given import Fields, Given


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

GIVEN: dict[str, Given] = {
    "assessments": given_assessments.GIVEN,
    "players": given_players.GIVEN,
    "workers": given_workers.GIVEN,
    "tutors": given_tutors.GIVEN,
    "projects": given_projects.GIVEN,
    "rollups": given_rollups.GIVEN,
}

# -- any domain --------------------------------------------------------------------------------------------------------

GARBAGE = (None, b"", b"{", b"null", b"[]", b"\xff\xfe", b"NaN", b'{"type": "\\ud800"}', b"[" * 3000, b'{"x":' * 3000)


def encoded(fields: Fields | None) -> bytes | None:
    """An event as a record's value."""
    return None if fields is None else json.dumps(fields).encode()


def valid(domain: Domain) -> SearchStrategy[Input]:
    """Records that can be folded."""
    return GIVEN[domain.name].events.map(lambda event: Input(event[0].encode(), encoded(event[1])))


def bad(domain: Domain) -> SearchStrategy[Input]:
    """Records that cannot, and why."""
    events, spoilt = GIVEN[domain.name].events, GIVEN[domain.name].spoilt
    invalid = st.builds(
        lambda event, over: Input(event[0].encode(), encoded((event[1] or {}) | over), Outcome.INVALID), events, spoilt
    )
    garbage = st.builds(
        lambda key, value: Input(key, value, Outcome.INVALID),
        st.sampled_from((b"ann", None, b"\xff")),
        st.sampled_from(GARBAGE[1:] if domain.on_null else GARBAGE),
    )
    misrouted = (
        st.builds(
            lambda event, key: (event[0], Input(key, encoded(event[1]), Outcome.MISROUTED)),
            events.filter(lambda event: event[1] is not None),
            st.sampled_from((None, b"", b"\xff\xfe", b"nobody", b'"ann"')),
        )
        .filter(lambda made: made[0].encode() != made[1].key)
        .map(itemgetter(1))
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
every_recognising_domain = pytest.mark.parametrize(
    "domain", [domain for domain in DOMAINS if GIVEN[domain.name].recognised], ids=lambda domain: domain.name
)
EXAMPLES = settings(max_examples=60, deadline=None)


def only_records(story: Iterable[Step]) -> list[Input]:
    """The records of a story."""
    return [step for step in story if isinstance(step, Input)]


def play(driver: Driver, story: Sequence[Step]) -> Driver:
    """Let a story happen, up to its last step; `driver.settle()` ends it."""
    for step in story:
        if isinstance(step, Input):
            driver.send(step.key, step.value, timestamp=NOW)  # however long the story has waited by then
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


def compact(driver: Driver, data: st.DataObject) -> None:
    """Let compaction have been at some keys of the changelog: only the latest record is left, and no tombstone."""
    latest = {record.key: record.offset for record in driver.changelog}
    gone = {key for key in latest if data.draw(st.booleans(), label="compacted")}
    driver.changelog = [
        record
        for record in driver.changelog
        if record.key not in gone or (record.offset == latest[record.key] and record.value is not None)
    ]
