"""`tidemark watch`: all domains, live."""

import asyncio
import json
import signal
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from app import topology
from app.connection import connection
from app.engine.totals import following
from app.failures import fail
from app.settings import Settings
from app.watch.sight import Sight, Watched
from tables import DOMAINS
from tables.domain import Domain
from tables.event import OUTCOMES, iso
from tables.printable import printable

LOOK_SECONDS = 1.0
Show = Callable[[Sequence[Sight]], None]


@click.command()
@click.option("--domain", type=click.Choice([domain.name for domain in DOMAINS]), help="Only this one.")
@click.option("--once", is_flag=True, help="Show the numbers once and end.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object per domain and change, for scripts.")
def watch(*, domain: str | None, once: bool, as_json: bool) -> None:
    """Show what all domains are doing, live: keys, records, outcomes, records per second, who leads.

    The numbers are those of the last commits, read from the totals topics; no worker is asked, and none has to run. A
    terminal is updated in place; elsewhere a domain gets a line whenever its numbers have changed, once a second at
    most. Ctrl-C ends it, with exit code 0.

    \b
    Examples:
      tidemark watch
      tidemark watch --domain players --json | jq .rate
      tidemark watch --once --json | jq '{domain, keys, consumed}'
    """  # noqa: D301 -- \b is click's mark for lines to leave as they are
    chosen = [found for found in DOMAINS if domain in {None, found.name}]
    # A shell starts what it puts into the background with SIGINT ignored; SIGTERM ends it as Ctrl-C does.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with connection() as kafka:
        asyncio.run(topology.verify(kafka.settings, chosen))
        with suppress(KeyboardInterrupt):
            try:
                asyncio.run(_watch(kafka.settings, chosen, once=once, as_json=as_json))
            except TimeoutError as error:
                fail(str(error))


async def _watch(settings: Settings, chosen: Sequence[Domain], *, once: bool, as_json: bool) -> None:
    console = Console()
    live = Live(console=console, auto_refresh=False) if console.is_terminal and not as_json else None
    show = _in_place(live) if live is not None else _lines(as_json=as_json)
    async with following(settings, chosen) as totals:
        watched = [Watched(domain, totals) for domain in chosen]
        with live or nullcontext():
            while True:
                show([one.look() for one in watched])
                if once:
                    return
                await asyncio.sleep(LOOK_SECONDS)


def _in_place(live: Live) -> Show:
    return lambda sights: live.update(table(sights), refresh=True)


def _lines(*, as_json: bool) -> Show:
    last: dict[str, Sight] = {}

    def show(sights: Sequence[Sight]) -> None:
        for sight in sights:
            before, last[sight.domain] = last.get(sight.domain), sight
            # The rate goes on falling after the last record, and nobody wants a line for that, but for its end.
            if (
                before is None
                or before._replace(rate=None) != sight._replace(rate=None)
                or (before.rate and not sight.rate)
            ):
                click.echo(json.dumps(sight.as_json()) if as_json else line(sight))

    return show


def line(sight: Sight) -> str:
    """A domain in one line."""
    outcomes = " ".join(f"{name}={number}" for name, number in sight.outcomes.items())
    firsts = " ".join(f"top.{name}={printable(first.entity)}:{first.value}" for name, first in sight.firsts.items())
    about = f"rows={sight.keys} consumed={sight.consumed} {outcomes} rate={_rate(sight)} at={_at(sight)}"
    return f"{sight.domain} {about} {firsts}".rstrip()


def table(sights: Sequence[Sight]) -> Group:
    """All domains, and who leads their lists."""
    numbers = Table(box=None, pad_edge=False)
    for name in ("domain", "rows", "consumed", *OUTCOMES, "records/s", "last event"):
        numbers.add_column(name, justify="left" if name in {"domain", "last event"} else "right")
    firsts = Table(box=None, pad_edge=False)
    for name in ("domain", "list", "first", "value"):
        firsts.add_column(name, justify="right" if name == "value" else "left")
    for sight in sights:
        counts = (sight.keys, sight.consumed, *sight.outcomes.values())
        numbers.add_row(sight.domain, *(f"{number:,}" for number in counts), _rate(sight), _at(sight)[:19])
        for name, first in sight.firsts.items():
            value = f"{first.value:,}" if isinstance(first.value, (int, float)) else str(first.value)
            firsts.add_row(sight.domain, Text(name), Text(printable(first.entity)), Text(value))
    return Group(numbers, Text(), firsts) if firsts.row_count else Group(numbers)


def _rate(sight: Sight) -> str:
    return "-" if sight.rate is None else f"{sight.rate:.1f}"


def _at(sight: Sight) -> str:
    return iso(sight.at) if sight.at else "-"
