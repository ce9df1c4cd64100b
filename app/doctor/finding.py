"""What a check says."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from tables.printable import printable

ERROR, WARNING, NOTE = "error", "warning", "note"
"""A worker refuses or would be wrong; it is at risk; something to know, and nothing is wrong."""
SEVERITIES = (ERROR, WARNING, NOTE)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was found.

    Attributes:
        severity: error, warning or note.
        check: the name of the check.
        what: was found.
        why: it matters.
        remedy: what to do, as a command where there is one.
        topic: where, as exactly as is known.
        partition: of the topic.
        offset: of the record.
        cell: its key, as text.
    """

    severity: str
    check: str
    what: str
    why: str
    remedy: str
    topic: str = ""
    partition: int | None = None
    offset: int | None = None
    cell: str | None = None

    @property
    def where(self) -> str:
        """The place in words; empty for what is nowhere in particular."""
        parts = [self.topic] if self.topic else []
        parts += [f"partition {self.partition}"] if self.partition is not None else []
        parts += [f"offset {self.offset}"] if self.offset is not None else []
        parts += [f"key {printable(self.cell)}"] if self.cell is not None else []
        return " ".join(parts)

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return asdict(self) | {"where": self.where}

    def __str__(self) -> str:
        return f"{self.severity}: {self.where + ': ' if self.where else ''}{printable(self.what)}"


def lines(findings: Iterable[Finding]) -> Iterator[str]:
    """For people. Of neighbours that matter for one reason and have one remedy, both are said once, after the last."""
    for (why, remedy), alike in groupby(findings, key=lambda finding: (finding.why, finding.remedy)):
        yield from map(str, alike)
        yield f"  why it matters: {why}"
        yield f"  what to do:     {remedy}"


def several(names: Sequence[object], shown: int = 3) -> str:
    """The first of them, and how many more there are."""
    more = len(names) - shown
    first = ", ".join(map(str, names[:shown]))
    return f"{first} and {more:,} more" if more > 0 else first
