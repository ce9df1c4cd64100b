"""Tables made anew from their events, and compared: `tidemark verify`, over everything."""

from collections.abc import AsyncIterator

from app.doctor.finding import ERROR, NOTE, Finding
from app.doctor.installation import Installation
from app.topology import topic_name
from app.verify.partition import DIFFERENT, UNKNOWN, Verifier

CHECK = "events"


async def check(installation: Installation) -> AsyncIterator[Finding]:
    """Partitions whose rows are not what their events say."""
    settings = installation.settings
    for domain in installation.domains:
        if not installation.is_whole(domain):
            continue
        verifier = Verifier(settings, domain, installation.consumer, installation.say)
        for number in range(settings.partitions):
            verdict = await verifier.verify(number)
            first = verdict.first
            shown = "; ".join(first.as_lines(domain.entity_name)) if first is not None else verdict.reason
            if verdict.state == DIFFERENT:
                yield Finding(
                    severity=ERROR,
                    check=CHECK,
                    what=f"{max(1, verdict.differing):,} cells are not what the events say. {shown}",
                    why="numbers are wrong, or settings or rules are others than when the events were folded",
                    remedy=f"tidemark replay {domain.name} --partition {number}",
                    topic=topic_name(settings, domain, "changelog"),
                    partition=number,
                )
            elif verdict.state == UNKNOWN:
                yield Finding(
                    severity=NOTE,
                    check=CHECK,
                    what=verdict.reason,
                    why="the rows cannot be compared with all of their events",
                    remedy="nothing has to be done",
                    topic=topic_name(settings, domain, "events"),
                    partition=number,
                )
