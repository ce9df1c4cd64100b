"""What a bench run creates on the broker, all under one prefix, and how it is removed again."""

import asyncio
from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pydantic import Field

from app import topology
from app.settings import Settings
from tables.assessments import ASSESSMENTS
from tables.domain import Domain
from tables.players import PLAYERS
from tests.bench.data import PARTITIONS
from tests.bench.one_cell import ONE_CELL

DOMAINS: dict[str, Domain] = {domain.name: domain for domain in (ONE_CELL, PLAYERS, ASSESSMENTS)}


class Installation(Settings):
    """Settings of one measured worker. Several runs share the prefix, and so the events, but not their state."""

    run: str = Field("", description="Part of the application id: of the group, the changelogs, the transactions.")

    @property
    def application_id(self) -> str:
        """The Faust app id, another one in every run."""
        return f"{self.prefix}tidemark-{self.run}"


def installation(servers: str, prefix: str, run: str) -> Installation:
    """The settings of a run: those that matter for the figures are stated, whatever the environment says."""
    return Installation.model_validate(
        {
            "bootstrap_servers": servers,
            "prefix": prefix,
            "run": run,
            "partitions": PARTITIONS,
            "replication": 1,
            "commit_interval_seconds": 0.2,
            "key_limit": None,
        }
    )


def create(servers: str, prefix: str, runs: Iterable[str], domain: Domain) -> None:
    """Create the topics of some runs of a domain."""
    for run in runs:
        asyncio.run(topology.create(installation(servers, prefix, run), [domain]))


def create_plain(servers: str, topics: Iterable[tuple[str, str]]) -> None:
    """Create topics that are not Tidemark's: (name, cleanup policy)."""
    wanted = [NewTopic(name, PARTITIONS, 1, topic_configs={"cleanup.policy": policy}) for name, policy in topics]
    asyncio.run(_create(servers, wanted))


async def _create(servers: str, topics: list[NewTopic]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await admin.create_topics(topics)
    finally:
        await admin.close()


def remove(servers: str, prefix: str) -> None:
    """Delete every topic of the prefix."""
    asyncio.run(_remove(servers, prefix))


async def _remove(servers: str, prefix: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        ours = [topic for topic in await admin.list_topics() if topic.startswith(prefix)]
        if ours:
            await admin.delete_topics(ours)
    finally:
        await admin.close()
