"""The report of a run of the fault matrix: what was done, how often, what was checked, what came out."""

import platform
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from os import cpu_count
from pathlib import Path

import msgspec

from app.broker.jars import KAFKA_VERSION
from tests.chaos.catalogue import FAULTS, Fault
from tests.chaos.checker import Verdict
from tests.chaos.run import Size


class Line(msgspec.Struct, frozen=True):
    """One run of one scenario.

    Attributes:
        fault: its name.
        verdict: None where something did not hold.
        commit: the last one that changed what was tested.
        error: what did not.
    """

    fault: str
    seed: int
    full: bool
    seconds: float
    verdict: Verdict | None
    commit: str
    error: str = ""


HEAD = """\
# The fault matrix

Every fault is made on a real Kafka with real worker processes; what comes out is read as any consumer would, and
compared with an oracle that knows only the input topic. Written by `python -m tests.chaos`; what the invariants I1 to
I5 say stands in [reliability](reliability.md).

The columns: *commit*, the last one that changed app, agents or tables; *records* of the input; *rows* and *snapshots*
that were compared with the oracle's; *cells* of the changelog, each compared with what the domain's fold makes of the
events in a process that has met no fault (the players' with the oracle's, too); *dead letters* that were found with
their places and bytes; *views* of players that were answered while the faults happened, and compared with a prefix of
the input, and those that were *refused* with a reason. In the end the views of all domains are asked. A scenario makes
its faults in so many turns, and writes input before, between and during them."""
COLUMNS = (
    "seed", "commit", "seconds", "records", "rows", "cells", "snapshots", "dead letters", "views", "refused", "further"
)  # fmt: skip
TIMED_SECONDS = 60.0  # a size of fewer says how long one of many steps takes


def append(path: Path, line: Line) -> None:
    """Keep a run's result in a file, as a line of JSON; several processes may do so, each with scenarios of its own."""
    with path.open("ab") as file:
        file.write(msgspec.json.encode(line) + b"\n")


def results(path: Path) -> list[Line]:
    """The results that are kept in a file."""
    decoder = msgspec.json.Decoder(Line, dec_hook=lambda kind, value: kind(value))  # a Counter from a dict
    return [decoder.decode(line) for line in path.read_bytes().splitlines()]


def write(path: Path, lines: Sequence[Line]) -> None:
    """Write the report of these runs as Markdown."""
    path.write_text("\n".join(_text(lines)) + "\n")


def _text(lines: Sequence[Line]) -> list[str]:
    seeds = ", ".join(str(seed) for seed in sorted({line.seed for line in lines}))
    forms = "full" if all(line.full for line in lines) else "short"
    verdicts = [line.verdict for line in lines if line.verdict is not None]
    records, cells = (sum(getattr(verdict, name) for verdict in verdicts) for name in ("records", "cells"))
    minutes = sum(line.seconds for line in lines) / 60
    last = {(line.fault, line.seed): line.verdict for line in lines}
    broken = [f"{fault} with seed {seed}" for (fault, seed), verdict in last.items() if verdict is None]
    mended = [line for line in lines if line.verdict is None and last[line.fault, line.seed] is not None]
    found = dict.fromkeys(f"{line.fault} with seed {line.seed}" for line in mended)
    exact = "every run exact, some when repeated" if found else "every run exact"
    said = [
        *HEAD.splitlines(),
        "",
        f"- {datetime.now(UTC):%Y-%m-%d}, {forms} forms, seeds {seeds}: "
        + (f"all exact but: {', '.join(broken)}" if broken else exact),
        *([f"- Failed before something was mended: {', '.join(found)}"] if found else []),
        f"- {records:,} records, {cells:,} cells of changelogs, in {minutes:.0f} minutes",
        f"- Kafka {KAFKA_VERSION} (embedded; one broker, three under elections), Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in ("faust-streaming", "aiokafka")),
        f"- {platform.system()} on {cpu_count()} cores of {platform.machine()}",
        "",
    ]
    for fault in FAULTS:
        runs = sorted((line for line in lines if line.fault == fault.name), key=lambda line: line.seed)
        said += _section(fault, runs) if runs else []
    return said


def commit() -> str:
    """The last commit that changed what is tested, with a mark where files other than the report are uncommitted."""
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":(top,exclude)docs/fault-matrix.md")
    tested = [f":(top){folder}" for folder in ("app", "agents", "tables")]
    return (_git("log", "-1", "--format=%h", "--", *tested) or "unknown") + ("-dirty" if changed else "")


def _git(*arguments: str) -> str:
    command = [shutil.which("git") or "git", "-C", str(Path(__file__).parent), *arguments]
    with suppress(OSError):
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return ""


def size_of(size: Size) -> str:
    """How much a form of a scenario does, in words."""
    amount = f"{size.events:,} events at a time for each of {', '.join(size.domains)}; turns: {size.faults}"
    return f"{amount}; for {size.seconds:.0f} s" if size.seconds > TIMED_SECONDS else amount


def _section(fault: Fault, runs: list[Line]) -> list[str]:
    size = fault.full if runs[0].full else fault.short
    what = f"{fault.what[0].upper()}{fault.what[1:]}"
    said = [f"## {fault.row} {fault.name}", "", f"{what}.", "", f"Size: {size_of(size)}.", ""]
    if fault.checked:
        said += [f"Checked beside the invariants: {fault.checked}.", ""]
    said += [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    for run in runs:
        compared, further = [""] * 7, f"**failed**: {run.error}"
        if (found := run.verdict) is not None:
            numbers = found.records, found.rows, found.cells, found.snapshots, found.dead_letters
            compared = [f"{number:,}" for number in (*numbers, found.views, found.refused)]
            further = "; ".join(f"{name}: {value}" for name, value in found.figures.items())
        said.append(f"| {run.seed} | {run.commit} | {run.seconds:.0f} | {' | '.join(compared)} | {further} |")
    return [*said, ""]
