"""A ring whose number of slots has been changed: its newest records move to their new slots.

To bury the high slots alone would lose live records: with another size, every record belongs into another slot. All of
it is part of one commit, so no reader ever sees half of it.
"""

from collections.abc import Mapping
from operator import itemgetter

from agents.emit import RING
from agents.task import Outgoing, Task
from tables.retention import newest_records, revision_of, slot_key


def wrong_ring(task: Task) -> str:
    """The role of the ring that was written under another number of slots than is wanted now; "" where none was."""
    per_event = task.domain.per_event
    if per_event is None or task.table.marks.get(RING, 0) in (0, task.table.options[per_event.ring.limit.name]):
        return ""
    return per_event.ring.role


def resize(task: Task, records: Mapping[bytes, bytes]) -> None:
    """Rewrite the newest records under their new slots and bury the other keys, with the next commit.

    Args:
        task: a restored task, before it folds anything.
        records: the ring's partition, the latest value of every key.
    """
    per_event = task.domain.per_event
    if per_event is None:
        return
    role, size = per_event.ring.role, task.table.options[per_event.ring.limit.name]
    # What a stranger has written goes with the move.
    found = [(revision, value) for value in records.values() if (revision := revision_of(value)) is not None]
    newest = newest_records(found, size, itemgetter(0))
    wanted = {slot_key(task.partition, revision, size): value for revision, value in newest}
    task.outgoing += [Outgoing(role, key, None) for key in records if key not in wanted]
    task.outgoing += [Outgoing(role, key, value) for key, value in wanted.items()]
    task.table.mark(RING, size)
