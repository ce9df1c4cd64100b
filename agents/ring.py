"""A ring whose number of slots has been changed: its newest records move to their new slots.

To bury the high slots alone would lose live records: with another size, every record belongs into another slot. All of
it is part of one commit, so no reader ever sees half of it.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

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
    found = [record for value in records.values() if (record := _record(value)) is not None]
    wanted = {
        slot_key(task.partition, record["revision"], size): record["value"] for record in newest_records(found, size)
    }
    task.outgoing += [Outgoing(role, key, None) for key in records if key not in wanted]
    task.outgoing += [Outgoing(role, key, value) for key, value in wanted.items()]
    task.table.mark(RING, size)


class _Revision(msgspec.Struct):
    revision: int


def _record(value: bytes) -> dict[str, Any] | None:
    """A record's revision and its bytes as they are; None for what a stranger has written: it goes with the move."""
    try:
        return {"revision": msgspec.json.decode(value, type=_Revision).revision, "value": value}
    except msgspec.MsgspecError:
        return None
