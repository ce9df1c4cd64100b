"""Brokers: can they do what is asked of them?"""

from collections.abc import AsyncIterator, Iterator

from aiokafka.admin.config_resource import ConfigResourceType

from app.doctor.finding import ERROR, NOTE, WARNING, Finding
from app.doctor.installation import Installation
from app.doctor.topics import replicas_of
from app.engine.topic_ids import topic_ids

CHECK = "brokers"
_TRANSACTION, _SHORTEST, _LONGEST = (
    "transaction.max.timeout.ms",
    "group.min.session.timeout.ms",
    "group.max.session.timeout.ms",
)
_STATE_REPLICAS, _STATE_INSYNC = "transaction.state.log.replication.factor", "transaction.state.log.min.isr"
_OFFSETS_REPLICAS = "offsets.topic.replication.factor"
_VERIFICATION = "transaction.partition.verification.enable"
_LOOKED_AT = (_TRANSACTION, _SHORTEST, _LONGEST, _STATE_REPLICAS, _STATE_INSYNC, _OFFSETS_REPLICAS, _VERIFICATION)


async def check(installation: Installation) -> AsyncIterator[Finding]:
    """Whether there are enough of them, and whether they allow our timeouts."""
    settings = installation.settings
    brokers = [str(broker["node_id"]) for broker in (await installation.admin.describe_cluster())["brokers"]]
    if len(brokers) < settings.replication:
        yield Finding(
            severity=ERROR,
            check=CHECK,
            what=f"{len(brokers)} brokers answer, and TIDEMARK_REPLICATION is {settings.replication}",
            why="topics cannot be created with more replicas than there are brokers; existing ones lack some",
            remedy="start the brokers that are missing, or lower TIDEMARK_REPLICATION",
        )
    replicas = max([settings.replication, *map(replicas_of, await installation.described())])
    for broker, config in (await installation.configs(ConfigResourceType.BROKER, brokers, _LOOKED_AT)).items():
        for finding in (*_timeouts(installation, broker, config), *_internal(replicas, broker, config)):
            yield finding
    if installation.present:
        client = installation.admin._client  # noqa: SLF001 - nothing public asks
        if not await topic_ids(client, sorted(installation.present)[:1]):
            yield Finding(
                severity=NOTE,
                check=CHECK,
                what="the brokers do not tell the ids of topics (Kafka does since 2.8)",
                why="a source topic that was created anew and has grown past the rows' position goes unnoticed",
                remedy="upgrade the brokers; until then never reuse a source topic's name",
            )


def _timeouts(installation: Installation, broker: str, config: dict[str, str]) -> Iterator[Finding]:
    settings = installation.settings
    longest = int(config.get(_TRANSACTION) or 0)
    if longest and settings.transaction_timeout_seconds * 1000 > longest:
        yield _of_broker(
            ERROR,
            f"broker {broker}: {_TRANSACTION} is {longest}, and TIDEMARK_TRANSACTION_TIMEOUT_SECONDS is "
            f"{settings.transaction_timeout_seconds:g}",
            "it refuses every producer of a worker (InvalidTransactionTimeout)",
            f"set TIDEMARK_TRANSACTION_TIMEOUT_SECONDS to at most {longest / 1000:g}",
        )
    least, most = int(config.get(_SHORTEST) or 0), int(config.get(_LONGEST) or 0)
    session = settings.session_timeout_seconds * 1000
    if most and not least <= session <= most:
        yield _of_broker(
            ERROR,
            f"broker {broker} allows sessions of {least} to {most} ms, and TIDEMARK_SESSION_TIMEOUT_SECONDS "
            f"is {settings.session_timeout_seconds:g}",
            "it refuses every worker that wants to join (InvalidSessionTimeout)",
            f"set TIDEMARK_SESSION_TIMEOUT_SECONDS within {least / 1000:g} to {most / 1000:g}",
        )


def _internal(replicas: int, broker: str, config: dict[str, str]) -> Iterator[Finding]:
    """What transactions and offsets rest on: as durable as what they are about, and three replicas are enough."""
    enough = min(3, replicas)
    least = {_STATE_REPLICAS: enough, _OFFSETS_REPLICAS: enough, _STATE_INSYNC: min(2, enough)}
    for name, wanted in least.items():
        value = int(config.get(name) or wanted)
        if value < wanted:
            yield _of_broker(
                WARNING,
                f"broker {broker}: {name} is {value}, and topics have {replicas} replicas",
                "what was decided about transactions and offsets is less durable than what they are about: a broker "
                "that is lost can take it along",
                f"set {name}={wanted} on the brokers; add replicas to __transaction_state and __consumer_offsets with "
                "kafka-reassign-partitions.sh",
            )
    if config.get(_VERIFICATION) == "false":
        yield _of_broker(
            WARNING,
            f"broker {broker}: {_VERIFICATION}=false",
            "a write that arrives after its transaction has ended is left open, and holds every reader back",
            f"set {_VERIFICATION}=true on the brokers",
        )


def _of_broker(severity: str, what: str, why: str, remedy: str) -> Finding:
    return Finding(severity=severity, check=CHECK, what=what, why=why, remedy=remedy)
