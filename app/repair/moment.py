"""Where in the source to begin or to end: `beginning`, `end`, an offset, or a time."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click

from app.verify.reading import Reading

BEGINNING, END = "beginning", "end"
METAVAR = "beginning|end|OFFSET|TIME"
_LAST_OFFSET = 2**63 - 1


@dataclass(frozen=True)
class Moment:
    """What the command line says; exactly one of them.

    Attributes:
        word: beginning or end.
        offset: of every partition that is asked about.
        time: ms since the epoch; the offset is that of the first record of that time or later.
    """

    text: str
    word: str = ""
    offset: int | None = None
    time: int | None = None

    async def offset_in(self, reading: Reading) -> int:
        """The offset in a partition's source, within what there is of it."""
        beginning, end = await reading.beginning("events"), await reading.end("events")
        if self.word:
            return beginning if self.word == BEGINNING else end
        if self.offset is not None:
            return self.offset
        found = await reading.offset_at("events", self.time or 0)
        return end if found is None else min(found, end)


class MomentType(click.ParamType):
    """Reads one from the command line."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Moment:
        """The moment that a text names; a time without a zone is UTC."""
        if isinstance(value, Moment):
            return value
        text = str(value).strip()
        if text in {BEGINNING, END}:
            return Moment(text, word=text)
        if text.isascii() and text.isdecimal() and int(text) <= _LAST_OFFSET:
            return Moment(text, offset=int(text))
        try:
            at = datetime.fromisoformat(text)
            at = at.replace(tzinfo=at.tzinfo or UTC)
            return Moment(text, time=max(0, round(at.timestamp() * 1000)))
        except (ValueError, OverflowError):
            self.fail(
                f"{text!r} is neither beginning, nor end, nor an offset, nor a time as 2026-01-31T12:00:00Z", param, ctx
            )
