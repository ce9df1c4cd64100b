"""A SmartPool farm's statistics -> batches of the workers' domain: what a window's readings count.

The file is one JSON object of a farm: windows by their number, and in each what its rigs reported. A window's time is
its number times its length (UTC): `start_time` is when the first share came in, in the farm's zone. The windows of the
last hours stand in it twice, in the long sample and in the short one; the farm's own sums are about shares.
"""

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

from app.ingest.report import Report
from app.ingest.source import InputError, Source
from tables.event import iso
from tables.workers import Batch

REPEATED = "of a window that was read already: the short sample repeats the long one's"
NO_READING = "no reading: null"
SIZE_LIMIT = 64 * 1024 * 1024  # bytes; a day of a farm of 7 rigs is 0.1 MB, one of 5,000 rigs would be 50
_SECONDS = Annotated[int, msgspec.Meta(ge=1, le=86_400)]
_LAST_SECOND = 253_402_300_799  # of the year 9999: there is no day after it


class Rig(msgspec.Struct):
    """What a rig reported for a window: keys per second. The pool writes a number of any size, or null."""

    reported: int | None = msgspec.field(name="ReportedHashrate")


class Window(msgspec.Struct):
    """One window of `period_duration` seconds."""

    time_period: int
    rigs: dict[str, Rig]


class Farm(msgspec.Struct):
    """The file, as far as it is used; windows are decoded one by one, so that an error can name the one it is in."""

    period_duration: _SECONDS
    long_window_sample: dict[str, msgspec.Raw]
    short_window_sample: dict[str, msgspec.Raw] = {}


def farm_batches(source: Source, report: Report) -> Iterator[Batch]:
    """One batch per reading, in the order of time, then of the rigs' names.

    The file is checked as a whole before the first batch is made: one that is cut or mistyped gives none.

    Args:
        source: the file, of at most `SIZE_LIMIT` bytes.
        report: counts readings, and those that are skipped with the reason.

    Raises:
        InputError: with the place that is wrong.
    """
    farm = _decode(_content(source), Farm, "the file")
    last = _LAST_SECOND // farm.period_duration - 1
    long = _windows(farm.long_window_sample, "long_window_sample", last)
    short = _windows(farm.short_window_sample, "short_window_sample", last)
    for number, window in short.items():
        if number in long:
            report.read += len(window.rigs)
            report.skipped[REPEATED] += len(window.rigs)
    both = short | long
    for number in sorted(both):
        for name, rig in sorted(both[number].rigs.items()):
            report.read += 1
            batch = _batch(number, farm.period_duration, name, rig, report)
            if batch is not None:
                yield batch


def records(source: Source, report: Report) -> Iterator[tuple[bytes, bytes]]:
    """The records of `farm_batches`."""
    return map(batch_record, farm_batches(source, report))


def batch_record(batch: Batch) -> tuple[bytes, bytes]:
    """The key and the value of a batch's record."""
    return batch.worker_id.encode(), msgspec.json.encode(batch)


def _content(source: Source) -> bytes:
    content = bytearray()
    for chunk in source.chunks():
        content += chunk
        if len(content) > SIZE_LIMIT:
            raise InputError(f"it is longer than {SIZE_LIMIT:,} bytes: no farm's statistics")
    if not content:
        raise InputError("it is empty")
    return bytes(content)


def _decode(content: bytes | msgspec.Raw, type_: Any, what: str) -> Any:
    try:
        return msgspec.json.decode(content, type=type_)
    except msgspec.ValidationError as error:
        raise InputError(f"{what} is mistyped: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        where = f" at byte {len(memoryview(content))}" if "truncated" in str(error) else ""
        raise InputError(f"{what} is cut off or no JSON{where}: {error}") from error


def _windows(sample: dict[str, msgspec.Raw], name: str, last: int) -> dict[int, Window]:
    """Windows by number: as text, as the file has them, they would be in the order of text."""
    windows: dict[int, Window] = {}
    for key, raw in sample.items():
        where = f"{name}[{key!r}]"
        window: Window = _decode(raw, Window, where)
        if key != str(window.time_period) or not 0 <= window.time_period <= last:
            raise InputError(f"{where} says that it is window {window.time_period}")
        windows[window.time_period] = window
    return windows


def _batch(number: int, seconds: int, name: str, rig: Rig, report: Report) -> Batch | None:
    if rig.reported is None:
        report.skip(NO_READING)
        return None
    fields = {
        "type": "batch",
        "batch_id": f"{name}/{number}",
        "worker_id": name,
        "worker_type": "unknown",
        "keys_scanned": rig.reported * seconds,
        "duration_ms": seconds * 1000,
        "started_at": iso(number * seconds * 1000),
        "finished_at": iso((number + 1) * seconds * 1000),
    }
    try:
        # The domain's own type decides: what it would refuse at the other end is never sent.
        batch = msgspec.convert(fields, Batch)
        batch_record(batch)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        report.skip(f"over the limits of an event: {error}")
        return None
    return batch
