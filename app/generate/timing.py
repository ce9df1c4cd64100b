"""When generated events begin, and how fast they are written."""

import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import click

from app.clock import now_ms
from tables.event import millis

START = "2025-01-06T00:00:00Z"  # a Monday: weeks and months begin where one looks for them
PAUSE_SECONDS = 0.01  # shorter waits cost more than they are long
_UNIT_MS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000}
_NOW = re.compile(r"now(?:-(?P<number>\d{1,6})(?P<unit>[dhm]))?")


class Start(click.ParamType):
    """A time in ms since the epoch, written as ISO 8601, `now` or `now-30d`."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it."""
        if isinstance(value, int):
            return value
        found = _NOW.fullmatch(value)
        if found:
            return now_ms() - int(found["number"] or 0) * _UNIT_MS[found["unit"] or "m"]
        try:
            at = millis(datetime.fromisoformat(value))
        except (ValueError, OverflowError):
            at = -1
        if at < 0:
            self.fail(f"{value!r} is no time: give one as {START}, `now` or `now-30d` (d, h, m)", param, ctx)
        return at


def paced(rate: float | None) -> Callable[[], float] | None:
    """How many seconds to wait before each record, so that there are `rate` of them in a second; None: no waiting."""
    if rate is None:
        return None
    began, number = time.monotonic(), 0

    def ahead() -> float:
        nonlocal number
        due = began + number / rate
        number += 1
        seconds = due - time.monotonic()
        return seconds if seconds > PAUSE_SECONDS else 0.0

    return ahead
