"""`tidemark reset` and `tidemark replay`."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

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

PARTLY = 4  # exit code: some partitions are done, and one has failed

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

    Rows, snapshots and rings are deleted, garbage among them as well, totals are 0, and the offset is set, in one
    transaction for each partition. Workers have to be stopped for --execute. Then start them: they fold anew from
    there. They write the dead letters and alerts of what they fold once more; `tidemark replay` makes the tables anew
    without that.

    An OFFSET is of one partition and needs --partition. A TIME without a zone is UTC.

    Exit code 0: done, or shown; 1: it cannot be done, and nothing has changed; 2: wrong usage or configuration; 3: no
    Kafka answers; 4: it has stopped on the way: the partitions that are shown are done, the message says which one is
    not, and why.

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
    new one. Rows that say the same stay as they are. Dead letters and alerts are not written twice; with --to, a worker
    writes those of what it folds anew once more. Workers have to be stopped for --execute, and go on where the replay
    has ended. It holds one partition in memory, some three times over.

    Where retention has deleted the first events they cannot be had back: say --from beginning to make the table of what
    is left. An OFFSET is of one partition and needs --partition. A TIME without a zone is UTC.

    Exit code 0: done, or shown; 1: it cannot be done, and nothing has changed; 2: wrong usage or configuration; 3: no
    Kafka answers; 4: it has stopped on the way: the partitions that are shown are done, the message says which one is
    not, and why.

    \b
    Examples:
      tidemark replay players
      tidemark replay players --partition 2 --execute
      tidemark replay players --from 2026-01-31T00:00:00Z --json | jq '.partitions[].rows'
    """  # noqa: D301 -- \b is click's mark for lines to leave as they are
    _needs_partition(partition, **{"from": from_, "to": to})
    _run(domain, partition, lambda repair, number: repair.replay(number, from_, to), execute=execute, as_json=as_json)


@dataclass
class Progress:
    """What has been done so far: it is to be known also where a later partition fails.

    Attributes:
        begun: something may have been written.
    """

    domain: Domain
    execute: bool
    quiet: bool
    done: list[Repaired] = field(default_factory=list)
    begun: bool = False

    def add(self, repaired: Repaired) -> None:
        """One more partition is done."""
        self.done.append(repaired)
        if not self.quiet:
            click.echo("\n".join(report.lines(self.domain, repaired)))

    def print_json(self, failed: dict[str, Any] | None = None) -> None:
        """All of it, for scripts; with the partition that has failed, if one has."""
        found = {
            "domain": self.domain.name,
            "executed": self.execute,
            "partitions": [report.as_json(one) for one in self.done],
            "failed": failed,
        }
        click.echo(json.dumps(found))


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
        progress = Progress(domain, execute=execute, quiet=as_json)
        try:
            with failures.explained():
                asyncio.run(_repair(settings, progress, numbers, way))
        except (RepairError, click.ClickException, OSError, KeyboardInterrupt) as error:
            if progress.begun and len(progress.done) < len(numbers):
                _stopped(progress, numbers, error)
            if isinstance(error, RepairError):
                failures.fail(str(error))
            raise
    if as_json:
        progress.print_json()
    elif not execute and not all(one.plan.empty for one in progress.done):
        click.echo("nothing has been changed: with --execute it would be", err=True)


def _stopped(progress: Progress, numbers: list[int], error: BaseException) -> NoReturn:
    """Say which partitions are done, which one is not, and why.

    Raises:
        ClickException: always.
    """
    failed, *left = numbers[len(progress.done) :]
    words = error.message if isinstance(error, click.ClickException) else str(error)
    reason = words or ("interrupted" if isinstance(error, KeyboardInterrupt) else type(error).__name__)
    if progress.quiet:
        progress.print_json(failed={"partition": failed, "reason": reason})
    done = _listed([one.number for one in progress.done])
    failures.fail(
        f"{progress.domain.name}[{failed}] has failed: {reason}. Partitions that are done: {done}; not begun: "
        f"{_listed(left)}. Run it again for those that are not done",
        PARTLY,
    )


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"


async def _repair(settings: Settings, progress: Progress, numbers: list[int], way: Way) -> None:
    domain = progress.domain
    with Console(stderr=True).status(f"Reading {domain.name}") as status:
        async with repairing(settings, domain, status.update, execute=progress.execute) as repair:
            for number in numbers:
                try:
                    progress.add(await way(repair, number))
                finally:
                    progress.begun = repair.begun
