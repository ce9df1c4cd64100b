"""Slices: consecutive records of a partition, on their way from the transport to the agent."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.engine.owned import Owned


@dataclass(frozen=True)
class Slice:
    """Consecutive records of a partition, as the transport hands them to the agent."""

    owned: "Owned"
    epoch: int
    start: int
    """Where the slice before it ended: a slice that got lost is noticed."""
    records: list[Any]

    @property
    def may_wait(self) -> bool:
        """Whether its partition has no room for it before the next commit. A lost partition has: it folds nothing."""
        return self.epoch == self.owned.epoch and not self.owned.has_room

    def fold(self) -> None:
        """Fold the slice, unless its partition has been lost since it was fetched."""
        self.owned.fold(self)

    def give_up(self) -> None:
        """Leave the slice for later, with all that was fetched behind it."""
        self.owned.give_up(self)
