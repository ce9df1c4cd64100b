"""`tidemark topics`: create, verify and describe the topics of an installation."""

import asyncio
import json
import sys

import click

from app import topology
from app.connection import connection
from app.failures import FAILED
from app.settings import load
from tables import DOMAINS

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


@click.group()
def topics() -> None:
    """Create, verify and describe the topics.

    \b
    Examples:
      tidemark topics create
      tidemark topics verify && tidemark worker
      TIDEMARK_PREFIX=staging- tidemark topics describe --json
    """  # noqa: D301 -- \b is click's mark for lines to leave as they are


@topics.command()
@_json
def create(*, as_json: bool) -> None:
    """Create the topics that are missing, and bring the settings of the others to what is wanted.

    Retention follows TIDEMARK_EVENTS_RETENTION_DAYS and TIDEMARK_DEAD_LETTERS_RETENTION_DAYS: a shorter one deletes
    older records. Settings that Tidemark does not set stay as they are, and so do partitions and replicas.

    \b
    Examples:
      tidemark topics create
      TIDEMARK_PARTITIONS=12 TIDEMARK_REPLICATION=3 tidemark topics create
    """  # noqa: D301 -- \b is click's mark for lines to leave as they are
    with connection(create=False) as kafka:
        created = asyncio.run(topology.create(kafka.settings, DOMAINS))
        altered = asyncio.run(topology.alter(kafka.settings, DOMAINS))
    if as_json:
        click.echo(json.dumps({"created": created, "altered": list(altered)}))
        return
    for name in created:
        click.echo(f"created {name}")
    for name, changes in altered.items():
        click.echo(f"altered {name}: {', '.join(changes)}")
    if not created and not altered:
        click.echo("all topics exist; tidemark topics verify tells whether they are right", err=True)


@topics.command()
@_json
def verify(*, as_json: bool) -> None:
    """Compare the topics with what the worker needs.

    Exit code 0: all is right; 1: something is not, one line each with the remedy.

    \b
    Examples:
      tidemark topics verify
      tidemark topics verify --json | jq -r '.problems[]'
    """  # noqa: D301 -- \b is click's mark for lines to leave as they are
    with connection(create=False) as kafka:
        problems = asyncio.run(topology.problems(kafka.settings, DOMAINS))
    if as_json:
        click.echo(json.dumps({"ok": not problems, "problems": problems}))
    else:
        for line in problems:
            click.echo(line)
        if not problems:
            click.echo("all topics are as they have to be", err=True)
    if problems:
        sys.exit(FAILED)


@topics.command()
@_json
def describe(*, as_json: bool) -> None:
    """Say which topics an installation needs, and what each is for. Asks no Kafka.

    \b
    Examples:
      tidemark topics describe
      tidemark topics describe --json | jq -r '.topics[].name'
    """  # noqa: D301 -- \b is click's mark for lines to leave as they are
    wanted = topology.topology(load(), DOMAINS)
    if as_json:
        click.echo(json.dumps({"topics": [topic.__dict__ | {"config": dict(topic.config)} for topic in wanted]}))
        return
    width = max(len(topic.name) for topic in wanted)
    for topic in wanted:
        config = " ".join(f"{name}={value}" for name, value in topic.config)
        click.echo(f"{topic.name:<{width}}  {topic.partitions} x {topic.replication}  {config}  {topic.about}")
