"""Kafka compacts when it likes; for tests it likes to do so at once."""

from collections.abc import Mapping

from app import topology
from app.admin import administering
from app.settings import Settings


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
        TopologyError: the broker refuses.
    """
    async with administering(settings) as admin:
        await topology.set_configs(admin, {topic: dict(policy) for topic in topics})
