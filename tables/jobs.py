"""Jobs that tell how far they are: cumulative counters back to batches, within a bounded memory.

An event of a job carries counters since the job began; the difference to the job's last event is one batch. A row
remembers the last event of its `JOBS` most lately heard jobs, a cell to a slot, so that an event writes one slot.
Events of a job are ordered by (started, finished): one that is not later than the last is a duplicate. A job that made
room for another is forgotten; what comes of it later would count its whole past a second time, so nothing that started
as early as a forgotten job counts any more.
"""

from typing import NamedTuple

from tables.dedupe import IdHead
from tables.event import Outcome
from tables.row import Cell, CellName, Row

JOBS = 100
_NAMES: tuple[CellName, ...] = tuple(("job", str(slot)) for slot in range(JOBS))


class JobHead(IdHead):
    """`job`: the slot of the job at hand. `forgotten`: the latest start of a forgotten job, in us since the epoch."""

    job: int = 0
    forgotten: int | None = None


class JobCell(Cell):
    """("job", slot): a job's last event. Times in us since the epoch, as exact as the events' own."""

    job_id: str
    started: int
    finished: int
    keys_scanned: int
    duration_ms: int


class Counters(NamedTuple):
    """Keys and milliseconds: of a job so far, or of a batch."""

    keys_scanned: int
    duration_ms: int


def since_last(row: Row, job_id: str, started: int, finished: int, now: Counters) -> Counters | Outcome:
    """The batch since the job's last event, which this one takes the place of; or DUPLICATE, or LATE.

    A counter that has fallen was restarted: what it says now is all since then. Fallen keys restart both counters;
    fallen milliseconds alone (a process that goes on with the keys of the one before it) restart only themselves.
    """
    head: JobHead = row.head
    keys, ms = now
    slot = _slot_of(row, job_id)
    if slot is None:
        if head.forgotten is not None and started <= head.forgotten:
            return Outcome.LATE
        slot = _free_slot(row)
    else:
        last: JobCell = row.cells[_NAMES[slot]]
        if (started, finished) <= (last.started, last.finished):
            return Outcome.DUPLICATE
        if keys >= last.keys_scanned:
            keys -= last.keys_scanned
            ms -= last.duration_ms if ms >= last.duration_ms else 0
    row.put(_NAMES[slot], JobCell(job_id, started, finished, *now))
    head.job = slot
    return Counters(keys, ms)


def _slot_of(row: Row, job_id: str) -> int | None:
    cells, head = row.cells, row.head
    at_hand = cells.get(_NAMES[head.job])
    if at_hand is not None and at_hand.job_id == job_id:  # nearly every event: a worker has one job at a time
        slot: int = head.job
        return slot
    for slot, name in enumerate(_NAMES):
        cell = cells.get(name)
        if cell is None:  # slots are filled in their order and never emptied
            return None
        if cell.job_id == job_id:
            return slot
    return None


def _free_slot(row: Row) -> int:
    """A slot for a job that the row does not know; the job that was heard of least lately makes room."""
    cells, head = row.cells, row.head
    if _NAMES[-1] not in cells:
        return next(slot for slot, name in enumerate(_NAMES) if name not in cells)
    known: list[JobCell] = [cells[name] for name in _NAMES]
    oldest = min(known, key=lambda job: (job.finished, job.started, job.job_id))
    head.forgotten = oldest.started if head.forgotten is None else max(oldest.started, head.forgotten)
    return known.index(oldest)
