"""Dead letters as people and scripts read them. They hold hostile input: nothing of it reaches a terminal raw."""

import json
from collections.abc import Iterable
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.deadletters.letter import Letter
from app.history.shown import text
from tables.event import iso
from tables.printable import printable

Line = dict[str, Any]
WIDE = 100_000  # columns, where nobody looks at a terminal: a letter is one line
SHOWN = 4_000  # characters of a value; `--raw` writes all of it
COLUMNS = ("id", "written", "outcome", "state", "from", "key", "bytes", "reason")


def line(letter: Letter, state: str) -> Line:
    """A letter without its bytes."""
    return {
        "id": letter.id,
        "written": iso(letter.written) if letter.written >= 0 else None,
        "outcome": letter.outcome,
        "state": state,
        "topic": letter.place.topic,
        "partition": letter.place.partition,
        "offset": letter.place.offset,
        "key": text(letter.key),
        "bytes": letter.size,
        "reason": letter.reason,
    }


def whole(letter: Letter, state: str) -> Line:
    """All of a letter. The sizes of its key and value are of what is here, null where there is none."""
    return line(letter, state) | {
        "original": str(letter.original),
        "timestamp": None if letter.timestamp is None else iso(letter.timestamp),
        "truncated": letter.truncated is not None,
        "key_bytes": None if letter.key is None else len(letter.key),
        "value_bytes": None if letter.value is None else len(letter.value),
        "headers": [[name, text(value)] for name, value in letter.headers],
        "value": text(letter.value),
    }


def print_table(lines: Iterable[Line]) -> None:
    """One line per letter."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDE)
    table = Table(box=None, pad_edge=False)
    for name in COLUMNS:
        table.add_column(name, overflow="fold", justify="right" if name == "bytes" else "left")
    for one in lines:
        values = one | {"from": f"{one['partition']}/{one['offset']}", "bytes": f"{one['bytes']:,}"}
        table.add_row(*(Text("null" if values[name] is None else printable(str(values[name]))) for name in COLUMNS))
    if table.row_count:
        console.print(table)


def print_whole(shown: Line) -> None:
    """A letter, a line for everything that is said of it."""
    value = shown["value"]
    more = "" if value is None or len(value) <= SHOWN else f" ... and {len(value) - SHOWN:,} more characters; see --raw"
    said = shown | {"key": _content(shown["key"]), "bytes": _sizes(shown)}
    for name in ("headers", "value", "truncated", "key_bytes", "value_bytes"):
        del said[name]
    for name, text_ in said.items():
        click.echo(f"{name:<10} {_printable(text_)}")
    if shown["truncated"]:
        click.echo(f"{'truncated':<10} it had {shown['bytes']:,} bytes, of which the first are here")
    for name, header in shown["headers"]:
        click.echo(f"{'header':<10} {printable(name)}: {_printable(header)}")
    click.echo(f"{'value':<10} {_printable(_content(value and value[:SHOWN]))}{more}")


def _content(said: str | None) -> str:
    """A key or a value; that there is none, or nothing in it, in a word. `_sizes` tells the word from such a text."""
    return "null" if said is None else said or "empty"


def _sizes(shown: Line) -> str:
    sizes = {name: shown[f"{name}_bytes"] for name in ("key", "value")}
    return ", ".join(f"no {name}" if size is None else f"{name} {size:,}" for name, size in sizes.items())


def _printable(said: Any) -> str:
    return printable(said) if isinstance(said, str) else json.dumps(said)
