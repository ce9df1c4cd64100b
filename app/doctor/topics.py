"""Topics: are they there, and as they have to be?"""

from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

from aiokafka.admin.config_resource import ConfigResourceType

from app import topology
from app.doctor.finding import ERROR, NOTE, WARNING, Finding, several
from app.doctor.installation import Configs, Installation

CHECK = "topics"
_INSYNC, _UNCLEAN = "min.insync.replicas", "unclean.leader.election.enable"
_WANTED_INSYNC = 2  # an acknowledged record is on two brokers at least
_WANTED_REPLICAS = 3  # and one broker may be away meanwhile
_LOST = "a lost disk is lost data"
_FEW = {  # (replicas, of them in sync at least) -> why that is few
    (1, 1): f"{_LOST}: nothing but a backup brings it back; fine for trying things out, as on the embedded Kafka",
    (1, 2): _LOST,
    (2, 1): f"while one broker is away the other one has the only copy: {_LOST} then",
    (2, 2): "while one broker is away nothing can be written",
}


async def check(installation: Installation) -> AsyncIterator[Finding]:
    """What `tidemark topics verify` finds, and what it leaves to the brokers' owner."""
    for line in await topology.problems(installation.settings, installation.domains):
        what, _, remedy = line.partition("; ")
        _, name, what = what.split(maxsplit=2)
        yield Finding(
            severity=ERROR,
            check=CHECK,
            what=what,
            why="a worker does not start on topics that are not as it needs them",
            remedy=remedy,
            topic=name,
        )
    names = sorted(installation.present)
    configs = await installation.configs(ConfigResourceType.TOPIC, names, (_INSYNC, _UNCLEAN))
    described = await installation.described()
    for finding in _lost_with_a_disk(described, configs, installation):
        yield finding
    for topic in described:
        for finding in (*_leaders(topic), *_durability(topic, configs[topic["topic"]], installation)):
            yield finding


def _leaders(topic: dict[str, Any]) -> Iterator[Finding]:
    for partition in topic["partitions"]:
        found = partial(Finding, check=CHECK, topic=topic["topic"], partition=partition["partition"])
        if partition["leader"] < 0:
            yield found(
                severity=ERROR,
                what="the partition has no leader",
                why="nothing can be read from it or written to it",
                remedy="start the brokers that hold its replicas",
            )
        elif len(partition["isr"]) < len(partition["replicas"]):
            yield found(
                severity=WARNING,
                what=f"{len(partition['isr'])} of {len(partition['replicas'])} replicas are in sync",
                why="the next broker that is lost may take acknowledged records with it, or stop all writing",
                remedy="look at the brokers of the others: kafka-topics.sh --describe --under-replicated-partitions",
            )


def replicas_of(topic: dict[str, Any]) -> int:
    """The least that a partition of a topic has."""
    return min((len(partition["replicas"]) for partition in topic["partitions"]), default=0)


def _insync(config: dict[str, str]) -> int:
    return int(config.get(_INSYNC) or 1)


def _lost_with_a_disk(
    described: list[dict[str, Any]], configs: Configs, installation: Installation
) -> Iterator[Finding]:
    """Topics of one or two replicas: right for trying things out, and less than what production wants."""
    found: dict[tuple[int, int], list[str]] = {}
    for topic in described:
        if 0 < replicas_of(topic) < _WANTED_REPLICAS:
            found.setdefault((replicas_of(topic), min(2, _insync(configs[topic["topic"]]))), []).append(topic["topic"])
    script = f"kafka-configs.sh --bootstrap-server {installation.settings.bootstrap_servers} --alter"
    for (replicas, insync), names in sorted(found.items()):
        have = "one replica" if replicas == 1 else f"two replicas, {_INSYNC}={insync}"
        topics = f"{len(names)} topic{'s have' if len(names) > 1 else ' has'}"
        yield Finding(
            severity=NOTE,
            check=CHECK,
            what=f"{topics} {have} ({several(names)})",
            why=_FEW[replicas, insync],
            remedy="with three brokers or more: kafka-reassign-partitions.sh adds replicas (new topics: "
            "TIDEMARK_REPLICATION=3 tidemark topics create); set TIDEMARK_REPLICATION=3; then for each topic: "
            f"{script} --entity-type topics --entity-name {names[0]} --add-config {_INSYNC}={_WANTED_INSYNC}",
        )


def _durability(topic: dict[str, Any], config: dict[str, str], installation: Installation) -> Iterator[Finding]:
    name = topic["topic"]
    found = partial(Finding, check=CHECK, topic=name)
    script = f"kafka-configs.sh --bootstrap-server {installation.settings.bootstrap_servers} --alter "
    script += f"--entity-type topics --entity-name {name} --add-config"
    replicas, insync = replicas_of(topic), _insync(config)
    if insync > replicas:
        yield found(
            severity=ERROR,
            what=f"{_INSYNC}={insync}, and {replicas} replica{'s' * (replicas != 1)}",
            why="nothing can ever be written",
            remedy=f"{script} {_INSYNC}={replicas}",
        )
    elif replicas > _WANTED_INSYNC > insync:
        yield found(
            severity=WARNING,
            what=f"{_INSYNC}={insync} with {replicas} replicas",
            why="a record counts as written when one broker has it; if that one is lost, so is the record",
            remedy=f"{script} {_INSYNC}={_WANTED_INSYNC}",
        )
    if replicas > 1 and config.get(_UNCLEAN) == "true":
        yield found(
            severity=WARNING,
            what=f"{_UNCLEAN}=true",
            why="a replica that lags may become the leader, and acknowledged records are lost",
            remedy=f"{script} {_UNCLEAN}=false",
        )
