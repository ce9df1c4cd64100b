"""What an independent oracle of a domain says, computed in plain Python from the records alone.

An oracle imports nothing of the product. It is given every record of the source topic, each partition in its order, and
says what the stats topic, the merged totals and the views must say.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol


class Raw(NamedTuple):
    """A record as it stands in the source topic."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: tuple[tuple[str, bytes | None], ...] = ()


class Oracle(Protocol):
    """One domain's. What is left out of an expected body is not compared."""

    def fold(self, record: Raw) -> None:
        """Take the next record of its partition in."""

    def outcomes(self) -> Mapping[str, int]:
        """How the records ended: `applied`, `duplicate`, `late`, `invalid`, `misrouted`."""

    def stats(self, now: int) -> Mapping[bytes, Mapping[str, Any]]:
        """The latest snapshot of every key of the stats topic, at a time (ms) at which no emission is pending."""

    def totals(self) -> Mapping[str, Any]:
        """The merged totals, by name of field."""

    def answers(self, now: int) -> Iterable[tuple[str, Mapping[str, Any]]]:
        """Some views that say it all, as (path with query, the fields that the answer must have)."""
