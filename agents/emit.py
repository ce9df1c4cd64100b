"""Step 5 of a batch: what leaves for the stats and totals topics, and when.

A tick is an empty batch: timers run on the partition's own turn, with the time passed in, right before each commit.
"""

import logging
from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import Any

import msgspec
import orjson

from agents.task import Commit, FoldError, Outgoing, Task
from tables.emission import STATS, PerEvent, Periodic
from tables.event import FUTURE_MS, OUTCOMES, Outcome, iso
from tables.retention import slot_key
from tables.row import Row
from tables.table import UnwritableRowError

log = logging.getLogger("tidemark.agents")

# Numbers that a partition notes for itself.
RING = "ring"  # the number of slots under which its ring is written
PUBLISHED_UNTIL = "published_until"  # the last boundary of a periodic record that has been seen to, ms
# A boundary is seen to late when the partition was moving from one worker to another: a session timeout, a restore.
# What was missed by more is skipped: a snapshot must not claim a time at which nobody looked.
MISSED_MS = 60_000
SPARE_DUES = 1_000  # entries of the heap of times beyond two for each row
# Of one tick: publishing one may take a millisecond or three, and views wait meanwhile. The next tick comes at once.
DUE_ROWS = 100
# Once per event, and kept until the commit: orjson's buffers of 1 KiB cost more than its speed gains.
_encode = msgspec.json.Encoder().encode


def schedule(task: Task, now: int) -> None:
    """Start the timers of the rows that owe a snapshot since the last call."""
    if task.table.pending:
        due = now + task.delay_ms
        task.timers += [(due, row.entity.encode()) for row in task.table.pending]
        task.table.pending = []


def await_dues(task: Task, rows: Iterable[Row]) -> None:
    """Note when time alone will change these rows."""
    at_time = task.domain.at_time
    if at_time is not None:
        for row in rows:
            key = row.entity.encode()
            due = at_time.due(row.head)
            if due and task.awaited.get(key) != due:  # a row that is published often mostly awaits the same time
                task.awaited[key] = due
                heappush(task.dues, (due, key))
        if len(task.dues) > 2 * len(task.table.rows) + SPARE_DUES:
            _forget_moved(task)


def _forget_moved(task: Task) -> None:
    """Drop times that no row awaits any more: a row whose time is moved again and again leaves one behind each time."""
    task.awaited = {key: due for key, due in task.awaited.items() if key in task.table.rows}
    task.dues = [(due, key) for key, due in task.awaited.items()]
    heapify(task.dues)


def tick(task: Task, now: int) -> None:
    """Publish what is due. Deterministic in the task's state and now."""
    table = task.table
    for entity, suffixes in table.buried:
        task.outgoing += [Outgoing(STATS, stats_key(entity, suffix), None) for suffix in suffixes]
    table.buried = []
    if task.timers and task.timers[0][0] > now + task.delay_ms:  # the clock was set back: nobody waits for it
        task.timers = [(min(due, now + task.delay_ms), key) for due, key in task.timers]
    # Rows that change with time are dear to publish; after a restart there may be many of them at once.
    most = len(task.timers) if task.domain.at_time is None else DUE_ROWS
    done = 0
    for due, key in islice(task.timers, most):
        if due > now:
            break
        done += 1
        row = table.rows.get(key)
        if row is not None and row.scheduled:
            row.scheduled = False
            if row.head.pending:
                publish(task, row, now)
    del task.timers[:done]
    task.owes = bool(task.timers and task.timers[0][0] <= now)
    if task.dues:
        _publish_due(task, now)
    if task.domain.periodic is not None and task.partition == 0:
        publish_periodic(task, task.domain.periodic, now)


def waits_for_end(task: Task, now: int) -> bool:
    """Whether a row's time has come, and only the source's end is to be known before it is published."""
    at_time = task.domain.at_time
    return bool(at_time and at_time.after_backlog and task.dues and task.read_to_end_at < task.dues[0][0] <= now)


def _publish_due(task: Task, now: int) -> None:
    at_time, rows = task.domain.at_time, task.table.rows
    if at_time is None:
        return
    now_or_end = min(now, task.read_to_end_at) if at_time.after_backlog else now
    ready: dict[bytes, Row] = {}
    while task.dues and task.dues[0][0] <= now_or_end and len(ready) < DUE_ROWS:
        due, key = heappop(task.dues)
        if task.awaited.get(key) == due:
            del task.awaited[key]
        row = rows.get(key)
        if row is not None and at_time.due(row.head) == due:
            ready[key] = row
    task.owes = task.owes or len(ready) == DUE_ROWS
    for row in ready.values():
        publish(task, row, now)


