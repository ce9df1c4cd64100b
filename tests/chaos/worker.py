"""A worker of some domains only, by name: `python -m tests.chaos.worker players`.

A scenario crashes at a step of an order; the partitions of domains that have nothing to do would get there first.
"""

import asyncio
import sys
from collections.abc import Collection

from app import failures
from app.main import build
from app.settings import load
from app.worker import Worker, set_up_logging
from tables import DOMAINS


def run(names: Collection[str]) -> int:
    """Run a worker of these domains as `tidemark worker` does; returns its exit code."""
    chosen = [domain for domain in DOMAINS if domain.name in names]
    settings = load()
    set_up_logging(settings)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    crash = Worker(build(settings, chosen), loop).run()
    if crash is not None:
        failures.crashed(crash, settings)
    return 0


if __name__ == "__main__":
    with failures.exiting():
        sys.exit(run(sys.argv[1:]))
