"""`tidemark broker`: a broker that lives until it is stopped, for work that takes more than one command."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from app.broker.errors import BrokerError
from app.broker.folder import Folder, announcement
from app.broker.jars import KAFKA_VERSION
from app.broker.ready import HOST, is_ready
from app.broker.server import default_folder, embedded, find

NOT_RUNNING = 3
STILL_USED = 4

_folder = click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the broker's data survives.  [default: 'kafka' in $TIDEMARK_HOME or the user's data folder]",
)


@click.group()
def broker() -> None:
    """Run a real Kafka without installing one.

    Other commands start one for themselves when KAFKA_BOOTSTRAP_SERVERS names none, and it ends with them. A broker
    started here lives on, and those commands use it.

    \b
    Examples:
      tidemark broker start
      tidemark broker status --json
      tidemark broker stop
    """  # noqa: D301 -- \b is click's mark for lines to leave as they are


@broker.command()
@_folder
@click.option("--port", type=click.IntRange(1, 65535), help="Its port on 127.0.0.1.  [default: the last one, or free]")
def start(folder: Path | None, port: int | None) -> None:
    """Start a broker that lives until `tidemark broker stop`, and print its address.

    Where one runs already, it is kept from now on. Exit code 0: it runs; 1: it does not, and why.

    \b
    Examples:
      tidemark broker start
      tidemark broker start --port 9092 --folder ~/kafka
      export KAFKA_BOOTSTRAP_SERVERS=$(tidemark broker start)
    """  # noqa: D301 -- \b is click's mark for lines to leave as they are
    if not Folder((folder or default_folder()).absolute()).is_running():
        click.echo(f"{announcement()}.", err=True)
    try:
        with embedded(folder, port) as running:
            running.keep()
            click.echo(running.bootstrap_servers)
    except BrokerError as error:
        raise click.ClickException(str(error)) from error


@broker.command()
@_folder
@click.option("--now", is_flag=True, help="Stop it even while other programs use it.")
def stop(folder: Path | None, *, now: bool) -> None:
    """Stop the broker that `start` started.

    Programs that use it go on, and it ends with the last of them, unless told otherwise. Exit code 0: it is stopped,
    or did not run; 1: it does not stop, and why; 4: others still use it.

    \b
    Examples:
      tidemark broker stop
      tidemark broker stop --now
    """  # noqa: D301 -- \b is click's mark for lines to leave as they are
    try:
        running = find(folder)
        if running is None:
            click.echo(f"No broker runs in {folder or default_folder()}.", err=True)
            return
        if now:
            running.stop()
        else:
            running.release()
        if not running.leave():
            click.echo("Other programs use the broker; it ends with the last of them, or with --now.", err=True)
            sys.exit(STILL_USED)
    except BrokerError as error:
        raise click.ClickException(str(error)) from error
    click.echo("The broker is stopped; its data is kept.", err=True)


@broker.command()
@_folder
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
def status(folder: Path | None, *, as_json: bool) -> None:
    """Say whether a broker runs, and where.

    Exit code 0: it runs; 3: it does not.

    \b
    Examples:
      tidemark broker status
      tidemark broker status --json | jq -r .bootstrap_servers
    """  # noqa: D301 -- \b is click's mark for lines to leave as they are
    facts = _facts(Folder((folder or default_folder()).absolute()))
    if as_json:
        click.echo(json.dumps(facts))
    else:
        for name, value in facts.items():
            click.echo(f"{name.replace('_', ' '):<18} {'-' if value is None else value}")
    if not facts["running"]:
        sys.exit(NOT_RUNNING)


def _facts(folder: Folder) -> dict[str, str | int | bool | None]:
    state = folder.read_state() if folder.is_running() else None
    return {
        "running": state is not None,
        "answering": state is not None and is_ready(state.port),
        "bootstrap_servers": f"{HOST}:{state.port}" if state else None,
        "kept": state is not None and state.kept,
        "since": datetime.fromtimestamp(state.started, UTC).isoformat(timespec="seconds") if state else None,
        "java_pid": state.java if state else None,
        "kafka": KAFKA_VERSION,
        "folder": str(folder.path),
        "log": str(folder.log),
    }
