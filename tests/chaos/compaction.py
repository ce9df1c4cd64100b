"""Kafka compacts when it likes; for tests it likes to do so at once."""

from collections.abc import Mapping

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from app.settings import Settings
from app.topology import TOPICS_OWN


def eager(roll_ms: int) -> dict[str, str]:
    """The policy of a topic whose segments are closed after so long, and compacted as soon as they are dirty at all."""
    return {
        "cleanup.policy": "compact",
        "segment.ms": str(roll_ms),
        "min.cleanable.dirty.ratio": "0.0001",
        "max.compaction.lag.ms": str(roll_ms),
    }


async def alter(settings: Settings, policy: Mapping[str, str], *topics: str) -> None:
    """Give these topics another policy; what else was set for them stays.

    Raises:
        RuntimeError: the broker refuses.
    """
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in topics]
    admin = AIOKafkaAdminClient(**settings.kafka())
    await admin.start()
    try:
        own = {
            resource[3]: {entry[0]: entry[1] for entry in resource[4] if entry[3] == TOPICS_OWN}
            for response in await admin.describe_configs(resources)
            for resource in response.resources
        }
        changed = [ConfigResource(ConfigResourceType.TOPIC, topic, own[topic] | dict(policy)) for topic in topics]
        for response in await admin.alter_configs(changed):
            for code, message, _, name in response.resources:
                if code:
                    raise RuntimeError(f"topic {name} cannot be altered: {code} {message}")
    finally:
        await admin.close()
