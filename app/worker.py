"""`tidemark worker`: the Faust worker in this process, with logs that say what happens and nothing else."""

import asyncio
import logging.config
import os
import signal
import sys
import threading
from typing import Any

import click
import faust
from mode.utils.futures import maybe_cancel

from app import failures, topology
from app.connection import connection
from app.main import build
from app.settings import Settings, check_web_address
from tables import DOMAINS

log = logging.getLogger("tidemark")

# To commit what is done and to leave the group takes a second or two. Past this an orphan is stuck.
ORPHAN_SECONDS = 15.0


class Worker(faust.Worker):  # type: ignore[misc]
    """Faust's worker, which leaves the talking to the caller: no banner, no spinner, no traceback on standard error."""

    _crash_reason: BaseException | None

    def __init__(self, app: Any, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(app, loop=loop, quiet=True, override_logging=False, redirect_stdouts=False)
        self.spinner = None

    def run(self) -> BaseException | None:
        """Run until a signal or a crash; returns the reason of the crash.

        What `execute_from_commandline` does, except for the printing and the exit.
        """
        self._starting_fut = asyncio.ensure_future(self.start(), loop=self.loop)
        failure: BaseException | None = None
        try:
            self.loop.run_until_complete(self._starting_fut)
        except asyncio.CancelledError:
            pass  # a signal
        except Exception as error:  # noqa: BLE001 -- whatever it is, the worker has crashed, and the caller says why
            failure = error
        try:
            maybe_cancel(self._starting_fut)
            self.on_worker_shutdown()
            self.stop_and_shutdown()
        except Exception as error:  # noqa: BLE001 -- it raises the reason of the crash, too
            failure = failure or error
        return self._crash_reason or failure


@click.command()
@click.option("--until-eof", is_flag=True, hidden=True, help="Stop when standard input ends: when the parent dies.")
def worker(*, until_eof: bool) -> None:
    """Run a worker: it folds events, keeps the tables, serves the views.

    SIGTERM and Ctrl-C stop it gracefully: what is folded is committed. Several workers share the partitions; each needs
    a TIDEMARK_WEB_PORT of its own.

    Exit code 0: it was stopped; 1: it crashed, and why; 2: a setting or a topic is wrong, or Kafka refuses
    access; starting it again mends nothing; 3: no Kafka answers at the start. Once it runs it waits for Kafka.

    \b
    Examples:
      tidemark worker
      KAFKA_BOOTSTRAP_SERVERS=kafka:9092 TIDEMARK_WEB_PORT=6067 tidemark worker
    """  # noqa: D301 -- \b is click's mark for lines to leave as they are
    # As process 1 of a container it would not hear SIGTERM before Faust listens: the kernel spares process 1.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with connection() as kafka:
        # Again at the app's start; but here, before Faust runs, a mismatch is one message and not a crash.
        asyncio.run(topology.verify(kafka.settings, DOMAINS))
        check_web_address(kafka.settings)
        set_up_logging(kafka.settings)
        crash = _run(kafka.settings, until_eof=until_eof)
    if crash is not None:
        failures.crashed(crash, kafka.settings)


def _run(settings: Settings, *, until_eof: bool) -> BaseException | None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        app = build(settings)
    except ValueError as error:
        failures.fail(str(error), failures.MISCONFIGURED)
    app.finalize()
    app.worker_init()
    app.worker_init_post_autodiscover()
    if until_eof:
        threading.Thread(target=_stop_at_eof, name="until-eof", daemon=True).start()
    log.info("worker of %s on %s, views on %s", app.conf.id, settings.bootstrap_servers, settings.advertised_url)
    crash = Worker(app, loop).run()
    log.info("worker stopped")
    return crash


def _stop_at_eof() -> None:
    """Stop this worker when standard input ends, which is when the parent that holds its other end dies."""
    # Not by sys.stdin: Python aborts when it ends while a thread holds the lock of that.
    while os.read(sys.stdin.fileno(), 1024):
        continue
    os.kill(os.getpid(), signal.SIGTERM)
    # Nobody is left to lose patience with a worker that does not stop, so it does so itself.
    threading.Event().wait(ORPHAN_SECONDS)
    os._exit(failures.FAILED)


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a line says what no other does; one without a traceback is spared the words `NoneType: None`."""
    if record.exc_info is not None and record.exc_info[0] is None:
        record.exc_info = None
    # Of a crash the engine has told, or a traceback, and the last line of all does.
    return not record.getMessage().startswith(("[^-App]: Crashed reason=", "[^Worker]: We experienced a crash!"))


def set_up_logging(settings: Settings) -> None:
    """Ours at the level that the settings say, everyone else's from WARNING on, to standard error."""
    handler = {
        "class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr", "filters": [_is_news]
    }  # fmt: skip
    config: dict[str, Any] = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(asctime)s %(levelname)-7s %(name)s: %(message)s"}},
        "handlers": {"stderr": handler},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "tidemark": {"level": settings.log_level.upper()},
            # It logs an ERROR for every attempt to reach a broker that is away: hundreds per second. The engine says it
            # once, and once more when the broker is back.
            "aiokafka": {"level": "WARNING" if settings.log_level == "debug" else "CRITICAL"},
            # A traceback for every request that is no HTTP, which anybody can send. What handlers raise is ours to log.
            "aiohttp.server": {"level": "WARNING" if settings.log_level == "debug" else "CRITICAL"},
        },
    }
    logging.config.dictConfig(config)
