"""Records as the client's own parser makes them, and bulk reading of one partition.

aiokafka wraps every record in a frozen dataclass; handing on the parser's record instead makes reading half as fast
again. Only consumers that ask for it get those: their key deserializer is `PARSED`.
"""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.errors import KafkaError
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy

from app.engine.errors import cancelled_by_us
from app.settings import Settings
from app.starting import ended, start

RESTORE_FETCH_BYTES = 8 * 1024 * 1024  # a restore reads a whole partition: few, large fetches
MAGIC_OFFSET, HEADERS_MAGIC = 16, 2  # where a batch says its format, and the first one with headers
FETCH_WAIT_MS = 100  # at the end of a partition: for a fetch that finds nothing
BRIEF_MS = 10  # likewise, for those who go from one partition to the next: what they ask then stands behind that fetch
MARKER_MS = 20  # a marker at the end wakes nobody: so long until the position is looked at again
RESTORE_RECORDS = 4_000  # per turn of the event loop: 4,000 x 1 us = 4 ms, so that views stay quick


def PARSED(_key: bytes) -> bytes:  # noqa: N802 - a constant that has to be callable
    """Never called: its presence as key deserializer asks for parsed records."""
    raise AssertionError("records of this consumer are handed on as they were parsed")


class FetchedRecords:
    """A fetched partition's batches, with the bytes that they are parsed from."""

    __slots__ = ("_records", "data", "has_next", "next_batch", "size_in_bytes")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._records = MemoryRecords(data)
        self.has_next = self._records.has_next
        self.next_batch = self._records.next_batch
        self.size_in_bytes = self._records.size_in_bytes


class LenientBytes(bytearray):
    """Bytes whose text may be anything: what is not UTF-8 is shown by its number."""

    def __getitem__(self, index: Any) -> Any:
        """Slices are lenient, too."""
        part = super().__getitem__(index)
        return LenientBytes(part) if isinstance(index, slice) else part

    def decode(self, _encoding: str = "utf-8", _errors: str = "strict") -> str:
        """Never raises."""
        return super().decode("utf-8", "backslashreplace")


class LenientBatch(_DefaultRecordBatchPy):
    """aiokafka's parser in Python, which takes header names that are not UTF-8; some ten times as slow."""

    _buffer: Any

    def _maybe_uncompress(self) -> None:
        if not self._decompressed:
            super()._maybe_uncompress()
            self._buffer = LenientBytes(self._buffer)


class LenientRecords(_MemoryRecordsPy):
    """The batches of a fetched partition, for that parser."""

    def next_batch(self) -> Any:
        """The next batch; one older than headers is left to the parser that there is."""
        data = self._next_slice
        if data is None or data[MAGIC_OFFSET] < HEADERS_MAGIC:
            return super().next_batch()
        self._cache_next()
        return LenientBatch(bytearray(data))


class WholeBatches:
    """A fetched partition's batches. To aiokafka's loop each of them holds one record: the list of all."""

    def __init__(self, records: Any) -> None:
        self.has_next = records.has_next
        self._next_batch = records.next_batch

    def next_batch(self) -> Any:
        """The next batch; a control batch, which nobody is handed, as it is."""
        batch = self._next_batch()
        return batch if batch.is_control_batch else WholeBatch(batch)


class WholeBatch:
    """A batch whose iteration yields one thing."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        records = RecordsOfBatch(self._batch)
        return iter((records,) if records else ())


class RecordsOfBatch(list[Any]):
    """All records of a batch. Its offset is that of the last: aiokafka goes on from the one after it."""

    @property
    def offset(self) -> int:
        """The last record's."""
        return int(self[-1].offset)


