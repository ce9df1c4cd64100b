"""Fetched batches, parsed in bulk: every record once, in order, whatever is in their headers."""

import struct
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from app.engine import fetch

SOURCE = TopicPartition("players-events", 0)


class NoText(str):
    """The name of a header that is not UTF-8, as a client that does not check it sends it."""

    __slots__ = ()

    def encode(self, *_: Any) -> bytes:
        """Bytes that are no text."""
        return b"\xff\xfe"


class Assignment:
    """Of one partition, as far as a fetch asks."""

    active = True

    def __init__(self, position: int) -> None:
        self.position = position

    def state_value(self, _partition: TopicPartition) -> Any:
        """The state of the partition: not paused."""
        return SimpleNamespace(paused=False, position=self.position, consumed_to=self._consumed_to)

    def _consumed_to(self, offset: int) -> None:
        self.position = offset


def batch(first: int, count: int, headers: Iterable[tuple[str, bytes]] = ()) -> bytes:
    """A batch of records as a broker sends it."""
    builder = _DefaultRecordBatchBuilderPy(2, 0, 0, -1, -1, 0, 100_000)
    for number in range(count):
        builder.append(number, timestamp=1, key=b"ann", value=b"{}", headers=list(headers))
    data = bytearray(builder.build())
    data[0:8] = struct.pack(">q", first)
    return bytes(data)


@pytest.mark.parametrize("most", [1, 7, 1_000])
@pytest.mark.parametrize("wanted", [0, 12, 15])
@pytest.mark.parametrize("deserializer", [fetch.PARSED, None])
def test_a_header_name_that_is_not_text_brings_no_record_twice(most: int, wanted: int, deserializer: Any) -> None:
    """The parser gives up in the middle of a fetch, after batches that were handed on, and before others."""
    fetch.install()
    data = batch(0, 10) + batch(10, 10) + batch(20, 5, [(NoText("x"), b"1")]) + batch(25, 10)
    records = fetcher.PartitionRecords(
        SOURCE, fetcher.MemoryRecords(data), None, wanted, deserializer, None, True, 1
    )  # fmt: skip
    fetched = fetcher.FetchResult(SOURCE, assignment=Assignment(wanted), partition_records=records, backoff=0)
    offsets: list[int] = []
    while fetched.has_more():
        offsets += [record.offset for record in fetched.getall(most)]
    assert offsets == list(range(wanted, 35))
