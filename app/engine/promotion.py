"""Promoting a warm copy: is it of this log, is it up to its end, does it fit the committed offset, is it whole?

Each question is answered with a reason to doubt it, or with "". What is left to do is little: the copy is where the
log's end was some ms ago, and what follows from its rows has been kept up with them.
"""

import asyncio
from typing import TYPE_CHECKING

from aiokafka import TopicPartition

from app.clock import now_ms
from app.engine import fetch

if TYPE_CHECKING:
    from app.engine.owned import Owned
    from app.engine.standby import Copy

PART_RECORDS = 1_000  # applied without an await in between: 1,000 x 3 us = 3 ms


async def bring_up(owned: "Owned", copy: "Copy", end: int) -> str:
    """Bring a copy up to exactly the end of its changelog, with which nobody has a transaction open any more."""
    doubt = await _doubt(owned, copy, end)
    if doubt:
        return doubt
    await _read_to(owned, copy, end)
    # Rows and offset were written in one transaction: they tell of the same moment, or this is not their log.
    position = copy.warm.task.position
    offset = await owned.engine.committed_offset(TopicPartition(owned.source, owned.partition))
    return "" if offset in {None, position} else f"its rows end at {position}, the group has committed {offset}"


async def finish(copy: "Copy") -> str:
    """Make the copy's task whole, in steps of a few ms."""
    try:
        for _ in copy.warm.finish(now_ms()):
            await asyncio.sleep(0)
    except Exception as error:  # noqa: BLE001 - whatever it is, a restore will say it, with its place in the log
        return f"{type(error).__name__}: {error}"
    return ""


async def _doubt(owned: "Owned", copy: "Copy", end: int) -> str:
    """Why the log cannot be the one that was copied, or can no longer be read on from there."""
    offsets, position = owned.engine.offsets, copy.warm.position
    if position > end:
        return f"it holds the log up to {position}, which ends at {end}: it was cut off or made anew"
    if await offsets.beginning(copy.changelog) > position:
        return f"the log no longer has offset {position}"
    if await offsets.topic_id(copy.changelog.topic) != copy.topic_id:
        return "the topic was made anew"
    return ""


async def _read_to(owned: "Owned", copy: "Copy", end: int) -> None:
    warm = copy.warm
    if warm.position == end:
        return
    async with fetch.consuming(owned.engine.settings) as consumer:
        consumer.assign([copy.changelog])
        consumer.seek(copy.changelog, warm.position)
        async for records in fetch.read_to(consumer, copy.changelog, end):
            for first in range(0, len(records), PART_RECORDS):
                part = records[first : first + PART_RECORDS]
                warm.read(part)
                warm.position = part[-1].offset + 1
                await asyncio.sleep(0)
    warm.position = end
