"""Where the tests find Kafka: `--kafka` embedded (the default), container, or HOST:PORT. One suite for all three."""

import asyncio
import gc
import logging
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from app import topology
from app.broker import embedded
from app.broker.lock import wait_until
from app.broker.ready import HOST, free_port, is_ready
from app.settings import Settings, load
from tables import DOMAINS

CONTAINER_SECONDS = 120.0


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--kafka`."""
    parser.addoption(
        "--kafka", default="embedded", metavar="WHERE", help="embedded (default), container (Docker), or HOST:PORT"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a broker, so that `-m 'not kafka'` runs the rest."""
    for item in items:
        if "kafka" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.kafka)


@pytest.fixture(scope="session")
def kafka(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Kafka's address: one broker for the whole run, in a folder of its own; its jars come from the shared cache."""
    match pytestconfig.getoption("--kafka"):
        case "embedded":
            # Of several processes of one run (pytest-xdist) the first starts it, the others join, the last ends it.
            run = tmp_path_factory.getbasetemp()
            folder = run.parent if os.environ.get("PYTEST_XDIST_WORKER") else run
            with embedded(folder / "kafka") as broker:
                yield broker.bootstrap_servers
        case "container":
            with _container() as servers:
                yield servers
        case servers:
            yield servers


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Commands and workers set logging up for their process, which is the tests': the next one finds none of it."""
    named = logging.root.manager.loggerDict.values()
    found = [logging.root, *(one for one in named if isinstance(one, logging.Logger))]
    before = [(one, one.level, one.disabled, one.propagate) for one in found]
    yield
    logging.disable(logging.NOTSET)
    for one, level, disabled, propagate in before:
        one.level, one.disabled, one.propagate = level, disabled, propagate
        one.manager._clear_cache()  # type: ignore[attr-defined] # as setLevel does


@pytest.fixture
def prefix() -> str:
    """A name for topics, groups and installations that no other test has, in this run or an earlier one."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def loaded(kafka: str, prefix: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Sets an installation of the test's own in the environment, with further variables by name; gives its settings."""

    def load_with(**variables: str) -> Settings:
        for name, value in {"KAFKA_BOOTSTRAP_SERVERS": kafka, "TIDEMARK_PREFIX": f"{prefix}-", **variables}.items():
            monkeypatch.setenv(name, value)
        return load()

    return load_with


@pytest.fixture
def installation(loaded: Callable[..., Settings]) -> Settings:
    """Settings, also in the environment, and the topics of all domains."""
    settings = loaded()
    asyncio.run(topology.create(settings, DOMAINS))
    return settings


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No collector of cycles: what goes, goes by itself; and no log, of which pytest would keep the errors."""
    logging.disable(logging.CRITICAL)
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    logging.disable(logging.NOTSET)


@contextmanager
def signals_kept() -> Iterator[None]:
    """Round a command that sets handlers for its process, which here is the tests'."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _container() -> Iterator[str]:
    # Ryuk would be a second image to pull, to clean up what this block cleans up.
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 -- only this way of running needs it

    # The same port inside and outside: for transactions the broker must reach itself at the address it advertises.
    port = free_port()
    settings = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:29093",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENERS": f"PLAINTEXT://0.0.0.0:{port},CONTROLLER://localhost:29093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://localhost:{port}",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    }
    container = DockerContainer("apache/kafka:4.3.1").with_bind_ports(port, port)
    for name, value in settings.items():
        container = container.with_env(name, value)
    with container:
        assert wait_until(lambda: is_ready(port), CONTAINER_SECONDS), container.get_logs()
        yield f"{HOST}:{port}"
