"""What `tidemark deadletters resend` says of each letter, and in the end."""

import json
import sys
from collections import Counter

import click

from app.deadletters.foretelling import PASSED
from app.deadletters.resending import ALREADY, RESENT_TO, WOULD, Resent
from app.deadletters.standing import FOLDED
from app.deadletters.waiting import Ended
from app.failures import FAILED, fail
from tables.printable import printable

# By the outcome that was foretold: what the letter would do.
_CHANGES = {
    "APPLIED": "count",
    "DUPLICATE": "change nothing (DUPLICATE)",
    "LATE": "change nothing (LATE)",
    "INVALID": "be a dead letter again (INVALID)",
    "MISROUTED": "be a dead letter again (MISROUTED)",
}
COUNTS_LATE = "count, though their rows have counted their sequences already, or later ones"


class Report:
    """What is said about letters, and how many of them ended how."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._counts: Counter[str] = Counter()
        self._foretold: Counter[str] = Counter()
        self._good = True
        self.sent: list[Resent] = []
        self.missing = ""

    @property
    def number(self) -> int:
        """Letters so far."""
        return self._counts.total()

    def resent(self, one: Resent, *, later: bool) -> None:
        """A letter has been resent, or not; `later`: how it ended is still to come."""
        self._counts[one.result] += 1
        if one.outcome:
            self._foretold[_CHANGES[one.outcome] if one.reason != PASSED else COUNTS_LATE] += 1
        self._good = self._good and one.result in {WOULD, RESENT_TO, ALREADY}
        if one.result == RESENT_TO:
            self.sent.append(one)
        if not later:
            self._line(one, one.result, one.reason)

    def ended(self, ended: Ended) -> None:
        """A resent letter has ended."""
        self._counts[ended.end.split(", as ")[0]] += 1
        self._good = self._good and ended.end == FOLDED
        self._line(ended.resent, ended.end, ended.reason)

    def finish(self, domain: str, *, execute: bool) -> None:
        """Sum up on standard error, and end with the exit code."""
        counts = ", ".join(f"{count:,} {name}" for name, count in self._counts.items())
        click.echo(f"{domain}: {counts or 'no such dead letter'}", err=True)
        for end, count in self._foretold.items():
            click.echo(f"  {count:,} would {end}", err=True)
        if self._counts[WOULD] and not execute:
            click.echo("nothing was sent: --execute does it", err=True)
        if self.missing:
            fail(self.missing)
        if not self._good:
            sys.exit(FAILED)

    def _line(self, one: Resent, result: str, reason: str) -> None:
        to = str(one.to) if one.to.offset >= 0 else f"{one.to.topic}/{one.to.partition}"
        if self._as_json:
            about = {"id": one.letter.id, "original": str(one.letter.original), "to": to}
            outcome = one.outcome.lower() or None
            click.echo(json.dumps(about | {"result": result, "outcome": outcome, "reason": reason}))
            return
        where = f" {to}" if result in {WOULD, RESENT_TO} else ""
        where += f", and {_CHANGES[one.outcome]}" if one.outcome else ""
        click.echo(f"{one.letter.id} {result}{where}{': ' if reason else ''}{printable(reason)}")
