"""One transaction that replaces what a partition keeps, by the partition's own producer.

It has the transactional id of the partition's workers. To fence it shuts a worker out that still owns the partition,
and a worker that takes it over meanwhile shuts this tool out; whichever comes last, nobody sees half of anything.
"""

import asyncio
import time
from collections.abc import Iterator

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, ProducerFenced

from app.engine.failpoints import reach
from app.engine.producer import PartitionProducer
from app.repair.found import kept_roles
from app.repair.plan import Plan
from app.settings import Settings
from app.topology import topic_name
from tables.domain import Domain

# What a broker allows by default: 15 minutes. The transaction begins when all is computed, with the first record sent:
# at 100,000 records/s that is room for 90 million cells.
LONGEST_SECONDS = 900
SENT_TOGETHER = 20_000  # records, before their delivery is waited for: some 5 MB
POLL_SECONDS = 0.1


class RepairError(Exception):
    """A partition cannot be reset or replayed; the message says why, and what to do. It is whole, old or new."""


class Swap:
    """The fenced producer of a partition, for one transaction."""

    def __init__(self, settings: Settings, domain: Domain, number: int, timeout_seconds: float) -> None:
        self._settings = settings
        self._domain = domain
        self._number = number
        self._id = f"{settings.application_id}-{domain.name}-{number}"
        self._producer = PartitionProducer(settings.kafka(), self._id, number, timeout_seconds)
        self._timeout_seconds = settings.transaction_timeout_seconds
        self.ends: dict[str, int] = {}
        """Role -> the end of its topic when everybody else was shut out."""

    async def fence(self, committed: AIOKafkaConsumer) -> None:
        """Shut everybody else out. On return no transaction is open on what is to be written.

        Args:
            committed: a consumer of committed records.

        Raises:
            RepairError: somebody else's transaction stays open.
        """
        await self._producer.fence()
        reach("swap.fenced")
        uncommitted = AIOKafkaConsumer(**self._settings.kafka(), enable_auto_commit=False)
        try:
            await uncommitted.start()
            for role in kept_roles(self._domain):
                self.ends[role] = await self._stable_end(self.topic(role), committed, uncommitted)
        finally:
            await uncommitted.stop()

    async def _stable_end(self, where: TopicPartition, *consumers: AIOKafkaConsumer) -> int:
        deadline = time.monotonic() + self._timeout_seconds + 2
        while True:
            stable, high = [int((await consumer.end_offsets([where]))[where]) for consumer in consumers]
            if stable == high:
                return high
            if time.monotonic() > deadline:
                raise RepairError(
                    f"{where.topic} partition {where.partition} has a transaction of somebody else's open at offset "
                    f"{stable}; `tidemark doctor {self._domain.name}` says how to end it"
                )
            await asyncio.sleep(POLL_SECONDS)

    async def write(self, plan: Plan) -> None:
        """All of a plan, or nothing.

        Raises:
            RepairError: the partition has been taken over meanwhile, or the broker did not say whether it is done.
        """
        try:
            await self._write(plan)
        except ProducerFenced as error:
            raise RepairError(
                f"{self._domain.name}[{self._number}]: somebody has taken the partition over, or the broker has not "
                f"said whether it is done ({error}): stop all workers, and look with `tidemark doctor "
                f"{self._domain.name}`. Either all of it is written or nothing"
            ) from error

    async def _write(self, plan: Plan) -> None:
        producer = self._producer
        await producer.begin()
        reach("swap.begun")
        for where, records in self._parts(plan):
            batch = producer.batch()
            for key, value, headers in records:
                batch.append(key, value, headers)
            sent = await producer.send(where.topic, where.partition, batch)
            reach("swap.sending")
            for future in sent:
                await future
        reach("swap.sent")
        source = topic_name(self._settings, self._domain, "events")
        await producer.add_offset(source, plan.position, self._settings.application_id)
        reach("swap.offset")
        await producer.commit()
        reach("swap.committed")

    def _parts(self, plan: Plan) -> Iterator[tuple[TopicPartition, list[tuple[bytes | None, bytes | None, tuple]]]]:  # type: ignore[type-arg]
        for role, records in plan.records.items():
            for first in range(0, len(records), SENT_TOGETHER):
                part = records[first : first + SENT_TOGETHER]
                yield self.topic(role), [(key, value, ()) for key, value in part]
        for record in plan.others:
            yield self.topic(record.role), [(record.key, record.value, record.headers)]

    def topic(self, role: str) -> TopicPartition:
        """The partition of the domain's topic of a role."""
        return TopicPartition(topic_name(self._settings, self._domain, role), self._number)

    async def release(self) -> None:
        """Close the connections; a transaction that is open is left to the next fence."""
        await self._producer.release()


async def longest_transaction_seconds(admin: AIOKafkaAdminClient, settings: Settings) -> float:
    """The longest timeout that the brokers allow, at most LONGEST_SECONDS; the workers' own where nobody may ask."""
    try:
        broker = (await admin.describe_cluster())["brokers"][0]["node_id"]
        resource = ConfigResource(ConfigResourceType.BROKER, str(broker), {"transaction.max.timeout.ms": ""})
        (answer,) = await admin.describe_configs([resource])
        entries = {entry[0]: entry[1] for found in answer.resources for entry in found[4]}
        return min(LONGEST_SECONDS, int(entries["transaction.max.timeout.ms"]) / 1000)
    except (KafkaError, LookupError, TypeError, ValueError):
        return settings.transaction_timeout_seconds
