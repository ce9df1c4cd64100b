"""Records as the client's own parser makes them, and bulk reading of one partition.

aiokafka wraps every record in a frozen dataclass; handing on the parser's record instead makes reading half as fast
again. Only consumers that ask for it get those: their key deserializer is `PARSED`.
"""

from collections.abc import AsyncIterator
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer import fetcher

RESTORE_FETCH_BYTES = 8 * 1024 * 1024  # a restore reads a whole partition: few, large fetches
RESTORE_RECORDS = 4_000  # per turn of the event loop: 4,000 x 1 us = 4 ms, so that views stay quick


def PARSED(_key: bytes) -> bytes:  # noqa: N802 - a constant that has to be callable
    """Never called: its presence as key deserializer asks for parsed records."""
    raise AssertionError("records of this consumer are handed on as they were parsed")


class ParsedPartitionRecords(fetcher.PartitionRecords):
    """aiokafka's iterator over a fetched partition, without the dataclass per record for those who ask."""

    def _consumer_record(self, tp: TopicPartition, record: Any) -> Any:
        if self._key_deserializer is PARSED:
            return record
        return super()._consumer_record(tp, record)


def install() -> None:
    """Make aiokafka use `ParsedPartitionRecords`; other consumers in this process notice nothing."""
    fetcher.PartitionRecords = ParsedPartitionRecords


def reader(kafka: dict[str, Any]) -> AIOKafkaConsumer:
    """A consumer without a group that reads committed records in bulk."""
    install()
    return AIOKafkaConsumer(
        **kafka,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=RESTORE_FETCH_BYTES,
        fetch_max_bytes=RESTORE_FETCH_BYTES,
        fetch_max_wait_ms=100,
        key_deserializer=PARSED,
    )


async def read_to(consumer: AIOKafkaConsumer, partition: TopicPartition, end: int) -> AsyncIterator[list[Any]]:
    """All committed records of an assigned partition below `end`, in lists.

    It ends by the consumer's *position*: the last offset of a log written in transactions is a commit marker, which
    is never delivered.
    """
    while await consumer.position(partition) < end:
        for records in (await consumer.getmany(partition, timeout_ms=200, max_records=RESTORE_RECORDS)).values():
            yield records
