"""A table on a real Kafka without a worker: events are folded here, and written in one transaction per partition."""

import asyncio
from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from app import topology
from app.clock import now_ms
from app.repair.found import Found, kept_roles
from app.repair.partition import Repair, repairing
from app.repair.plan import replaced
from app.repair.rebuilt import Span, rebuild
from app.settings import Settings
from app.topology import topic_name
from app.verify.partition import partition_of
from tables.domain import Domain
from tests.chaos.consume import latest, marked, read_all
from tests.chaos.produce import produce
from tests.oracle import live

Held = dict[str, dict[TopicPartition, dict[bytes | None, bytes]]]


def silent(_: object) -> None:
    """Say nothing."""


def folded(settings: Settings, domain: Domain, events: int = 200, seed: int = 1) -> None:
    """Write events, and the table that they make."""
    asyncio.run(_folded(settings, domain, events, seed))


async def _folded(settings: Settings, domain: Domain, events: int, seed: int) -> None:
    await topology.create(settings, [domain])
    await produce(settings, topic_name(settings, domain, "events"), live.events(domain, events, seed))
    async with repairing(settings, domain, silent, execute=True) as repair:
        for number in range(settings.partitions):
            await fold(repair, number)


async def fold(repair: Repair, number: int) -> Found:
    """One partition, up to its source's end; returns what there was before."""
    async with repair._fenced(number) as swap:
        found = await repair._find(number)
        reading = repair._reading(number)
        now = now_ms()
        span = Span(found.beginning, found.end, now, now)
        partition = partition_of(repair.settings, repair.domain, number)
        made = await rebuild(reading, partition, span, await reading.dead_letters())
        await repair._write(swap, found, replaced(found, made, now))
    return found


def held(settings: Settings, domain: Domain) -> Held:
    """What readers of committed records see of everything that a domain keeps."""

    async def read() -> Held:
        topics = {role: topic_name(settings, domain, role) for role in kept_roles(domain)}
        await marked(settings, topics.values())
        return {role: latest(await read_all(settings, topic)) for role, topic in topics.items()}

    return asyncio.run(read())


def write(
    settings: Settings, topic: str, records: Iterable[tuple[bytes | None, bytes | None]], partition: int = 0
) -> int:
    """Write into a topic what no worker has written; returns the offset of the first record."""

    async def sending() -> int:
        producer = AIOKafkaProducer(**settings.kafka())
        await producer.start()
        try:
            sent = [
                await producer.send_and_wait(topic, key=key, value=value, partition=partition) for key, value in records
            ]
        finally:
            await producer.stop()
        return int(sent[0].offset)

    return asyncio.run(sending())


def commit_offset(settings: Settings, where: TopicPartition, offset: int) -> None:
    """Move the group's offset, as kafka-consumer-groups.sh would."""

    async def committing() -> None:
        consumer = AIOKafkaConsumer(**settings.kafka(), group_id=settings.application_id, enable_auto_commit=False)
        await consumer.start()
        try:
            consumer.assign([where])
            await consumer.commit({where: offset})
        finally:
            await consumer.stop()

    asyncio.run(committing())
