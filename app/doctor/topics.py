"""Topics: are they there, and as they have to be?"""

from collections.abc import AsyncIterator, Iterator
from typing import Any

from aiokafka.admin.config_resource import ConfigResourceType

from app import topology
from app.doctor.finding import ERROR, WARNING, Finding
from app.doctor.installation import Installation

CHECK = "topics"
_INSYNC, _UNCLEAN = "min.insync.replicas", "unclean.leader.election.enable"
_WANTED_INSYNC = 2  # an acknowledged record is on two brokers at least


async def check(installation: Installation) -> AsyncIterator[Finding]:
    """What `tidemark topics verify` finds, and what it leaves to the brokers' owner."""
    for line in await topology.problems(installation.settings, installation.domains):
        what, _, remedy = line.partition("; ")
        yield Finding(
            severity=ERROR,
            check=CHECK,
            what=what,
            why="a worker does not start on topics that are not as it needs them",
            remedy=remedy,
            topic=what.split()[1],
        )
    names = sorted(installation.present)
    configs = await installation.configs(ConfigResourceType.TOPIC, names, (_INSYNC, _UNCLEAN))
    described = await installation.admin.describe_topics(names) if names else []
    for topic in described:
        for finding in (*_leaders(topic), *_durability(topic, configs[topic["topic"]], installation)):
            yield finding


def _leaders(topic: dict[str, Any]) -> Iterator[Finding]:
    for partition in topic["partitions"]:
        name, number = topic["topic"], partition["partition"]
        if partition["leader"] < 0:
            yield Finding(
                severity=ERROR,
                check=CHECK,
                what="the partition has no leader",
                why="nothing can be read from it or written to it",
                remedy="start the brokers that hold its replicas",
                topic=name,
                partition=number,
            )
        elif len(partition["isr"]) < len(partition["replicas"]):
            yield Finding(
                severity=WARNING,
                check=CHECK,
                what=f"{len(partition['isr'])} of {len(partition['replicas'])} replicas are in sync",
                why="the next broker that is lost may take acknowledged records with it, or stop all writing",
                remedy="look at the brokers of the others: kafka-topics.sh --describe --under-replicated-partitions",
                topic=name,
                partition=number,
            )


def _durability(topic: dict[str, Any], config: dict[str, str], installation: Installation) -> Iterator[Finding]:
    name = topic["topic"]
    script = f"kafka-configs.sh --bootstrap-server {installation.settings.bootstrap_servers} --alter "
    script += f"--entity-type topics --entity-name {name} --add-config"
    replicas = min((len(partition["replicas"]) for partition in topic["partitions"]), default=0)
    insync = int(config.get(_INSYNC) or 1)
    if insync > replicas:
        yield Finding(
            severity=ERROR,
            check=CHECK,
            what=f"{_INSYNC}={insync}, and {replicas} replicas",
            why="nothing can ever be written",
            remedy=f"{script} {_INSYNC}={replicas}",
            topic=name,
        )
    elif replicas > _WANTED_INSYNC > insync:
        yield Finding(
            severity=WARNING,
            check=CHECK,
            what=f"{_INSYNC}={insync} with {replicas} replicas",
            why="a record counts as written when one broker has it; if that one is lost, so is the record",
            remedy=f"{script} {_INSYNC}={_WANTED_INSYNC}",
            topic=name,
        )
    if replicas > 1 and config.get(_UNCLEAN) == "true":
        yield Finding(
            severity=WARNING,
            check=CHECK,
            what=f"{_UNCLEAN}=true",
            why="a replica that lags may become the leader, and acknowledged records are lost",
            remedy=f"{script} {_UNCLEAN}=false",
            topic=name,
        )
