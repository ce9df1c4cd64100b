"""Dead letters: records that could not be folded, with everything needed to understand and resend them.

The original key and value are kept as they were; the rest is in headers, so that the bytes need no unwrapping. A dead
letter holds whatever the producer sent: its topic deserves the same access rules as the source.
"""

from agents.task import Outgoing, Record, Task
from tables.event import Outcome

ROLE = "dead-letters"
PREFIX = "tidemark-"  # our headers; the original's own follow them unchanged
REASON_LIMIT = 500  # characters; a reason may quote what a stranger sent


def dead_letter(task: Task, record: Record, outcome: Outcome, reason: str) -> None:
    """Add the dead letter of a record to what leaves with the next commit."""
    ours = {
        "topic": task.source,
        "partition": str(task.partition),
        "offset": str(record.offset),
        "outcome": outcome.name,
        "reason": reason[:REASON_LIMIT],
    }
    headers = [(PREFIX + name, text.encode("utf-8", "backslashreplace")) for name, text in ours.items()]
    task.outgoing.append(Outgoing(ROLE, record.key, record.value, (*headers, *record.headers)))
