"""Domain -> topics: names, partition counts, cleanup policies; created explicitly, verified before a worker starts."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from app.settings import Settings
from tables.domain import Domain

DAY_MS = 86_400_000
LISTED_SECONDS = 30  # until brokers list what the controller has created; usually a few ms
# A dead letter is the original record plus our headers (at most 1 kB), so its topic takes more than a source's 1 MiB.
DEAD_LETTER_MAX_BYTES = 2 * 1024 * 1024


class TopologyError(RuntimeError):
    """The topics are not as they have to be; the message names topic, found, wanted and the command that mends it."""


@dataclass(frozen=True)
class Topic:
    """A topic as it has to be. `config` holds the settings that are verified."""

    name: str
    partitions: int
    replication: int
    config: tuple[tuple[str, str], ...]
    about: str


def topic_name(settings: Settings, domain: Domain, role: str) -> str:
    """The name of a domain's topic: `role` is events, stats, totals, dead-letters or changelog."""
    if role == "changelog":  # Faust's own naming: <app id>-<table>-changelog
        return f"{settings.application_id}-{domain.name}-changelog"
    return f"{settings.prefix}{domain.name}-{role}"


def topics_of(settings: Settings, domain: Domain) -> list[Topic]:
    """The topics of one domain."""
    compact = (("cleanup.policy", "compact"),)
    dead_letters = _deleted(settings.dead_letters_retention_days)
    dead_letters += (("max.message.bytes", str(DEAD_LETTER_MAX_BYTES)),)
    wanted = [
        ("events", _deleted(settings.events_retention_days), "the source"),
        ("changelog", compact, "the table's cells, one record per changed cell"),
        ("stats", compact, "the latest snapshot per entity"),
        ("totals", compact, "the latest totals and top lists per partition"),
        ("dead-letters", dead_letters, "records that could not be folded"),
    ]
    return [
        Topic(topic_name(settings, domain, role), settings.partitions, settings.replication, config, about)
        for role, config, about in wanted
    ]


def _deleted(days: float) -> tuple[tuple[str, str], ...]:
    return (("cleanup.policy", "delete"), ("retention.ms", str(round(days * DAY_MS))))


def topology(settings: Settings, domains: Iterable[Domain]) -> list[Topic]:
    """All topics of an installation."""
    return [topic for domain in domains for topic in topics_of(settings, domain)]


async def create(settings: Settings, domains: Iterable[Domain]) -> list[str]:
    """Create the topics that are missing; returns their names. Existing ones are left as they are."""
    admin = AIOKafkaAdminClient(**settings.kafka())
    try:
        await admin.start()
        wanted = topology(settings, domains)
        present = set(await admin.list_topics())
        missing = [topic for topic in wanted if topic.name not in present]
        if not missing:
            return []
        response = await admin.create_topics(
            [NewTopic(t.name, t.partitions, t.replication, topic_configs=dict(t.config)) for t in missing]
        )
        for name, code, *rest in response.topic_errors:
            if code not in (0, TopicAlreadyExistsError.errno):
                reason = rest[0] if rest and rest[0] else for_code(code).description
                raise TopologyError(f"topic {name} cannot be created: {reason}")
        names = [topic.name for topic in missing]
        await _wait_until_listed(admin, names)
        return names
    finally:
        await admin.close()


async def _wait_until_listed(admin: AIOKafkaAdminClient, names: list[str]) -> None:
    """Creation is acknowledged before every broker's metadata shows it."""
    async with asyncio.timeout(LISTED_SECONDS):
        while not set(names) <= set(await admin.list_topics()):  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.05)


async def problems(settings: Settings, domains: Iterable[Domain]) -> list[str]:
    """What is wrong with the topics: one line each, with what was found, what is wanted and the remedy."""
    admin = AIOKafkaAdminClient(**settings.kafka())
    try:
        await admin.start()
        wanted = topology(settings, domains)
        present = set(await admin.list_topics())
        found = [topic for topic in wanted if topic.name in present]
        lines = [
            f"topic {topic.name} does not exist; create it with: tidemark topics create"
            for topic in wanted
            if topic.name not in present
        ]
        described = {d["topic"]: d for d in await admin.describe_topics([t.name for t in found])} if found else {}
        configs = await _configs(admin, found)
        for topic in found:
            lines += _differences(topic, len(described[topic.name]["partitions"]), configs[topic.name])
        return lines
    finally:
        await admin.close()


async def _configs(admin: AIOKafkaAdminClient, topics: list[Topic]) -> dict[str, dict[str, str]]:
    if not topics:
        return {}
    resources = [
        ConfigResource(ConfigResourceType.TOPIC, topic.name, dict.fromkeys(dict(topic.config), "")) for topic in topics
    ]
    responses = await admin.describe_configs(resources)
    return {
        resource[3]: {entry[0]: entry[1] for entry in resource[4]}
        for response in responses
        for resource in response.resources
    }


def _differences(topic: Topic, partitions: int, config: dict[str, str]) -> list[str]:
    lines = []
    if partitions != topic.partitions:
        lines.append(
            f"topic {topic.name} has {partitions} partitions, wanted {topic.partitions}; "
            f"set TIDEMARK_PARTITIONS={partitions}, or use another TIDEMARK_PREFIX (a key's partition must not change)"
        )
    for name, wanted in topic.config:
        if config.get(name) != wanted:
            lines.append(
                f"topic {topic.name} has {name}={config.get(name)}, wanted {wanted}; mend it with: kafka-configs.sh "
                f"--alter --entity-type topics --entity-name {topic.name} --add-config {name}={wanted}"
            )
    return lines


async def verify(settings: Settings, domains: Iterable[Domain]) -> None:
    """Check every topic.

    Raises:
        TopologyError: one line per thing that is wrong, each with its remedy.
    """
    lines = await problems(settings, domains)
    if lines:
        raise TopologyError("\n".join(lines))
