"""JSON lines of any domain -> records, keyed as the domain declares."""

from collections.abc import Iterator

import msgspec

from app.ingest.report import Report
from app.ingest.source import Source
from tables.domain import Domain

LINE_LIMIT = 1_000_000  # bytes; a little under what brokers take for one record by default


def event_records(source: Source, domain: Domain, report: Report) -> Iterator[tuple[bytes, bytes]]:
    """The key and the value of each line's record; the value is the line as it is.

    Args:
        source: the lines; empty ones are passed over.
        domain: declares what an event is, and its key.
        report: counts lines read, and those refused with number and reason.
    """
    decode = msgspec.json.Decoder(domain.event).decode
    for number, line in enumerate(source.lines(LINE_LIMIT), start=1):
        value = line.strip()
        if not value:
            continue
        report.read += 1
        if len(value) > LINE_LIMIT:
            report.refuse(number, f"longer than {LINE_LIMIT:,} bytes")
            continue
        try:
            event = decode(value)
            domain.at(event)
            key = domain.entity(event).encode()
        except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
            report.refuse(number, " ".join(str(error).split()))
            continue
        yield key, value
