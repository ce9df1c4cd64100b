"""The declared views: one entity, top lists, totals; searches are in `search.py`."""

from collections.abc import Awaitable, Callable, Iterator

from aiohttp import web

from app.clock import now_ms
from app.engine.engine import NotLiveError, NotOwnedError
from app.web import search
from app.web.answers import respond, unavailable, unknown_entity
from app.web.parameters import LIMIT, asked
from app.web.peers import Peers
from app.web.worker import Worker
from tables.domain import Domain
from tables.totals import Totals
from tables.views import AggregateView, EntityView, ListView, Parameter, SearchView, TopView, TotalsView, View

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# aiohttp's own pattern keeps braces out. Slashes arrive percent-encoded, so they do not end the name.
ENTITY = "{entity:[^/]+}"


def routes(worker: Worker, peers: Peers) -> Iterator[web.RouteDef]:
    """A route for every view that the domains declare."""
    for domain in worker.domains:
        for view in domain.views:
            yield web.get(view.path.replace("{entity}", ENTITY), _handler(worker, peers, domain, view))


def parameters_of(view: View) -> tuple[Parameter, ...]:
    """What a view may be asked with."""
    return (*view.parameters, LIMIT) if isinstance(view, SearchView) else view.parameters


def _handler(worker: Worker, peers: Peers, domain: Domain, view: View) -> Handler:
    match view:
        case EntityView():
            return _entity(worker, peers, domain, view)
        case TopView():
            return _top(worker, domain, view)
        case TotalsView():
            return _totals(worker, domain, view)
        case SearchView():
            return search.handler(worker, peers, domain, view)
        case ListView() | AggregateView():
            raise ValueError(f"{view.path} is declared, and there is no handler for it yet")


def _entity(worker: Worker, peers: Peers, domain: Domain, view: EntityView) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        given = asked(request.query, view.parameters)
        entity = request.match_info["entity"]
        try:
            owned, row = worker.engine.row(domain, entity)
        except NotOwnedError:
            return await peers.forward(request, domain, entity)
        except NotLiveError as error:
            raise unavailable("restoring", str(error)) from error
        if row is None:
            raise unknown_entity(domain.entity_name, entity)
        body = view.answer(row, given, now_ms())
        return respond(request, body, at=row.head.at, partition=owned.partition, offset=row.head.offset)

    return answer


def _top(worker: Worker, domain: Domain, view: TopView) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        given = asked(request.query, view.parameters)
        totals = _complete_totals(worker, domain)
        best = worker.totals.top(domain, view.name(given))
        results = [
            {"rank": rank, domain.entity_name: entity, "value": view.value(value, given)}
            for rank, (entity, value) in enumerate(best, 1)
        ]
        return respond(request, given | {"results": results}, at=totals.at)

    return answer


def _totals(worker: Worker, domain: Domain, view: TotalsView) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        given = asked(request.query, view.parameters)
        totals = _complete_totals(worker, domain)
        return respond(request, view.answer(worker.totals.whole(domain), given), at=totals.at)

    return answer


def _complete_totals(worker: Worker, domain: Domain) -> Totals:
    if not worker.totals.complete.is_set():
        raise unavailable("restoring", "the totals of all partitions are still being read")
    totals: Totals = worker.totals.totals(domain)
    return totals
