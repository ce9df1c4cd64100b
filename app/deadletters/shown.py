"""Dead letters as people and scripts read them. They hold hostile input: nothing of it reaches a terminal raw."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.deadletters.letter import Letter
from app.history.shown import text
from app.printable import printable
from tables.event import iso

Line = dict[str, Any]
WIDE = 100_000  # columns, where nobody looks at a terminal: a letter is one line
SHOWN = 4_000  # characters of a value; `--raw` writes all of it
_NUMBERS = re.compile(r"\d+")
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
    """All of a letter."""
    return line(letter, state) | {
        "original": str(letter.original),
        "timestamp": None if letter.timestamp is None else iso(letter.timestamp),
        "truncated": letter.truncated is not None,
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
    value = shown.pop("value")
    for name, said in shown.items():
        if name != "headers":
            click.echo(f"{name:<10} {_printable(said)}")
    for name, said in shown["headers"]:
        click.echo(f"{'header':<10} {printable(name)}: {_printable(said)}")
    cut = "" if value is None or len(value) <= SHOWN else f" ... and {len(value) - SHOWN:,} more characters; see --raw"
    click.echo(f"{'value':<10} {_printable(value if value is None else value[:SHOWN])}{cut}")


def _printable(said: Any) -> str:
    return printable(said) if isinstance(said, str) else json.dumps(said)


class Summary:
    """Counts of letters by outcome, state and reason. Numbers in reasons differ from letter to letter: each is an N."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str, str]] = Counter()

    def add(self, letter: Letter, state: str) -> None:
        """Count a letter."""
        self.counts[letter.outcome, state.split(" as ", 1)[0], _NUMBERS.sub("N", letter.reason)] += 1

    def as_json(self) -> list[Line]:
        """The most first."""
        names = ("outcome", "state", "reason")
        return [dict(zip(names, said, strict=True)) | {"letters": count} for said, count in self.counts.most_common()]

    def print(self) -> None:
        """For people."""
        for (outcome, state, reason), count in self.counts.most_common():
            click.echo(f"{count:>9,}  {outcome:<9}  {state:<9}  {printable(reason)}")
