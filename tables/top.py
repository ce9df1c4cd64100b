"""The ten best rows of a partition, kept exactly and cheaply.

A full order index costs every changed row a removal and an insertion per list, whoever leads. Here a list keeps
`ROOM` candidates and a *floor*: a rank that no row outside the candidates reaches. A changed row is compared with
the floor and, nearly always, that is all. Only when falls and burials have used up the candidates is the list built
anew from all rows; from `ROOM` down to `SHOWN` that takes at least 54 of them.
"""

import heapq
from collections.abc import Iterable

SHOWN = 10
ROOM = 64

Rank = tuple[int, str]
"""(-value, entity): the smaller the better, and no two rows have the same."""

WORST: Rank = (1 << 127, "")


class TopList:
    """One list. `changed` tells whether the shown part may differ from what was last published."""

    def __init__(self) -> None:
        self.candidates: dict[str, int] = {}
        self.floor: Rank = WORST  # every row that is not a candidate ranks here or worse
        self.changed = False

    def update(self, entity: str, value: int | None) -> None:
        """Take in a row's present value; None takes the row out."""
        candidates = self.candidates
        before = candidates.get(entity)
        if before is None:
            if value is not None and (-value, entity) < self.floor:
                candidates[entity] = value
                self.changed = True
                if len(candidates) > ROOM:
                    self._trim()
        elif value is None or not (-value, entity) < self.floor:
            del candidates[entity]
            self.changed = True
        elif value != before:
            candidates[entity] = value
            self.changed = True

    def _trim(self) -> None:
        worst = max((-value, entity) for entity, value in self.candidates.items())
        del self.candidates[worst[1]]
        self.floor = worst

    @property
    def wanting(self) -> bool:
        """Whether rows outside the candidates may belong to the shown ones."""
        return len(self.candidates) < SHOWN and self.floor is not WORST

    def rebuild(self, values: Iterable[tuple[str, int]]) -> None:
        """Build the list anew from every (entity, value)."""
        best = heapq.nsmallest(ROOM + 1, ((-value, entity) for entity, value in values))
        self.floor = best[ROOM] if len(best) > ROOM else WORST
        self.candidates = {entity: -negative for negative, entity in best[:ROOM]}
        self.changed = True

    def best(self) -> list[tuple[str, int]]:
        """The shown entities with their values, best first; ties by entity."""
        ranked = heapq.nsmallest(SHOWN, ((-value, entity) for entity, value in self.candidates.items()))
        return [(entity, -negative) for negative, entity in ranked]


def merge(lists: Iterable[Iterable[tuple[str, int]]]) -> list[tuple[str, int]]:
    """The ten best over several partitions' lists."""
    ranked = heapq.nsmallest(SHOWN, ((-value, entity) for best in lists for entity, value in best))
    return [(entity, -negative) for negative, entity in ranked]
