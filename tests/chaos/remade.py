"""I1 cell by cell, and what else is published: compared with what the events, or the other topics, say.

The oracles say nothing of the cells of most domains. But they judge the domains' fold by all that it shows; so every
cell has to be what that fold makes of the events here, in a process that has met no fault.
"""

import json
from typing import Any

from app.engine.fetch import BRIEF_MS, consuming
from app.settings import Settings
from app.topology import topic_name
from app.verify.partition import DIFFERENT, Verifier
from tables.domain import Domain
from tables.tutors import TUTORS
from tests.chaos.consume import read_all
from tests.oracle.tutors import TIERS


async def unlike(settings: Settings, domain: Domain) -> str:
    """The first partition of which a cell is not what the events say, and that cell; empty where there is none.

    Of a partition whose first events retention has deleted nobody can say; the scenario that does so judges by itself.
    """
    async with consuming(settings, BRIEF_MS) as consumer:
        verifier = Verifier(settings, domain, consumer, lambda _: None)
        for number in range(settings.partitions):
            verdict = await verifier.verify(number)
            if verdict.state == DIFFERENT:
                first = "" if verdict.first is None else json.dumps(verdict.first.as_json())
                return f"{domain.name}[{number}]: {verdict.reason}{first}"
    return ""


async def unlike_alerts(settings: Settings) -> str:
    """The first alert that is not the record of a tier that became worse, in their order; likewise."""
    alerts = await _bodies(settings, "alerts")
    for partition, published in (await _bodies(settings, "stats")).items():
        worse = [(key, body) for key, body in published if _is_worse(body)]
        for number, (found, wanted) in enumerate(zip(alerts[partition], worse, strict=False)):
            if found != wanted:
                return f"alert {number} of partition {partition} is {found!r}, wanted {wanted!r}"
        if len(alerts[partition]) != len(worse):
            return f"partition {partition} has {len(alerts[partition])} alerts, wanted {len(worse)}"
    return ""


async def _bodies(settings: Settings, role: str) -> dict[int, list[tuple[bytes | None, Any]]]:
    published = await read_all(settings, topic_name(settings, TUTORS, role))
    return {
        partition.partition: [(key, json.loads(value)) for _, key, value in records if value is not None]
        for partition, records in published.items()
    }


def _is_worse(body: dict[str, Any]) -> bool:
    tier, previous = body["tier"], body["previous_tier"]
    return tier is not None and previous is not None and TIERS.index(tier) > TIERS.index(previous)
