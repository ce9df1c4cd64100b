"""What a domain publishes periodically, out of turn: a POST, answered when the record is durable.

The owner of partition 0 publishes; any other worker passes the question on. Questions that come together get one
record. 503 is no promise that nothing is published: when the partition moves at the wrong moment, nobody knows.
"""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from app.engine.errors import GenerationError
from app.engine.owned import Owned
from app.web.answers import created, unavailable
from app.web.parameters import asked
from app.web.peers import Peers
from app.web.worker import Worker, complete_totals
from tables.domain import Domain
from tables.event import iso

PARTITION = 0  # whose owner publishes
COMMIT_SECONDS = 10.0  # for the commit that carries the record; it takes a fraction of a second
FORWARD_SECONDS = COMMIT_SECONDS + 2  # the owner's answer, whatever it is, is the better one


def handler(worker: Worker, peers: Peers, domain: Domain) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler of a domain's `periodic.path`."""

    async def answer(request: web.Request) -> web.Response:
        asked(request.query, ())
        owned = next((each for each in worker.engine.of_domain(domain) if each.partition == PARTITION), None)
        if owned is None:
            return await peers.forward(request, domain, PARTITION, FORWARD_SECONDS)
        complete_totals(worker, domain)  # what is published is merged with everybody's
        timestamp = await _publish(owned)
        body = {"published": True, "timestamp": iso(timestamp)}
        at = complete_totals(worker, domain).at
        return created(body, at=at, partition=PARTITION, offset=owned.committed - 1)

    return answer


async def _publish(owned: Owned) -> int:
    """The time of the record, ms since the epoch."""
    try:
        demand = owned.demand()
    except GenerationError as error:
        raise unavailable("restoring", str(error)) from error
    await asyncio.wait([demand], timeout=COMMIT_SECONDS)
    if not demand.done():
        demand.cancel()
        raise unavailable("not_durable", f"no commit within {COMMIT_SECONDS:g} s: the record may be published yet")
    if demand.cancelled():
        raise unavailable("restoring", f"{owned!r} was lost on the way: the record may have been published")
    return demand.result()
