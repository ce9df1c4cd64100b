"""Step 5 of a batch: what leaves for the stats and totals topics, and when.

A tick is an empty batch: timers run on the partition's own turn, with the time passed in, right before each commit.
"""

import logging
from typing import Any

import msgspec
import orjson

from agents.task import Commit, FoldError, Outgoing, Task
from tables.event import OUTCOMES, iso
from tables.row import Row
from tables.table import UnwritableRowError

log = logging.getLogger("tidemark.agents")


def schedule(task: Task, now: int) -> None:
    """Start the timers of the rows that owe a snapshot since the last call."""
    if task.table.pending:
        due = now + round(task.domain.emission.seconds * 1000)
        task.timers += [(due, row.entity.encode()) for row in task.table.pending]
        task.table.pending = []


def tick(task: Task, now: int) -> None:
    """Publish what is due. Deterministic in (state, now)."""
    table = task.table
    for entity in table.buried:
        task.outgoing += [Outgoing("stats", stats_key(entity, suffix), None) for suffix in task.domain.suffixes]
    table.buried = []
    delay = round(task.domain.emission.seconds * 1000)
    if task.timers and task.timers[0][0] > now + delay:  # the clock has been set back: nobody waits for it to catch up
        task.timers = [(min(due, now + delay), key) for due, key in task.timers]
    done = 0
    for due, key in task.timers:
        if due > now:
            break
        done += 1
        row = table.rows.get(key)
        if row is not None and row.scheduled:
            row.scheduled = False
            if row.head.pending:
                publish(task, row)
    del task.timers[:done]


def publish(task: Task, row: Row) -> None:
    """Add a row's owed snapshots to what leaves with the next commit; they are owed no longer."""
    head = row.head
    about = {
        "revision": head.revision,
        "as_of": iso(head.at),
        "partition": task.partition,
        "offset": head.offset,
    }
    try:
        bodies = [(suffix, orjson.dumps(body | about)) for suffix, body in task.domain.snapshots(row)]
    except Exception:
        # The row is right; a defect of the domain costs this snapshot, not the partition.
        log.exception("%s: the snapshots of %r as of offset %d cannot be made", task.source, row.entity, head.offset)
        bodies = []
    for suffix, body in bodies:
        task.outgoing.append(Outgoing("stats", stats_key(row.entity, suffix), body))
    head.pending = 0
    row.touch()


def stats_key(entity: str, suffix: str) -> bytes:
    """The key of a snapshot on the stats topic."""
    return f"{entity}/{suffix}".encode() if suffix else entity.encode()


def take(task: Task, now: int) -> Commit:
    """Steps 4 and 5 at a batch boundary: everything that is to become visible together, and nothing else.

    Raises:
        FoldError: a row cannot be written, by a defect of its domain; the task's rows must not be used any more.
    """
    tick(task, now)
    table = task.table
    moved = table.totals_changed
    try:
        cells = table.take()
    except UnwritableRowError as error:
        raise FoldError(error.offset, str(error)) from error
    if moved:
        task.outgoing.append(Outgoing("totals", str(task.partition).encode(), totals_body(task)))
    if any(top.changed for top in table.tops.values()):
        task.outgoing.append(Outgoing("totals", f"{task.partition}/top".encode(), tops_body(task)))
        for top in table.tops.values():
            top.changed = False
    outgoing, task.outgoing = task.outgoing, []
    return Commit(task.position, cells, outgoing)


def totals_body(task: Task) -> bytes:
    """The totals record of a partition: JSON with every integer by name, the outcomes by theirs."""
    totals: dict[str, Any] = msgspec.to_builtins(task.table.totals)
    totals["outcomes"] = dict(zip(OUTCOMES, totals["outcomes"], strict=True))
    return orjson.dumps({"partition": task.partition} | totals)


def tops_body(task: Task) -> bytes:
    """The partition's lists of the best: JSON, name -> [[entity, value], ...]."""
    return orjson.dumps({name: top.best() for name, top in task.table.tops.items()})
