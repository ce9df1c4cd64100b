"""Dead letters: records that could not be folded, with everything needed to understand and resend them.

The original key and value are kept as they were; the rest is in headers, so that the bytes need no unwrapping. A dead
letter holds whatever the producer sent: its topic deserves the same access rules as the source.

A dead letter is resent as a record of the source topic, with its own headers and one of ours that names the original:
`tidemark-resent: <topic>/<partition>/<offset>`. If it becomes a dead letter again, that header is among those of its
own, so however often something is resent, it is about one original.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from agents.task import Outgoing, Record, Task
from tables.event import Outcome
from tables.resent import Original

ROLE = "dead-letters"
PREFIX = "tidemark-"  # our headers; the original's own follow them unchanged
# Those of a dead letter, in their order. Not every one has `truncated`, and `timestamp` came later than the others.
NAMES = ("topic", "partition", "offset", "outcome", "reason", "truncated", "timestamp")
RESENT = PREFIX + "resent"
REASON_LIMIT = 500  # characters; a reason may quote what a stranger sent
# A topic's limit is on *compressed* batches: a few kB of gzip can hold a record that no broker takes uncompressed. Half
# of what the dead letters' topic takes (2 MiB) leaves room for our headers; what is cut off is still at the source.
SIZE_LIMIT = 1024 * 1024
HEADER_BYTES = 12  # at most, of the two lengths that come with each: there may be a million headers of nothing
KEPT_KEY, KEPT_VALUE = 64 * 1024, 512 * 1024
_PLACE = re.compile(
    rb"(?P<topic>[A-Za-z0-9._-]{1,249})/(?P<partition>0|[1-9][0-9]{0,3})/(?P<offset>0|[1-9][0-9]{0,17})"
)

Headers = Iterable[tuple[str, bytes | None]]


class Place(NamedTuple):
    """Where a record is, or was."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


def dead_letter(task: Task, record: Record, outcome: Outcome, reason: str) -> None:
    """Add the dead letter of a record to what leaves with the next commit.

    One larger than SIZE_LIMIT is cut, keeps none of its own headers, and says so in a header `truncated`: its size.
    """
    ours = {
        "topic": task.source,
        "partition": str(task.partition),
        "offset": str(record.offset),
        "outcome": outcome.name,
        "reason": reason[:REASON_LIMIT],
    }
    key, value, theirs = record.key, record.value, record.headers
    size = len(key or b"") + len(value or b"")
    size += sum(len(name) * 4 + len(text or b"") + HEADER_BYTES for name, text in theirs)
    if size > SIZE_LIMIT:
        ours["truncated"] = str(size)
        key, value, theirs = key and key[:KEPT_KEY], value and value[:KEPT_VALUE], []
    ours["timestamp"] = str(record.timestamp)  # ms; the letter itself has that of its own writing
    task.letters_bytes += min(size, SIZE_LIMIT)
    headers = [(PREFIX + name, text.encode("utf-8", "backslashreplace")) for name, text in ours.items()]
    task.outgoing.append(Outgoing(ROLE, key, value, (*headers, *theirs)))


def opened(headers: Headers) -> tuple[dict[str, str], list[tuple[str, bytes | None]]]:
    """A dead letter's headers, taken apart: ours by name, and the original's own, which may have the same names."""
    ours: dict[str, str] = {}
    theirs = list(headers)
    expected = iter(NAMES)
    while theirs and any(theirs[0][0] == PREFIX + name for name in expected):  # goes on where it has stopped
        name, text = theirs.pop(0)
        ours[name.removeprefix(PREFIX)] = (text or b"").decode("utf-8", "backslashreplace")
    return ours, theirs


def place_of(text: bytes | None) -> Place | None:
    """The place that a header names: `<topic>/<partition>/<offset>`; None where it names none."""
    found = _PLACE.fullmatch(text or b"")
    if found is None:
        return None
    return Place(found["topic"].decode(), int(found["partition"]), int(found["offset"]))


def original_of(task: Task, record: Record) -> Original | None:
    """The original of a resent dead letter; None for any other record. The first header of the name counts.

    Raises:
        ValueError: the header is there, and names no record that this one could be sent again for. To pass over it
            would mean to fold the record as one that was never seen, which its sender does not say.
    """
    said = next((header for header in record.headers if header[0] == RESENT), None)
    if said is None:
        return None
    place = place_of(said[1])
    if place is None or place.topic != task.source or place.partition >= task.table.partitions:
        raise ValueError(f"the header {RESENT} is not {task.source}/PARTITION/OFFSET")
    if place.partition == task.partition and place.offset >= record.offset:
        raise ValueError(f"the header {RESENT} names offset {place.offset}, which is not before this record")
    return Original(place.partition, place.offset)
