"""`tidemark reset` and `tidemark replay`."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import click
from rich.console import Console

from app import failures, topology
from app.connection import connection
from app.engine import failpoints
from app.repair import report
from app.repair.moment import METAVAR, Moment, MomentType
from app.repair.partition import Repair, Repaired, repairing
from app.repair.swap import RepairError
from app.settings import Settings
from tables import DOMAINS, domain_named
from tables.domain import Domain

Way = Callable[[Repair, int], Awaitable[Repaired]]

_domain = click.argument("domain", type=click.Choice([domain.name for domain in DOMAINS]))
_partition = click.option("--partition", type=click.IntRange(0), help="Only this one.  [default: all]")
_execute = click.option("--execute", is_flag=True, help="Do it. Without this, what would change is shown.")
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for scripts.")


@click.command()
@_domain
@_partition
@click.option(
    "--to", type=MomentType(), metavar=METAVAR, help="Where in the source to begin anew.  [default: beginning]"
)
@_execute
@_json
def reset(domain: str, *, partition: int | None, to: Moment | None, execute: bool, as_json: bool) -> None:
    """Empty a domain's tables, and set where in its source a worker begins anew.

    Rows, snapshots, rings and totals are deleted, garbage among them as well, and the offset is set, in one transaction
    for each partition. Workers have to be stopped. Then start them: they fold anew from there. Their dead letters and
    alerts are written once more; `tidemark replay` does it without.

    An OFFSET is of one partition and needs --partition. A TIME without a zone is UTC.

    Exit code 0: done, or shown; 1: it cannot be done, and nothing has changed; 2 and 3 as everywhere.

    \b
    Examples:
      tidemark reset players
      tidemark reset players --execute && tidemark worker
      tidemark reset players --partition 2 --to end --execute
    """  # noqa: D301 -- \b is click's mark for lines to leave as they are
    _needs_partition(partition, to=to)
    _run(domain, partition, lambda repair, number: repair.reset(number, to), execute=execute, as_json=as_json)


@click.command()
@_domain
@_partition
@click.option(
    "--from",
    "from_",
    type=MomentType(),
    metavar=METAVAR,
    help="Where in the source to begin.  [default: its first offset, 0]",
)
@click.option("--to", type=MomentType(), metavar=METAVAR, help="Where to stop.  [default: where the table is]")
@_execute
@_json
def replay(
    domain: str, *, partition: int | None, from_: Moment | None, to: Moment | None, execute: bool, as_json: bool
) -> None:
    """Make a domain's tables anew from its events, show what would change, and put them in the place of the old.

    The new table is made in memory and swapped in by one transaction for each partition: readers see the old one or the
    new one. Rows that say the same stay as they are. Dead letters and alerts are not written twice. Workers have to be
    stopped for --execute, and go on where the replay has ended. It holds one partition in memory, some three times
    over.

    Where retention has deleted the first events they cannot be had back: say --from beginning to make the table of what
    is left. An OFFSET is of one partition and needs --partition. A TIME without a zone is UTC.

    Exit code 0: done, or shown; 1: it cannot be done, and nothing has changed; 2 and 3 as everywhere.

    \b
    Examples:
      tidemark replay players
      tidemark replay players --partition 2 --execute
      tidemark replay players --from 2026-01-31T00:00:00Z --json | jq '.partitions[].rows'
    """  # noqa: D301 -- \b is click's mark for lines to leave as they are
    _needs_partition(partition, **{"from": from_, "to": to})
    _run(domain, partition, lambda repair, number: repair.replay(number, from_, to), execute=execute, as_json=as_json)


def _needs_partition(partition: int | None, **moments: Moment | None) -> None:
    for name, moment in moments.items():
        if moment is not None and moment.offset is not None and partition is None:
            raise click.UsageError(f"--{name} {moment.text} is an offset of one partition: say which with --partition")


def _run(name: str, partition: int | None, way: Way, *, execute: bool, as_json: bool) -> None:
    domain = domain_named(name)
    failpoints.check(failpoints.SWAP)
    with connection(create=False) as kafka:
        settings = kafka.settings
        if partition is not None and partition >= settings.partitions:
            raise click.BadParameter(
                f"{partition}: there are {settings.partitions}, from 0 on", param_hint="--partition"
            )
        asyncio.run(topology.verify(settings, [domain]))
        numbers = list(range(settings.partitions)) if partition is None else [partition]
        try:
            done = asyncio.run(_repair(settings, domain, numbers, way, execute=execute, quiet=as_json))
        except RepairError as error:
            failures.fail(str(error))
    if as_json:
        found = {"domain": name, "executed": execute, "partitions": [report.as_json(one) for one in done]}
        click.echo(json.dumps(found))
    elif not execute and not all(one.plan.empty for one in done):
        click.echo("nothing has been changed: with --execute it will be", err=True)


async def _repair(
    settings: Settings, domain: Domain, numbers: list[int], way: Way, *, execute: bool, quiet: bool
) -> list[Repaired]:
    done = []
    with Console(stderr=True).status(f"Reading {domain.name}") as status:
        async with repairing(settings, domain, status.update, execute=execute) as repair:
            for number in numbers:
                done.append(await way(repair, number))
                if not quiet:
                    click.echo("\n".join(report.lines(domain, done[-1])))
    return done
