"""Records without a key in a compacted topic: no tombstone takes one away.

A compacted topic refuses them, so such a record was written while the topic's cleanup policy was another one. What the
topic is to hold has been written after it; so everything before that is deleted, for which the policy has to allow
deletion for a moment. A tool that dies in that moment leaves a policy that `tidemark topics verify` finds, and
`tidemark topics create` mends.
"""

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from app.topology import own_configs, replace_configs

# Nothing is deleted by its age meanwhile.
DELETABLE = {"cleanup.policy": "compact,delete", "retention.ms": "-1", "retention.bytes": "-1"}


async def delete_before(admin: AIOKafkaAdminClient, where: TopicPartition, offset: int) -> None:
    """Delete all records of a partition of a compacted topic below an offset.

    Raises:
        KafkaError, TopologyError: the brokers refuse; the topic's settings are as they were.
    """
    own = await own_configs(admin, [where.topic])
    await replace_configs(admin, {where.topic: own[where.topic] | DELETABLE})
    try:
        await admin.delete_records({where: RecordsToDelete(before_offset=offset)})
    finally:
        await replace_configs(admin, own)
