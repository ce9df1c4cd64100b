"""The report of a run of the fault matrix: what was done, how often, what was checked, what came out."""

import platform
import shutil
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import groupby
from os import cpu_count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from app.broker.jars import KAFKA_VERSION
from tests.chaos.checker import Verdict
from tests.chaos.run import Size

if TYPE_CHECKING:
    from tests.chaos.catalogue import Fault


class Line(NamedTuple):
    """One run of one scenario that was exact."""

    fault: "Fault"
    seed: int
    size: Size
    verdict: Verdict
    seconds: float


HEAD = """\
# The fault matrix

Every fault is made on a real Kafka with real worker processes; what comes out is read as any consumer would, and
compared with an oracle that knows only the input topic. Written by `python -m tests.chaos`; what the invariants I1 to
I5 say stands in [reliability](reliability.md).

The columns: *records* of the input; *rows* and *snapshots* that were compared with the oracle's; *cells* of the
changelog (the players' are compared one by one, the other domains' by their rows, totals and snapshots); *dead letters*
that were found with their places and bytes; *views* that were answered while the faults happened, and compared with a
prefix of the input, and those that were *refused* with a reason. A scenario makes its faults in so many turns, and
writes input before, between and during them."""
TIMED_SECONDS = 60.0  # a size of fewer says how long one of many steps takes


class Report:
    """The report of a run, as it grows.

    Args:
        path: of the Markdown file; None for none.
        full: which forms.

    Attributes:
        lines: what was exact so far.
    """

    def __init__(self, path: Path | None, *, full: bool) -> None:
        self._path = path
        self._forms = "full" if full else "short"
        self._commit = _commit()
        self.lines: list[Line] = []

    def write(self, broken: str = "") -> None:
        """Write the file; `broken` names the run that was not exact."""
        if self._path is not None:
            self._path.write_text("\n".join(self._text(broken)) + "\n")

    def _text(self, broken: str) -> list[str]:
        seeds = ", ".join(str(seed) for seed in dict.fromkeys(line.seed for line in self.lines))
        records, cells = (sum(getattr(line.verdict, name) for line in self.lines) for name in ("records", "cells"))
        minutes = sum(line.seconds for line in self.lines) / 60
        commits = " to ".join(dict.fromkeys((self._commit, _commit())))  # workers run what is there when they start
        said = [
            *HEAD.splitlines(),
            "",
            f"- {datetime.now(UTC):%Y-%m-%d}, {self._forms} forms, seeds {seeds}: "
            + (f"NOT EXACT: {broken}" if broken else "every run exact"),
            f"- {records:,} records, {cells:,} cells of changelogs, in {minutes:.0f} minutes",
            f"- Kafka {KAFKA_VERSION} (embedded, one broker), Python {platform.python_version()}, "
            + ", ".join(f"{name} {version(name)}" for name in ("faust-streaming", "aiokafka"))
            + f"; commit {commits}",
            f"- {platform.system()} on {cpu_count()} cores of {platform.machine()}",
            "",
        ]
        ordered = sorted(self.lines, key=lambda line: (line.fault.row, line.fault.name))
        for _, group in groupby(ordered, key=lambda line: (line.fault.row, line.fault.name)):
            said += _section(list(group))
        return said


def _commit() -> str:
    """The commit that is there, with a mark where files, other than the report, have changed since."""
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":(top,exclude)docs/fault-matrix.md")
    return (_git("rev-parse", "--short", "HEAD") or "unknown") + ("-dirty" if changed else "")


def _git(*arguments: str) -> str:
    command = [shutil.which("git") or "git", "-C", str(Path(__file__).parent), *arguments]
    with suppress(OSError):
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return ""


def size_of(size: Size) -> str:
    """How much a form of a scenario does, in words."""
    amount = f"{size.events:,} events at a time for each of {', '.join(size.domains)}; turns: {size.faults}"
    return f"{amount}; for {size.seconds:.0f} s" if size.seconds > TIMED_SECONDS else amount


def _section(runs: list[Line]) -> list[str]:
    fault, size = runs[0].fault, runs[0].size
    what = f"{fault.what[0].upper()}{fault.what[1:]}"
    said = [f"## {fault.row} {fault.name}", "", f"{what}.", "", f"Size: {size_of(size)}.", ""]
    if fault.checked:
        said += [f"Checked beside the invariants: {fault.checked}.", ""]
    said += ["| seed | seconds | records | rows | cells | snapshots | dead letters | views | refused | further |"]
    said += ["|---|---|---|---|---|---|---|---|---|---|"]
    for run in runs:
        found = run.verdict
        compared = found.records, found.rows, found.cells, found.snapshots, found.dead_letters
        numbers = (*compared, found.views, found.refused)
        further = "; ".join(f"{name}: {value}" for name, value in found.figures.items())
        said.append(f"| {run.seed} | {run.seconds:.0f} | " + " | ".join(f"{n:,}" for n in numbers) + f" | {further} |")
    return [*said, ""]
