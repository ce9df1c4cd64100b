"""Whether what came out is what the oracle says: rows, totals, stats, dead letters; read as any consumer would.

I1 every row and total equals the fold of the input; I2 nothing twice, nothing lost; I3 the last snapshot of every
entity equals its row; I5 records consumed = sum of outcomes, dead letters included.
"""

import json
import time
from dataclasses import dataclass
from typing import Any

import msgspec
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from app.settings import Settings
from app.topology import topic_name
from tables.players import PLAYERS
from tests.chaos import oracle
from tests.chaos.consume import latest, read_all

WIDTH = {"damage": 2, "weapon": 8, "day": 3}


class BrokenError(AssertionError):
    """An invariant does not hold; the message names it, the key, and both values."""


@dataclass
class Verdict:
    """What was compared."""

    records: int
    rows: int
    cells: int
    snapshots: int
    dead_letters: int
    outcomes: dict[str, int]


async def drained(settings: Settings, seconds: float) -> None:
    """Wait until every record has been committed, and every owed snapshot published."""
    deadline = time.monotonic() + seconds
    source = await read_all(settings, topic_name(settings, PLAYERS, "events"))
    ends = {tp.partition: (records[-1][0] + 1 if records else 0) for tp, records in source.items()}
    while True:
        totals = latest(await read_all(settings, topic_name(settings, PLAYERS, "totals")))
        positions = {
            tp.partition: json.loads(values.get(str(tp.partition).encode(), b'{"position":0}'))["position"]
            for tp, values in totals.items()
        }
        if positions == ends and await _owed(settings) == 0:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"not drained within {seconds} s: committed {positions}, the topic ends at {ends}")


async def _owed(settings: Settings) -> int:
    changelog = latest(await read_all(settings, topic_name(settings, PLAYERS, "changelog")))
    heads = (value for cells in changelog.values() for key, value in cells.items() if len(json.loads(key or b"")) == 1)
    return sum(bool(cell[3]) for cell in map(_decode, heads) if isinstance(cell, list))


def _decode(value: bytes) -> Any:
    return msgspec.msgpack.decode(value[1:])


def expect(what: str, key: object, found: object, wanted: object) -> None:
    """Compare."""
    if found != wanted:
        raise BrokenError(f"{what}: {key!r} is {found!r}, wanted {wanted!r}")


async def check(settings: Settings) -> Verdict:
    """Compare everything with the oracle.

    Raises:
        BrokenError: the first invariant that does not hold.
    """
    source = await read_all(settings, topic_name(settings, PLAYERS, "events"))
    changelog = latest(await read_all(settings, topic_name(settings, PLAYERS, "changelog")))
    totals = latest(await read_all(settings, topic_name(settings, PLAYERS, "totals")))
    stats = latest(await read_all(settings, topic_name(settings, PLAYERS, "stats")))
    letters = await read_all(settings, topic_name(settings, PLAYERS, "dead-letters"))
    offsets = await _committed_offsets(settings)
    revisions = await read_all(settings, topic_name(settings, PLAYERS, "stats"))
    verdict = Verdict(sum(map(len, source.values())), 0, 0, 0, 0, {})
    for (tp, records), cells, found_totals, snapshots, dead in zip(
        source.items(), changelog.values(), totals.values(), stats.values(), letters.values(), strict=True
    ):
        expected = oracle.fold(records)
        found = {tuple(json.loads(key or b"")): _decode(value) for key, value in cells.items()}
        verdict.rows += _check_rows(expected, found)
        verdict.cells += len(found)
        expect("I1 group's offset", tp.partition, offsets.get(tp), records[-1][0] + 1 if records else offsets.get(tp))
        _check_totals(tp.partition, expected, records, found_totals)
        verdict.snapshots += _check_snapshots(expected, snapshots)
        expect("I5 dead letters", tp.partition, [(k, v) for _, k, v in dead], [(k, v) for _, k, v in expected.dead])
        verdict.dead_letters += len(dead)
        for name, number in expected.outcomes.items():
            verdict.outcomes[name] = verdict.outcomes.get(name, 0) + number
    for partition, published in revisions.items():
        _check_growth(partition.partition, published)
    expect("I5 outcomes", "sum", sum(verdict.outcomes.values()), verdict.records)
    return verdict


