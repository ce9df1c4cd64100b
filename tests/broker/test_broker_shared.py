"""The embedded broker: one per folder, shared, durable, and gone with its last user."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from app.broker import Broker, BrokerError, Reason, bootstrap, embedded
from app.broker.folder import Folder
from app.broker.lock import wait_until
from app.broker.ready import free_port, is_ready

pytestmark = pytest.mark.kafka

SECONDS = 30.0
ROOT = Path(__file__).parents[2]
OWNER = """
import sys, signal
from pathlib import Path
from app.broker import embedded
with embedded(Path(sys.argv[1])) as broker:
    print(broker.java_pid, flush=True)
    signal.pause()
"""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that the tests of this module may restart."""
    with embedded(tmp_path_factory.mktemp("shared"), properties={"log.roll.ms": "60000"}) as broker:
        yield broker


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of the test's own, with a name that a careless configuration would trip over."""
    return tmp_path / "mes données, 1"


@contextmanager
def owner(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run a process of its own that uses the broker; yields it and Java's process id."""
    process = subprocess.Popen([sys.executable, "-c", OWNER, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with process:
        try:
            assert process.stdout is not None
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


async def create(servers: str, topic: str) -> None:
    """Create a topic of one partition."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1)])
    finally:
        await admin.close()


async def produce(servers: str, topic: str, values: list[bytes], *, commit: bool = True) -> None:
    """Produce the values in one transaction, and commit or abort it."""
    producer = AIOKafkaProducer(bootstrap_servers=servers, transactional_id=topic)
    await producer.start()
    try:
        await producer.begin_transaction()
        for value in values:
            await producer.send_and_wait(topic, value, partition=0)
        await (producer.commit_transaction() if commit else producer.abort_transaction())
    finally:
        await producer.stop()


async def consume(servers: str, topic: str, count: int) -> list[bytes]:
    """Return the first committed values of a topic, as soon as there are so many.

    A commit is answered before its markers are in the log, so the topic's end says nothing yet.
    """
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, isolation_level="read_committed")
    await consumer.start()
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        values: list[bytes] = []
        async with asyncio.timeout(SECONDS):
            while len(values) < count:
                values.append((await consumer.getone(partition)).value)
        return values
    finally:
        await consumer.stop()


async def test_a_committed_transaction_is_read_and_an_aborted_one_is_not(kafka: str, prefix: str) -> None:
    """What a transaction commits is read, what it aborts is not, on whichever Kafka the suite runs."""
    await create(kafka, prefix)
    await produce(kafka, prefix, [b"never"], commit=False)
    await produce(kafka, prefix, [b"one", b"two"])
    assert await consume(kafka, prefix, 2) == [b"one", b"two"]


async def test_data_survive_a_restart_at_the_same_address(broker: Broker, prefix: str) -> None:
    """After a restart the broker has another process, the same address and the same records."""
    servers, java = broker.bootstrap_servers, broker.java_pid
    await create(servers, prefix)
    await produce(servers, prefix, [b"kept"])
    broker.restart()
    assert (broker.bootstrap_servers, broker.java_pid == java) == (servers, False)
    assert await consume(servers, prefix, 1) == [b"kept"]


async def test_a_transaction_committed_just_before_java_is_killed_is_read_after_a_restart(
    broker: Broker, prefix: str
) -> None:
    """Java may be killed; a restart on the same folder has every acknowledged record, committed a moment before too."""
    await create(broker.bootstrap_servers, prefix)
    await produce(broker.bootstrap_servers, prefix, [b"kept"])
    # Its markers are not written yet: Kafka alone would lose this transaction as often as not (recovery.py).
    os.kill(broker.java_pid, signal.SIGKILL)
    assert wait_until(Folder(broker.folder).is_stopped, SECONDS)
    broker.restart()
    assert await consume(broker.bootstrap_servers, prefix, 1) == [b"kept"]


def test_a_second_user_shares_the_broker(broker: Broker) -> None:
    """Who asks for a folder on which a broker runs gets that one, and leaving it does not end it."""
    with embedded(broker.folder) as second:
        assert (second.java_pid, second.bootstrap_servers) == (broker.java_pid, broker.bootstrap_servers)
    assert is_ready(broker.port)


def test_given_properties_reach_kafka(broker: Broker) -> None:
    """A property that is given is in Kafka's configuration, through restarts too."""
    assert "log.roll.ms=60000" in (broker.folder / "server.properties").read_text().splitlines()


@pytest.mark.parametrize("wish", [{"port": 1}, {"properties": {"log.roll.ms": "1"}}], ids=["port", "properties"])
def test_a_wish_that_the_running_broker_cannot_fulfil_is_refused(broker: Broker, wish: dict[str, int]) -> None:
    """Another port or other properties than the running broker's are refused, never silently ignored."""
    with pytest.raises(BrokerError, match="stop it first") as refusal, embedded(broker.folder, **wish):  # type: ignore[arg-type]
        pass
    assert refusal.value.reason is Reason.CONFLICT
    assert is_ready(broker.port)


async def test_the_last_users_leaving_ends_the_broker_and_keeps_its_data(folder: Path, prefix: str) -> None:
    """Java ends with the last user, not before, and the next one finds the data at the given port."""
    with embedded(folder) as first:
        with embedded(folder):
            await create(first.bootstrap_servers, prefix)
            await produce(first.bootstrap_servers, prefix, [b"kept"])
        assert Folder(folder).is_running()
    assert Folder(folder).is_stopped()
    with embedded(folder, port=(port := free_port())) as again:
        assert again.port == port
        assert await consume(again.bootstrap_servers, prefix, 1) == [b"kept"]


def test_a_killed_owner_leaves_the_broker_to_the_others_and_the_last_one_no_java(folder: Path) -> None:
    """Users that are killed count as gone: the broker stays for those who live, and ends with the last."""
    with owner(folder) as (first, java):
        with owner(folder) as (second, shared):
            assert shared == java
            first.kill()
            first.wait(SECONDS)
            state = Folder(folder).read_state()
            assert state is not None
            assert is_ready(state.port)
            second.kill()
        assert wait_until(Folder(folder).is_stopped, SECONDS)
    with pytest.raises(ProcessLookupError):
        os.kill(java, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start ends the stray")
def test_a_killed_supervisor_leaves_no_java(folder: Path) -> None:
    """Even the supervisor may be killed: Java ends, and a restart gives the user a broker again."""
    with embedded(folder) as broker:
        state = Folder(folder).read_state()
        assert state is not None
        os.kill(state.supervisor, signal.SIGKILL)
        assert wait_until(lambda: not Folder(folder).is_running(), SECONDS)
        broker.restart()
        assert is_ready(broker.port)
        # A broker that hangs is ended all the same.
        os.kill(broker.java_pid, signal.SIGSTOP)
    assert Folder(folder).is_stopped()


def test_kafka_is_found_in_the_environment_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Servers given win over KAFKA_BOOTSTRAP_SERVERS, and either keeps the embedded broker from starting."""
    monkeypatch.setenv("TIDEMARK_HOME", str(tmp_path))
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka.example:9092")
    with bootstrap() as found, bootstrap("given.example:9092") as given:
        assert (found, given) == ("kafka.example:9092", "given.example:9092")
    assert not list(tmp_path.iterdir())


def test_without_servers_the_embedded_broker_of_the_users_folder_is_used(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With no server named, commands share the broker in the user's data folder."""
    (tmp_path / "kafka").symlink_to(broker.folder)
    monkeypatch.setenv("TIDEMARK_HOME", str(tmp_path))
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    with bootstrap() as servers:
        assert servers == broker.bootstrap_servers
