"""Whether what came out is what the oracle says: read as any consumer would, compared invariant by invariant.

I1 every row and every total equals the fold of the input up to the committed offset; I2 nothing is counted twice,
nothing is lost; I3 per key, snapshot revisions grow, without gap within the newest N, and the last one is the row's;
I4 a view's answer equals some prefix of the input (`watching.py`); I5 consumed = sum of outcomes, and every record
that could not be folded is a dead letter with its place and its bytes.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from app import group
from app.admin import administering
from app.settings import Settings
from app.topology import topic_name
from tables.domain import Domain
from tables.players import PLAYERS
from tables.tutors import TUTORS
from tests.chaos.consume import latest, read_all, read_raw
from tests.chaos.expected import Expected
from tests.chaos.remade import unlike, unlike_alerts
from tests.oracle.difference import difference, merged

if TYPE_CHECKING:
    from tests.oracle.interface import Raw

WIDTH = {"damage": 2, "weapon": 8, "day": 3}  # fields of a players' cell that the oracle knows
OUTCOMES = ("applied", "duplicate", "late", "invalid", "misrouted")


class BrokenError(AssertionError):
    """An invariant does not hold; the message names it, the key, and both values."""


@dataclass
class Verdict:
    """What was compared, over all domains of a run.

    Attributes:
        views: answers of views that were compared with a prefix of the input.
        refused: answers that said why there is none.
        figures: what a scenario measured, by name.
    """

    records: int = 0
    rows: int = 0
    cells: int = 0
    snapshots: int = 0
    dead_letters: int = 0
    views: int = 0
    refused: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    figures: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        compared = {name: value for name, value in vars(self).items() if isinstance(value, int)}
        said = [f"{value:,} {name.replace('_', ' ')}" for name, value in compared.items() if value]
        said += [f"{name}: {value}" for name, value in self.figures.items()]
        return ", ".join(said)


def expect(what: str, key: object, found: object, wanted: object) -> None:
    """Compare.

    Raises:
        BrokenError: they differ.
    """
    if found != wanted:
        raise BrokenError(f"{what}: {key!r} is {found!r}, wanted {wanted!r}")


async def folded(settings: Settings, domains: Iterable[Domain]) -> list[Expected]:
    """The input of some domains as it is now, folded by their oracles."""
    return [Expected(domain, await read_raw(settings, topic_name(settings, domain, "events"))) for domain in domains]


async def check(settings: Settings, oracles: Iterable[Expected], *, settled: int = -1) -> Verdict:
    """Compare everything that some domains have made with their oracles.

    Args:
        settings: of the installation.
        oracles: of the domains whose work is compared, all input folded.
        settled: how many snapshots that time alone changes have been compared while workers were running (`settle`);
            -1: none has been, so they are compared now.

    Raises:
        BrokenError: the first invariant that does not hold.
    """
    verdict = Verdict()
    offsets = await committed_offsets(settings)
    for expected in oracles:
        domain = expected.domain
        verdict.records += expected.records
        for partition, end in expected.ends.items():
            where = f"{domain.name}[{partition}]"
            expect("I1 group's offset", where, offsets.get((topic_name(settings, domain, "events"), partition)), end)
        await _check_rows(settings, domain, expected, verdict)
        await _check_totals(settings, domain, expected, verdict)
        await _check_letters(settings, domain, expected, verdict)
        if domain.at_time is None or settled < 0:
            await _check_snapshots(settings, domain, expected, verdict)
        await _check_ring(settings, domain, expected)
        expect(f"I1 {domain.name}: cells", "of the changelog", await unlike(settings, domain), "")
        if domain is TUTORS:
            expect(f"I2 {domain.name}: alerts", "all of them", await unlike_alerts(settings), "")
    verdict.snapshots += max(0, settled)
    return verdict


async def settle(settings: Settings, oracles: Iterable[Expected], seconds: float = 15) -> int:
    """Compare the snapshots that time alone changes, while workers go on to publish what it changes.

    Returns:
        How many there are.

    Raises:
        BrokenError: some are not what the oracle says of any moment within so many seconds.
    """
    deadline, verdict = time.monotonic() + seconds, Verdict()
    for expected in oracles:
        domain = expected.domain
        if domain.at_time is None:
            continue
        while True:
            try:
                await _check_snapshots(settings, domain, expected, verdict)
                break
            except BrokenError:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.2)
    return verdict.snapshots


async def committed_offsets(settings: Settings) -> dict[tuple[str, int], int]:
    """(topic, partition) -> what the installation's group has committed."""
    async with administering(settings) as admin:
        found = await group.committed_offsets(admin, settings)
    return {(partition.topic, partition.partition): committed.offset for partition, committed in found.items()}


