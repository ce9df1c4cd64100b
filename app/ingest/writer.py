"""Records into a topic, by an idempotent producer: what it repeats after a lost answer is written once."""

import asyncio
from collections.abc import Iterable

from aiokafka import AIOKafkaProducer

from app.ingest.report import Report
from app.settings import Settings

# So many records are under way before the next is read: reading never runs ahead of a slow broker, and a crash
# leaves little to repeat. At 69,000 records/s that is a wait about every 70 ms.
WINDOW = 5_000
LINGER_MS = 5
BATCH_BYTES = 256 * 1024


async def write(settings: Settings, topic: str, records: Iterable[tuple[bytes, bytes]], report: Report) -> None:
    """Write records in their order; those of one key are in that order in their partition, too.

    The partitioner is Kafka's default (murmur2), which is what the worker checks a record's partition with. Records
    taken before `records` raises are delivered first.

    Raises:
        KafkaError: a record could not be delivered.
    """
    producer = AIOKafkaProducer(
        **settings.kafka(), enable_idempotence=True, linger_ms=LINGER_MS, max_batch_size=BATCH_BYTES
    )
    await producer.start()
    under_way: list[asyncio.Future[object]] = []
    try:
        for key, value in records:
            under_way.append(await producer.send(topic, key=key, value=value))
            if len(under_way) == WINDOW:
                await _delivered(under_way, report)
    finally:
        try:
            await _delivered(under_way, report)
        finally:
            await producer.stop()


async def _delivered(under_way: "list[asyncio.Future[object]]", report: Report) -> None:
    results = await asyncio.gather(*under_way, return_exceptions=True)
    under_way.clear()
    failures = [result for result in results if isinstance(result, BaseException)]
    report.written += len(results) - len(failures)
    if failures:
        raise failures[0]
