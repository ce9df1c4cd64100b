"""The composition root: `build(settings)` makes the Faust app. `faust -A app.main worker` runs it."""

import asyncio
import atexit
import gc
import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import faust
from faust.auth import SASLCredentials, SSLCredentials
from yarl import URL

from app import allocator, failures, options, topology
from app.connection import connection
from app.engine import failpoints, transport
from app.engine.assignor import Assignor
from app.engine.engine import Engine
from app.engine.recovery import TableManager
from app.engine.slices import Slice
from app.engine.totals import TotalsReader
from app.settings import Settings, check_web_address
from app.web import server
from tables import DOMAINS
from tables.domain import Domain

log = logging.getLogger("tidemark")

MAX_POLL_RECORDS = 10_000  # per fetch: ten slices; more only keeps other partitions waiting
FETCH_BYTES = 4 * 1024 * 1024  # per partition and fetch
# Every record is an object that Python's collector of cycles looks at, and none is part of a cycle: at its default (a
# look every 700 new objects) it costs as much as parsing. Cycles are still found, some milliseconds of work later.
COLLECT_AFTER = 50_000, 20, 100
REQUEST_SECONDS = 30.0  # as Java's clients have it; Faust would wait 90 s
ROOM_SECONDS = 0.01  # between two looks whether a commit has made room; it takes some ten of them
PATIENCE_SECONDS = 1.0  # for that: meanwhile the domain's other partitions wait, and soon the transport does
QUEUED_FETCHES = 2  # between the transport and an agent: enough that neither waits for the other


class App(faust.App):  # type: ignore[misc]
    """The Faust app with its engine."""

    engine: Engine
    totals: TotalsReader
    settings_of_tidemark: Settings

    @property
    def rebalancing_now(self) -> bool:
        """Whether partitions are on the move."""
        return bool(self.rebalancing)

    def _create_directories(self) -> None:
        """None: the engine keeps nothing on disk, and a worker runs where nothing can be written at all."""

    async def on_start(self) -> None:
        """Refuse to start on topics that are not as they have to be."""
        gc.set_threshold(*COLLECT_AFTER)
        for line in options.doubtful(self.settings_of_tidemark.options):
            log.warning("%s", line)
        await topology.verify(self.settings_of_tidemark, self.engine.domains.values())
        await self.engine.offsets.start()
        self.add_future(self.engine.watch())  # a task would begin with the first assignment: too late, if none comes
        self.add_future(allocator.keep_giving_back())
        await super().on_start()


def build(settings: Settings, domains: Sequence[Domain] = DOMAINS) -> App:
    """The Faust app of an installation: one agent and one table per domain, the engine, the web views.

    Args:
        settings: with `bootstrap_servers` filled in.
        domains: those that this worker is to run.

    Raises:
        ValueError: when a failpoint is armed that does not exist.
    """
    failpoints.check()
    transport.register()
    server.register()
    app = App(settings.application_id, **_faust_settings(settings))
    app.settings_of_tidemark = settings
    app.engine = Engine(settings, domains)
    app.engine.group = app.consumer
    app.engine.ask_group = app.consumer.get_over
    app.engine.crash = app.crash
    app.totals = TotalsReader(settings, domains)
    app.engine.others = app.totals.others
    for source, domain in app.engine.domains.items():
        # A real Faust table: it declares its changelog and takes part in the assignment. The engine keeps its rows.
        app.Table(domain.name, partitions=settings.partitions, key_type=bytes, value_type=bytes)
        topic = app.topic(source, schema=transport.SliceSchema(), key_type=bytes, value_type=bytes)
        app.agent(topic, name=f"{domain.name}")(_fold)
    app.task(app.totals.run)
    app.task(app.engine.standby.run)
    return app


async def _fold(stream: Any) -> None:
    """The agent of every domain: fold slice after slice; between two, whoever else waits has a turn."""
    async for event in stream.events():
        for slice_ in event.value:
            await _wait_for_room(slice_)
            slice_.fold()
            await asyncio.sleep(0)


async def _wait_for_room(slice_: Slice) -> None:
    """Wait for a commit, or a loss of the partition; one that cannot commit must not keep all others waiting."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while slice_.may_wait:
        if time.monotonic() > deadline:
            slice_.give_up()
            return
        await asyncio.sleep(ROOM_SECONDS)


def _faust_settings(settings: Settings) -> dict[str, Any]:
    servers = settings.bootstrap_servers.split(",")
    return {
        "broker": [URL(f"{transport.SCHEME}://{server}") for server in servers],
        "broker_credentials": _credentials(settings),
        "store": "memory://",
        "datadir": Path("/nonexistent/tidemark"),  # Faust wants a name; see `_create_directories`
        "version": 1,
        "topic_partitions": settings.partitions,
        "topic_replication_factor": settings.replication,
        "topic_disable_leader": True,
        "topic_allow_declare": False,
        "table_standby_replicas": settings.standbys,
        "broker_commit_interval": 1.0,  # only clears Faust's own acknowledgements
        "broker_max_poll_records": MAX_POLL_RECORDS,
        "consumer_max_fetch_size": FETCH_BYTES,
        "consumer_auto_offset_reset": "earliest",
        "consumer_group_instance_id": settings.instance_id or None,
        "broker_session_timeout": settings.session_timeout_seconds,
        "broker_heartbeat_interval": settings.session_timeout_seconds / 6,
        "broker_rebalance_timeout": settings.session_timeout_seconds * 2,
        # A connection without an answer for so long is given up. JoinGroup is answered when the rebalance is over.
        "broker_request_timeout": max(REQUEST_SECONDS, settings.session_timeout_seconds * 2 + 5),
        # aiokafka leaves the group when nothing has been fetched for so long, and does not come back by itself: a spare
        # worker fetches nothing. (It is not sent to the broker: JoinGroup carries the rebalance timeout.)
        "broker_max_poll_interval": 1e9,
        "stream_buffer_maxsize": QUEUED_FETCHES,
        "stream_recovery_delay": 0.0,
        "stream_wait_empty": True,
        "web": URL(f"{server.SCHEME}://"),
        "web_host": settings.web_host,
        "web_bind": settings.web_host,
        "web_port": settings.web_port,
        "canonical_url": settings.advertised_url,
        "TableManager": TableManager,
        "PartitionAssignor": Assignor,
        "autodiscover": False,
    }


def _credentials(settings: Settings) -> Any:
    if settings.security_protocol.startswith("SASL"):
        return SASLCredentials(
            mechanism=settings.sasl_mechanism,
            username=settings.sasl_username,
            password=settings.sasl_password.get_secret_value(),
            ssl_context=settings.ssl_context() if settings.security_protocol == "SASL_SSL" else None,
        )
    if settings.security_protocol == "SSL":
        return SSLCredentials(settings.ssl_context())
    return None


def __getattr__(name: str) -> Any:
    """`app.main.app`, made when it is first asked for: importing this module reads no settings and opens nothing."""
    if name == "app":
        kafka = ExitStack()
        atexit.register(kafka.close)
        with failures.exiting():  # Faust's command line would show a traceback
            settings = kafka.enter_context(connection()).settings
            check_web_address(settings)
            made = globals()["app"] = build(settings)
        return made
    raise AttributeError(name)
