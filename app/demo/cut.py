"""Cuts telemetry down to what an ingest uses: how the demo's sample was made.

    python -m app.demo.cut TELEMETRY.json app/demo/telemetry.json.gz

Every element stays in its place, most of them with no more than their type, so that the sample gives the same slim
events as the whole, indexes included; the fields kept are those that `app.ingest.telemetry` declares. Both are
ingested and compared: event by event, indexes included, and reason by reason.
"""

import gzip
import sys
from pathlib import Path
from typing import Any

import click
import msgspec
import orjson

from app.ingest.array import elements
from app.ingest.pubg import Slim, slim_events
from app.ingest.report import Report
from app.ingest.source import Source
from app.ingest.telemetry import TYPES

SAMPLE = Path(__file__).with_name("telemetry.json.gz")


def cut(element: dict[str, Any]) -> dict[str, Any]:
    """An element with the fields that are used and nothing else."""
    kind = element.get("_T", "")
    kept: dict[str, Any] = _kept(element, TYPES[kind]) if kind in TYPES else {}
    return kept | {"_T": kind}


def _kept(value: Any, type_: Any) -> Any:
    struct = next((part for part in getattr(type_, "__args__", (type_,)) if _is_struct(part)), None)
    if struct is None or not isinstance(value, dict):
        return value
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(struct)}
    return {name: _kept(value[name], type_) for name, type_ in fields.items() if name in value}


def _is_struct(type_: Any) -> bool:
    return isinstance(type_, type) and issubclass(type_, msgspec.Struct)


def slim(path: str) -> tuple[list[Slim], Report]:
    """What an ingest makes of telemetry, and its report."""
    report = Report()
    with Source(path) as source:
        return list(slim_events(elements(source), report, match_id="unnamed")), report


def main(whole: str, sample: str) -> None:
    """Write the sample, and compare what both give. The same telemetry gives the same bytes.

    Raises:
        SystemExit: they give different slim events.
    """
    with Source(whole) as source:
        body = orjson.dumps([cut(element) for _, element in elements(source)])
    Path(sample).write_bytes(gzip.compress(body, compresslevel=9, mtime=0))
    events, report = slim(sample)
    if (events, report) != slim(whole):
        sys.exit(f"{sample} gives other slim events than {whole}: do not use it")
    click.echo(
        f"{sample}: {len(body):,} bytes of JSON; the same {len(events):,} slim events of {report.read:,} elements"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
