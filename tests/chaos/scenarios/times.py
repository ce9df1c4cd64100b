"""Times that are off, and turns of the calendar: everything ends in the right bucket, and is counted there."""

import asyncio
import json
import time
import zlib
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import chain, islice
from random import Random

import msgspec

from app import topology
from app.generate.events import events_of
from app.topology import topic_name
from tables.domain import Domain
from tables.event import DAY_MS, millis
from tables.projects import PROJECTS
from tests.chaos.checker import Verdict
from tests.chaos.expected import ORACLES, endings
from tests.chaos.produce import produce
from tests.chaos.run import Run
from tests.oracle import live

HOUR_MS = 3_600_000
# 2024-02-29; 2020-12-28 and 2021-01-01, where the ISO week 53 begins and the year turns in it; a month's end: all UTC.
TURNS = {
    "leap day": 1_709_164_800_000,
    "week 53": 1_609_113_600_000,
    "new year": 1_609_459_200_000,
    "month end": 1_785_542_400_000,
}
# From so long after now on, and how some of it must end; "" where that is for the domain to say. The earlier first.
OFF = {
    "91 days ago": (-91 * DAY_MS, ""),
    "an hour ago": (-HOUR_MS, "applied"),
    "in an hour": (HOUR_MS, "applied"),
    "in 20 hours": (20 * HOUR_MS, "applied"),
    "in two days": (2 * DAY_MS, "invalid"),
}
# A day ahead of the clock is too far: how far what is about a day ahead is, is for the moment to say when it is folded.
UNDECIDED_MS = 600_000
SETS = len(TURNS) + 1  # of entities: each turn has its own, to which no later year is known; all else shares the last
KEYS_OF_A_SET = 10


def times(run: Run) -> Verdict:
    """Late, ahead, out of order, twice, an hour off, and where the calendar turns: the right bucket and count."""
    asyncio.run(topology.create(run.settings, run.domains))
    # All of it is there before anything is read: what the clock closes too is closed after all that is there.
    written = {domain.name: _write(run, domain) for domain in run.domains}
    worker = run.worker()
    verdict = run.finish(worker)
    missing = {"applied", "duplicate", "late", "invalid"} - {name for name, count in verdict.outcomes.items() if count}
    if missing:
        raise RuntimeError(f"nothing was {missing}: {verdict.outcomes}")
    for domain in run.domains:
        _met(domain, written[domain.name], ends_of_values(run, domain))
    run.note("turns of the calendar", f"{len(TURNS)} crossed in each of {len(written)} domains")
    return verdict


def _write(run: Run, domain: Domain) -> dict[str, list[live.Sent]]:
    """Write a domain's events; returns them by when they were said to be."""
    count, now = run.events // (len(TURNS) + len(OFF) + 1), time.time_ns() // 1_000_000
    written = {name: around(domain, at, count, number) for number, (name, at) in enumerate(TURNS.items())}
    starts = {name: now + after for name, (after, _) in OFF.items()} | {"1970": 0}
    for seed, (name, start) in enumerate(starts.items(), len(TURNS)):
        made = islice(told(domain, start, len(TURNS), seed), count)
        written[name] = [record for record in made if abs(time_in(domain, record[1]) - now - DAY_MS) > UNDECIDED_MS]
    shuffled = disordered(chain.from_iterable(written.values()), run.rng)
    asyncio.run(produce(run.settings, topic_name(run.settings, domain, "events"), shuffled))
    return written


def told(domain: Domain, start: int, own: int, seed: int) -> Iterator[live.Sent]:
    """Events of a domain from some time on, endless, about the entities of one of the sets."""
    made = events_of(domain.name, Random(seed), SETS * KEYS_OF_A_SET, start)
    return ((each.key, each.value) for each in made if zlib.crc32(each.key or b"") % SETS == own)


def around(domain: Domain, at: int, count: int, own: int) -> list[live.Sent]:
    """So many events of a domain, the last half before a time and the first half after it."""
    # How long so many take is the generator's business, and not always the same: look at as many first.
    last = max(time_in(domain, value) for _, value in islice(told(domain, at, own, own), count))
    before: deque[live.Sent] = deque(maxlen=count // 2)
    after: list[live.Sent] = []
    for record in told(domain, at - 4 * (last - at), own, own):
        (after if after or time_in(domain, record[1]) >= at else before).append(record)
        if len(after) == count // 2:
            break
    return [*before, *after]


def time_in(domain: Domain, value: bytes | None) -> int:
    """The time that an event carries; -1 for none."""
    if value is None:
        return -1
    if domain is PROJECTS:  # no time of its own, but when the project was begun and ended
        said = json.loads(value)
        text = said.get("finished_at") or said.get("started_at")
        return -1 if text is None else millis(datetime.fromisoformat(text))
    at = domain.at(msgspec.json.decode(value, type=domain.event))
    return -1 if at is None else at


def ends_of_values(run: Run, domain: Domain) -> Mapping[bytes | None, Collection[str]]:
    """The value of each record of a domain -> how it ended, by the oracle that the engine agrees with."""
    ended: defaultdict[bytes | None, set[str]] = defaultdict(set)
    for record, outcomes in endings(ORACLES[domain.name](), asyncio.run(live.raw(run.settings, domain))):
        ended[record.value] |= outcomes
    return ended


def _met(domain: Domain, written: Mapping[str, list[live.Sent]], ended: Mapping[bytes | None, Collection[str]]) -> None:
    """Each turn must have been crossed, with records that count on both sides of it; what is off ends as it should."""
    for name, at in TURNS.items():
        timed = [(moment, value) for _, value in written[name] if (moment := time_in(domain, value)) >= 0]
        _some(f"{domain.name}, before {name}", [value for moment, value in timed if moment < at], ended, "applied")
        _some(f"{domain.name}, after {name}", [value for moment, value in timed if moment >= at], ended, "applied")
    for name, (_, wanted) in OFF.items():
        # Projects are of the time of their records, whatever dates they name.
        outcome = "applied" if wanted and domain is PROJECTS else wanted
        _some(f"{domain.name}, {name}", [value for _, value in written[name]], ended, outcome)


def _some(
    what: str, values: Collection[bytes | None], ended: Mapping[bytes | None, Collection[str]], wanted: str
) -> None:
    if not any(wanted in ended[value] for value in values if wanted) and (wanted or not values):
        raise RuntimeError(f"{what}: of {len(values)} records none was {wanted or 'there'}")


def disordered(records: Iterable[live.Sent], rng: Random) -> list[live.Sent]:
    """Some again, some earlier or later by up to a few hundred places, some by as far as it goes."""
    placed = []
    for place, record in enumerate(records):
        far = rng.choice((0, 0, 0, 0, 300, 10_000)) * rng.random()
        placed.append((place + far, place, record))
        if rng.random() < 0.05:
            placed.append((place + rng.random() * 500, place, record))
    return [record for _, _, record in sorted(placed, key=lambda each: each[:2])]
