"""The consumer group: who is in it, and what waits for it."""

from collections.abc import AsyncIterator

from aiokafka import TopicPartition

from app.doctor.finding import NOTE, WARNING, Finding
from app.doctor.installation import Installation
from app.group import group_of
from app.topology import topic_name

CHECK = "group"


async def check(installation: Installation) -> AsyncIterator[Finding]:
    """Whether somebody folds what there is to fold."""
    settings = installation.settings
    group = await group_of(installation.admin, settings)
    if not group.members:
        waiting = await _waiting(installation)
        if waiting:
            yield Finding(
                severity=NOTE,
                check=CHECK,
                what=f"no worker of the group {installation.group} runs, and {waiting:,} offsets wait to be folded",
                why="nothing is folded until one runs",
                remedy="tidemark worker",
            )
    elif group.state != "Stable":
        yield Finding(
            severity=NOTE,
            check=CHECK,
            what=f"the group {installation.group} is in state {group.state}, with {len(group.members)} members",
            why="partitions are moving between workers and are not served meanwhile; it takes seconds",
            remedy="look again in a minute; if it stays so, look at the logs of " + ", ".join(map(str, group.members)),
        )
    if len(group.members) > settings.partitions * len(installation.domains):
        yield Finding(
            severity=WARNING,
            check=CHECK,
            what=f"{len(group.members)} workers share {settings.partitions} partitions of each domain",
            why="some of them have nothing to do; and partitions cannot be added later",
            remedy="stop some workers",
        )


async def _waiting(installation: Installation) -> int:
    sources = [
        TopicPartition(topic_name(installation.settings, domain, "events"), number)
        for domain in installation.domains
        if installation.is_whole(domain)
        for number in range(installation.settings.partitions)
    ]
    committed = await installation.committed()
    ends = await installation.consumer.end_offsets(sources)
    return sum(max(0, ends[source] - committed.get(source, 0)) for source in sources)
