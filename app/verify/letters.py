"""What dead letters tell of the records that a worker could not fold."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from agents.deadletter import Headers, opened
from tables.event import Outcome


class Letter(NamedTuple):
    """A dead letter: what it says of its original, and the original as it holds it."""

    outcome: str
    reason: str
    key: bytes | None = None
    value: bytes | None = None
    whole: bool = True
    """It holds all of the original's bytes."""

    def is_of(self, key: bytes | None, value: bytes | None) -> bool:
        """Whether it may be of a record; else it is of one that was there before the topic was created anew."""
        return not self.whole or (self.key, self.value) == (key, value)


class Kept(Protocol):
    """A record of the dead letters' topic."""

    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102
    @property
    def headers(self) -> Headers: ...  # noqa: D102


def letters(kept: Iterable[Kept], source: str, partition: int) -> dict[int, Letter]:
    """Offset -> the dead letter of the record there.

    Args:
        kept: dead letters; of two of one record the later one counts.
        source: the topic of the records.
        partition: of the records.
    """
    found = {}
    place = {"topic": source, "partition": str(partition)}
    for letter in kept:
        said, _ = opened(letter.headers)
        offset = said.get("offset", "")
        if place.items() <= said.items() and offset.isascii() and offset.isdecimal():
            outcome, reason = said.get("outcome", ""), said.get("reason", "")
            found[int(offset)] = Letter(outcome, reason, letter.key, letter.value, "truncated" not in said)
    return found


def poisoned(found: Mapping[int, Letter], position: int) -> dict[int, str]:
    """Offset -> reason of the records below a position that the worker has found INVALID."""
    invalid = Outcome.INVALID.name
    return {
        offset: letter.reason for offset, letter in found.items() if letter.outcome == invalid and offset < position
    }
