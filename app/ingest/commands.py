"""`tidemark ingest`: files into topics."""

import asyncio
import json
import sys
from collections.abc import Callable, Iterator

import click

from app import topology
from app.connection import connection
from app.failures import FAILED
from app.ingest import smartpool as farms
from app.ingest.array import elements
from app.ingest.lines import event_records
from app.ingest.progress import Records, progress
from app.ingest.pubg import record, slim_events
from app.ingest.report import Report
from app.ingest.source import InputError, Source
from app.ingest.writer import write
from app.settings import Settings
from tables import DOMAINS, domain_named
from tables.domain import Domain
from tables.players import PLAYERS
from tables.printable import printable
from tables.workers import WORKERS

ERROR_LIMIT = 1_000  # characters
_files = click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(exists=True, dir_okay=False, allow_dash=True)
)
_json = click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, for scripts.")


@click.group()
def ingest() -> None:
    """Read files and write events into a domain's source topic.

    Files may be gzipped, `-` is standard input. An ingest that was interrupted is completed by running it again: what
    it repeats is recognised and not counted twice.

    \b
    Examples:
      tidemark ingest pubg telemetry.json.gz
      tidemark ingest smartpool farm.json
      tidemark ingest events players events.jsonl
    """  # noqa: D301 -- \b is click's mark for lines to leave as they are


@ingest.command()
@_files
@click.option("--match-id", default="", help="For telemetry that does not name its match.")
@click.option("--match-type", default="", help="For a match whose id does not tell its type (official, custom...).")
@_json
def pubg(files: tuple[str, ...], match_id: str, match_type: str, *, as_json: bool) -> None:
    """Read PUBG telemetry, one match to a file, as the publisher's API gives it.

    \b
    Examples:
      tidemark ingest pubg telemetry.json
      curl -s --compressed "$URL" | tidemark ingest pubg - --json
    """  # noqa: D301 -- \b is click's mark for lines to leave as they are
    if match_id and len(files) > 1:
        raise click.UsageError("--match-id names one match; give one FILE with it")

    def records(source: Source, report: Report) -> Iterator[tuple[bytes, bytes]]:
        return map(record, slim_events(elements(source), report, match_id, match_type))

    _ingest(files, PLAYERS, records, as_json=as_json)


@ingest.command()
@_files
@_json
def smartpool(files: tuple[str, ...], *, as_json: bool) -> None:
    """Read the statistics of SmartPool mining farms, one farm to a file: each rig becomes a worker.

    \b
    Examples:
      tidemark ingest smartpool farm.json
      tidemark ingest smartpool farm.json.gz --json
    """  # noqa: D301 -- \b is click's mark for lines to leave as they are
    _ingest(files, WORKERS, farms.records, as_json=as_json)


@ingest.command()
@click.argument("domain", type=click.Choice([domain.name for domain in DOMAINS]))
@_files
@_json
def events(domain: str, files: tuple[str, ...], *, as_json: bool) -> None:
    """Read a domain's events as JSON lines; the key is derived from each.

    Exit code 0: all lines are written; 1: some were refused, by line number, and the others written.

    \b
    Examples:
      tidemark ingest events players events.jsonl more.jsonl.gz
      generate | tidemark ingest events players -
    """  # noqa: D301 -- \b is click's mark for lines to leave as they are
    declared = domain_named(domain)
    _ingest(files, declared, lambda source, report: event_records(source, declared, report), as_json=as_json)


def _ingest(
    files: tuple[str, ...], domain: Domain, records: Callable[[Source, Report], Records], *, as_json: bool
) -> None:
    reports: list[tuple[str, Report]] = []
    try:
        with connection() as kafka:
            asyncio.run(topology.verify(kafka.settings, [domain]))
            for path in files:
                with Source(path) as source:
                    reports.append((source.name, Report()))
                    ingest_source(kafka.settings, domain, source, records, reports[-1][1])
    finally:
        _print(reports, as_json=as_json)
    if any(report.refused for _, report in reports):
        sys.exit(FAILED)


def ingest_source(
    settings: Settings,
    domain: Domain,
    source: Source,
    records: Callable[[Source, Report], Records],
    report: Report,
) -> None:
    """Write what `records` makes of a source into the domain's source topic.

    Raises:
        InputError: the source is wrong at some place; what came before it is written.
    """
    topic = topology.topic_name(settings, domain, "events")
    try:
        with progress(source) as shown:
            asyncio.run(write(settings, topic, shown(records(source, report)), report))
    except InputError as error:
        # What is wrong may be quoted in it, whatever that is and however long.
        wrong = printable(str(error))[:ERROR_LIMIT]
        raise InputError(f"{source.name}: {wrong}. {_before(report.written)}") from error


def _before(written: int) -> str:
    """What became of the events before the place that is wrong."""
    again = "mend or fetch the file again and repeat the ingest"
    if not written:
        return f"No event is written; {again}"
    if written == 1:
        return f"The event before that is written; {again}: it is recognised"
    return f"The {written:,} events before that are written; {again}: they are recognised"


def _print(reports: list[tuple[str, Report]], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"files": [{"file": name} | report.as_json() for name, report in reports]}))
        return
    for name, report in reports:
        click.echo("\n".join([name, *(f"  {line}" for line in report.as_lines())]))
