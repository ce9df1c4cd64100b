"""Two sets of cells: which differ, and what the first one holds on either side."""

from dataclasses import asdict, dataclass
from typing import Any

import msgspec
import orjson

from agents.emit import PUBLISHED_UNTIL, RING
from app.engine.changelog import READ_TO, SKIPPED, SOURCE
from app.history.shown import cell, text
from tables.domain import Domain
from tables.printable import printable
from tables.table import TOTALS_KEY, cell_key

# Numbers of the partition's own that do not follow from events: when something was
# published, a setting, which topic the source is, what was deleted of it, where its markers end.
ASIDE = {cell_key(None, (name,)) for name in (RING, PUBLISHED_UNTIL, SOURCE, SKIPPED, READ_TO)}


@dataclass(frozen=True)
class Difference:
    """A cell that differs.

    Attributes:
        entity: None for what is the partition's own.
        cell: its name; empty for the head, ["totals"] for the totals.
        events: what the events say, fields by name; None where they say that there is no such cell.
        changelog: what the changelog says, likewise.
    """

    entity: str | None
    cell: list[str]
    events: Any
    changelog: Any

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return asdict(self)

    def as_lines(self, entity_name: str) -> list[str]:
        """For people: of two cells, the fields that differ."""
        whose = "the partition's" if self.entity is None else f"{entity_name} {printable(self.entity)!r},"
        which = printable(orjson.dumps(self.cell).decode()) if self.cell else "head"
        lines = [f"{whose} {which}"]
        events, changelog = self.events, self.changelog
        if isinstance(events, dict) and isinstance(changelog, dict):
            names = [name for name in events if events[name] != changelog.get(name)]
            events = {name: events[name] for name in names}
            changelog = {name: changelog.get(name) for name in names}
        return [*lines, f"  by the events:    {_shown(events)}", f"  by the changelog: {_shown(changelog)}"]


def differences(
    domain: Domain, by_events: dict[bytes, bytes], by_changelog: dict[bytes, bytes]
) -> tuple[int, Difference | None]:
    """How many cells differ, and the first of them: rows by their keys, then what is the partition's own."""
    found = differing(domain, by_events, by_changelog)
    if not found:
        return 0, None
    first = min(found, key=lambda key: (key.startswith(b"[null"), key))
    entity, *name = orjson.loads(first)
    said = Difference(
        entity,
        ["totals"] if first == TOTALS_KEY else name,
        _says(domain, first, by_events),
        _says(domain, first, by_changelog),
    )
    return len(found), said


def differing(domain: Domain, by_events: dict[bytes, bytes], by_changelog: dict[bytes, bytes]) -> list[bytes]:
    """The keys of the cells that differ, in no order."""
    keys = (by_events.keys() | by_changelog.keys()) - ASIDE
    found = [key for key in keys if by_events.get(key) != by_changelog.get(key)]
    return [key for key in found if _says(domain, key, by_events) != _says(domain, key, by_changelog)]


def _says(domain: Domain, key: bytes, cells: dict[bytes, bytes]) -> Any:
    """What a cell says, whatever the order in which a map in it was filled; None for no cell."""
    value = cells.get(key)
    if value is None:
        return None
    try:
        return cell(domain, key, value)
    except (ValueError, TypeError, LookupError, msgspec.MsgspecError):
        return text(value)


def _shown(said: Any) -> str:
    return "no such cell" if said is None else printable(orjson.dumps(said).decode())
