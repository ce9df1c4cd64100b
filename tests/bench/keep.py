"""A worker of the failover bench. Program: SERVERS PREFIX RUN PORT STANDBYS INSTANCE.

It is the app that `app.main.build` makes, with its web views; it says on standard output when an assignment arrives,
in seconds since the epoch, before anything is done about it.
"""

import asyncio
import sys
import time
from dataclasses import replace
from typing import Any

from app.main import build
from app.worker import Worker, set_up_logging
from tables.views import EntityView
from tests.bench.installation import installation
from tests.bench.one_cell import ONE_CELL

PATH = "/api/v1/sums/{entity}"
ASSIGNED = "assigned at "
SUMS = replace(ONE_CELL, views=(EntityView(PATH, "A row.", lambda row, _asked, _now: {"revision": row.head.revision}),))


def main(servers: str, prefix: str, run: str, port: str, standbys: str, instance: str) -> int:
    """Run the worker until it is told to stop."""
    settings = installation(servers, prefix, run).model_copy(
        update={"web_port": int(port), "standbys": int(standbys), "instance_id": instance}
    )
    set_up_logging(settings)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    app = build(settings, [SUMS])
    taken_over = app.assignor.on_assignment

    def on_assignment(assignment: Any) -> None:
        print(f"{ASSIGNED}{time.time()}", flush=True)
        taken_over(assignment)

    app.assignor.on_assignment = on_assignment
    return 1 if Worker(app, loop).run() else 0


if __name__ == "__main__":
    sys.exit(main(*[*sys.argv[1:], ""][:6]))
