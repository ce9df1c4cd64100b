"""Domain -> topics: names, partition counts, cleanup policies; created explicitly, verified before a worker starts."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, TopicAuthorizationFailedError, for_code

from app.admin import administering
from app.settings import Settings
from tables.domain import Domain

DAY_MS = 86_400_000
LISTED_SECONDS = 30  # until brokers list what the controller has created or altered; usually a few ms
TOPICS_OWN = 1  # the source of a setting that was made for the topic itself (DYNAMIC_TOPIC_CONFIG)
# A dead letter is the original record plus our headers (at most 1 kB), so its topic takes more than a source's 1 MiB.
DEAD_LETTER_MAX_BYTES = 2 * 1024 * 1024

# A worker's batches are at most 512 KiB (`app.engine.producer`); with room for one record that is a batch of its own.
WRITTEN_LEAST_BYTES = 640 * 1024

# The active segment is never compacted, and a worker reads all of it at its start: at Kafka's 1 GiB a busy changelog
# would keep a gigabyte of cells that are long out of date. Kafka Streams rolls its own at 50 MiB.
COMPACT = (("cleanup.policy", "compact"),)
SMALL_SEGMENTS = (("segment.bytes", str(64 * 1024 * 1024)),)

SHOWN = 3  # names of topics that are missing
_MISSING = "does not exist; create it with: tidemark topics create"


class TopologyError(RuntimeError):
    """The topics are not as they have to be; the message names topic, found, wanted and the command that mends it."""


@dataclass(frozen=True)
class Topic:
    """A topic as it has to be.

    `config` holds what is verified; `initial` what a new topic begins with and its owner may change; `least` numbers
    that may be greater.
    """

    name: str
    partitions: int
    replication: int
    config: tuple[tuple[str, str], ...]
    about: str
    initial: tuple[tuple[str, str], ...] = ()
    least: tuple[tuple[str, str], ...] = ()


def topic_name(settings: Settings, domain: Domain, role: str) -> str:
    """The name of a domain's topic: `role` is changelog, events, stats, totals, dead-letters, or one of its own."""
    if role == "changelog":  # Faust's own naming: <app id>-<table>-changelog
        return f"{settings.application_id}-{domain.name}-changelog"
    own = {topic.role: topic.name for topic in domain.topics}
    return settings.prefix + own.get(role, f"{domain.name}-{role}")


def topics_of(settings: Settings, domain: Domain) -> list[Topic]:
    """The topics of one domain."""
    dead_letters = _deleted(settings.dead_letters_retention_days)
    dead_letters += (("max.message.bytes", str(DEAD_LETTER_MAX_BYTES)),)
    wanted = {
        "events": (_deleted(settings.events_retention_days), "the source"),
        "changelog": (COMPACT, "the table's cells, one record per changed cell"),
        "stats": (COMPACT, "the latest snapshot per entity"),
        "totals": (COMPACT, "the latest totals and lists per partition"),
        "dead-letters": (dead_letters, "records that could not be folded"),
    }
    for own in domain.topics:
        wanted[own.role] = COMPACT if own.retention_days is None else _deleted(own.retention_days), own.about
    return [
        Topic(
            topic_name(settings, domain, role),
            settings.partitions,
            settings.replication,
            config,
            about,
            initial=SMALL_SEGMENTS if config is COMPACT else (),
            least=_least(settings, role, config),
        )
        for role, (config, about) in wanted.items()
    ]


