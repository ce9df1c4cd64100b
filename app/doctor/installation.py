"""What the checks look at."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from app import topology
from app.admin import administering
from app.engine.fetch import BRIEF_MS, consuming
from app.group import committed_offsets
from app.settings import Settings
from app.verify.reading import Reading, Say
from tables.domain import Domain


@dataclass
class Installation:
    """An installation, or some domains of it, with connections to look at it.

    Attributes:
        admin: for the cluster, the topics, the group.
        consumer: of committed records.
        uncommitted: of all records, those of open transactions as well.
        present: the topics that there are, of those that there should be.
    """

    settings: Settings
    domains: Sequence[Domain]
    admin: AIOKafkaAdminClient
    consumer: AIOKafkaConsumer
    uncommitted: AIOKafkaConsumer
    say: Say
    present: frozenset[str] = frozenset()

    @property
    def group(self) -> str:
        """The consumer group."""
        return self.settings.application_id

    @property
    def topics(self) -> list[topology.Topic]:
        """Those that there should be."""
        return topology.topology(self.settings, self.domains)

    def is_whole(self, domain: Domain) -> bool:
        """Whether all topics of a domain are there."""
        return all(topic.name in self.present for topic in topology.topics_of(self.settings, domain))

    def reading(self, domain: Domain, number: int) -> Reading:
        """Of one partition."""
        return Reading(self.settings, domain, number, self.consumer, self.say)

    async def committed(self) -> dict[TopicPartition, int]:
        """The group's offsets."""
        found = await committed_offsets(self.admin, self.settings)
        return {partition: committed.offset for partition, committed in found.items() if committed.offset >= 0}

    async def described(self) -> list[dict[str, Any]]:
        """The topics that are there, as brokers describe them."""
        names = sorted(self.present)
        return list(await self.admin.describe_topics(names)) if names else []

    async def configs(self, kind: ConfigResourceType, names: Iterable[str], wanted: Iterable[str]) -> "Configs":
        """Settings of topics or brokers: name -> setting -> value."""
        resources = [ConfigResource(kind, name, dict.fromkeys(wanted, "")) for name in names]
        answers = await self.admin.describe_configs(resources) if resources else []
        return {
            resource[3]: {entry[0]: entry[1] for entry in resource[4]}
            for answer in answers
            for resource in answer.resources
        }


Configs = dict[str, dict[str, str]]


@asynccontextmanager
async def looking_at(settings: Settings, domains: Sequence[Domain], say: Say) -> AsyncIterator[Installation]:
    """An installation, connected."""
    uncommitted = AIOKafkaConsumer(**settings.kafka(), enable_auto_commit=False, isolation_level="read_uncommitted")
    try:
        await uncommitted.start()
        async with administering(settings) as admin, consuming(settings, BRIEF_MS) as consumer:
            found = Installation(settings, domains, admin, consumer, uncommitted, say)
            there = set(await admin.list_topics())
            found.present = frozenset(topic.name for topic in found.topics if topic.name in there)
            yield found
    finally:
        await uncommitted.stop()