def publish(task: Task, row: Row, now: int) -> None:
    """Add a row's owed snapshots to what leaves with the next commit; they are owed no longer."""
    head, table, at_time = row.head, task.table, task.domain.at_time
    if at_time is not None and at_time.after_backlog:  # what the clock would end may still be in the backlog
        now = min(now, task.read_to_end_at)
    about = {
        "revision": head.revision,
        "as_of": iso(head.at),
        "partition": task.partition,
        "offset": head.offset,
    }
    try:
        records = [
            Outgoing(role, stats_key(row.entity, suffix), None if body is None else orjson.dumps(body | about))
            for suffix, body, role in task.domain.snapshots(row, now, table.totals)
        ]
    except Exception:
        # The row is right; a defect of the domain costs this snapshot, not the partition.
        log.exception("%s: the snapshots of %r as of offset %d cannot be made", task.source, row.entity, head.offset)
        records = None
    task.outgoing += records or ()
    head.pending = 0
    row.touch()
    if at_time is not None:
        table.totals_changed = True
        if records is not None:  # a row that cannot be published is not tried again before its next event
            await_dues(task, (row,))


def publish_event(task: Task, per_event: PerEvent, row: Row) -> None:
    """Add the record of the event that was just applied to its ring."""
    table, partition, ring = task.table, task.partition, per_event.ring
    revision = table.totals.outcomes[Outcome.APPLIED]  # counts every event that had a record, over restarts too
    size = table.options[ring.limit.name]
    if RING not in table.marks:
        table.mark(RING, size)
    body = _encode(per_event.body(row, table.totals, revision, partition))
    task.outgoing.append(Outgoing(ring.role, slot_key(partition, revision, size), body))


def publish_periodic(task: Task, periodic: Periodic, now: int) -> None:
    """Publish the merged totals at the latest boundary, if it has just passed and nobody has done it, or on demand."""
    table = task.table
    interval = round(table.options[periodic.interval.name] * 1000)
    boundary = now // interval * interval
    times = []
    if table.marks.get(PUBLISHED_UNTIL, 0) > now + FUTURE_MS:
        table.mark(PUBLISHED_UNTIL, boundary)  # by a clock that was wrong: nothing would be published until then
    if boundary > table.marks.get(PUBLISHED_UNTIL, 0):
        if now - boundary > MISSED_MS or PUBLISHED_UNTIL not in table.marks:
            table.mark(PUBLISHED_UNTIL, boundary)  # missed while nobody ran; or before there was anything
        else:
            times.append(boundary)
    if task.demanded and now not in times:
        times.append(now)
    others = task.others() if times else None
    if others is None:  # not known yet: the next tick tries again
        return
    others.merge(table.totals)
    try:
        records = [periodic.record(others, time, table.options) for time in times]
        encoded = [(key.encode(), orjson.dumps(body)) for key, body in records]
    except Exception:
        log.exception("%s: the %s of %s cannot be made", task.source, periodic.role, ", ".join(map(iso, times)))
        encoded = []
    task.outgoing += [Outgoing(periodic.role, key, body, (), task.partition_of(key)) for key, body in encoded]
    table.mark(PUBLISHED_UNTIL, max(boundary, table.marks[PUBLISHED_UNTIL]))
    task.demanded = False


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
        cells = table.take(now)
    except UnwritableRowError as error:
        raise FoldError(error.offset, str(error)) from error
    if moved:
        task.outgoing.append(Outgoing("totals", str(task.partition).encode(), totals_body(task)))
    for kept, name, body in ((table.tops, "top", tops_body), (table.recents, "recent", recents_body)):
        if any(each.changed for each in kept.values()):
            task.outgoing.append(Outgoing("totals", f"{task.partition}/{name}".encode(), body(task)))
            for each in kept.values():
                each.changed = False
    outgoing, task.outgoing, task.letters_bytes = task.outgoing, [], 0
    return Commit(task.position, cells, outgoing)


def totals_body(task: Task) -> bytes:
    """The totals record of a partition: JSON with every integer by name, the outcomes by theirs."""
    totals: dict[str, Any] = msgspec.to_builtins(task.table.totals)
    totals["outcomes"] = dict(zip(OUTCOMES, totals["outcomes"], strict=True))
    return orjson.dumps({"partition": task.partition} | totals)


def tops_body(task: Task) -> bytes:
    """The partition's lists of the best: JSON, name -> [[entity, value], ...]."""
    return orjson.dumps({name: top.best() for name, top in task.table.tops.items()})


def recents_body(task: Task) -> bytes:
    """The partition's rows seen lately: JSON, name -> second since the epoch -> [rows, sum of their values]."""
    return orjson.dumps({name: recent.published() for name, recent in task.table.recents.items()})
