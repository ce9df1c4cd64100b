"""The command line: what it says, and its exit codes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from click.testing import CliRunner, Result

from app import commands, failures, topology
from app.broker.folder import announcement
from app.broker.jars import KAFKA_VERSION
from app.broker.lock import wait_until
from app.broker.ready import free_port
from app.commands import main
from app.connection import connection
from app.settings import SettingsError
from tables import DOMAINS
from tests.conftest import signals_kept

END_SECONDS = 30.0
NOBODY = "127.0.0.1:1"


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def installation(kafka: str, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation of its own in the environment, without topics."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("TIDEMARK_PREFIX", f"{prefix}-")
    monkeypatch.setenv("TIDEMARK_WEB_PORT", str(free_port()))


def _all() -> Iterator[tuple[str, click.Command]]:
    def below(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        yield name, command
        for part, inner in getattr(command, "commands", {}).items():
            yield from below(f"{name} {part}", inner)

    context = click.Context(main)
    for name in commands.COMMANDS:
        command = main.get_command(context, name)
        assert command is not None
        yield from below(name, command)


@pytest.mark.parametrize("name", [name for name, _ in _all()])
def test_every_command_helps_with_examples(name: str) -> None:
    """`--help` tells how it is called, and shows it."""
    run = _run(*name.split(), "--help")
    assert run.exit_code == 0
    assert f"  tidemark {name.split(maxsplit=1)[0]}" in run.output.partition("Examples:")[2]


def test_it_tells_its_version() -> None:
    """Also in a checkout that is not installed."""
    run = _run("--version")
    assert run.exit_code == 0
    assert run.stdout.startswith("tidemark, version ")


def test_an_unknown_command_is_wrong_usage() -> None:
    """Exit code 2, as everywhere."""
    run = _run("fold")
    assert run.exit_code == 2
    assert "No such command 'fold'" in run.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("worker",),
        ("topics", "verify"),
        ("topics", "create"),
        ("ingest", "pubg", "pyproject.toml"),
        ("generate", "players"),
        ("history", "players-stats"),
        ("watch",),
        ("verify", "players"),
        ("demo",),
    ],
)
def test_without_an_answer_from_kafka_it_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """Exit code 3: the same command may succeed later."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", NOBODY)
    monkeypatch.setenv("TIDEMARK_WEB_PORT", str(free_port()))  # or the demo might have to say that it takes another
    with signals_kept():
        run = _run(*arguments)
    assert run.exit_code == 3
    (line,) = run.stderr.splitlines()
    assert line.startswith(f"Error: no Kafka answers at {NOBODY}: start it")


def test_without_an_answer_the_security_protocol_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that speaks another one is as good as away."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", NOBODY)
    monkeypatch.setenv("TIDEMARK_SECURITY_PROTOCOL", "SSL")
    run = _run("topics", "verify")
    assert run.exit_code == 3
    assert f"no Kafka answers at {NOBODY} by SSL: start it" in run.stderr
    assert "TIDEMARK_SECURITY_PROTOCOL" in run.stderr


