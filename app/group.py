"""Who is in an installation's consumer group."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaConnectionError,
    NodeNotReadyError,
    NotCoordinatorForGroupError,
    RequestTimedOutError,
    for_code,
)

from app.kafka_client import ANSWER_SECONDS
from app.settings import Settings

# The last three while it is away and no other broker has taken over yet.
NOT_YET = (
    GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError, NodeNotReadyError,
    KafkaConnectionError, RequestTimedOutError,
)  # fmt: skip
COORDINATOR_SECONDS = 20.0  # a broker that was killed is taken for alive for 9 s
RETRY_SECONDS = 0.1
T = TypeVar("T")


class Member(NamedTuple):
    """A member: what its client calls itself (Faust adds a version), and the address that it connects from."""

    name: str
    host: str

    def __str__(self) -> str:
        return f"{self.name} at {self.host.lstrip('/')}"


class Group(NamedTuple):
    """State in Kafka's words: Stable, PreparingRebalance, CompletingRebalance, Empty, Dead (there is no such group)."""

    state: str
    members: list[Member]


async def coordinated(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask a group's coordinator, again while there is none: on a new cluster the first question makes its topic.

    Raises:
        KafkaError: there is none after a while, or it says something else.
    """
    deadline = time.monotonic() + COORDINATOR_SECONDS
    while True:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):  # one that hangs must not take the time of the one after it
                return await ask()
        except TimeoutError:
            if time.monotonic() > deadline:
                raise RequestTimedOutError("the group's coordinator does not answer") from None
        except NOT_YET:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(RETRY_SECONDS)


async def committed_offsets(admin: AIOKafkaAdminClient, settings: Settings) -> dict[TopicPartition, Any]:
    """What the installation's group has committed, by partition; nothing where there is no such group."""
    found = await coordinated(lambda: admin.list_consumer_group_offsets(settings.application_id))
    return dict(found)


async def _described(admin: AIOKafkaAdminClient, group: str) -> dict[str, Any]:
    (answer,) = await admin.describe_consumer_groups([group])
    (said,) = answer.to_object()["groups"]
    if said["error_code"]:
        raise for_code(said["error_code"])(f"group {group}")
    return dict(said)


async def group_of(admin: AIOKafkaAdminClient, settings: Settings) -> Group:
    """The group as its coordinator knows it now. A worker that was killed is in it until its session ends."""
    said = await coordinated(lambda: _described(admin, settings.application_id))
    members = [Member(member["member_id"], member["client_host"]) for member in said["members"]]
    return Group(said["state"], sorted(members))
