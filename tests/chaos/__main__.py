"""Run fault scenarios: python -m tests.chaos [kill crash rebalance] [--seed S] [--full]."""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from app.broker import bootstrap
from tests.chaos.scenarios import SCENARIOS, run_scenario


def main() -> int:
    """Run the named scenarios, or all; print one line each; exit 1 at the first that is not exact."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", nargs="*", choices=[[], *SCENARIOS], help="default: all")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--full", action="store_true", help="the long form: 1,000,000 events, more faults")
    asked = parser.parse_args()
    with bootstrap() as servers, tempfile.TemporaryDirectory() as folder:
        for name in asked.scenario or SCENARIOS:
            started = time.monotonic()
            print(f"{name}: seed {asked.seed} ...", flush=True)
            verdict = run_scenario(name, servers, Path(folder), asked.seed, full=asked.full)
            print(f"{name}: exact in {time.monotonic() - started:.0f} s: {verdict}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
