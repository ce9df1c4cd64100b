"""The consumer group: who is in it, and what waits for it."""

from collections.abc import AsyncIterator

from aiokafka import TopicPartition

from app.doctor.finding import NOTE, WARNING, Finding
from app.doctor.installation import Installation
from app.group import group_of

CHECK = "group"
SOURCE = "events"
COUNTED = 5_000  # offsets of a partition, the records among which are counted; past that their number will do


async def check(installation: Installation) -> AsyncIterator[Finding]:
    """Whether somebody folds what there is to fold."""
    settings = installation.settings
    group = await group_of(installation.admin, settings)
    if not group.members:
        async for source, waiting in _waiting(installation):
            yield Finding(
                severity=NOTE,
                check=CHECK,
                what=f"{waiting} to be folded, and no worker of the group {installation.group} runs",
                why="nothing is folded until one runs",
                remedy="tidemark worker",
                topic=source.topic,
                partition=source.partition,
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


async def _waiting(installation: Installation) -> AsyncIterator[tuple[TopicPartition, str]]:
    """The sources with something that nobody has folded: `7 records wait`, or `70,000 offsets wait` if it is much."""
    readings = {
        reading.topic(SOURCE): reading
        for domain in installation.domains
        if installation.is_whole(domain)
        for reading in (installation.reading(domain, number) for number in range(installation.settings.partitions))
    }
    committed = await installation.committed()
    begins = await installation.consumer.beginning_offsets(list(readings))
    ends = await installation.consumer.end_offsets(list(readings))
    for source, reading in readings.items():
        start, end = max(committed.get(source, 0), begins[source]), ends[source]
        if end - start > COUNTED:
            yield source, f"{end - start:,} offsets wait"
        elif end > start:
            # Not every offset is a record: of what is written in transactions the last one is a commit marker.
            number = sum([len(records) async for records in reading.records(SOURCE, end, start)])
            if number:
                yield source, f"{number:,} record{'s wait' if number > 1 else ' waits'}"