def _least(settings: Settings, role: str, config: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    written = () if role in {"events", "dead-letters"} else (("max.message.bytes", str(WRITTEN_LEAST_BYTES)),)
    # A warm copy that goes on after a while has to meet the tombstones: it gives up after half of that time.
    return (*written, ("delete.retention.ms", str(DAY_MS))) if settings.standbys and config is COMPACT else written


def _deleted(days: float) -> tuple[tuple[str, str], ...]:
    return (("cleanup.policy", "delete"), ("retention.ms", str(round(days * DAY_MS))))


def topology(settings: Settings, domains: Iterable[Domain]) -> list[Topic]:
    """All topics of an installation, each once: one domain's source may be what another one publishes."""
    topics = [topic for domain in domains for topic in topics_of(settings, domain)]
    return list({topic.name: topic for topic in reversed(topics)}.values())[::-1]


async def create(settings: Settings, domains: Iterable[Domain]) -> list[str]:
    """Create the topics that are missing; returns their names. Existing ones are left as they are."""
    async with administering(settings) as admin:
        wanted = topology(settings, domains)
        present = set(await admin.list_topics())
        missing = [topic for topic in wanted if topic.name not in present]
        if not missing:
            return []
        response = await admin.create_topics(
            [NewTopic(t.name, t.partitions, t.replication, topic_configs=dict(t.config + t.initial)) for t in missing]
        )
        for name, code, *rest in response.topic_errors:
            if code not in (0, TopicAlreadyExistsError.errno):
                reason = rest[0] if rest and rest[0] else for_code(code).description
                raise TopologyError(f"topic {name} cannot be created: {reason}")
        names = [topic.name for topic in missing]
        await _wait_until_listed(admin, names)
        return names


async def alter(settings: Settings, domains: Iterable[Domain]) -> dict[str, list[str]]:
    """Bring the settings of topics that exist to what is wanted; returns what was changed, by topic.

    Settings that are not ours to want stay as they are. So do partitions and replicas: a key's partition must not
    change, and to move replicas is work for brokers that their owner decides about.
    """
    async with administering(settings) as admin:
        topics = await _existing(admin, settings, domains)
        configs = await _configs(admin, topics)
        changes = {
            topic.name: [f"{name}={wanted} (was {found})" for name, found, wanted in _changed(topic, configs)]
            for topic in topics
        }
        different = [topic for topic in topics if changes[topic.name]]
        if different:
            await _alter(admin, different)
            await _wait_until_altered(admin, different)
        return {topic.name: changes[topic.name] for topic in different}


async def _alter(admin: AIOKafkaAdminClient, topics: list[Topic]) -> None:
    configs = await _configs(admin, topics)
    wanted = {
        topic.name: dict(topic.config) | {name: value for name, _, value in _changed(topic, configs)}
        for topic in topics
    }
    await set_configs(admin, wanted)


async def set_configs(admin: AIOKafkaAdminClient, wanted: Mapping[str, dict[str, str]]) -> None:
    """Set settings of topics, by topic and name; what else was set for a topic itself stays.

    Raises:
        TopologyError: the brokers refuse.
    """
    own = await own_configs(admin, wanted)
    await replace_configs(admin, {name: own[name] | configs for name, configs in wanted.items()})


async def replace_configs(admin: AIOKafkaAdminClient, wanted: Mapping[str, dict[str, str]]) -> None:
    """Set all of each topic's own settings: what is left out falls back to the brokers' defaults.

    Raises:
        TopologyError: the brokers refuse.
    """
    responses = await admin.alter_configs(
        [ConfigResource(ConfigResourceType.TOPIC, name, configs) for name, configs in wanted.items()]
    )
    for code, message, _, name in (resource for response in responses for resource in response.resources):
        if code:
            raise TopologyError(f"topic {name} cannot be altered: {message or for_code(code).description}")


async def own_configs(admin: AIOKafkaAdminClient, topics: Iterable[str]) -> dict[str, dict[str, str]]:
    """What was set for each topic itself; all else is the brokers' default.

    Raises:
        KafkaError: a broker does not say; taken for "nothing", it would be lost at the next change.
    """
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in topics]
    own: dict[str, dict[str, str]] = {}
    for response in await admin.describe_configs(resources):
        for code, message, _, name, entries in response.resources:
            if code:
                raise for_code(code)(f"the settings of topic {name}: {message}")
            own[name] = {entry[0]: entry[1] for entry in entries if entry[3] == TOPICS_OWN}
    return own


@asynccontextmanager
async def _shown(what: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(LISTED_SECONDS):
            yield
    except TimeoutError:
        raise TopologyError(
            f"the brokers have acknowledged {what}, and do not show it after {LISTED_SECONDS:.0f} s: look at their "
            "logs; then `tidemark topics create` again"
        ) from None


async def _wait_until_altered(admin: AIOKafkaAdminClient, topics: list[Topic]) -> None:
    """Brokers show a change some time after the controller has acknowledged it."""
    async with _shown("a change of topics"):
        while any(map(_changed, topics, [await _configs(admin, topics)] * len(topics))):  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.05)


async def _existing(admin: AIOKafkaAdminClient, settings: Settings, domains: Iterable[Domain]) -> list[Topic]:
    present = set(await admin.list_topics())
    return [topic for topic in topology(settings, domains) if topic.name in present]