# -- rows --------------------------------------------------------------------------------------------------------------


async def _cells(settings: Settings, domain: Domain) -> dict[tuple[Any, ...], Any]:
    """Every cell of a table as compaction leaves it: (entity, *name) -> what it holds."""
    found = latest(await read_all(settings, topic_name(settings, domain, "changelog")))
    return {
        tuple(json.loads(key or b"")): msgspec.msgpack.decode(value[1:])
        for cells in found.values()
        for key, value in cells.items()
    }


async def _check_rows(settings: Settings, domain: Domain, expected: Expected, verdict: Verdict) -> None:
    found = await _cells(settings, domain)
    heads = {key[0].encode(): cell for key, cell in found.items() if len(key) == 1 and key[0] is not None}
    expect(
        f"I1 {domain.name}: rows that only one side has", "set", sorted(heads.keys() ^ expected.revisions.keys()), []
    )
    for key, head in heads.items():
        expect(f"I2 {domain.name}: revision", key, head[0], expected.revisions[key])
        expect(f"I1 {domain.name}: last offset", key, head[1], expected.offsets[key])
    if expected.cells is not None:
        kept = {key: cell for key, cell in found.items() if len(key) > 1 and key[1] in WIDTH}
        expect("I1 cells that only one side has", "set", sorted(kept.keys() ^ expected.cells.keys())[:3], [])
        for name, cell in kept.items():
            expect("I1 cell", name, cell, expected.cells[name][: WIDTH[name[1]]])
    verdict.rows += len(heads)
    verdict.cells += len(found)


# -- totals, outcomes, dead letters ------------------------------------------------------------------------------------


async def _check_totals(settings: Settings, domain: Domain, expected: Expected, verdict: Verdict) -> None:
    bodies = await totals_of(settings, domain)
    for partition, body in bodies.items():
        where = f"{domain.name}[{partition}]"
        expect("I1 position", where, body["position"], expected.ends.get(partition, body["position"]))
        expect("I5 applied", where, body["outcomes"]["applied"], expected.applied.get(partition, 0))
    totals = merged(bodies.values())
    counts = expected.oracle.outcomes()
    for name in OUTCOMES:
        expect(f"I5 {domain.name}: outcome", name, totals["outcomes"][name], counts.get(name, 0))
    expect(f"I5 {domain.name}: consumed", "sum", sum(totals["outcomes"].values()), expected.records)
    said = difference(totals, expected.oracle.totals(), "totals")
    if said:
        raise BrokenError(f"I1 {domain.name}: {said}")
    verdict.outcomes.update(totals["outcomes"])


async def totals_of(settings: Settings, domain: Domain) -> dict[int, dict[str, Any]]:
    """Partition -> its latest totals; none where nothing was committed yet."""
    found = latest(await read_all(settings, topic_name(settings, domain, "totals")))
    return {
        partition.partition: json.loads(values[str(partition.partition).encode()])
        for partition, values in found.items()
        if values
    }


async def _check_letters(settings: Settings, domain: Domain, expected: Expected, verdict: Verdict) -> None:
    source = topic_name(settings, domain, "events")
    letters = await read_raw(settings, topic_name(settings, domain, "dead-letters"))
    found = [(record.partition, record.key, record.value) for record in letters]
    wanted = [(record.partition, *_as_kept(record)) for record in expected.dead]
    for number, (one, other) in enumerate(zip(found, wanted, strict=False)):
        expect(f"I5 {domain.name}: dead letter", number, one, other)
    expect(f"I5 {domain.name}: dead letters", "number", len(found), len(wanted))
    for letter, record in zip(letters, expected.dead, strict=True):
        headers = dict(letter.headers)
        place = [headers.get(f"tidemark-{name}") for name in ("topic", "partition", "offset")]
        expect(
            f"I5 {domain.name}: dead letter's place", (letter.partition, letter.offset),
            place, [source.encode(), b"%d" % record.partition, b"%d" % record.offset],
        )  # fmt: skip
        if not headers.get("tidemark-reason"):
            raise BrokenError(f"I5 {domain.name}: the dead letter of {record} has no reason")
    verdict.dead_letters += len(letters)


def _as_kept(record: "Raw") -> tuple[bytes | None, bytes | None]:
    """Key and value of a record in its dead letter: what no topic takes is cut, the rest is at the source."""
    key, value, size = record.key, record.value, len(record.key or b"") + len(record.value or b"")
    return (key, value) if size <= 1024 * 1024 else (key and key[: 64 * 1024], value and value[: 512 * 1024])


# -- snapshots ---------------------------------------------------------------------------------------------------------


