"""A source partition that cannot be read on, such as for a batch that a disk has spoiled: it alone waits.

The client raises such an error for a fetch of many partitions, again and again, and does not move on. The group has
nothing to do with it: to join it again would mend nothing, and take all partitions from all workers each time.
"""

import inspect
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from faust.types.tuples import TP

from app.engine.errors import in_words

if TYPE_CHECKING:
    from app.engine.owned import Owned

log = logging.getLogger("tidemark.engine")

RETRY_SECONDS = 5.0  # each attempt makes the worker fetch once more what it has fetched of others


@dataclass(frozen=True)
class Unreadable:
    """Where a source cannot be read on, and why."""

    offset: int
    reason: str
    retry_at: float
    """By the monotonic clock."""

    @property
    def waits(self) -> bool:
        """Whether it is too early to try again."""
        return time.monotonic() < self.retry_at


def failed_at(fetcher: Any, subscription: Any, fetched: Iterable[TP], error: KafkaError) -> tuple[TP, int] | None:
    """The partition, of those that were fetched for, that a fetch has failed at, and the offset; None if nobody knows.

    Args:
        fetcher: aiokafka's; nothing public asks.
        subscription: aiokafka's state of it.
        fetched: the partitions that the fetch was for.
        error: what it has raised.
    """
    for tp in fetched:
        partition = TopicPartition(tp.topic, tp.partition)
        records = getattr(fetcher._records.get(partition), "_partition_records", None)  # noqa: SLF001
        # A generator that has raised has ended. Where one ends otherwise the client forgets its records.
        if records is not None and inspect.getgeneratorstate(records._records_iterator) == inspect.GEN_CLOSED:  # noqa: SLF001
            return tp, int(records.next_fetch_offset)
        if repr(partition) in str(error) and subscription.is_assigned(partition):
            state = subscription.subscription.assignment.state_value(partition)
            return (tp, int(state.position)) if state.has_valid_position else None
    return None


def note(owned: "Owned", offset: int, error: KafkaError) -> None:
    """Let a partition wait; say so once, however often it is tried."""
    reason = (
        f"{owned.source} partition {owned.partition} cannot be read at offset {offset} ({in_words(error)}): let "
        "another replica lead it, or delete its records up to the first that can be read with kafka-delete-records.sh"
    )
    if owned.unreadable is None or owned.unreadable.reason != reason:
        log.error("%r: %s; trying again, the other partitions go on", owned, reason)
    owned.unreadable = Unreadable(offset, reason, time.monotonic() + RETRY_SECONDS)


def note_position(owned: "Owned", high_watermark: int, position: int) -> None:
    """Note how far a source was read: past the place, or to its end, and it is readable again."""
    if owned.unreadable is not None and (position > owned.unreadable.offset or position >= high_watermark):
        log.warning("%r: %s can be read again, up to offset %d", owned, owned.source, position)
        owned.unreadable = None
