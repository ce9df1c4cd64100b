"""Records without a key in a compacted topic: no tombstone takes one away.

A compacted topic refuses them, so such a record was written while the topic's cleanup policy was another one. What the
topic is to hold has been written after it; so everything before that is deleted, for which the policy has to allow
deletion for a moment. A tool that dies in that moment leaves a policy that `tidemark topics verify` finds, and
`tidemark topics create` mends.
"""

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.errors import for_code

from app.topology import TOPICS_OWN

# Nothing is deleted by its age meanwhile.
DELETABLE = {"cleanup.policy": "compact,delete", "retention.ms": "-1", "retention.bytes": "-1"}


async def delete_before(admin: AIOKafkaAdminClient, where: TopicPartition, offset: int) -> None:
    """Delete all records of a partition of a compacted topic below an offset.

    Raises:
        KafkaError: the broker refuses; the topic's settings are as they were.
    """
    own = await _own_config(admin, where.topic)
    await _set(admin, where.topic, own | DELETABLE)
    try:
        await admin.delete_records({where: RecordsToDelete(before_offset=offset)})
    finally:
        await _set(admin, where.topic, own)


async def _own_config(admin: AIOKafkaAdminClient, topic: str) -> dict[str, str]:
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    return {
        entry[0]: entry[1]
        for answer in answers
        for resource in answer.resources
        for entry in resource[4]
        if entry[3] == TOPICS_OWN
    }


async def _set(admin: AIOKafkaAdminClient, topic: str, config: dict[str, str]) -> None:
    for answer in await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, config)]):
        for code, message, *_ in answer.resources:
            if code:
                raise for_code(code)(f"topic {topic} cannot be altered: {message}")
