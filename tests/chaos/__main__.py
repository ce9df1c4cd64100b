"""Run the fault matrix: python -m tests.chaos [row...] [--seed S] [--full] [--report FILE]."""

import argparse
import asyncio
import logging
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from itertools import product
from pathlib import Path

from aiokafka.errors import KafkaError

from app.admin import administering
from app.broker import bootstrap
from app.settings import Settings
from tests.chaos.catalogue import FAULTS, SOAK_ROW, Fault, lasting
from tests.chaos.report import Line, append, commit, results, write
from tests.chaos.run import Run, running

EPILOG = "rows:\n" + "\n".join(f"  {fault.row:2} {fault.name:13} {fault.what}" for fault in FAULTS)


def main() -> int:
    """Run the named scenarios, or all; print one line each; exit 1 at the first that is not exact."""
    names = {fault.name: [fault] for fault in FAULTS}
    for fault in FAULTS:
        names.setdefault(str(fault.row), []).append(fault)
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("row", nargs="*", choices=[[], *names], metavar="row", help="name or number; default: all")
    parser.add_argument("--seed", type=int, action="append", help="default: a random one; once more: another round")
    parser.add_argument("--full", action="store_true", help="the long form: more events, more faults")
    parser.add_argument("--report", type=Path, help="write what was done and what came out to this file (Markdown)")
    parser.add_argument("--results", type=Path, help="keep results in this file; the report has all that it holds")
    parser.add_argument("--logs", type=Path, help="keep the workers' logs in this folder")
    parser.add_argument("--minutes", type=float, help="how long a soak lasts; default: 10 in the long form")
    asked = parser.parse_args()
    faults = [fault for name in asked.row for fault in names[name]] or list(FAULTS)
    if asked.minutes is not None:
        faults = [lasting(fault, asked.minutes) if fault.row == SOAK_ROW else fault for fault in faults]
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # brokers that are away are what is tested
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # workers and brokers end with it
    tested, seeds = commit(), asked.seed or [random.randrange(1_000_000)]
    # A broker for all scenarios that need none of their own; not the user's, unless he names one.
    with tempfile.TemporaryDirectory() as temporary, bootstrap(folder=Path(temporary) / "kafka") as servers:
        kept = asked.results or Path(temporary) / "results"
        for seed, fault in product(seeds, faults):
            line = _run(fault, servers, asked.logs or Path(temporary), seed, tested, full=asked.full)
            append(kept, line)
            if line.verdict is None:
                break
        if asked.report:
            write(asked.report, results(kept))
    return 1 if line.verdict is None else 0


def _run(fault: Fault, servers: str, folder: Path, seed: int, tested: str, *, full: bool) -> Line:
    size = fault.full if full else fault.short
    print(f"{fault.row:2} {fault.name}: seed {seed} ...", flush=True)
    started = time.monotonic()
    verdict, said = None, ""
    try:
        with running(servers, folder, fault.name, seed=seed, size=size) as run:
            verdict = fault.scenario(run)
    except Exception as error:  # noqa: BLE001 - a body that cannot be read is a result, too, and goes into the report
        if not isinstance(error, AssertionError):
            traceback.print_exc()
        text = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
        said = text.partition("\n")[0]
        print(f"{fault.row:2} {fault.name}: NOT EXACT with seed {seed}: {text}", flush=True)
    seconds = time.monotonic() - started
    if verdict is not None:
        print(f"{fault.row:2} {fault.name}: exact in {seconds:.0f} s: {verdict}", flush=True)
        with suppress(KafkaError):
            _clean(run, servers)
    return Line(fault.name, seed, full, seconds, verdict, tested, said)


def _clean(run: Run, servers: str) -> None:
    """Leave nothing of a scenario that was exact but its logs: rounds of them would fill a disk, and a broker."""
    for folder in (run.folder / "kafka" / "data", *run.folder.glob("cluster/*/data")):
        shutil.rmtree(folder, ignore_errors=True)
    if run.settings.bootstrap_servers == servers:
        asyncio.run(_delete_topics(run.settings))


async def _delete_topics(settings: Settings) -> None:
    async with administering(settings) as admin:
        await admin.delete_topics([topic for topic in await admin.list_topics() if topic.startswith(settings.prefix)])


if __name__ == "__main__":
    sys.exit(main())
