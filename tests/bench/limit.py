"""The limit: unmodified aiokafka, nothing kept. Program: SERVERS TOPIC DOMAIN, or SERVERS TOPIC changelog."""

import asyncio
import sys
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from app.engine.fetch import RESTORE_FETCH_BYTES, RESTORE_RECORDS
from app.main import FETCH_BYTES, MAX_POLL_RECORDS
from tests.bench.data import PARTITIONS
from tests.bench.installation import DOMAINS
from tests.bench.process import tell
from tests.bench.worker import Clock


async def read(servers: str, topic: str, what: str) -> dict[str, Any]:
    """Read a whole topic into a dict, key -> decoded event or raw cell."""
    changelog = what == "changelog"
    decode: Any = bytes if changelog else msgspec.json.Decoder(DOMAINS[what].event).decode
    consumer = AIOKafkaConsumer(
        bootstrap_servers=servers,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=RESTORE_FETCH_BYTES if changelog else FETCH_BYTES,
    )
    max_records = RESTORE_RECORDS if changelog else MAX_POLL_RECORDS
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    latest: dict[Any, Any] = {}
    await consumer.start()
    try:
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        number = 0
        clock = Clock()
        while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
            for records in (await consumer.getmany(timeout_ms=200, max_records=max_records)).values():
                number += len(records)
                for record in records:
                    latest[record.key] = decode(record.value)
        return clock.read() | {"number": number, "keys": len(latest)}
    finally:
        await consumer.stop()


if __name__ == "__main__":
    tell(asyncio.run(read(*sys.argv[1:4])))
