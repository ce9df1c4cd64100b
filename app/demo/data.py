"""What the demo plays: real data where there is some, seeded events for the other domains.

Every run plays the same; only the tutors' sessions move on with the date, because what counts of them is the last 90
days. A second run finds nothing new but among the projects: an upsert carries no version, so an older state that comes
again is a change back.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice, starmap
from random import Random

from app.clock import now_ms
from app.demo.cut import SAMPLE
from app.demo.farm import FARM
from app.generate.events import events_of
from app.generate.poison import Record
from app.ingest import pubg, smartpool
from app.ingest.array import elements
from app.ingest.report import Report
from app.ingest.source import Source
from tables.event import DAY_MS

Records = Iterator[Record]

SEED = 7
REMEMBERED = 32  # ids of a session: no more of its events are played, or a second run would count them again
FIRST = 1_767_571_200_000  # 2026-01-05T00:00:00Z, a Monday
TUTORS_DAYS = 54  # 8,000 events of 12 tutors are 53 days and some hours


def players(report: Report) -> Records:
    """Four minutes of a real match."""
    with Source(str(SAMPLE)) as source:
        yield from starmap(Record, map(pubg.record, pubg.slim_events(elements(source), report)))


def workers(report: Report) -> Records:
    """Fifteen hours of a real mining farm."""
    with Source(str(FARM)) as source:
        yield from starmap(Record, smartpool.records(source, report))


def _generated(domain: str, count: int, keys: int, start: int, most: int = 1_000_000) -> Callable[[Report], Records]:
    def records(_report: Report) -> Records:
        told: Counter[bytes | None] = Counter()
        made = events_of(domain, Random(SEED), keys, start)  # noqa: S311 - not for secrets
        for record in islice(made, count):
            told[record.key] += 1
            if told[record.key] <= most:
                yield record

    return records


def played() -> dict[str, Callable[[Report], Records]]:
    """Domain -> its records, in the order of the registry."""
    midnight = now_ms() // DAY_MS * DAY_MS
    return {
        "assessments": _generated("assessments", 1_500, 100, FIRST, REMEMBERED),
        "players": players,
        "workers": workers,
        "tutors": _generated("tutors", 8_000, 12, midnight - TUTORS_DAYS * DAY_MS),
        "projects": _generated("projects", 1_500, 80, FIRST),
        "rollups": _generated("rollups", 600, 3, FIRST),
    }
