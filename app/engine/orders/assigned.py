"""The order *assigned*: fence, check, wait until the log is stable, restore, read the offset, check again, resume."""

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from app.engine.changelog import check_position, move_ring, restore, stable_end
from app.engine.failpoints import reach
from app.engine.producer import PartitionProducer

if TYPE_CHECKING:
    from agents.task import Task
    from app.engine.owned import Owned

log = logging.getLogger("tidemark.engine")

FENCE_SECONDS = 30  # a former transaction is aborted within 10 s; without an answer at all the watch says why


async def assigned(owned: "Owned", generation: int) -> None:
    """Make a partition live.

    Raises:
        GenerationError: the group has moved on since that generation.
        PositionError, CorruptCellError, OpenTransactionError: the logs do not allow it, until somebody mends them.
        KafkaError, TimeoutError: it did not work this time.
    """
    started = time.monotonic()
    reach("assigned.begun")
    # 1 Fence: the former owner's open transaction is aborted, its later writes are refused.
    await _fence(owned)
    reach("assigned.fenced")
    # 2 This assignment must still hold: a slow starter of an older generation goes no further.
    owned.engine.check_generation(generation)
    reach("assigned.checked")
    # 3 Nobody else may have a transaction open on the changelog: committed rows above it would be invisible.
    end = await stable_end(owned, owned.changelog)
    reach("assigned.stable")
    # 4 Restore the rows up to there; parked ones are as good, if nothing has happened since our last commit.
    task, made = await _rows(owned, end)
    reach("assigned.restored")
    # 5 Only now read the committed source offset: the rows and it belong together.
    offset = await owned.committed_offset()
    await check_position(owned, task, offset)
    reach("assigned.offset")
    # 6 Check again, resume.
    owned.engine.check_generation(generation)
    owned.resume(task, offset, end)
    reach("assigned.resumed")
    log.info("%r: %s; goes on at offset %d", owned, _told(owned, task, started, made), task.position)


async def _fence(owned: "Owned") -> None:
    settings = owned.engine.settings
    # Known to the partition before it fences: whatever fails then, it is released.
    producer = owned.producer = PartitionProducer(
        settings.kafka(), owned.transactional_id, owned.partition, settings.transaction_timeout_seconds
    )
    try:
        await asyncio.wait_for(producer.fence(), FENCE_SECONDS)
    except TimeoutError:
        raise TimeoutError(f"{owned.transactional_id} could not be fenced within {FENCE_SECONDS} s") from None


async def _rows(owned: "Owned", end: int) -> "tuple[Task, str]":
    """The rows as of the changelog's end, and how they were made; "" for those that were kept."""
    kept = owned.task is not None and (owned.changelog_end, owned.committed) == (end, await owned.committed_offset())
    if kept and owned.task is not None:
        return owned.task, ""
    owned.forget()  # not both in memory at once
    task, made = await owned.engine.standby.promote(owned, end), "promoted"
    if task is None:
        task, made = await restore(owned, end), "restored"
        owned.restores += 1
    owned.task = task
    await move_ring(owned, task)
    return task, made


def _told(owned: "Owned", task: "Task", started: float, made: str) -> str:
    rows, now = len(task.table.rows), time.monotonic()
    if not made:
        return f"kept its rows, {rows} of them, paused for {now - owned.revoked_at:.2f} s"
    return f"{made}, {rows} rows, in {now - started:.2f} s"
