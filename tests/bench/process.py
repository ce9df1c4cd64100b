"""Measured programs: started one at a time, each in a process of its own, and always ended, by their process id."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
REPORT = "TIDEMARK_BENCH_REPORT"  # names the file for the report: Faust logs to standard output
LOOK_SECONDS = 0.05
STOP_SECONDS = 15.0
ERROR_LINES = 15


class BenchError(RuntimeError):
    """A measured program did not report."""


def measure(program: str, *arguments: object, seconds: float) -> dict[str, Any]:
    """Run `python -m tests.bench.<program>` until it has reported, and end it.

    Args:
        program: a module beside this one.
        arguments: its arguments.
        seconds: how long it may take until it reports.

    Returns:
        Its report.

    Raises:
        BenchError: it ended, or its time was over, without one.
    """
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as output:
        report = Path(folder) / "report.json"
        process = subprocess.Popen(
            [sys.executable, "-m", f"tests.bench.{program}", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=ROOT,
            env=os.environ | {REPORT: str(report), "APP_DATADIR": folder},
        )
        try:
            deadline = time.monotonic() + seconds
            while not report.exists() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(LOOK_SECONDS)
        finally:
            _end(process)
        if not report.exists():
            output.seek(0)
            said = b"\n".join(output.read().splitlines()[-ERROR_LINES:]).decode(errors="replace")
            raise BenchError(f"{program} {arguments} did not report within {seconds:.0f} s:\n{said}")
        told: dict[str, Any] = json.loads(report.read_bytes())
        return told


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def tell(report: dict[str, Any]) -> None:
    """Report, from inside a measured program; the file appears when it is complete."""
    path = Path(os.environ[REPORT])
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps(report))
    unfinished.replace(path)
