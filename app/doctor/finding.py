"""What a check says."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from app.printable import printable

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

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"{self.severity}: {self.where + ': ' if self.where else ''}{printable(self.what)}"
        yield f"  why it matters: {self.why}"
        yield f"  what to do:     {self.remedy}"
