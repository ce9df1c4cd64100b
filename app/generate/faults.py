"""What producers and networks do to records: they repeat them, mix them up, bring them late, and send what is none.

Pure generators over (key, value), each with a random source of its own: to ask for more of one fault moves no other.
Faults take nothing away: whoever drops the poison and the repeats, and sorts what is left, has the events again.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from app.generate.poison import POISON, Accepts, Record, spoil

DISTANCE = range(1, 21)  # records that a mixed-up one is overtaken by; producers with five batches under way do that
OWN_KEY_RECORDS = 1_000  # so long it waits for the next of its own key, at most
SOON, LATER = range(1, 4), range(4, 501)  # records before a repeat: a retry, a producer that starts over
HELD_BACK = range(2_000, 10_001)  # records that a late one is overtaken by


@dataclass(frozen=True)
class Shares:
    """Which share of the events meets which fault, 0 to 1."""

    duplicates: float = 0.0
    disorder: float = 0.0
    late: float = 0.0
    poison: float = 0.0


@dataclass
class Summary:
    """How many there were of each, once the records have been taken: records = events + duplicates + poison.

    Attributes:
        poison: kind -> number.
    """

    events: int = 0
    duplicates: int = 0
    disordered: int = 0
    late: int = 0
    poison: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        records = self.events + self.duplicates + self.poison.total()
        counts = {"records": records, "events": self.events, "duplicates": self.duplicates}
        counts |= {"disordered": self.disordered, "late": self.late}
        return {**counts, "poison": dict(sorted(self.poison.items()))}


Records = Iterable[Record]


def faulty(events: Records, shares: Shares, seed: int, accepts: Accepts, summary: Summary) -> Iterator[Record]:
    """The events with their faults, in the order in which they are to be written.

    Args:
        events: valid, in time order.
        shares: how often which fault happens.
        seed: of all that is random here.
        accepts: the domain's word on what is an event: poison never is.
        summary: counts, while the records are taken.
    """

    def chance(name: str) -> Random:
        return Random(f"{seed}/{name}")  # noqa: S311 - not for secrets

    records: Records = _counted(events, summary)
    if shares.late:
        records = _late(records, shares.late, chance("late"), summary)
    if shares.disorder:
        records = _disordered(records, shares.disorder, chance("disorder"), summary)
    if shares.duplicates:
        records = _repeated(records, shares.duplicates, chance("duplicates"), summary)
    if shares.poison:
        records = _poisoned(records, shares.poison, chance("poison"), accepts, summary)
    return iter(records)


def _counted(events: Records, summary: Summary) -> Iterator[Record]:
    for event in events:
        summary.events += 1
        yield event


class _Held:
    """Records that wait until so many others have passed; those that are due at once leave in the order of coming."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Record]] = []
        self._number = 0

    def hold(self, record: Record, due: int) -> None:
        heapq.heappush(self._heap, (due, self._number, record))
        self._number += 1

    def due(self, number: int) -> Iterator[Record]:
        heap = self._heap
        while heap and heap[0][0] <= number:
            yield heapq.heappop(heap)[2]

    def rest(self) -> Iterator[Record]:
        while self._heap:
            yield heapq.heappop(self._heap)[2]


def _late(records: Records, share: float, chance: Random, summary: Summary) -> Iterator[Record]:
    held = _Held()
    for number, record in enumerate(records):
        yield from held.due(number)
        if chance.random() < share:
            held.hold(record, number + 1 + chance.choice(HELD_BACK))
            summary.late += 1
        else:
            yield record
    yield from held.rest()


def _disordered(records: Records, share: float, chance: Random, summary: Summary) -> Iterator[Record]:
    """Half of them are overtaken by whatever comes next, half by the next record of their own key."""
    held, own_key = _Held(), _OwnKey()
    for number, record in enumerate(records):
        yield from held.due(number)
        yield from own_key.due(number)
        if chance.random() >= share:
            yield record
            yield from own_key.follow(record.key)
            continue
        summary.disordered += 1
        if chance.random() < 0.5 and own_key.hold(record, number):  # noqa: PLR2004 - half
            continue
        held.hold(record, number + 1 + chance.choice(DISTANCE))
    yield from own_key.rest()
    yield from held.rest()


class _OwnKey:
    """Records that wait for the next one of their key, the oldest first."""

    def __init__(self) -> None:
        self._held: dict[bytes | None, tuple[int, Record]] = {}

    def hold(self, record: Record, number: int) -> bool:
        """Hold one; False where its key has one already."""
        return self._held.setdefault(record.key, (number, record))[1] is record

    def follow(self, key: bytes | None) -> Iterator[Record]:
        """What has waited for a record of this key."""
        if self._held and key in self._held:
            yield self._held.pop(key)[1]

    def due(self, number: int) -> Iterator[Record]:
        """What has waited long enough."""
        while self._held:
            key, (since, record) = next(iter(self._held.items()))
            if number - since <= OWN_KEY_RECORDS:
                return
            del self._held[key]
            yield record

    def rest(self) -> Iterator[Record]:
        return (record for _, record in self._held.values())


def _repeated(records: Records, share: float, chance: Random, summary: Summary) -> Iterator[Record]:
    held = _Held()
    for number, record in enumerate(records):
        yield from held.due(number)
        yield record
        if chance.random() < share:
            held.hold(record, number + chance.choice(chance.choice((SOON, LATER))))
            summary.duplicates += 1
    yield from held.rest()


def _poisoned(records: Records, share: float, chance: Random, accepts: Accepts, summary: Summary) -> Iterator[Record]:
    """Spoilt copies of events between them; each event is there as well."""
    kinds = list(POISON)
    for record in records:
        if record.value is not None and chance.random() < share:
            spoilt = spoil(record, chance.choice(kinds), chance, accepts)
            summary.poison[spoilt.poison] += 1
            yield spoilt
        yield record