@pytest.mark.parametrize(
    ("protocol", "code", "said"),
    [
        ("SASL_PLAINTEXT", 2, "it wants no login there"),
        ("SSL", 3, "does it speak TIDEMARK_SECURITY_PROTOCOL=SSL?"),
        ("SASL_SSL", 3, "does it speak TIDEMARK_SECURITY_PROTOCOL=SASL_SSL?"),
    ],
)
def test_a_broker_that_speaks_another_protocol_is_not_taken_for_one_that_is_away(
    kafka: str, monkeypatch: pytest.MonkeyPatch, protocol: str, code: int, said: str
) -> None:
    """In words, with the setting to change; nobody is sent to the embedded Kafka who has one that answers."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("TIDEMARK_SECURITY_PROTOCOL", protocol)
    monkeypatch.setenv("TIDEMARK_SASL_USERNAME", "worker")
    monkeypatch.setenv("TIDEMARK_SASL_PASSWORD", "secret")
    run = _run("topics", "verify")
    assert run.exit_code == code
    assert f"Kafka at {kafka} cannot be used" in run.stderr
    assert said in run.stderr
    assert "embedded" not in run.stderr
    assert "AIOKafkaConnection" not in run.stderr


def test_a_login_without_a_password_is_a_wrong_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brokers would only say that they refuse it."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", NOBODY)
    monkeypatch.setenv("TIDEMARK_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("TIDEMARK_SASL_USERNAME", "worker")
    run = _run("topics", "verify")
    assert run.exit_code == 2
    assert "TIDEMARK_SASL_PASSWORD is empty" in run.stderr
    assert run.stderr.endswith("; set TIDEMARK_SASL_PASSWORD\n")


@pytest.mark.parametrize("arguments", [("worker",), ("topics", "describe"), ("ingest", "pubg", "pyproject.toml")])
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    """Exit code 2: it will not succeed before somebody mends it."""
    monkeypatch.setenv("TIDEMARK_PARTITIONS", "none")
    run = _run(*arguments)
    assert run.exit_code == 2
    assert "TIDEMARK_PARTITIONS='none'" in run.stderr


def test_describe_asks_no_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an installation needs follows from its settings."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", NOBODY)
    monkeypatch.setenv("TIDEMARK_PREFIX", "staging-")
    names = [topic["name"] for topic in json.loads(_run("topics", "describe", "--json").stdout)["topics"]]
    assert "staging-players-events" in names
    assert all(name in _run("topics", "describe").stdout for name in names)


@pytest.mark.usefixtures("installation")
def test_topics_are_missing_then_created_then_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """`verify` says what is wrong and ends with 1, also where it is the number of partitions."""
    missing = _run("topics", "verify", "--json")
    assert missing.exit_code == 1
    assert all("tidemark topics create" in line for line in json.loads(missing.stdout)["problems"])
    created = json.loads(_run("topics", "create", "--json").stdout)["created"]
    assert len(created) == len(json.loads(missing.stdout)["problems"])
    assert json.loads(_run("topics", "create", "--json").stdout) == {"created": [], "altered": []}
    right = _run("topics", "verify", "--json")
    assert (right.exit_code, json.loads(right.stdout)) == (0, {"ok": True, "problems": []})
    monkeypatch.setenv("TIDEMARK_PARTITIONS", "5")
    assert _run("topics", "verify").exit_code == 1


@pytest.mark.usefixtures("installation")
def test_a_changed_retention_is_mended_by_create(monkeypatch: pytest.MonkeyPatch, kafka: str, prefix: str) -> None:
    """`verify` names the command; what others have set for the topic stays; partitions and replicas stay, too."""
    topic = f"{prefix}-players-events"
    assert _run("topics", "create").exit_code == 0
    asyncio.run(_set(kafka, topic, {"cleanup.policy": "delete", "retention.ms": "1000", "segment.ms": "777777"}))
    assert wait_until(lambda: "retention.ms=1000," in _run("topics", "verify").stdout, END_SECONDS)
    (line,) = _run("topics", "verify").stdout.splitlines()
    assert "mend it with: tidemark topics create, or with: kafka-configs.sh --bootstrap-server " + kafka in line
    monkeypatch.setenv("TIDEMARK_EVENTS_RETENTION_DAYS", "3")
    altered = _run("topics", "create").stdout.splitlines()
    assert f"altered {topic}: retention.ms=259200000 (was 1000)" in altered
    assert all("-events: retention.ms=259200000 (was " in line for line in altered)
    assert _run("topics", "verify").exit_code == 0
    monkeypatch.setenv("TIDEMARK_EVENTS_RETENTION_DAYS", "4")
    monkeypatch.setenv("TIDEMARK_PARTITIONS", "5")
    monkeypatch.setenv("TIDEMARK_REPLICATION", "2")
    again = json.loads(_run("topics", "create", "--json").stdout)
    assert (again["created"], len(again["altered"])) == ([], len(altered))
    assert topic in again["altered"]
    assert asyncio.run(_get(kafka, topic, "segment.ms")) == "777777"
    problems = json.loads(_run("topics", "verify", "--json").stdout)["problems"]
    partitions, replicas = (line for line in problems if topic in line)
    assert partitions.startswith(f"topic {topic} has 4 partitions, wanted 5; set TIDEMARK_PARTITIONS=4, or")
    assert replicas.startswith(f"topic {topic} has 1 replica, wanted 2; add some with kafka-reassign-partitions.sh")
    assert replicas.endswith("or set TIDEMARK_REPLICATION=1")


async def _set(kafka: str, topic: str, configs: dict[str, str]) -> None:
    async with _admin(kafka) as admin:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs)])


async def _get(kafka: str, topic: str, name: str) -> str:
    async with _admin(kafka) as admin:
        (response,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {name: ""})])
    return str(response.resources[0][4][0][1])


@asynccontextmanager
async def _admin(kafka: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


@pytest.mark.usefixtures("installation")
def test_on_the_embedded_kafka_topics_are_looked_at_before_they_are_made(
    monkeypatch: pytest.MonkeyPatch, kafka: str
) -> None:
    """`verify` finds them missing, `create` tells what it has created; other commands create what they need."""

    @contextmanager
    def embedded(_: Path | None) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(bootstrap_servers=kafka)

    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "")
    monkeypatch.setattr("app.connection.embedded", embedded)
    missing = _run("topics", "verify", "--json")
    assert missing.exit_code == 1
    created = json.loads(_run("topics", "create", "--json").stdout)["created"]
    assert len(created) == len(json.loads(missing.stdout)["problems"]) > 0
    assert _run("topics", "verify").exit_code == 0
    monkeypatch.setenv("TIDEMARK_EVENTS_RETENTION_DAYS", "3")
    with connection() as found:  # nobody else is there to bring them to what is wanted
        assert asyncio.run(topology.problems(found.settings, DOMAINS)) == []


@pytest.mark.usefixtures("installation")
def test_a_worker_whose_host_is_not_its_own_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 2 and the setting, not a crash."""
    monkeypatch.setenv("TIDEMARK_WEB_HOST", "no.such.host.invalid")
    monkeypatch.setenv("TIDEMARK_WEB_TOKEN", "secret")
    assert _run("topics", "create").exit_code == 0
    run = _run("worker")
    assert run.exit_code == 2
    assert "TIDEMARK_WEB_HOST='no.such.host.invalid' is no address of this machine" in run.stderr