async def _committed_offsets(settings: Settings) -> dict[TopicPartition, int]:
    admin = AIOKafkaAdminClient(**settings.kafka())
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(settings.application_id)
        return {partition: committed.offset for partition, committed in found.items()}
    finally:
        await admin.close()


def _check_growth(partition: int, published: list[tuple[int, bytes | None, bytes | None]]) -> None:
    """I3: what a reader of the stats topic sees of a key never goes back."""
    newest: dict[bytes | None, int] = {}
    for offset, key, value in published:
        revision = json.loads(value)["revision"] if value else 0
        before = newest.get(key, -1)
        expect("I3 revisions grow", (partition, offset, key), max(before, revision), revision if value else before)
        newest[key] = revision


def _check_rows(expected: oracle.Expected, found: dict[tuple[Any, ...], Any]) -> int:
    heads = {key[0]: cell for key, cell in found.items() if len(key) == 1 and key[0] is not None}
    expect("I1 players", "set", sorted(heads.keys() ^ expected.revisions.keys()), [])
    for player, head in heads.items():
        expect("I2 revision", player, head[0], expected.revisions[player])
        expect("I1 last offset", player, head[1], expected.offsets[player])
    kept = {key: cell for key, cell in found.items() if len(key) > 1 and key[1] != "source"}
    expect("I1 cells", "set", sorted(kept.keys() ^ expected.cells.keys()), [])
    for key, cell in kept.items():
        expect("I1 cell", key, cell, expected.cells[key][: WIDTH[key[1]]])
    return len(heads)


def _check_totals(
    partition: int, expected: oracle.Expected, records: list[Any], found: dict[bytes | None, bytes]
) -> None:
    if not records:
        return
    body = json.loads(found[str(partition).encode()])
    expect("I1 position", partition, body["position"], records[-1][0] + 1)
    for name in ("applied", "duplicate", "invalid", "misrouted", "late"):
        expect("I5 outcome", (partition, name), body["outcomes"][name], expected.outcomes.get(name, 0))
    damage = [cell for key, cell in expected.cells.items() if key[1] == "damage"]
    weapon = [cell for key, cell in expected.cells.items() if key[1] == "weapon"]
    wanted = {
        "keys": len(expected.revisions),
        "hits": sum(cell[0] for cell in damage),
        "damage": sum(cell[1] for cell in damage),
        "kills": sum(cell[0] for cell in weapon),
        "knock_downs": sum(cell[2] for cell in weapon),
        "groups": len({key[:4] for key in expected.cells if key[1] == "damage"}),
    }
    for name, number in wanted.items():
        expect("I1 total", (partition, name), body[name], number)


def _check_snapshots(expected: oracle.Expected, snapshots: dict[bytes | None, bytes]) -> int:
    sums: dict[str, list[int]] = {}
    for key, cell in expected.cells.items():
        if key[1] not in {"damage", "weapon"}:
            continue
        for class_ in ("all", key[-1]):
            if class_ != "other":
                line = sums.setdefault(f"{key[0]}/{class_}", [0, 0, 0])
                if key[1] == "damage":
                    line[0] += cell[0]
                    line[1] += cell[1]
                else:
                    line[2] += cell[0]
    bodies = {(key or b"").decode(): json.loads(value) for key, value in snapshots.items()}
    expect("I3 snapshots", "set", sorted(bodies.keys() ^ sums.keys()), [])
    for name, line in sums.items():
        body = bodies[name]
        found = [body["hits"], body["damage"], body["kills"]]
        expect("I3 snapshot", name, found, [line[0], round(line[1] / 1_000_000, 4), line[2]])
        if name.endswith("/all"):
            expect("I3 revision", name, body["revision"], expected.revisions[body["player"]])
    return len(bodies)
