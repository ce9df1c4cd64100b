"""Records into a real topic, in bulk: whole batches by an idempotent producer, each record in its key's partition."""

import asyncio
from collections.abc import Iterable

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner

from app.settings import Settings


async def produce(settings: Settings, topic: str, records: Iterable[tuple[bytes | None, bytes | None]]) -> None:
    """Write records in their order, and wait until all are delivered."""
    producer = AIOKafkaProducer(**settings.kafka(), enable_idempotence=True, max_batch_size=512 * 1024)
    await producer.start()
    try:
        partitioner, numbers = DefaultPartitioner(), list(range(settings.partitions))
        batches = {number: producer.create_batch() for number in numbers}
        sent = []
        for key, value in records:
            number = partitioner(key, numbers, numbers)
            while batches[number].append(key=key, value=value, timestamp=None) is None:
                sent.append(await producer.send_batch(batches[number], topic, partition=number))
                batches[number] = producer.create_batch()
        for number, batch in batches.items():
            if batch.record_count():
                sent.append(await producer.send_batch(batch, topic, partition=number))
        await asyncio.gather(*sent)
    finally:
        await producer.stop()
