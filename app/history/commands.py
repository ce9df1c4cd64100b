"""`tidemark history`: what a topic's latest records are."""

import asyncio
import difflib
import json
import re
from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app import topology
from app.connection import connection
from app.history import shown
from app.history.newest import Found, Wanted, newest, newest_of_ring
from app.settings import Settings
from tables import DOMAINS
from tables.domain import Domain
from tables.printable import printable
from tables.retention import Ring

LIMIT = 20
WIDE = 100_000  # columns, where nobody looks at a terminal: a record is one line
_RING_KEY = re.compile(r"(?P<partition>\d{1,4})(?:/(?P<slot>\d{1,9}))?")


class Place(NamedTuple):
    """A topic of the installation, and what it is to its domain."""

    topic: str
    domain: Domain
    role: str

    @property
    def ring(self) -> Ring | None:
        """The declaration of the ring that the topic holds, if it does."""
        per_event = self.domain.per_event
        return per_event.ring if per_event is not None and per_event.ring.role == self.role else None


@click.command()
@click.argument("topic")
@click.argument("key", required=False)
@click.option("--limit", type=click.IntRange(1, 100_000), help=f"So many.  [default: {LIMIT}; all of a ring]")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object per record, for scripts.")
def history(topic: str, key: str | None, limit: int | None, *, as_json: bool) -> None:
    """Show the latest records of a topic, the newest last.

    TOPIC is named with or without the installation's prefix. KEY asks for the records of one key; in a changelog it may
    also be the entity, which asks for all of its cells. What was committed when the command started is shown.

    A ring (assessments-snapshots) keeps the newest N records of each partition: those are shown, by revision, merged
    over the partitions by time. There --limit is for each partition, and KEY is a partition, or partition/slot.

    \b
    Examples:
      tidemark history players-stats
      tidemark history players-stats ann/all --limit 1 --json | jq .value
      tidemark history players-dead-letters --json | jq -r '.headers["tidemark-reason"]'
      tidemark history tidemark-players-changelog ann
    """  # noqa: D301 -- \b is click's mark for lines to leave as they are
    with connection(create=False) as kafka:
        settings = kafka.settings
        place = _place(settings, topic)
        asyncio.run(topology.verify(settings, [place.domain]))
        if place.ring is None:
            found = asyncio.run(_records(settings, place, key, limit or LIMIT))
        else:
            found = asyncio.run(_ring(settings, place.topic, place.ring, key, limit))
    cells = place.domain if place.role == "changelog" else None
    lines = [shown.line(one.record, one.partition, cells) for one in found]
    if as_json:
        for line in lines:
            click.echo(json.dumps(line))
        return
    _print(lines)
    if not lines:
        click.echo(f"{place.topic} holds no such record", err=True)


def _place(settings: Settings, name: str) -> Place:
    places: dict[str, Place] = {}
    for domain in DOMAINS:
        for role in _roles(domain):
            topic = topology.topic_name(settings, domain, role)
            places.setdefault(topic, Place(topic, domain, role))
            places.setdefault(topic.removeprefix(settings.prefix), Place(topic, domain, role))
    if name in places:
        return places[name]
    close = difflib.get_close_matches(name, places, n=1)
    hint = f"did you mean {close[0]}?" if close else "`tidemark topics describe` lists them"
    raise click.UsageError(f"there is no topic {printable(name)!r} in this installation; {hint}")


def _roles(domain: Domain) -> Iterable[str]:
    own = [topic.role for topic in domain.topics]
    return dict.fromkeys(("stats", "totals", "events", "dead-letters", "changelog", *own))


async def _records(settings: Settings, place: Place, key: str | None, limit: int) -> list[Found]:
    wanted: Wanted = lambda _record: True  # noqa: E731 - a default
    if key is not None:
        wanted = partial(_has_key, key=key.encode("utf-8", "surrogateescape"), cells=place.role == "changelog")
    return await newest(settings, place.topic, range(settings.partitions), limit, wanted)


def _has_key(record: Any, key: bytes, *, cells: bool) -> bool:
    return record.key == key or (cells and shown.entity_of(record.key) == key.decode("utf-8", "replace"))


async def _ring(settings: Settings, topic: str, ring: Ring, key: str | None, limit: int | None) -> list[Found]:
    partitions, slot = range(settings.partitions), None
    if key is not None:
        found = _RING_KEY.fullmatch(key)
        if not found or int(found["partition"]) not in partitions:
            last = settings.partitions - 1
            raise click.BadParameter(
                f"{printable(key)!r}: {topic} is a ring; give a partition (0 to {last}), or partition/slot",
                param_hint="KEY",
            )
        partitions = range(int(found["partition"]), int(found["partition"]) + 1)
        slot = None if found["slot"] is None else int(found["slot"])
    size = settings.options.get(ring.limit.name, ring.limit.default)
    return await newest_of_ring(settings, topic, partitions, limit or int(size), slot)


def _print(lines: list[shown.Line]) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDE)
    table = Table(box=None, pad_edge=False)
    for name in ("time", "partition", "offset", "key", "value"):
        table.add_column(name, overflow="fold", justify="right" if name in {"partition", "offset"} else "left")
    for line in lines:
        cells = [line["time"] or "", str(line["partition"]), str(line["offset"]), line["key"], _value(line)]
        table.add_row(*(Text("null" if cell is None else printable(cell)) for cell in cells))
    if lines:
        console.print(table)


def _value(line: shown.Line) -> str | None:
    if "text" in line:
        value = str(line["text"])
    elif line["value"] is None:
        value = "null"
    else:
        value = json.dumps(line["value"], ensure_ascii=False)
    about = {name: text for name, text in line.get("headers", {}).items() if name.startswith("tidemark-")}
    return f"{value}  {json.dumps(about, ensure_ascii=False)}" if about else value
