"""A dead letter, taken apart."""

from typing import Any, NamedTuple

from agents.deadletter import RESENT, Place, opened, place_of
from tables.event import Outcome

OUTCOMES = (Outcome.INVALID.name, Outcome.MISROUTED.name)


class Letter(NamedTuple):
    """A record that could not be folded.

    Attributes:
        partition: of the dead letters' topic, where it is.
        offset: likewise.
        written: when it became a dead letter, ms since the epoch.
        place: the record in the source.
        original: the first record of which this is a dead letter: another one, where this was resent before.
        outcome: INVALID or MISROUTED.
        reason: why.
        truncated: the size in bytes that it had before it was cut; None where it is whole.
        timestamp: of the record, ms since the epoch; None where it had none, or where its release did not say.
        key: of the record.
        value: of the record.
        headers: the record's own.
    """

    partition: int
    offset: int
    written: int
    place: Place
    original: Place
    outcome: str
    reason: str
    truncated: int | None
    timestamp: int | None
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]

    @property
    def id(self) -> str:
        """What it is called on the command line."""
        return f"{self.partition}/{self.offset}"

    @property
    def size(self) -> int:
        """Bytes of its key and its value, as they were."""
        return self.truncated or len(self.key or b"") + len(self.value or b"")


def letter_of(record: Any, partition: int) -> Letter | None:
    """The dead letter that a record is; None for a record that some stranger has put there."""
    ours, theirs = opened(record.headers)
    place = place_of(f"{ours.get('topic')}/{ours.get('partition')}/{ours.get('offset')}".encode())
    if place is None or ours.get("outcome") not in OUTCOMES:
        return None
    resent = place_of(next((text for name, text in theirs if name == RESENT), None))
    timestamp = _number(ours.get("timestamp"))
    return Letter(
        partition,
        record.offset,
        record.timestamp,
        place,
        place if resent is None or resent.topic != place.topic else resent,
        ours["outcome"],
        ours.get("reason", ""),
        _number(ours.get("truncated")),
        timestamp,
        record.key,
        record.value,
        theirs,
    )


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() else None  # a timestamp of -1 says nothing
