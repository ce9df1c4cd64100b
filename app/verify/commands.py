"""`tidemark verify`: are the tables what their events say?"""

import asyncio
import json
import sys

import click
from rich.console import Console

from app import topology
from app.connection import connection
from app.engine.fetch import BRIEF_MS, consuming
from app.failures import FAILED
from app.settings import Settings
from app.verify.partition import DIFFERENT, UNKNOWN, Verdict, Verifier
from tables import DOMAINS, domain_named
from tables.domain import Domain

UNCOMPARABLE = 4  # nothing differs, but not everything could be compared


@click.command()
@click.argument("domain", type=click.Choice([domain.name for domain in DOMAINS]))
@click.option("--partition", type=click.IntRange(0), help="Only this one.  [default: all]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for scripts.")
def verify(domain: str, *, partition: int | None, as_json: bool) -> None:
    """Make a domain's tables anew from its events, and compare them with the changelog, byte for byte.

    It only reads: workers may run, and none is disturbed. Settings have to be those of the workers, limits and options
    above all. It holds one partition's rows in memory at a time, some three times over.

    Exit code 0: every cell is what the events say; 1: some cell is not, and the first one is shown; 4: events have been
    deleted by retention, so that those partitions cannot be compared; 2 and 3 as everywhere.

    \b
    Examples:
      tidemark verify players
      tidemark verify players --partition 2 --json | jq '.partitions[0].first'
    """  # noqa: D301 -- \b is click's mark for lines to leave as they are
    declared = domain_named(domain)
    with connection(create=False) as kafka:
        settings = kafka.settings
        if partition is not None and partition >= settings.partitions:
            raise click.BadParameter(
                f"{partition}: there are {settings.partitions}, from 0 on", param_hint="--partition"
            )
        asyncio.run(topology.verify(settings, [declared]))
        numbers = range(settings.partitions) if partition is None else [partition]
        verdicts = asyncio.run(_verify(settings, declared, list(numbers), quiet=as_json))
    states = {verdict.state for verdict in verdicts}
    if as_json:
        found = {"domain": domain, "ok": states == {"same"}, "partitions": [verdict.as_json() for verdict in verdicts]}
        click.echo(json.dumps(found))
    if DIFFERENT in states:
        sys.exit(FAILED)
    if UNKNOWN in states:
        sys.exit(UNCOMPARABLE)


async def _verify(settings: Settings, domain: Domain, numbers: list[int], *, quiet: bool) -> list[Verdict]:
    console, verdicts = Console(stderr=True), []
    with console.status(f"Reading {domain.name}") as status:
        async with consuming(settings, BRIEF_MS) as consumer:
            verifier = Verifier(settings, domain, consumer, status.update)
            for number in numbers:
                verdicts.append(await verifier.verify(number))
                if not quiet:
                    click.echo("\n".join(lines(domain, verdicts[-1])))
    return verdicts


def lines(domain: Domain, verdict: Verdict) -> list[str]:
    """A verdict for people."""
    where = f"{domain.name}[{verdict.partition}]"
    about = f"{verdict.rows:,} rows, {verdict.cells:,} cells, as of source offset {verdict.position:,}"
    if verdict.reason:
        return [f"{where}: {verdict.state}: {verdict.reason}"]
    if verdict.first is None:
        return [f"{where}: {verdict.state}: {about}"]
    first = verdict.first.as_lines(domain.entity_name)
    return [f"{where}: {verdict.state} in {verdict.differing:,} cells; {about}. The first:", *first]
