"""Records into a real topic, in bulk: whole batches by an idempotent producer, each record in its key's partition."""

from collections.abc import Iterable
from itertools import starmap

from app.generate.poison import Record
from app.generate.writer import write
from app.ingest.report import Report
from app.settings import Settings


async def produce(settings: Settings, topic: str, records: Iterable[tuple[bytes | None, bytes | None]]) -> None:
    """Write records in their order, and wait until all are delivered."""
    await write(settings, topic, starmap(Record, records), Report())
