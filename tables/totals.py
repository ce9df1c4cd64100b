"""Totals: what a partition knows about all of its records."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from tables.event import LAST_MS, OUTCOMES


class Totals(msgspec.Struct):
    """What a partition knows about all of its records; domains add their own integers, lists and maps of integers.

    *Flow* totals (sums over events) outlive the burial of a key; *stock* totals (`keys`, and what a domain's `bury`
    takes out) do not. Encoded by field name: it is written once per commit, not once per event.
    """

    outcomes: list[int] = msgspec.field(default_factory=lambda: [0] * len(OUTCOMES))
    keys: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Living rows."""
    buried: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Rows that the limit on keys has put away, ever."""
    at: Annotated[int, msgspec.Meta(ge=0, le=LAST_MS)] = 0
    """Greatest event time folded, in ms since the epoch."""
    position: Annotated[int, msgspec.Meta(ge=0)] = 0
    """The next source offset to fold. Written with the rows, so that rows and offset can be checked against each
    other, and outlive the expiry of the group's committed offsets."""

    def lengthen(self) -> None:
        """Fill lists up with zeros that an earlier release has written shorter: a list grows at its end only.

        Raises:
            ValueError: a list is too long, as of a later release: nothing could be merged with it.
            TypeError: something that is to be summed is no number.
        """
        empty = type(self)()
        for name in self.__struct_fields__:
            mine = getattr(self, name)
            if isinstance(mine, list):
                mine += [0] * (len(getattr(empty, name)) - len(mine))
        empty.merge(self)

    def merge(self, other: "Totals") -> None:
        """Add another partition's totals: lists place by place, maps name by name, integers by sum, `at` by maximum.

        `position` has no meaning over several partitions; its sum is the number of offsets passed.
        """
        for name in self.__struct_fields__:
            mine, theirs = getattr(self, name), getattr(other, name)
            if isinstance(mine, list):
                setattr(self, name, [a + b for a, b in zip(mine, theirs, strict=True)])
            elif isinstance(mine, dict):
                for key, count in theirs.items():
                    add(mine, key, count)
            else:
                setattr(self, name, max(mine, theirs) if name == "at" else mine + theirs)


def add(counts: dict[str, int], name: str, count: int) -> None:
    """Add to one of named counts; one that comes to zero leaves the map, so that equal counts are equal maps."""
    number = counts.get(name, 0) + count
    if number:
        counts[name] = number
    else:
        counts.pop(name, None)


@dataclass(frozen=True)
class Whole:
    """What all partitions know together, as of their last commits: what a view of the totals answers from.

    Attributes:
        totals: merged.
        top: the name of a list of the best -> [(entity, value), ...], best first.
        recent: (the name of a `Recent`, seconds) -> (rows seen in the last so many seconds, the sum of their values).
        now: the time of asking, ms since the epoch.
    """

    totals: Any
    top: Callable[[str], list[tuple[str, int]]]
    recent: Callable[[str, float], tuple[int, int]]
    now: int
