"""The declared searches: every owner gives its sorted first page, the asked worker merges them.

The answer names the partitions that did not answer (`missing_partitions`), because they are being restored or because
their owner is silent. When none did, the answer is 503. The order is by case-folded name, then by name.
"""

import heapq
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Any

import msgspec
from aiohttp import web

from app.web.answers import respond, unavailable
from app.web.parameters import LIMIT, asked, parameters_of
from app.web.peers import Peers, is_forwarded, understood
from app.web.worker import Worker, table_of
from tables.domain import Domain
from tables.views import Answer, SearchView


class Page(msgspec.Struct):
    """What one worker has found in its own partitions; also what it tells a worker that asks."""

    found: list[tuple[str, Answer]]
    more: bool
    partitions: list[int]
    at: int


def handler(
    worker: Worker, peers: Peers, domain: Domain, view: SearchView
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler of a declared search.

    Raises:
        ValueError: when the domain keeps no index of names; a defect of its declaration.
    """
    if not domain.searchable:
        raise ValueError(f"{domain.name} declares a search at {view.path} and is not searchable")

    async def answer(request: web.Request) -> web.Response:
        given = asked(request.query, parameters_of(view))
        size = int(given[LIMIT.name])
        page = own_page(worker, domain, view, given["search"].casefold(), size)
        if is_forwarded(request):
            return web.Response(body=msgspec.json.encode(page), content_type="application/json")
        merged = merge([page, *understood(await peers.ask_all(request), Page)], size)
        missing = sorted(set(range(worker.settings.partitions)) - set(merged.partitions))
        if not merged.partitions:
            raise unavailable("restoring", f"no partition of {domain.name} can be searched yet")
        body = {
            "search": given["search"],
            "results": [found for _, found in merged.found],
            "more": merged.more,
            "missing_partitions": missing,
        }
        return respond(request, body, at=merged.at)

    return answer


def own_page(worker: Worker, domain: Domain, view: SearchView, prefix: str, size: int) -> Page:
    """The first page of this worker's own partitions."""
    tables = {owned.partition: table for owned in worker.searched(domain) if (table := table_of(owned)) is not None}
    beginnings = [_names(table, prefix, size + 1) for table in tables.values()]
    rows = {
        name: table.rows[name.encode()]
        for table, names in zip(tables.values(), beginnings, strict=True)
        for name in names
    }
    names = heapq.nsmallest(size, rows, key=_order)
    return Page(
        found=[(name, view.answer(rows[name])) for name in names],
        more=len(rows) > size,
        partitions=list(tables),
        at=max((table.totals.at for table in tables.values()), default=0),
    )


def merge(pages: list[Page], size: int) -> Page:
    """The first page of all pages together. A name that two workers claim, for a moment, is shown once."""
    found = {name: answer for page in reversed(pages) for name, answer in page.found}
    names = heapq.nsmallest(size, found, key=_order)
    return Page(
        found=[(name, found[name]) for name in names],
        more=len(found) > size or any(page.more for page in pages),
        partitions=sorted({partition for page in pages for partition in page.partitions}),
        at=max(page.at for page in pages),
    )


def _names(table: Any, prefix: str, count: int) -> list[str]:
    first = table.names.bisect_key_left((prefix, ""))
    # Only the ones that begin with the prefix, which stand together.
    names: list[str] = []
    for name in islice(table.names.islice(first), count):
        if not name.casefold().startswith(prefix):
            break
        names.append(name)
    return names


def _order(name: str) -> tuple[str, str]:
    return name.casefold(), name
