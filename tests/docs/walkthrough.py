"""One real event through the seven steps: the bytes that docs/walkthrough.md shows, from the code itself."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from unittest.mock import patch

import msgspec
from aiohttp.test_utils import make_mocked_request

from agents.aggregate import aggregate
from agents.driver import Sent
from agents.emit import take
from agents.task import Commit, Outgoing, Task
from app.demo.cut import SAMPLE
from app.ingest.array import elements
from app.ingest.pubg import record, slim_events
from app.ingest.report import Report
from app.ingest.source import Source
from app.partitions import partitioner
from app.settings import Settings
from app.topology import topic_name
from app.web import answers
from tables.event import Outcome
from tables.players import PLAYERS
from tables.row import Row
from tables.table import Change, Table
from tables.views import EntityView

NOW = 1_522_961_590_000  # 2018-04-05T20:53:10Z, six seconds after the event
SETTINGS = Settings.model_construct(bootstrap_servers="unused")  # the defaults
COMMIT_MS, EMISSION_MS = round(SETTINGS.commit_interval_seconds * 1000), 5_000
OFFSET = 0
partition_of = partitioner(SETTINGS.partitions)
LINE = 80  # characters of JSON that stay on one line
_INNERMOST = re.compile(r"[\[{]\n[^\n]*\n\s*[\]}]|[\[{]\n[^\[\]{}]*[\]}]")


@dataclass(frozen=True)
class Way:
    """Everything that the event leads to."""

    telemetry: dict[str, object]
    index: int
    key: bytes
    value: bytes
    partition: int
    outcome: Outcome
    row: str
    totals: str
    first: Commit
    second: Commit
    view: dict[str, object]


@cache
def walk() -> Way:
    """Take the first event of the demo's match through an installation that has seen nothing yet."""
    with Source(str(SAMPLE)) as source:
        key, value = record(next(slim_events(elements(source), Report())))
    index = json.loads(value)["seq"]
    with Source(str(SAMPLE)) as source:
        telemetry = next(element for number, element in elements(source) if number == index)
    partition = partition_of(key)
    table = Table(PLAYERS, partition, partitions=SETTINGS.partitions)
    source_topic = topic_name(SETTINGS, PLAYERS, "events")
    task = Task(PLAYERS, partition, table, source_topic, partition_of)
    aggregate(task, [Sent(OFFSET, key, value, [], NOW)], NOW)
    row = table.rows[key]
    outcome = next(outcome for outcome in Outcome if table.totals.outcomes[outcome])
    shown, totals = _row(row), repr(table.totals)
    first = take(task, NOW + COMMIT_MS)
    view = _view(row, partition)
    second = take(task, NOW + EMISSION_MS)
    return Way(telemetry, index, key, value, partition, outcome, shown, totals, first, second, view)


def _row(row: Row) -> str:
    lines = ["head", f"  {row.head!r}", *(f"{name}\n  {cell!r}" for name, cell in row.cells.items())]
    return "\n".join(
        line.replace(", classes=", ",\n    classes=")
        .replace(", Sums(", ",\n      Sums(")
        .replace("(Sums(", "(\n      Sums(")
        for line in lines
    )


def _view(row: Row, partition: int) -> dict[str, object]:
    view = next(view for view in PLAYERS.views if isinstance(view, EntityView) and view.path.endswith("enhanced-stats"))
    request = make_mocked_request("GET", view.path.replace("{entity}", row.entity))
    with patch.object(answers, "now_ms", lambda: NOW):
        body = view.answer(row, {"match_type": "all"}, NOW)
        response = answers.respond(request, body, at=row.head.at, partition=partition, offset=row.head.offset)
    answer: dict[str, object] = json.loads(response.body)  # type: ignore[arg-type] # bytes: nothing streams here
    return answer


# -- as the page shows it ----------------------------------------------------------------------------------------------


def _fenced(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```\n"


def _json(value: object) -> str:
    text = json.dumps(value, indent=2)
    while (shorter := _INNERMOST.sub(_in_one_line, text)) != text:
        text = shorter
    return _fenced("json", text)


def _in_one_line(found: re.Match[str]) -> str:
    line = re.sub(r"\s*\n\s*", " ", found[0])
    return f"{line[0]}{line[1:-1].strip()}{line[-1]}" if len(line) <= LINE else found[0]


def _change(change: Change) -> str:
    value = change.value or b""
    cell = json.dumps(msgspec.msgpack.decode(value[1:]), separators=(", ", ": "))
    octets = value.hex(" ").split()
    rows = [" ".join(octets[first : first + 24]) for first in range(0, len(octets), 24)]
    return "\n".join([change.key.decode(), *(f"    {row}" for row in rows), f"    = format {value[0]}, {cell}"])


def _sent(commit: Commit) -> str:
    changelog = topic_name(SETTINGS, PLAYERS, "changelog")
    lines = [(changelog, change.key, change.value) for change in commit.cells]
    lines += [(topic_name(SETTINGS, PLAYERS, out.role), out.key or b"", out.value) for out in commit.outgoing]
    width = max(len(topic) for topic, _, _ in lines)
    shown = [f"{topic:<{width}}  {key.decode()}  ({len(value or b'')} bytes)" for topic, key, value in lines]
    return _fenced("text", "\n".join(shown))


def _cells(changes: Sequence[Change]) -> str:
    return _fenced("text", "\n".join(_change(change) for change in changes))


def _body(records: Sequence[Outgoing], key: bytes) -> str:
    return _json(next(json.loads(out.value or b"") for out in records if out.key == key))


BLOCKS: dict[str, Callable[[], str]] = {
    "walkthrough-telemetry": lambda: _json(walk().telemetry),
    "walkthrough-record": lambda: _fenced(
        "text",
        f"key        {walk().key.decode()}\npartition  {walk().partition}\noffset     {OFFSET}\nvalue      "
        + walk().value.decode().replace(',"at"', ',\n           "at"').replace(',"player"', ',\n           "player"'),
    ),
    "walkthrough-row": lambda: _fenced("text", walk().row),
    "walkthrough-totals": lambda: _fenced("text", walk().totals.replace(", at=", ",\n              at=")),
    "walkthrough-totals-record": lambda: _body(walk().first.outgoing, str(walk().partition).encode()),
    "walkthrough-lists-record": lambda: _body(walk().first.outgoing, b"%d/top" % walk().partition),
    "walkthrough-stats-record": lambda: _body(walk().second.outgoing, walk().key + b"/normal"),
    "walkthrough-cells": lambda: _cells(walk().first.cells),
    "walkthrough-first": lambda: _sent(walk().first),
    "walkthrough-second": lambda: _sent(walk().second),
    "walkthrough-view": lambda: _json(walk().view),
}
