"""Dead letters: records that could not be folded, with everything needed to understand and resend them.

The original key and value are kept as they were; the rest is in headers, so that the bytes need no unwrapping. A dead
letter holds whatever the producer sent: its topic deserves the same access rules as the source.
"""

from agents.task import Outgoing, Record, Task
from tables.event import Outcome

ROLE = "dead-letters"
PREFIX = "tidemark-"  # our headers; the original's own follow them unchanged
REASON_LIMIT = 500  # characters; a reason may quote what a stranger sent
# A topic's limit is on *compressed* batches: a few kB of gzip can hold a record that no broker takes uncompressed. Half
# of what the dead letters' topic takes (2 MiB) leaves room for our headers; what is cut off is still at the source.
SIZE_LIMIT = 1024 * 1024
KEPT_KEY, KEPT_VALUE = 64 * 1024, 512 * 1024


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
    size = len(key or b"") + len(value or b"") + sum(len(name) * 4 + len(text or b"") for name, text in theirs)
    if size > SIZE_LIMIT:
        ours["truncated"] = str(size)
        key, value, theirs = key and key[:KEPT_KEY], value and value[:KEPT_VALUE], []
    headers = [(PREFIX + name, text.encode("utf-8", "backslashreplace")) for name, text in ours.items()]
    task.outgoing.append(Outgoing(ROLE, key, value, (*headers, *theirs)))
