"""What all workers are doing; whether this one lives, and whether it is ready.

The status is merged like a search: every worker reports its own partitions. A partition that nobody reports is shown
as `unknown`. The installation is ready when no worker has a reason not to be, none is silent and every partition is
live; a worker's own readiness is about its own partitions. Outcomes come from the totals, so they are exact over
restarts: consumed = the sum of all outcomes.
"""

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from app.engine.owned import Owned, State
from app.version import version
from app.web.answers import respond, unavailable
from app.web.connections import Connections
from app.web.live import Live
from app.web.parameters import asked, parameters_of
from app.web.peers import Peers, is_forwarded, understood
from app.web.worker import Worker
from tables.domain import Domain
from tables.event import OUTCOMES, iso

UNKNOWN = "unknown"
LIVE = State.LIVE.value


class PartitionStatus(msgspec.Struct):
    """One partition, as its owner reports it."""

    domain: str
    partition: int
    worker: str | None
    state: str = UNKNOWN
    rows: int | None = None
    position: int | None = None
    lag_records: int | None = None
    error: str = ""
    restores: int = 0
    defects: int = 0


class StandbyStatus(msgspec.Struct):
    """A warm copy of a partition that another worker owns, as its keeper reports it; without rows: not begun yet."""

    domain: str
    partition: int
    worker: str
    rows: int | None = None
    lag_records: int | None = None


class WorkerStatus(msgspec.Struct):
    """One worker's report."""

    url: str
    version: str
    reasons: list[str]
    partitions: list[PartitionStatus]
    standbys: list[StandbyStatus] = []
    clients: dict[str, int] = {}
    tasks: int = 0