class ParsedPartitionRecords(fetcher.PartitionRecords):
    """aiokafka's reader of a fetched partition; those who ask get the parser's own records, and many at a time.

    Also, a header whose name is not UTF-8 does not stop it: the parser in C raises for the whole batch, at every
    attempt, and the partition would never get past it.
    """

    _records: Any
    _aborted_transactions: list[Any]
    _aborted_producers: set[int]

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.parsed = self._key_deserializer is PARSED
        self._left: list[Any] = []  # records that have been parsed and not yet taken

    def _unpack_records(self) -> Iterator[Any]:
        """What has not been handed on yet.

        aiokafka's own offset does not tell: it goes back to the end of every batch that is skipped.
        """
        aborted, fetched, reached = list(self._aborted_transactions), self._records, self.next_fetch_offset
        try:
            for found in self._unpack(fetched, reached):
                reached = (found[-1] if self.parsed else found).offset + 1
                yield found
        except UnicodeDecodeError:  # once more, from the start of the fetch
            self._aborted_transactions, self._aborted_producers = aborted, set()
            yield from self._unpack(LenientRecords(fetched.data), reached)

    def _unpack(self, batches: Any, first: int) -> Iterator[Any]:
        """The records from an offset on; of those who ask, whole batches of them."""
        self._records = WholeBatches(batches) if self.parsed else batches
        for found in super()._unpack_records():
            if not self.parsed:
                if found.offset >= first:
                    yield found
            elif found[0].offset >= first:
                yield found
            elif left := [record for record in found if record.offset >= first]:
                yield left

    def _consumer_record(self, tp: TopicPartition, record: Any) -> Any:
        return record if self.parsed else super()._consumer_record(tp, record)

    def take(self, number: int) -> tuple[list[Any], bool]:
        """The next records, so many if there are; and whether there may be more.

        Raises:
            KafkaError: the first batch cannot be read. What comes before such a batch is taken without it: it is
                fetched again, from there.
        """
        taken, more = self._left, True
        while more and len(taken) < number:
            try:
                batch = next(self._records_iterator, None)
            except KafkaError:
                if not taken:
                    raise
                batch = None
            more = batch is not None
            if batch and taken:
                taken.extend(batch)
            else:
                taken = batch or taken
        self._left = taken[number:]
        if more:  # else aiokafka has set it to the last batch's end, which may lie beyond the last record
            taken = taken[:number]
            self.next_fetch_offset = taken[-1].offset + 1
        return taken, more


class ParsedFetchResult(fetcher.FetchResult):
    """aiokafka's fetched partition, without a Python loop over its records for those who ask."""

    _partition_records: ParsedPartitionRecords | None

    def getall(self, max_records: int | None = None) -> list[Any]:
        """Take records, as aiokafka's own does."""
        records = self._partition_records
        if records is None or not records.parsed:
            return list(super().getall(max_records))
        if not self.check_assignment(self._topic_partition):
            return []
        taken, more = records.take(max_records or sys.maxsize)
        self._update_position()
        if not more:
            self._partition_records = None
        return taken


def install() -> None:
    """Make aiokafka use these; other consumers in this process notice nothing."""
    fetcher.PartitionRecords = ParsedPartitionRecords
    fetcher.FetchResult = ParsedFetchResult
    fetcher.MemoryRecords = FetchedRecords


def reader(kafka: dict[str, Any], wait_ms: int = FETCH_WAIT_MS) -> AIOKafkaConsumer:
    """A consumer without a group that reads committed records in bulk."""
    install()
    return AIOKafkaConsumer(
        **kafka,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=RESTORE_FETCH_BYTES,
        fetch_max_bytes=RESTORE_FETCH_BYTES,
        fetch_max_wait_ms=wait_ms,
        key_deserializer=PARSED,
    )


@asynccontextmanager
async def consuming(settings: Settings, wait_ms: int = FETCH_WAIT_MS) -> AsyncIterator[AIOKafkaConsumer]:
    """Such a consumer, started; it is stopped in any case, and an error of that hides none that came before."""
    consumer = reader(settings.kafka(), wait_ms)
    try:
        await start(consumer)
        yield consumer
    finally:
        with suppress(KafkaError), cancelled_by_us():
            await stop(consumer)


async def stop(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer, and leave nothing of it behind."""
    try:
        await ended(consumer.stop())
    finally:
        # Its coordinator listens to its client: they would keep each other until the collector of cycles comes by.
        consumer._client.cluster._listeners.clear()  # noqa: SLF001 - nothing public does


async def read_to(consumer: AIOKafkaConsumer, partition: TopicPartition, end: int) -> AsyncIterator[list[Any]]:
    """All committed records of an assigned partition below `end`, in lists.

    It ends by the consumer's *position*: the last offset of a log written in transactions is a commit marker, which
    is never delivered.
    """
    while await consumer.position(partition) < end:
        for records in (await consumer.getmany(partition, timeout_ms=MARKER_MS, max_records=RESTORE_RECORDS)).values():
            yield records
