"""Fetched batches, parsed in bulk: every record once, in order, whatever is in their headers."""

import asyncio
import struct
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import KafkaConnectionError
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


class Failing:
    """A client of which every request fails at once, as far as a fetcher asks."""

    _metadata_max_age_ms = 300_000

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.cluster = SimpleNamespace(leader_for_partition=lambda _: 0)
        self.failed = asyncio.Event()

    async def send(self, *_: Any) -> Any:
        """Fail."""
        self.failed.set()
        raise KafkaConnectionError("reset")


async def test_a_consumer_whose_fetch_has_failed_is_stopped_without_a_word_of_it() -> None:
    """The fetch waits to be repeated; its cancellation must not come out as that of whoever stops the consumer."""
    fetch.install()
    client, subscriptions = Failing(), SubscriptionState()
    reading = fetcher.Fetcher(client, subscriptions, retry_backoff_ms=60_000)
    subscriptions.assign_from_user([SOURCE])
    subscriptions.seek(SOURCE, 0)
    async with asyncio.timeout(5):
        await client.failed.wait()
        pending = set(reading._pending_tasks)
        await reading.close()
    assert pending
    assert all(task.done() for task in pending)


async def test_a_consumer_that_misses_that_it_is_to_stop_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As aiokafka's, which takes the first cancellation for one of what it had on its way."""
    fetch.install()
    monkeypatch.setattr(fetch, "MISSED_SECONDS", 0.05)
    reading = fetcher.Fetcher(Failing(), SubscriptionState())
    reading._fetch_task.cancel()
    begun, missed = asyncio.Event(), 0

    async def routine() -> None:
        nonlocal missed
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            missed += 1
            await asyncio.sleep(60)

    reading._fetch_task = asyncio.create_task(routine())
    async with asyncio.timeout(5):
        await begun.wait()
        await reading.close()
    assert missed == 1
