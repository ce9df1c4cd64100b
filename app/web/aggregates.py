"""The declared aggregates: totals over the rows that match, added up by their owners and merged by the asked worker.

Like a list, the answer names the partitions that did not answer. Parameters that match every row are answered from the
totals that all workers hold, without looking at a row.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from app.clock import now_ms
from app.web.answers import respond, unavailable
from app.web.parameters import asked
from app.web.peers import SCAN_SECONDS, Peers, is_forwarded
from app.web.scans import Scans
from app.web.worker import Worker, complete_totals, table_of
from tables.domain import Domain
from tables.row import Row
from tables.totals import Totals
from tables.views import AggregateView, Asked


class Part(msgspec.Struct):
    """What one partition's rows add up to, as of which event time; also what workers tell each other."""

    partition: int
    at: int
    totals: msgspec.Raw


def handler(
    worker: Worker, peers: Peers, scans: Scans, domain: Domain, view: AggregateView
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler of a declared aggregate.

    A type of totals of the view's own is nobody's merged totals: its rows are always added up.
    """
    type_ = view.totals or domain.totals

    async def answer(request: web.Request) -> web.Response:
        given = asked(request.query, view.parameters)
        if type_ is domain.totals and view.whole(given):
            totals = complete_totals(worker, domain)
            return respond(request, view.answer(totals, given) | {"missing_partitions": []}, at=totals.at)
        now = now_ms()

        async def scan() -> list[Part]:
            return await own_parts(worker, scans, domain, view, given, now)

        own, others = await asyncio.gather(
            scans.share((view.path, *given.items()), scan), peers.ask_all(request, SCAN_SECONDS)
        )
        if is_forwarded(request):
            return web.Response(body=msgspec.json.encode(own), content_type="application/json")
        parts = {part.partition: (part.at, sums) for part, sums in _parts(type_, [*others, msgspec.json.encode(own)])}
        if not parts:
            raise unavailable("restoring", f"no partition of {domain.name} can be read yet")
        merged = type_()
        for _, sums in parts.values():
            merged.merge(sums)
        missing = sorted(set(range(worker.settings.partitions)) - set(parts))
        body = view.answer(merged, given) | {"missing_partitions": missing}
        return respond(request, body, at=max(at for at, _ in parts.values()))

    return answer


async def own_parts(
    worker: Worker, scans: Scans, domain: Domain, view: AggregateView, given: Asked, now: int
) -> list[Part]:
    """The sums of this worker's own partitions; a partition that gets lost on the way is left out."""
    parts = []
    for owned in worker.searched(domain):
        table = table_of(owned)
        if table is None:  # lost while others were read
            continue
        totals = (view.totals or domain.totals)()

        def visit(row: Row, totals: Any = totals) -> None:
            view.add(row, totals, given, now)

        await scans.each_row(table, visit)
        if table_of(owned) is table:
            parts.append(Part(owned.partition, table.totals.at, msgspec.Raw(msgspec.json.encode(totals))))
    return parts


def _parts(type_: type[Totals], answers: list[bytes]) -> list[tuple[Part, Totals]]:
    """The parts of all workers; of a partition that two of them claim, for a moment, the last one's counts."""
    found = []
    for answer in answers:
        try:
            parts = msgspec.json.decode(answer, type=list[Part])
            found += [(part, msgspec.json.decode(part.totals, type=type_)) for part in parts]
        except msgspec.MsgspecError:
            continue  # another version's: its partitions are named as missing
    return found
