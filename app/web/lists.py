"""The declared lists: every owner goes through its rows and gives its first lines, the asked worker merges them.

An owner keeps no more lines at a time than may be shown, however many match. The order is by the sort key, then by
entity. The answer names the partitions that did not answer (`missing_partitions`), because they are being restored or
because their owner is silent. When none did, the answer is 503.
"""

import asyncio
import heapq
import logging
from bisect import insort
from collections.abc import Awaitable, Callable
from itertools import islice
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from app.clock import now_ms
from app.web.answers import respond, unavailable
from app.web.parameters import asked, lines_of_page, parameters_of
from app.web.peers import SCAN_SECONDS, Peers, is_forwarded, understood
from app.web.scans import Scans
from app.web.worker import Worker, table_of
from tables.domain import Domain
from tables.row import Row
from tables.views import Asked, ListView, SortKey

log = logging.getLogger("tidemark.web")


class Match(NamedTuple):
    """A line before it is made. No two are equal in the first three, so comparing never gets to a row."""

    key: SortKey
    entity: str
    number: int
    row: Row
    needed: Any


class Line(msgspec.Struct, array_like=True):
    """A line as workers tell it each other."""

    key: list[bool | int | float | str]
    entity: str
    number: int
    partition: int
    line: msgspec.Raw

    @property
    def place(self) -> tuple[list[bool | int | float | str], str, int]:
        """What the lines are sorted by."""
        return self.key, self.entity, self.number


class Part(msgspec.Struct):
    """How many lines one partition has, as of which event time."""

    partition: int
    total: int
    at: int


class Page(msgspec.Struct):
    """The first lines of some partitions, in their order."""

    parts: list[Part]
    lines: list[Line]


def handler(
    worker: Worker, peers: Peers, scans: Scans, domain: Domain, view: ListView
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler of a declared list."""

    async def answer(request: web.Request) -> web.Response:
        given = asked(request.query, parameters_of(view))
        shown = lines_of_page(given) if view.paged else slice(0, view.most)
        now = now_ms()

        async def scan() -> Page:
            return await own_page(worker, scans, domain, view, given, now, shown.stop)

        page, others = await asyncio.gather(
            scans.share((view.path, *given.items()), scan), peers.ask_all(request, SCAN_SECONDS)
        )
        if is_forwarded(request):
            return web.Response(body=msgspec.json.encode(page), content_type="application/json")
        parts, lines = merge([page, *understood(others, Page)], shown)
        if not parts:
            raise unavailable("restoring", f"no partition of {domain.name} can be read yet")
        answers = [msgspec.json.decode(line.line) for line in lines]
        body = view.answer(answers, sum(part.total for part in parts), given, now)
        missing = sorted(set(range(worker.settings.partitions)) - {part.partition for part in parts})
        return respond(request, body | {"missing_partitions": missing}, at=max(part.at for part in parts))

    return answer


async def own_page(
    worker: Worker, scans: Scans, domain: Domain, view: ListView, given: Asked, now: int, first: int
) -> Page:
    """The first so many lines of this worker's own partitions; a partition that gets lost on the way is left out."""
    parts: list[Part] = []
    found: list[list[tuple[Match, int]]] = []
    for owned in worker.searched(domain):
        table = table_of(owned)
        if table is None:  # lost while others were read
            continue
        best = Best(view, given, now, first)
        if view.entity and given[view.entity]:
            row = table.rows.get(given[view.entity].encode("utf-8", "surrogatepass"))
            if row is not None:
                best.visit(row)
        else:
            await scans.each_row(table, best.visit)
        if table_of(owned) is table:
            parts.append(Part(owned.partition, best.total, table.totals.at))
            found.append([(match, owned.partition) for match in best.matches])
    lines: list[Line] = []

    def render(place: tuple[Match, int]) -> None:
        match, partition = place
        try:
            line = view.line(match.row, match.needed, given, now)
        except LookupError as error:
            # What it needs has left the row since: the line is no longer there, or never was by a defect of its view.
            log.warning("%s: a line of %r is left out: %r", view.path, match.entity, error)
            return
        lines.append(Line([*match.key], match.entity, match.number, partition, msgspec.Raw(msgspec.json.encode(line))))

    await scans.each(islice(heapq.merge(*found), first), render)
    return Page(parts, lines)


class Best:
    """The first lines of a partition, while its rows are visited."""

    def __init__(self, view: ListView, given: Asked, now: int, first: int) -> None:
        self._lines = view.lines
        self._given = given
        self._now = now
        self._first = first
        self.total = 0
        self.matches: list[Match] = []

    def visit(self, row: Row) -> None:
        """Count the lines of a row, and keep those that may be shown."""
        matches = self.matches
        for number, (key, needed) in enumerate(self._lines(row, self._given, self._now)):
            self.total += 1
            full = len(matches) >= self._first
            if full and key > matches[-1].key:  # most lines, cheaply
                continue
            insort(matches, Match(key, row.entity, number, row, needed))
            if full:
                matches.pop()


def merge(pages: list[Page], shown: slice) -> tuple[list[Part], list[Line]]:
    """The partitions, and the lines that are shown of them; one that two workers claim for a moment is the first's."""
    parts: dict[int, Part] = {}
    lines = []
    for page in pages:
        new = {part.partition: part for part in page.parts if part.partition not in parts}
        parts |= new
        lines.append([line for line in page.lines if line.partition in new])
    merged = heapq.merge(*lines, key=attrgetter("place"))
    return list(parts.values()), list(islice(merged, shown.start, shown.stop))