async def _check_snapshots(settings: Settings, domain: Domain, expected: Expected, verdict: Verdict) -> None:
    published = await read_all(settings, topic_name(settings, domain, "stats"))
    _check_growth(domain, published)
    found = {key or b"": json.loads(value) for values in latest(published).values() for key, value in values.items()}
    wanted = expected.oracle.stats(time.time_ns() // 1_000_000)
    unlike = sorted(found.keys() ^ wanted.keys())
    expect(f"I3 {domain.name}: snapshots that only one side has", "set", unlike[:3], [])
    for key, body in found.items():
        said = difference(body, wanted[key], key.decode(errors="backslashreplace"))
        if said:
            raise BrokenError(f"I3 {domain.name}: snapshot: {said}")
        if key in expected.revisions and "revision" in body:
            expect(f"I3 {domain.name}: revision of the last snapshot", key, body["revision"], expected.revisions[key])
    verdict.snapshots += len(found)


def _check_growth(domain: Domain, published: Mapping[Any, list[tuple[int, bytes | None, bytes | None]]]) -> None:
    """What a reader of the stats topic sees of a key never goes back, unless the row went in between."""
    for partition, records in published.items():
        newest: dict[bytes | None, int] = {}
        for offset, key, value in records:
            if value is None:
                newest.pop(key, None)
                continue
            revision = json.loads(value).get("revision", 0)
            if revision < newest.get(key, -1):
                where = (partition.partition, offset, key)
                raise BrokenError(f"I3 {domain.name}: revision of {where!r} is {revision} after {newest[key]}")
            newest[key] = revision


async def _check_ring(settings: Settings, domain: Domain, expected: Expected) -> None:
    """The newest records of a ring are without gap, and what a reader gets is no more than its size."""
    if domain.per_event is None:
        return
    ring = domain.per_event.ring
    size = settings.options.get(ring.limit.name, ring.limit.default)
    published = await read_all(settings, topic_name(settings, domain, ring.role))
    for partition, values in latest(published).items():
        found = sorted(json.loads(value)["revision"] for value in values.values())
        last = expected.applied.get(partition.partition, 0)
        wanted = list(range(max(1, last - size + 1), last + 1))
        expect(f"I3 {domain.name}[{partition.partition}]: revisions of the ring", ring.role, found[-size:], wanted)
        # Compaction leaves one record per slot: a reader that comes later gets no more than the newest ones.
        expect(f"I3 {domain.name}[{partition.partition}]: slots of the ring", ring.role, len(values), len(wanted))


# -- waiting -----------------------------------------------------------------------------------------------------------


async def drained(settings: Settings, seconds: float, domains: Iterable[Domain] = (PLAYERS,)) -> None:
    """Wait until every record has been committed, and every owed snapshot published.

    Raises:
        TimeoutError: saying how far it has come.
    """
    await _until(_undone, settings, seconds, domains)


async def committed(settings: Settings, seconds: float, domains: Iterable[Domain]) -> None:
    """Wait until every record that is there now has been committed; more may come meanwhile.

    Raises:
        TimeoutError: saying how far it has come.
    """
    await _until(_behind, settings, seconds, domains)


async def _until(
    left: Callable[[Settings, Domain, Mapping[int, int]], Awaitable[str]],
    settings: Settings,
    seconds: float,
    domains: Iterable[Domain],
) -> None:
    """Wait until nothing is left to do, of what is there now."""
    deadline = time.monotonic() + seconds
    for domain in domains:
        ends = await ends_of(settings, domain)
        while said := await left(settings, domain, ends):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{domain.name} is not done within {seconds} s: {said}")
            await asyncio.sleep(0.2)


async def _behind(settings: Settings, domain: Domain, ends: Mapping[int, int]) -> str:
    positions = {partition: body["position"] for partition, body in (await totals_of(settings, domain)).items()}
    behind = any(positions.get(partition, 0) < end for partition, end in ends.items())
    return f"committed {positions}, the topic ends at {dict(ends)}" if behind else ""


async def _undone(settings: Settings, domain: Domain, ends: Mapping[int, int]) -> str:
    if behind := await _behind(settings, domain, ends):
        return behind
    # All committed: now, and only now, it is worth while to look through the rows.
    heads = (cell for key, cell in (await _cells(settings, domain)).items() if len(key) == 1 and key[0] is not None)
    owed = sum(bool(head[3]) for head in heads)
    return f"{owed} rows owe a snapshot" if owed else ""


async def ends_of(settings: Settings, domain: Domain) -> dict[int, int]:
    """Partition -> the offset after the last record of the source; nothing for one without records."""
    records: list[Raw] = await read_raw(settings, topic_name(settings, domain, "events"))
    return {record.partition: record.offset + 1 for record in records}
