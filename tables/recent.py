"""Rows seen lately: how many, and the sum of their values, right at any time without a new event.

The rows of a partition are counted by the second of their last sighting, so what is published is bounded by the
seconds that count and not by the rows; whoever asks adds up the seconds that are recent by then. All of it follows
from the rows' heads: it is rebuilt at a restore.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tables.row import Row

Seconds = Mapping[str, tuple[int, int]]
"""Second since the epoch -> (rows last seen then, the sum of their values)."""


@dataclass(frozen=True)
class Recent:
    """A declaration.

    Attributes:
        name: of what is published.
        seconds: how long ago still counts, at most.
        seen: row -> when it was last seen, ms since the epoch; 0 is never.
        value: row -> an integer that is summed up.
    """

    name: str
    seconds: int
    seen: Callable[[Row], int]
    value: Callable[[Row], int]


class Sightings:
    """The state of one `Recent`. `changed` tells whether it may differ from what was last published."""

    def __init__(self, declared: Recent) -> None:
        self.declared = declared
        self.changed = False
        self._second_of: dict[str, int] = {}
        self._values: dict[int, dict[str, int]] = {}  # second -> entity -> value
        self._sums: dict[int, int] = {}

    def update(self, row: Row, now: int) -> None:
        """Take in a row that has changed. A sighting ahead of the clock counts as one of now: clocks differ."""
        self.remove(row.entity)
        second = min(self.declared.seen(row), now) // 1000
        if second <= now // 1000 - self.declared.seconds:
            return
        value = self.declared.value(row)
        self._second_of[row.entity] = second
        self._values.setdefault(second, {})[row.entity] = value
        self._sums[second] = self._sums.get(second, 0) + value
        self.changed = True

    def remove(self, entity: str) -> None:
        """Forget a row."""
        second = self._second_of.pop(entity, None)
        if second is None:
            return
        values = self._values[second]
        self._sums[second] -= values.pop(entity)
        if not values:
            del self._values[second], self._sums[second]
        self.changed = True

    def expire(self, now: int) -> None:
        """Forget what is no longer recent; readers know by themselves that it is not, so nothing has changed."""
        limit = now // 1000 - self.declared.seconds
        for second in [second for second in self._values if second <= limit]:
            for entity in self._values.pop(second):
                del self._second_of[entity]
            del self._sums[second]

    def is_recent(self, entity: str, seconds: float, now: int) -> bool:
        """Whether a row was seen in the last so many seconds, as `recent` counts it; none that is not committed yet."""
        second = self._second_of.get(entity)
        return second is not None and second > now / 1000 - seconds

    def published(self) -> dict[str, list[int]]:
        """Second -> [rows, sum of their values]."""
        return {str(second): [len(values), self._sums[second]] for second, values in sorted(self._values.items())}


def recent(parts: Iterable[Seconds], seconds: float, now: int) -> tuple[int, int]:
    """(rows, sum of values) of the sightings in the last so many seconds, over several partitions."""
    first = now / 1000 - seconds
    counts = [counts for part in parts for second, counts in part.items() if int(second) > first]
    return sum(count for count, _ in counts), sum(value for _, value in counts)


def sightings(declared: Iterable[Recent]) -> dict[str, Any]:
    """Empty sightings by name."""
    return {one.name: Sightings(one) for one in declared}