def test_under_another_command_line_a_failure_is_a_message_and_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    """`faust -A app.main worker` would show a traceback."""
    with pytest.raises(SystemExit) as ended, failures.exiting():
        raise SettingsError("TIDEMARK_X='y': mend it")
    assert ended.value.code == 2
    assert capsys.readouterr().err == "Error: TIDEMARK_X='y': mend it\n"


def test_a_folder_that_cannot_be_used_names_the_option_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """`demo` has --data, where `broker` has --folder."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "")
    with signals_kept():
        run = _run("demo", "--data", "/proc/x")
    assert run.exit_code == 2
    assert "--data of demo" in run.stderr


def test_a_download_is_announced_only_where_there_will_be_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Jars that are cached are not downloaded again."""
    monkeypatch.setattr("jgo.config.GlobalSettings.load", lambda: SimpleNamespace(repo_cache=tmp_path))
    assert "downloads 45 MB" in announcement()
    jar = tmp_path / "org/apache/kafka/kafka_2.13" / KAFKA_VERSION / f"kafka_2.13-{KAFKA_VERSION}.jar"
    jar.parent.mkdir(parents=True)
    jar.touch()
    assert announcement() == f"Starting Kafka {KAFKA_VERSION}"


@pytest.mark.usefixtures("installation")
def test_a_worker_without_its_topics_does_not_start() -> None:
    """Exit code 2, and the command that creates them; in one line, however many they are."""
    run = _run("worker")
    assert run.exit_code == 2
    assert len(run.stderr.splitlines()) == 1
    assert "create them with: tidemark topics create" in run.stderr


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "eof"])
def test_a_worker_starts_quietly_and_stops_gracefully(how: str) -> None:
    """A few lines of its own about what it does; exit code 0 whether a signal or its parent's end stops it."""
    assert _run("topics", "create").exit_code == 0
    worker = subprocess.Popen(
        [sys.executable, "-m", "app", "worker", "--until-eof"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    with worker:
        assert worker.stderr is not None
        assert worker.stdin is not None
        lines = [worker.stderr.readline() for _ in range(2)]  # where it runs, and a partition that is restored
        if how == "eof":
            worker.stdin.close()
        else:
            worker.send_signal(signal.Signals[how])
        assert worker.wait(END_SECONDS) == 0, lines
        lines += worker.stderr.readlines()
        assert worker.stdout is not None
        assert worker.stdout.read() == ""
    assert all(" tidemark" in line for line in lines), lines
    assert "worker stopped" in lines[-1]


@pytest.mark.usefixtures("installation")
def test_a_worker_whose_port_is_taken_says_which(monkeypatch: pytest.MonkeyPatch, kafka: str) -> None:
    """Exit code 2, and the setting that chooses another one."""
    port = kafka.rpartition(":")[2]  # somebody listens there, for certain
    monkeypatch.setenv("TIDEMARK_WEB_PORT", port)
    assert _run("topics", "create").exit_code == 0
    run = _run("worker")
    assert run.exit_code == 2
    assert f"port {port} is taken" in run.stderr
    assert "TIDEMARK_WEB_PORT" in run.stderr
