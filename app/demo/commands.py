"""`tidemark demo`: the command and what it shows."""

import asyncio
import json
import signal
import time
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.broker.ready import free_port, is_free
from app.connection import Connection, connection
from app.demo.child import ChildError
from app.demo.play import Result, play
from app.failures import fail
from app.settings import Settings, is_loopback


@click.command()
@click.option("--once", is_flag=True, help="End when everything is counted, instead of serving views until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables, for scripts.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the embedded Kafka keeps its data.  [default: $TIDEMARK_HOME or the user's data folder]",
)
def demo(*, once: bool, as_json: bool, data: Path | None) -> None:
    """Play all domains: Kafka, a worker, real and generated data, the numbers, the dashboard.

    Real: four minutes of a PUBG match, fifteen hours of a mining farm. Generated: assessments, tutors, projects and
    their snapshots. Run it twice: the second time the players' and the workers' events are all duplicates, and their
    numbers stay as they are.

    Exit code 0: done; 1: the worker failed, and why; 2: a setting, a topic or the embedded Kafka is wrong; 3: the Kafka
    that KAFKA_BOOTSTRAP_SERVERS names does not answer.

    \b
    Examples:
      tidemark demo
      tidemark demo --once --json | jq .players
      tidemark demo --data ./demo-data
    """  # noqa: D301 -- \b is click's mark for lines to leave as they are
    began = time.monotonic()
    # What Ctrl-C does, SIGTERM does: the worker and the embedded Kafka are stopped in good order. A shell starts
    # what it puts into the background with SIGINT ignored, and SIGTERM would be ignored with it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    with connection(data) as found:
        kafka = found._replace(settings=_with_free_port(found.settings))

        def done(result: Result) -> None:
            if as_json:
                click.echo(json.dumps(result.as_json()))
            else:
                _show(kafka, result)
            if not once:
                click.echo(f"Dashboard: {kafka.settings.advertised_url}   Ctrl-C ends the demo.", err=True)

        try:
            asyncio.run(play(kafka, began, done, once=once))
        except (ChildError, TimeoutError) as error:
            fail(str(error))


def _with_free_port(settings: Settings) -> Settings:
    if not is_loopback(settings.web_host) or is_free(settings.web_port):
        return settings
    port = free_port()
    click.echo(f"Port {settings.web_port} is taken; the dashboard is on {port} (TIDEMARK_WEB_PORT chooses).", err=True)
    return settings.model_copy(update={"web_port": port})


def _show(kafka: Connection, result: Result) -> None:
    where = "embedded Kafka" if kafka.embedded else "Kafka"
    console = Console()
    title = "This run's records, and the rows that there are"
    domains = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in ("domain", *result.events, "rows"):
        domains.add_column(name, justify="left" if name == "domain" else "right")
    for name, told in result.domains.items():
        domains.add_row(name, *(f"{number:,}" for number in (*told["events"].values(), told["rows"])))
    players = Table(title="All players", title_justify="left", box=None, pad_edge=False)
    for name in result.players:
        players.add_column(name, justify="right")
    players.add_row(*(f"{number:,}" for number in result.players.values()))
    console.print(domains)
    console.print(players)
    console.print(escape(f"{where} at {kafka.settings.bootstrap_servers}, {result.seconds} s in all."))
