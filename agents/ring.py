"""A ring whose number of slots has been changed: its newest records move to their new slots.

To bury the high slots alone would lose live records: with another size, every record belongs into another slot. All of
it is part of one commit, so no reader ever sees half of it.
"""

from collections.abc import Mapping

import orjson

from agents.emit import RING
from agents.task import Outgoing, Task
from tables.retention import newest_records, slot_key


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
    newest = newest_records([orjson.loads(value) for value in records.values()], size)
    wanted = {slot_key(task.partition, record["revision"], size): orjson.dumps(record) for record in newest}
    task.outgoing += [Outgoing(role, key, None) for key in sorted(records.keys() - wanted.keys())]
    task.outgoing += [Outgoing(role, key, value) for key, value in wanted.items()]
    task.table.mark(RING, size)
