"""`tidemark doctor`."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence

import click
from aiokafka.errors import KafkaError
from rich.console import Console

from app.connection import connection
from app.doctor import brokers, deep, group, partitions, topics, transactions
from app.doctor.finding import NOTE, SEVERITIES, WARNING, Finding, lines
from app.doctor.installation import Installation, looking_at
from app.failures import FAILED
from app.settings import Settings
from tables import DOMAINS
from tables.domain import Domain

Check = Callable[[Installation], AsyncIterator[Finding]]
CHECKS: dict[str, Check] = {
    "brokers": brokers.check,
    "topics": topics.check,
    "transactions": transactions.check,
    "group": group.check,
    "partitions": partitions.check,
}
DEEP: dict[str, Check] = {"events": deep.check}


@click.command()
@click.argument("domains", nargs=-1, type=click.Choice([domain.name for domain in DOMAINS]), metavar="[DOMAIN]...")
@click.option("--deep", "is_deep", is_flag=True, help="Also make every table anew from its events, and compare.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for scripts.")
def doctor(domains: tuple[str, ...], *, is_deep: bool, as_json: bool) -> None:
    """Find what is wrong with an installation: where exactly, why it matters, and what to do.

    It looks at brokers, topics, open transactions, the consumer group, and at every cell, row, total and offset of the
    domains (all of them where none is named). It only reads; workers may run. It holds one partition in memory at a
    time. With --deep, every table is also made anew from its events: `tidemark verify` over everything.

    Exit code 0: nothing is wrong (notes tell what is worth knowing); 1: something is; 2 and 3 as everywhere.

    \b
    Examples:
      tidemark doctor
      tidemark doctor players --deep
      tidemark doctor --json | jq -r '.findings[] | .where + ": " + .what'
    """  # noqa: D301 -- \b is click's mark for lines to leave as they are
    chosen = [domain for domain in DOMAINS if domain.name in domains or not domains]
    with connection(create=False) as kafka:
        findings = asyncio.run(_examine(kafka.settings, chosen, CHECKS | (DEEP if is_deep else {})))
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    healthy = all(finding.severity == NOTE for finding in findings)
    if as_json:
        names = [domain.name for domain in chosen]
        click.echo(json.dumps({"ok": healthy, "domains": names, "findings": [one.as_json() for one in findings]}))
    else:
        _print(findings)
    if not healthy:
        sys.exit(FAILED)


async def _examine(settings: Settings, domains: Sequence[Domain], checks: dict[str, Check]) -> list[Finding]:
    findings: list[Finding] = []
    with Console(stderr=True).status("Looking") as status:
        async with looking_at(settings, domains, status.update) as installation:
            for name, check in checks.items():
                status.update(f"Looking at {name}")
                try:
                    findings += [finding async for finding in check(installation)]
                except KafkaError as error:
                    findings.append(_unchecked(name, error))
    return findings


def _unchecked(name: str, error: KafkaError) -> Finding:
    return Finding(
        severity=WARNING,
        check=name,
        what=f"this could not be looked at: {error!r}",
        why="nobody knows whether it is right",
        remedy="the right to describe topics, groups and the cluster may be missing; or look at the broker's log",
    )


def _print(findings: list[Finding]) -> None:
    for line in lines(findings):
        click.echo(line)
    counts = Counter(finding.severity for finding in findings)
    said = ", ".join(
        f"{counts[severity]} {severity}{'s' * (counts[severity] > 1)}" for severity in SEVERITIES if counts[severity]
    )
    click.echo(said or "nothing is wrong", err=True)
