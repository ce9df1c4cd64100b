"""The declared views: one entity, top lists, totals; those that ask all workers are in files of their own."""

from collections.abc import Awaitable, Callable, Iterator

from aiohttp import web

from app.clock import now_ms
from app.engine.engine import NotLiveError, NotOwnedError
from app.web import aggregates, demand, lists, search
from app.web.answers import respond, unavailable, unknown_entity
from app.web.parameters import asked
from app.web.peers import Peers
from app.web.scans import Scans
from app.web.worker import Worker, complete_totals
from tables.domain import Domain
from tables.views import AggregateView, EntityView, ListView, SearchView, TopView, TotalsView, View

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# aiohttp's own pattern keeps braces out. Slashes arrive percent-encoded, so they do not end the name.
ENTITY = "{entity:[^/]+}"


def routes(worker: Worker, peers: Peers, scans: Scans) -> Iterator[web.RouteDef]:
    """A route for every view that the domains declare, and for what they publish on demand."""
    for domain in worker.domains:
        for view in domain.views:
            yield web.get(view.path.replace("{entity}", ENTITY), _handler(worker, peers, scans, domain, view))
        if domain.periodic is not None:
            yield web.post(domain.periodic.path, demand.handler(worker, peers, domain))


def _handler(worker: Worker, peers: Peers, scans: Scans, domain: Domain, view: View) -> Handler:
    match view:
        case EntityView():
            return _entity(worker, peers, domain, view)
        case TopView():
            return _top(worker, domain, view)
        case TotalsView():
            return _totals(worker, domain, view)
        case SearchView():
            return search.handler(worker, peers, domain, view)
        case ListView():
            return lists.handler(worker, peers, scans, domain, view)
        case AggregateView():
            return aggregates.handler(worker, peers, scans, domain, view)


def _entity(worker: Worker, peers: Peers, domain: Domain, view: EntityView) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        given = asked(request.query, view.parameters)
        entity = request.match_info["entity"]
        try:
            owned, row = worker.engine.row(domain, entity)
        except NotOwnedError:
            return await peers.forward(request, domain, worker.partition_of(entity))
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
        totals = complete_totals(worker, domain)
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
        totals = complete_totals(worker, domain)
        return respond(request, view.answer(worker.totals.whole(domain), given), at=totals.at)

    return answer