class Status:
    """The handlers about the workers themselves."""

    def __init__(self, worker: Worker, peers: Peers, live: Live, connections: Connections) -> None:
        self._worker = worker
        self._peers = peers
        self._live = live
        self._connections = connections
        self._version = version()

    async def live(self, _request: web.Request) -> web.Response:
        """200: the process runs and its event loop turns."""
        return web.json_response({"status": "live"}, headers={"Cache-Control": "no-store"})

    async def ready(self, _request: web.Request) -> web.Response:
        """200 when this worker's own partitions are live and the totals are read, else 503 with the reasons."""
        reasons = self._reasons()
        if reasons:
            raise unavailable("not_ready", "this worker is not ready", reasons=reasons)
        return web.json_response({"status": "ready"}, headers={"Cache-Control": "no-store"})

    async def status(self, request: web.Request) -> web.Response:
        """All workers, all partitions, all outcomes."""
        asked(request.query, ())
        own = self._report()
        if is_forwarded(request):
            return web.Response(body=msgspec.json.encode(own), content_type="application/json")
        reports = [own, *understood(await self._peers.ask_all(request), WorkerStatus)]
        answered = {report.url for report in reports}
        silent = [url for url in self._worker.others() if url not in answered]
        partitions = self._partitions(reports)
        reasons = reasons_of_all(reports, silent, partitions)
        totals = [(domain, self._worker.totals.totals(domain)) for domain in self._worker.domains]
        body = {
            "version": self._version,
            "application": self._worker.settings.application_id,
            "worker": self._worker.url,
            "ready": not reasons,
            "reasons": reasons,
            "workers": [
                {"url": report.url, "version": report.version, "reasons": report.reasons, "tasks": report.tasks}
                for report in reports
            ],
            "silent_workers": silent,
            "domains": [domain_status(domain, total) for domain, total in totals],
            "partitions": msgspec.to_builtins(partitions),
            "clients": {name: sum(report.clients.get(name, 0) for report in reports) for name in own.clients},
            "standbys": [msgspec.to_builtins(standby) for report in reports for standby in report.standbys],
        }
        return respond(request, body, at=max((total.at for _, total in totals), default=0))

    async def index(self, request: web.Request) -> web.Response:
        """Every declared view with its parameters, and what a POST asks for."""
        asked(request.query, ())
        views = [
            {
                "domain": domain.name,
                "path": view.path.replace("{entity}", f"{{{domain.entity_name}}}"),
                "about": view.about,
                "parameters": [
                    {"name": each.name, "default": each.default, "allowed": each.allowed, "about": each.about}
                    for each in parameters_of(view)
                ],
            }
            for domain in self._worker.domains
            for view in domain.views
        ]
        actions = [
            {"domain": domain.name, "method": "POST", "path": domain.periodic.path, "about": domain.periodic.about}
            for domain in self._worker.domains
            if domain.periodic is not None
        ]
        return respond(request, {"version": self._version, "views": views, "actions": actions}, at=0)

    def _reasons(self) -> list[str]:
        reasons = self._worker.engine.reasons_not_ready()
        if not self._worker.totals.complete.is_set():
            reasons.append("the totals of all partitions are still being read")
        return reasons

    def _report(self) -> WorkerStatus:
        engine = self._worker.engine
        partitions = [self._partition(owned) for domain in self._worker.domains for owned in engine.of_domain(domain)]
        tasks = len(asyncio.all_tasks())
        return WorkerStatus(
            self._worker.url, self._version, self._reasons(), partitions, self._standbys(), self._clients(), tasks
        )

    def _clients(self) -> dict[str, int]:
        """How many there are, and how many the limits have turned away since the worker started."""
        return {
            "connections": self._connections.number,
            "connections_refused": self._connections.refused,
            "idle_closed": self._connections.idle_closed,
            "listeners": self._live.listening,
            "listeners_refused": self._live.refused,
            "listeners_dropped": self._live.dropped + self._connections.stalled,
        }

    def _standbys(self) -> list[StandbyStatus]:
        engine, found = self._worker.engine, []
        for key in engine.standby.wanted:
            source, partition = key
            status = StandbyStatus(engine.domains[source].name, partition, self._worker.url)
            copy = engine.standby.copy(key)
            if copy is not None:
                status.rows, status.lag_records = len(copy.warm.task.table.rows), copy.lag_records
            found.append(status)
        return found

    def _partition(self, owned: Owned) -> PartitionStatus:
        status = PartitionStatus(
            owned.domain.name,
            owned.partition,
            self._worker.url,
            owned.state.value,
            error=owned.unreadable.reason if owned.unreadable else owned.last_error,
            restores=owned.restores,
            defects=owned.defects,
        )
        if owned.live and owned.task is not None:
            status.rows, status.position = len(owned.task.table.rows), owned.task.position
            status.lag_records = self._worker.lag_records(owned)
        return status

    def _partitions(self, reports: list[WorkerStatus]) -> list[PartitionStatus]:
        """Every partition once. Where two workers report it, the one whose rows are live owns it."""
        reported: dict[tuple[str, int], PartitionStatus] = {}
        for report in reports:
            for status in report.partitions:
                known = reported.get((status.domain, status.partition))
                if known is None or status.rows is not None:
                    reported[status.domain, status.partition] = status
        return [
            reported.get((domain.name, number))
            or PartitionStatus(domain.name, number, self._worker.owner(domain, number))
            for domain in self._worker.domains
            for number in range(self._worker.settings.partitions)
        ]


def reasons_of_all(reports: list[WorkerStatus], silent: list[str], partitions: list[PartitionStatus]) -> list[str]:
    """Why the installation is not ready: each worker's reasons, who is silent, what is not live; each thing once."""
    several = len(reports) + len(silent) > 1
    reasons = [f"{report.url}: {reason}" if several else reason for report in reports for reason in report.reasons]
    reasons += [f"{url} does not answer" for url in silent]
    for status in partitions:
        name = f"{status.domain}[{status.partition}]"
        if status.state != LIVE and not any(name in reason for reason in reasons):
            reasons.append(f"{name} is {status.state}")
    return reasons


def domain_status(domain: Domain, totals: Any) -> dict[str, Any]:
    """How a domain's records have ended."""
    return {
        "name": domain.name,
        "entity_name": domain.entity_name,
        "keys": totals.keys,
        "buried": totals.buried,
        "consumed": sum(totals.outcomes),
        "outcomes": dict(zip(OUTCOMES, totals.outcomes, strict=True)),
        "last_event_at": iso(totals.at) if totals.at else None,
    }
