"""The report of a run of the fault matrix: what was done, how often, what was checked, what came out."""

import platform
from collections.abc import Sequence
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


def write(path: Path, lines: Sequence[Line], *, full: bool) -> None:
    """Write the report as Markdown."""
    path.write_text("\n".join(_lines(lines, full=full)) + "\n")


def _lines(lines: Sequence[Line], *, full: bool) -> list[str]:
    seeds = ", ".join(str(seed) for seed in dict.fromkeys(line.seed for line in lines))
    said = [
        "# The fault matrix",
        "",
        "Every fault is made on a real Kafka with real worker processes; what comes out is read as any consumer would",
        "and compared with an oracle that knows only the input topic. Written by `python -m tests.chaos`; what is",
        "compared, and what the invariants I1 to I5 say, stands in [reliability](reliability.md).",
        "",
        f"- {datetime.now(UTC):%Y-%m-%d}, {'full' if full else 'short'} forms, seeds {seeds}: every run exact",
        f"- Kafka {KAFKA_VERSION} (embedded, one broker), Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in ("faust-streaming", "aiokafka")),
        f"- {platform.system()} on {cpu_count()} cores of {platform.machine()}",
        "",
    ]
    ordered = sorted(lines, key=lambda line: (line.fault.row, line.fault.name))
    for _, group in groupby(ordered, key=lambda line: (line.fault.row, line.fault.name)):
        said += _section(list(group))
    return said


def _section(runs: list[Line]) -> list[str]:
    fault, size = runs[0].fault, runs[0].size
    amount = f"{size.events:,} events at a time per domain ({', '.join(size.domains)}), faults: {size.faults}"
    said = [f"## {fault.row} {fault.name}", "", f"{fault.what[0].upper()}{fault.what[1:]}. {amount}.", ""]
    if fault.checked:
        said += [f"Checked beside the invariants: {fault.checked}.", ""]
    said += ["| seed | seconds | records | rows | cells | snapshots | dead letters | views | further |"]
    said += ["|---|---|---|---|---|---|---|---|---|"]
    for run in runs:
        found = run.verdict
        numbers = (found.records, found.rows, found.cells, found.snapshots, found.dead_letters, found.views)
        further = "; ".join(f"{name}: {value}" for name, value in found.figures.items())
        said.append(f"| {run.seed} | {run.seconds:.0f} | " + " | ".join(f"{n:,}" for n in numbers) + f" | {further} |")
    return [*said, ""]
