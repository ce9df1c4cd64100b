"""What became of what was read."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tables.printable import printable

REASON_LIMIT = 300  # characters: a reason may quote what a stranger has written
REFUSED_SHOWN = 20  # more lines tell nothing new; the number of all is in the report


@dataclass
class Report:
    """Counts of one ingest; read = written + skipped + refused, once it has ended well.

    Attributes:
        skipped: reason -> elements that are none of the events wanted.
        refused: how many lines are no event of the domain.
        reasons: the first of those, as (line, reason).
    """

    read: int = 0
    written: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    reasons: list[tuple[int, str]] = field(default_factory=list)

    def skip(self, reason: str) -> None:
        """Count what is not wanted."""
        self.skipped[_shown(reason)] += 1

    def refuse(self, line: int, reason: str) -> None:
        """Count a line that is wrong."""
        self.refused += 1
        if len(self.reasons) < REFUSED_SHOWN:
            self.reasons.append((line, _shown(reason)))

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        reasons = [{"line": line, "reason": reason} for line, reason in self.reasons]
        skipped = dict(self.skipped.most_common())
        return {
            "read": self.read,
            "written": self.written,
            "skipped": skipped,
            "refused": self.refused,
            "reasons": reasons,
        }

    def as_lines(self) -> list[str]:
        """For people."""
        lines = [f"read {self.read:>10,}", f"written {self.written:>7,}"]
        if self.skipped:
            lines.append(f"skipped {self.skipped.total():>7,}")
            lines += [f"  {number:>13,}  {reason}" for reason, number in self.skipped.most_common()]
        if self.refused:
            lines.append(f"refused {self.refused:>7,}")
            lines += [f"  line {line:>8,}  {reason}" for line, reason in self.reasons]
            more = self.refused - len(self.reasons)
            lines += [f"  and {more:,} more"] if more else []
        return lines


def _shown(reason: str) -> str:
    return printable(reason)[:REASON_LIMIT]
