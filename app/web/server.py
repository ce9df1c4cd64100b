"""Puts the web views together, and Faust's web server with our application in the place of its own pages."""

from typing import Any

from aiohttp import web, web_urldispatcher
from faust.web.drivers import DRIVERS
from faust.web.drivers.aiohttp import Web as FaustWeb

from app.web import assets, views
from app.web.connections import Connections, Runner
from app.web.live import Live
from app.web.peers import Peers
from app.web.scans import Scans
from app.web.security import BODY_LIMIT, Guard, add_headers, expect, limit_sizes, shape_errors
from app.web.status import Status
from app.web.worker import Worker

SCHEME = "tidemark"
web_urldispatcher._default_expect_handler = expect  # type: ignore[assignment] # noqa: SLF001 - paths that are not there have it, too
SHUTDOWN_SECONDS = 2  # for answers that are on their way when the worker stops; they take milliseconds


def application(worker: Worker, live: Live | None = None, connections: Connections | None = None) -> web.Application:
    """All routes of a worker; with a `Live` of other bounds, where the usual ones are not wanted."""
    guard = Guard(worker.settings.web_token.get_secret_value(), worker.names())
    peers, scans, live = Peers(worker), Scans(), live or Live(worker)
    status = Status(worker, peers, live, connections or Connections())
    app = web.Application(middlewares=[shape_errors, limit_sizes, guard.check], client_max_size=BODY_LIMIT)
    app.on_response_prepare.append(add_headers)
    app.cleanup_ctx.extend([peers.run, scans.run, live.run])
    app.on_shutdown.append(live.end)
    app.add_routes(
        [
            web.get("/health/live", status.live),
            web.get("/health/ready", status.ready),
            web.get("/api/v1", status.index),
            web.get("/api/v1/status", status.status),
            web.get("/api/v1/live", live.listen),
            web.post("/login", guard.log_in),
            *views.routes(worker, peers, scans),
            *assets.routes(),
        ]
    )
    return app


class Web(FaustWeb):  # type: ignore[misc]
    """Faust's web server. Its own pages (`/`, `/table`, `/router`, ...) are off: they know no token."""

    default_blueprints = ()
    production_blueprints = ()
    debug_blueprints = ()
    optional_blueprints = ()

    def init_server(self) -> None:
        """Serve our application."""
        super().init_server()
        connections = Connections()
        self.web_app = application(worker_of(self.app), connections=connections)
        self._runner = Runner(self.web_app, connections, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)


def worker_of(app: Any) -> Worker:
    """What the views read of a Faust app made by `app.main.build`."""
    return Worker(
        settings=app.settings_of_tidemark,
        domains=tuple(app.engine.domains.values()),
        engine=app.engine,
        totals=app.totals,
        distribution=app.assignor.tables_metadata,
        lag_records=app.consumer.lag_records,
    )


def register() -> None:
    """Make the scheme `tidemark://` known as a web driver, as `engine.transport` does for itself."""
    DRIVERS.aliases[SCHEME] = f"{__name__}:Web"
