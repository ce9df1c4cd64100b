"""`python -m tests.bench [fold] [restore] | costs | failover`: measure, print, fail if a required ratio is missed."""

import argparse
import json
import logging
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from app.broker import embedded
from app.settings import load
from tests.bench import costs, failover
from tests.bench.benches import SHORT, Bench, Fold, Restore, Sizes
from tests.bench.installation import remove
from tests.bench.process import BenchError
from tests.bench.report import missed, result, text


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Tidemark, the limit and stock Faust, side by side on one broker: KAFKA_BOOTSTRAP_SERVERS, or an "
        "embedded Kafka of its own.",
        epilog="exit code: 0, or 1 if a required ratio is missed (fold 50 x, restore 30 x stock Faust), or a "
        "failover's target (6 s, with standbys 2 s)",
    )
    parser.add_argument(
        "bench", nargs="*", help="fold, restore (both by default); or costs, of single events; or failover"
    )
    parser.add_argument("--events", type=int, metavar="N", help="events to fold, and rows to restore (1,000,000)")
    parser.add_argument("--runs", type=int, metavar="K", help="runs of which the medians are shown (3)")
    parser.add_argument("--short", action="store_true", help="small figures, one run: under a minute")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    if len(arguments.bench) > 1 and (alone := {"costs", "failover"} & set(arguments.bench)):
        parser.error(f"{alone.pop()} is measured by itself")
    if unknown := set(arguments.bench) - {"fold", "restore", "costs", "failover"}:
        parser.error(f"no such bench: {', '.join(sorted(unknown))}")
    return arguments


def _sizes(arguments: argparse.Namespace) -> Sizes:
    sizes = SHORT if arguments.short else Sizes()
    if arguments.events:
        few = {
            "stock_events": min(sizes.stock_events, arguments.events),
            "stock_rows": min(sizes.stock_rows, arguments.events),
        }
        sizes = replace(sizes, events=arguments.events, rows=arguments.events, **few)
    return replace(sizes, runs=arguments.runs) if arguments.runs else sizes


@contextmanager
def _kafka() -> Iterator[str]:
    if servers := load().bootstrap_servers:
        yield servers
        return
    with TemporaryDirectory(prefix="tidemark-bench-") as folder, embedded(Path(folder) / "kafka") as broker:
        yield broker.bootstrap_servers


def main() -> int:
    """Run the benches that are asked for."""
    arguments = _arguments()
    if arguments.bench == ["costs"]:
        costs.run(as_json=arguments.json)
        return 0
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a new topic's leader is looked for more than once
    sizes, names = _sizes(arguments), arguments.bench or ["fold", "restore"]

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    prefix = f"bench-{uuid.uuid4().hex[:8]}-"
    with _kafka() as servers:
        if names == ["failover"]:
            try:
                return failover.run(servers, prefix, sizes.rows, sizes.runs, say, as_json=arguments.json)
            except BenchError as error:
                say(str(error))
                return 2
            finally:
                remove(servers, prefix)
        benches: list[Bench] = []
        if "fold" in names:
            benches += [Fold(domain, servers, prefix, sizes, say) for domain in Fold.events]
        if "restore" in names:
            benches.append(Restore(servers, prefix, sizes, say))
        try:
            for bench in benches:
                bench.run()
        except BenchError as error:
            say(str(error))
            return 2
        finally:
            remove(servers, prefix)
    whole = result(benches, sizes)
    print(json.dumps(whole) if arguments.json else text(whole))
    return 1 if missed(whole) else 0


if __name__ == "__main__":
    sys.exit(main())
