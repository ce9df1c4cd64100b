"""Input for the tests of the ingest: files on disk, and what the rules make of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.ingest.array import elements
from app.ingest.pubg import Slim, slim_events
from app.ingest.report import Report
from app.ingest.source import Source

Write = Callable[[bytes], str]
Ingest = Callable[..., tuple[list[Slim], Report]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Bytes -> the path of a file of them."""

    def written(content: bytes) -> str:
        path = tmp_path / "input"
        path.write_bytes(content)
        return str(path)

    return written


@pytest.fixture
def ingest(write: Write) -> Ingest:
    """Telemetry elements -> (slim events, report), by way of a real file."""

    def ingested(*events: dict[str, Any], **options: str) -> tuple[list[Slim], Report]:
        report = Report()
        with Source(write(json.dumps(events).encode())) as source:
            return list(slim_events(elements(source), report, **options)), report

    return ingested