def _changed(topic: Topic, configs: dict[str, dict[str, str]]) -> list[tuple[str, str | None, str]]:
    """The settings that are not as they have to be: (name, found, wanted)."""
    found = configs[topic.name]
    different = [(name, found.get(name), wanted) for name, wanted in topic.config if found.get(name) != wanted]
    too_low = [(name, found.get(name), least) for name, least in topic.least if int(found.get(name) or 0) < int(least)]
    return different + too_low


async def _wait_until_listed(admin: AIOKafkaAdminClient, names: list[str]) -> None:
    """Creation is acknowledged before every broker's metadata shows it."""
    async with _shown("a new topic"):
        while not set(names) <= set(await admin.list_topics()):  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.05)


async def problems(settings: Settings, domains: Iterable[Domain]) -> list[str]:
    """What is wrong with the topics: one line each, with what was found, what is wanted and the remedy."""
    async with administering(settings) as admin:
        found = await _existing(admin, settings, domains)
        await _check_visible(admin, [topic.name for topic in topology(settings, domains) if topic not in found])
        lines = [f"topic {topic.name} {_MISSING}" for topic in topology(settings, domains) if topic not in found]
        described = {d["topic"]: d for d in await admin.describe_topics([t.name for t in found])} if found else {}
        configs = await _configs(admin, found)
        for topic in found:
            lines += _misplaced(topic, described[topic.name]["partitions"])
            lines += _misconfigured(topic, configs, settings.bootstrap_servers)
        return lines


async def _check_visible(admin: AIOKafkaAdminClient, names: list[str]) -> None:
    """Brokers do not list topics that they hide from this user; asked by name, they say so.

    Raises:
        TopicAuthorizationFailedError: naming those topics.
    """
    described = await admin.describe_topics(names) if names else []
    hidden = {topic["topic"] for topic in described if topic["error_code"] == TopicAuthorizationFailedError.errno}
    if hidden:
        raise TopicAuthorizationFailedError(hidden)


async def _configs(admin: AIOKafkaAdminClient, topics: list[Topic]) -> dict[str, dict[str, str]]:
    if not topics:
        return {}
    resources = [
        ConfigResource(ConfigResourceType.TOPIC, topic.name, dict.fromkeys(dict(topic.config + topic.least), ""))
        for topic in topics
    ]
    responses = await admin.describe_configs(resources)
    return {
        resource[3]: {entry[0]: entry[1] for entry in resource[4]}
        for response in responses
        for resource in response.resources
    }


def _misplaced(topic: Topic, partitions: list[dict[str, Any]]) -> Iterator[str]:
    number = len(partitions)
    if number != topic.partitions:
        yield (
            f"topic {topic.name} has {number} partition{'s' * (number != 1)}, wanted {topic.partitions}; "
            f"set TIDEMARK_PARTITIONS={number}, or use another TIDEMARK_PREFIX (a key's partition must not change)"
        )
    replicas = min((len(partition["replicas"]) for partition in partitions), default=0)
    if replicas < topic.replication:  # more of them lose nothing, and stand there while replicas are moved
        yield (
            f"topic {topic.name} has {replicas} replica{'s' * (replicas != 1)}, wanted {topic.replication}; "
            f"add some with kafka-reassign-partitions.sh, or set TIDEMARK_REPLICATION={replicas}"
        )


def _misconfigured(topic: Topic, configs: dict[str, dict[str, str]], servers: str) -> Iterator[str]:
    for name, found, wanted in _changed(topic, configs):
        yield (
            f"topic {topic.name} has {name}={found}, wanted {wanted}; mend it with: tidemark topics create, or with: "
            f"kafka-configs.sh --bootstrap-server {servers} --alter --entity-type topics --entity-name {topic.name} "
            f"--add-config {name}={wanted}"
        )


async def verify(settings: Settings, domains: Iterable[Domain]) -> None:
    """Check every topic.

    Raises:
        TopologyError: one line per thing that is wrong, each with its remedy.
    """
    lines = await problems(settings, domains)
    if lines:
        raise TopologyError("\n".join(_briefly(lines)))


def _briefly(lines: list[str]) -> list[str]:
    """The same lines; those of several topics that do not exist are one."""
    missing = [line.split()[1] for line in lines if line.endswith(_MISSING)]
    if len(missing) < 2:  # noqa: PLR2004 - a line for one
        return lines
    names = ", ".join(missing[:SHOWN]) + ", ..." * (len(missing) > SHOWN)
    return [
        f"{len(missing)} topics do not exist ({names}); create them with: tidemark topics create",
        *(line for line in lines if not line.endswith(_MISSING)),
    ]
