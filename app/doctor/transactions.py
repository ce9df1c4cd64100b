"""Transactions that nobody ends: what they hold back is invisible to every reader of committed records."""

from collections.abc import AsyncIterator

from aiokafka import TopicPartition

from app.clock import now_ms
from app.doctor.finding import ERROR, Finding
from app.doctor.installation import Installation
from app.repair.found import kept_roles
from app.topology import topic_name

CHECK = "transactions"
WAIT_MS = 500


async def check(installation: Installation) -> AsyncIterator[Finding]:
    """Partitions whose last stable offset stands below their end for longer than a transaction of ours may last."""
    names = [
        topic_name(installation.settings, domain, role)
        for domain in installation.domains
        for role in kept_roles(domain)
    ]
    partitions = [
        TopicPartition(name, number)
        for name in names
        if name in installation.present
        for number in range(installation.settings.partitions)
    ]
    high = await installation.uncommitted.end_offsets(partitions)
    stable = await installation.consumer.end_offsets(partitions)
    for partition in partitions:
        if stable[partition] < high[partition]:
            seconds = await _open_seconds(installation, partition, stable[partition])
            if seconds > installation.settings.transaction_timeout_seconds:
                yield _finding(installation, partition, stable[partition], seconds)


async def _open_seconds(installation: Installation, partition: TopicPartition, offset: int) -> float:
    """How long ago the first record of the oldest open transaction was written; 0 where it has just ended."""
    consumer = installation.uncommitted
    consumer.assign([partition])
    consumer.seek(partition, offset)
    records = (await consumer.getmany(partition, timeout_ms=WAIT_MS, max_records=1)).get(partition, [])
    return max(0.0, (now_ms() - records[0].timestamp) / 1000) if records else 0.0


def _finding(installation: Installation, partition: TopicPartition, offset: int, seconds: float) -> Finding:
    script = f"kafka-transactions.sh --bootstrap-server {installation.settings.bootstrap_servers}"
    place = f"--topic {partition.topic} --partition {partition.partition}"
    return Finding(
        severity=ERROR,
        check=CHECK,
        what=f"a transaction has been open for {seconds:,.0f} s; ours last "
        f"{installation.settings.transaction_timeout_seconds:g} s at most",
        why="what was committed after it is invisible; a worker that takes the partition over refuses to go on",
        remedy=f"{script} describe-producers {place} tells whose it is; end it with: {script} abort {place} "
        f"--start-offset {offset}",
        topic=partition.topic,
        partition=partition.partition,
        offset=offset,
    )
