"""Brokers that are not there, refuse, or say "not now": what a worker says, how it ends, or that it goes on."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiokafka.protocol.admin import CreateAclsRequest

from app import failures, topology
from app.broker.ready import HOST, free_port
from app.settings import Settings
from tables.players import PLAYERS
from tests.chaos.process import COMMAND, Worker, workers
from tests.chaos.workload import write
from tests.engine import secured
from tests.engine.secured import USER, Secured

pytestmark = pytest.mark.chaos

Start = Callable[..., Worker]
STOP_SECONDS = 20.0  # of docs/operations.md
NOBODY = f"{HOST}:1"  # a port that only root could serve
RESOURCES = {secured.TOPIC: "*", secured.GROUP: "*", secured.TRANSACTIONAL_ID: "*", secured.CLUSTER: "kafka-cluster"}
# What is denied, and what the message has to name of it: the resource, and the rights in the command that mends it.
REFUSALS = {
    "a topic's existence": (secured.TOPIC, "players-stats", secured.DESCRIBE, "--operation Write --operation Describe"),
    "reading the source": (secured.TOPIC, "players-events", secured.READ, "--operation Read --operation Describe"),
    "the group": (secured.GROUP, "tidemark", secured.READ, "--operation Read --group"),
    "a transactional id": (secured.TRANSACTIONAL_ID, "tidemark-players-0", secured.WRITE, "--operation Write"),
}
WITHDRAWN = {
    "writing the changelog": (secured.TOPIC, "tidemark-players-changelog", secured.WRITE, "--operation Write"),
    "reading totals": (secured.TOPIC, "players-totals", secured.READ, "--operation Read --operation Write"),
    "the group": REFUSALS["the group"],
}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A broker with logins and access rights, for all tests here; its user may do everything."""
    with secured.secured(tmp_path_factory.mktemp("kafka")) as running:
        for resource, name in RESOURCES.items():
            asyncio.run(running.alter(CreateAclsRequest, resource, name, secured.ALL, secured.ALLOW))
        yield running


@pytest.fixture
async def settings(broker: Secured, prefix: str) -> Settings:
    """An installation with its topics, as its administrator sees it."""
    settings = Settings(bootstrap_servers=broker.broker.bootstrap_servers, prefix=f"{prefix}-", partitions=1)
    await topology.create(settings, [PLAYERS])
    return settings


@pytest.fixture
def start(broker: Secured, settings: Settings, tmp_path: Path) -> Iterator[Start]:
    """Start workers of players that log in; whichever still runs at the end is killed."""
    with workers() as running:

        def started(**variables: str) -> Worker:
            login = settings.model_copy(update={"web_port": free_port()})
            log = tmp_path / f"{len(running)}.log"
            running.append(Worker(login, log, PLAYERS.name, **broker.variables() | variables))
            return running[-1]

        yield started


def last_words(worker: Worker, code: int) -> str:
    """What a worker says that ends by itself, with this exit code, and without a traceback."""
    assert worker.wait_dead() == code, worker.said()
    assert "Traceback" not in worker.said()
    assert worker.said().count("CRITICAL") <= 1, worker.said()
    return worker.said().splitlines()[-1]


@pytest.mark.parametrize("what", REFUSALS)
async def test_a_worker_that_is_refused_names_what_whom_and_the_command(
    what: str, broker: Secured, settings: Settings, start: Start
) -> None:
    """Exit code 2: to start it again mends nothing, the access right has to be granted first."""
    resource, name, operation, allow = REFUSALS[what]
    await write(settings, 200, seed=1)
    async with broker.denied(resource, settings.prefix + name, operation):
        worker = start()
        said = await asyncio.to_thread(last_words, worker, failures.MISCONFIGURED)
    named = name.removesuffix("players-0") if resource == secured.TRANSACTIONAL_ID else name
    for words in (f"refuses User:{USER}", settings.prefix + named, "kafka-acls.sh", allow):
        assert words in said


@pytest.mark.parametrize("what", WITHDRAWN)
async def test_a_right_that_is_withdrawn_stops_the_worker(
    what: str, broker: Secured, settings: Settings, start: Start
) -> None:
    """It does not hammer on a closed door; the words are the same as at a start."""
    resource, name, operation, allow = WITHDRAWN[what]
    worker = start()
    await asyncio.to_thread(worker.wait_live, 1)
    async with broker.denied(resource, settings.prefix + name, operation):
        await write(settings, 200, seed=1)
        said = await asyncio.to_thread(last_words, worker, failures.MISCONFIGURED)
    assert f"refuses User:{USER}" in said
    assert allow in said


@pytest.mark.parametrize(
    ("variables", "code", "words"),
    [
        ({"TIDEMARK_SASL_PASSWORD": "wrong"}, failures.MISCONFIGURED, "refuses the credentials of 'worker' by PLAIN"),
        ({"TIDEMARK_SASL_MECHANISM": "SCRAM-SHA-256"}, failures.MISCONFIGURED, "does not offer SCRAM-SHA-256"),
        (
            {"TIDEMARK_SECURITY_PROTOCOL": "PLAINTEXT"},
            failures.NO_KAFKA,
            "TIDEMARK_SECURITY_PROTOCOL=PLAINTEXT?",
        ),
        ({"KAFKA_BOOTSTRAP_SERVERS": NOBODY}, failures.NO_KAFKA, f"{NOBODY}: connection refused"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "nobody.invalid:9092"}, failures.NO_KAFKA, "nobody.invalid:9092: no such host"),
    ],
    ids=["password", "mechanism", "protocol", "port", "host"],
)
def test_a_start_without_a_usable_kafka_says_why(
    variables: dict[str, str], code: int, words: str, broker: Secured, tmp_path: Path
) -> None:
    """At once, in one line: what is wrong, and which setting to correct."""
    settings = Settings(bootstrap_servers=broker.servers, web_port=free_port())
    with workers() as running:
        worker = Worker(settings, tmp_path / "worker.log", **broker.variables() | variables)
        running.append(worker)
        said = last_words(worker, code)
    assert words in said
    assert next(iter(variables)) in said or "TIDEMARK_SASL" in said


def test_the_command_of_these_tests_is_the_one_of_users() -> None:
    """The starts above that name no domain run `python -m app worker`."""
    assert COMMAND[1:] == ["-m", "app", "worker"]


async def test_a_worker_can_be_stopped_while_kafka_is_away(broker: Secured, settings: Settings, start: Start) -> None:
    """Nobody is there to say goodbye to, so it goes without; what was not committed is folded again by the next."""
    worker = start()
    await asyncio.to_thread(worker.wait_live, 1)
    await write(settings, 2_000, seed=1)
    os.kill(broker.broker.java_pid, signal.SIGSTOP)
    try:
        assert await asyncio.to_thread(worker.stop, STOP_SECONDS) == 0
    finally:
        os.kill(broker.broker.java_pid, signal.SIGCONT)
