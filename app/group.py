"""Who is in an installation's consumer group."""

from typing import NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code

from app.settings import Settings


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


async def group_of(admin: AIOKafkaAdminClient, settings: Settings) -> Group:
    """The group as its coordinator knows it now. A worker that was killed is in it until its session ends."""
    (answer,) = await admin.describe_consumer_groups([settings.application_id])
    (said,) = answer.to_object()["groups"]
    if said["error_code"]:
        raise for_code(said["error_code"])(f"group {settings.application_id}")
    members = [Member(member["member_id"], member["client_host"]) for member in said["members"]]
    return Group(said["state"], sorted(members))
