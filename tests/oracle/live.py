"""A real installation for the oracles: every domain's events on a real Kafka, and a worker that may be killed."""

import json
import random
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from app.broker.ready import free_port
from app.generate.events import events_of
from app.settings import Settings
from app.topology import topic_name
from tables.domain import Domain
from tables.rollups import ROLLUPS
from tables.weeks import closed_by
from tests.chaos import workload
from tests.chaos.checker import totals_of
from tests.chaos.consume import latest, read_all, read_raw
from tests.chaos.process import Worker
from tests.chaos.produce import produce
from tests.oracle.difference import difference, merged
from tests.oracle.interface import Oracle, Raw

Sent = tuple[bytes | None, bytes | None]
POISON = (b"", b"{", b"[1,2", b"\xff\xfe", b'{"x":1e400}', b"null", b'{"type":7}', b'{"tier":[]}')
KEYS = 1_000
HOUR_MS = 3_600_000


# -- what goes in ------------------------------------------------------------------------------------------------------


def events(domain: Domain, count: int, seed: int) -> Iterator[Sent]:
    """`count` records of a domain, the last of them about an hour old: repeats, disorder and poison among them."""
    if domain.name == "players":  # their workload makes its own faults
        return workload.records(count, seed)
    # How long so many events take is the generator's business: look at the last one first.
    span = max(_at(domain, each.value) for each in islice(events_of(domain.name, random.Random(seed), KEYS, 0), count))
    start = begun(domain, time.time_ns() // 1_000_000, span)
    made = islice(events_of(domain.name, random.Random(seed), KEYS, start), count)
    return _spoilt(((each.key, each.value) for each in made), random.Random(seed))


def begun(domain: Domain, now: int, span: int) -> int:
    """When events that take so long should begin, all in ms, so that their input alone says how they end.

    A rollup's week closes by the clock, too, once all that is there has been read: whether a later record about it is
    LATE depends on when it was read. So those events are of a week that is open for at least another hour, and for some
    hours around the turn of a week they are ahead of the clock, by less than the day that is allowed.
    """
    start = now - HOUR_MS - span
    return max(start, closed_by(now + HOUR_MS)) if domain is ROLLUPS else start


def _at(domain: Domain, value: bytes | None) -> int:
    return 0 if value is None else domain.at(msgspec.json.decode(value, type=domain.event)) or 0


def _spoilt(records: Iterable[Sent], rng: random.Random) -> Iterator[Sent]:
    """3 % again, soon or a little later; 3 % held back a while; 0.5 % that are no events, under a real key."""
    recent: list[Sent] = []
    held: list[Sent] = []
    for record in records:
        dice = rng.random()
        if dice < 0.03:
            held.append(record)
        else:
            yield record
        if held and rng.random() < 0.05:
            yield held.pop(rng.randrange(len(held)))
        recent = [*recent[-199:], record]
        if rng.random() < 0.03:
            yield rng.choice(recent)
        if rng.random() < 0.005:
            yield record[0], rng.choice(POISON)
    yield from held


async def write(settings: Settings, domain: Domain, records: Iterable[Sent]) -> None:
    """Write records to the domain's source topic, each to its key's partition."""
    await produce(settings, topic_name(settings, domain, "events"), records)


# -- what comes out ----------------------------------------------------------------------------------------------------


async def raw(settings: Settings, domain: Domain) -> list[Raw]:
    """Every committed record of the source, partition by partition."""
    return await read_raw(settings, topic_name(settings, domain, "events"))


async def merged_totals(settings: Settings, domain: Domain) -> dict[str, Any]:
    """The totals records of all partitions, added up name by name."""
    return merged((await totals_of(settings, domain)).values())


async def snapshots(settings: Settings, domain: Domain) -> dict[bytes, dict[str, Any]]:
    """The stats topic as compaction would have it."""
    found = latest(await read_all(settings, topic_name(settings, domain, "stats")))
    return {key or b"": json.loads(value) for values in found.values() for key, value in values.items()}


def ask(settings: Settings, path: str) -> dict[str, Any]:
    """The answer of a view; a worker that is just restoring is asked again by whoever waits."""
    url = f"http://127.0.0.1:{settings.web_port}{path}"
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as response:
        body: dict[str, Any] = json.load(response)
        return body
    return {}


def unlike(settings: Settings, oracle: Oracle) -> str:
    """The first view that does not answer what a domain's oracle says, and how; empty where all of them do."""
    answers = list(oracle.answers(time.time_ns() // 1_000_000))
    assert answers
    asked = ((ask(settings, path), wanted, path) for path, wanted in answers)
    return next((said for said in (difference(*each) for each in asked) if said), "")


def said_at_last(look: Callable[[], str], seconds: float) -> str:
    """Wait until nothing is said, or for so long; what was said last."""
    deadline = time.monotonic() + seconds
    while (said := look()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return said


def eventually(look: Callable[[], str], seconds: float) -> None:
    """Wait until nothing is said; what was said last is the failure."""
    said = said_at_last(look, seconds)
    assert not said, said


# -- the worker --------------------------------------------------------------------------------------------------------


def start(settings: Settings, folder: Path, **variables: str) -> Worker:
    """A worker of an installation, at the settings' web port."""
    return Worker(settings, folder / "worker.log", **variables)


def installation(kafka: str, prefix: str) -> Settings:
    """Settings of an installation of its own, with a port for its views and a static member for quick restarts."""
    return Settings(
        bootstrap_servers=kafka, prefix=f"{prefix}-", web_port=free_port(), instance_id="worker-0", partitions=4
    )
