"""Which dead letters are meant: by id, or by what they are."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from app.clock import now_ms
from app.deadletters.letter import OUTCOMES, Letter

_AGO = re.compile(r"(?P<number>\d{1,6})(?P<unit>[smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_ID = re.compile(r"(?P<partition>0|[1-9]\d{0,3})/(?P<offset>0|[1-9]\d{0,17})", re.ASCII)


@dataclass(frozen=True)
class Wanted:
    """What a letter has to be; None is anything.

    Attributes:
        ids: (partition, offset) of those that are meant by name.
        outcome: INVALID or MISROUTED.
        reason: a part of it, in any case.
        key: of the record.
        partition: of the source, and of the dead letters.
        since: written then or later, ms since the epoch.
        until: written before, likewise.
    """

    ids: frozenset[tuple[int, int]] = frozenset()
    outcome: str | None = None
    reason: str | None = None
    key: str | None = None
    partition: int | None = None
    since: int | None = None
    until: int | None = None

    def __contains__(self, letter: Letter) -> bool:
        return (
            (not self.ids or (letter.partition, letter.offset) in self.ids)
            and self.outcome in {None, letter.outcome}
            and (self.reason is None or self.reason.casefold() in letter.reason.casefold())
            and (self.key is None or self.key.encode("utf-8", "surrogateescape") == letter.key)
            and self.partition in {None, letter.partition}
            and (self.since is None or letter.written >= self.since)
            and (self.until is None or letter.written < self.until)
        )

    @property
    def filters(self) -> bool:
        """Whether anything but an id is asked for."""
        return any(value is not None for name, value in vars(self).items() if name != "ids")

    def partitions(self, all_: int) -> list[int]:
        """Those in which such letters may be."""
        numbers = {partition for partition, _ in self.ids} or set(range(all_))
        return sorted(numbers if self.partition is None else numbers & {self.partition})


class IdType(click.ParamType):
    """The id of a dead letter: PARTITION/OFFSET in the dead letters' topic."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """The two numbers."""
        found = _ID.fullmatch(str(value))
        if found is None:
            self.fail(f"{value!r} is no id; `tidemark deadletters list` shows them as PARTITION/OFFSET", param, ctx)
        return int(found["partition"]), int(found["offset"])


class TimeType(click.ParamType):
    """A time, or how long ago it was; ms since the epoch."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The moment that a text names; a time without a zone is UTC."""
        if isinstance(value, int):
            return value
        text = str(value).strip()
        ago = _AGO.fullmatch(text)
        try:
            if ago:
                return now_ms() - timedelta(**{_UNITS[ago["unit"]]: int(ago["number"])}) // timedelta(milliseconds=1)
            at = datetime.fromisoformat(text)
            return round(at.replace(tzinfo=at.tzinfo or UTC).timestamp() * 1000)
        except (ValueError, OverflowError):
            self.fail(
                f"{text!r} is neither a time as 2026-01-31T12:00:00Z nor how long ago, as 90m, 2h or 7d", param, ctx
            )


def filters(command: Callable[..., None]) -> Callable[..., None]:
    """The options that choose letters, for a command."""
    for option in (
        click.option("--until", type=TimeType(), help="Only those written before then."),
        click.option(
            "--since", type=TimeType(), help="Only those written since: 2026-01-31T12:00:00Z, or 90m, 2h, 7d."
        ),
        click.option("--partition", type=click.IntRange(0), help="Only those of this partition."),
        click.option("--key", help="Only those of this key."),
        click.option("--reason", metavar="TEXT", help="Only those whose reason has this text in it."),
        click.option("--outcome", type=click.Choice(OUTCOMES, case_sensitive=False), help="Only those that ended so."),
    ):
        command = option(command)
    return command
