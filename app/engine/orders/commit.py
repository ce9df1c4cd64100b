"""The order *commit*: take, send, await every delivery, add the offset, commit. All of it becomes visible at once."""

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from aiokafka import TopicPartition

from agents.emit import take, waits_for_end
from agents.task import Commit, FoldError, Task
from app.clock import now_ms
from app.engine.changelog import READ_TO, first_unread
from app.engine.errors import GenerationError, LostSliceError
from app.engine.failpoints import reach
from app.engine.producer import Batch, PartitionProducer, delivered_to
from app.topology import topic_name

if TYPE_CHECKING:
    from app.engine.owned import Owned

Batches = dict[tuple[str, int], Batch]
"""By topic and partition."""


async def commit_until_revoked(owned: "Owned") -> None:
    """Commit once per interval, or as soon as it is asked for, and once more when the partition goes."""
    interval = owned.engine.settings.commit_interval_seconds
    # Staggered: partitions commit one after the other within an interval, not all at once.
    pause = interval * (1 + owned.partition % 4) / 4
    while not owned.revoking.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(owned.hurry.wait(), pause)
        owned.hurry.clear()
        began = time.monotonic()
        await commit(owned)
        owes = owned.task is not None and owned.task.owes
        pause = 0.0 if owes else max(0.0, interval - (time.monotonic() - began))
    await commit(owned)  # what was folded while the last commit was on its way


async def commit(owned: "Owned") -> None:
    """Make durable and visible what has been folded since the last commit, if anything.

    Raises:
        GenerationError: there are no rows any longer.
        LostSliceError: records were deleted before they could be folded.
        FoldError, KafkaError, TimeoutError: it did not work, or nobody can say whether it did.
    """
    if owned.failure is not None:
        raise owned.failure
    task, producer = owned.task, owned.producer
    if task is None or producer is None:
        raise GenerationError
    reach("commit.begun")
    await look_at_source(owned, task)
    # 1 Take the offset, the changed cells and the outgoing records together: no await in here.
    now = now_ms()
    try:
        taken = take(task, now)
    except FoldError as error:  # a row that cannot be written
        owned.go_round(error)
        raise
    carried = owned.carried(task, taken)
    if not taken.cells and not taken.outgoing and taken.position == owned.committed:
        return
    reach("commit.taken")
    owned.committing_since = time.monotonic()
    # 2 Send all.
    await producer.begin()
    batches = _batches(owned, producer, taken)
    sent = {}
    for where, batch in batches.items():
        sent[where] = await producer.send(*where, batch)
        reach("commit.sending")
    reach("commit.sent")
    # 3 Await every delivery: any failure raises, and the transaction is never committed.
    delivered = {where: [await future for future in futures] for where, futures in sent.items()}
    reach("commit.delivered")
    # 4 The source offset becomes part of the transaction.
    if taken.position != owned.committed:
        await producer.add_offset(owned.source, taken.position, owned.engine.settings.application_id)
    reach("commit.offset")
    # 5 Commit: all of it becomes visible at once.
    await producer.commit()
    reach("commit.committed")
    changelog = owned.changelog, owned.partition
    if changelog in delivered:
        # The marker that ends the transaction takes one more offset.
        owned.changelog_end = delivered_to(delivered[changelog], batches[changelog]) + 1
    owned.committed_to(taken.position)
    owned.demands.answer(carried, now)


def _batches(owned: "Owned", producer: PartitionProducer, taken: Commit) -> Batches:
    batches: Batches = {}
    if taken.cells:
        append = batches.setdefault((owned.changelog, owned.partition), producer.batch()).append
        for change in taken.cells:
            append(change.key, change.value)
    settings, domain = owned.engine.settings, owned.domain
    topics = {record.role: topic_name(settings, domain, record.role) for record in taken.outgoing}
    for role, key, value, headers, partition in taken.outgoing:
        where = topics[role], owned.partition if partition is None else partition
        batch = batches.get(where)
        if batch is None:
            batch = batches[where] = producer.batch()
        batch.append(key, value, headers)
    return batches


# -- what a commit has to know of the source ---------------------------------------------------------------------------


async def look_at_source(owned: "Owned", task: Task) -> None:
    """Ask Kafka what this commit has to know of the source; mostly nothing.

    Raises:
        LostSliceError: offsets that the rows do not hold were deleted.
    """
    if owned.gap_at is not None:
        await _look_into_gap(owned, task, owned.gap_at)
    if owned.folded_to > first_unread(task):
        await _look_at_markers(owned, task)
    if waits_for_end(task, now_ms()):
        await _look_for_end(owned, task)


async def _look_into_gap(owned: "Owned", task: Task, first: int) -> None:
    """Offsets were missing from there on: commit markers, or what compaction took, unless retention was there.

    The client goes on at the beginning without a word where its position is gone. To begin anew counts and says it.
    """
    beginning = await owned.engine.offsets.beginning(TopicPartition(owned.source, owned.partition))
    unread = max(first, task.table.marks.get(READ_TO, 0))
    if beginning > unread:
        raise LostSliceError(f"offsets {unread} to {beginning} were deleted before they could be folded")
    if owned.gap_at == first:
        owned.gap_at = None


async def _look_at_markers(owned: "Owned", task: Task) -> None:
    """Note how far the source is read, where its last offsets are commit markers.

    Retention deletes them like records, and once they are gone nobody can tell that they were none.
    """
    position, passed = task.position, owned.folded_to
    await _look_into_gap(owned, task, position)
    if owned.task is task and task.position == position:
        task.table.note(READ_TO, passed)
        task.table.totals_changed = True


async def _look_for_end(owned: "Owned", task: Task) -> None:
    """Note that the source has been folded to where it ends now, if it has."""
    asked_at = now_ms()
    end, _ = await owned.engine.offsets.ends(TopicPartition(owned.source, owned.partition))
    if owned.task is task and owned.folded_to >= end:
        task.read_to_end_at = asked_at
