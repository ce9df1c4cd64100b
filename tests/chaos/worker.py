"""A worker of some domains only, by name: `python -m tests.chaos.worker players`.

A scenario crashes at a step of an order; the partitions of domains that have nothing to do would get there first.
"""

import asyncio
import sys

from app.main import build
from app.settings import load
from app.worker import Worker, set_up_logging
from tables import DOMAINS

if __name__ == "__main__":
    chosen = [domain for domain in DOMAINS if domain.name in sys.argv[1:]]
    settings = load()
    set_up_logging(settings)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    sys.exit(1 if Worker(build(settings, chosen), loop).run() else 0)
