"""What `docker/` promises: by reading its files, and, where a Docker engine answers, by building and running them."""

import importlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from app.broker.jars import KAFKA_VERSION
from app.broker.ready import free_port, is_free
from app.settings import Settings
from app.web.security import PUBLIC

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
COMPOSE = (DOCKER / "compose.yaml").read_text()
README = (DOCKER / "README.md").read_text()

ENGINE_SECONDS = 10.0
BUILD_SECONDS = 240.0
UP_SECONDS = 120.0
READY_SECONDS = 30.0
STOP_SECONDS = 10.0
WORKERS = 2


def instructions(name: str) -> list[str]:
    """The arguments of a Dockerfile instruction, wherever it stands; comments and continuations resolved."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ")
    return [found.strip() for found in re.findall(rf"^{name}\s+(.+)$", text, flags=re.MULTILINE)]


def health_check() -> list[str]:
    """The command of the image's health check."""
    (text,) = instructions("HEALTHCHECK")
    command: list[str] = json.loads(text.partition("CMD")[2])
    return command


def services() -> dict[str, dict[str, Any]]:
    """The services of compose.yaml, its anchors and merges resolved."""
    try:
        yaml = importlib.import_module("yaml")
    except ImportError:
        pytest.skip("PyYAML is not installed: what compose.yaml says of each service is NOT checked (the text is)")
    found: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
    return found


# -- the image ---------------------------------------------------------------------------------------------------------


def test_both_stages_start_from_one_pinned_python() -> None:
    """A virtual environment is copied between stages, so both have the same Python, named by version and release."""
    bases = {base.split(" AS ")[0] for base in instructions("FROM")}
    assert len(instructions("FROM")) == 2
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.\d+-slim-[a-z]+", bases.pop())


def test_the_image_is_not_root_by_number() -> None:
    """An orchestrator that refuses root can see that it is not, because the user is a number above 0."""
    user = instructions("USER")[-1]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    assert DOCKERFILE.index(f"USER {user}") > DOCKERFILE.rindex("COPY ")


def test_signals_reach_the_worker_because_no_shell_stands_between() -> None:
    """Entry point and command are in exec form."""
    assert [json.loads(text) for text in instructions("ENTRYPOINT")] == [["tidemark"]]
    assert [json.loads(text) for text in instructions("CMD")] == [["worker"]]


def test_the_classic_builder_can_build_the_image() -> None:
    """Nothing in it is BuildKit's alone."""
    assert not re.search(r"^#\s*syntax\s*=|^RUN\s+--|--chmod|--link|<<", DOCKERFILE, flags=re.MULTILINE)


def test_no_pip_and_no_cache_of_it_reach_the_image() -> None:
    """Only the virtual environment is taken over; it has no pip, and pip kept no cache while making it."""
    assert "PIP_NO_CACHE_DIR=1" in DOCKERFILE
    assert "venv --without-pip" in DOCKERFILE
    assert instructions("COPY")[-1] == "--from=build /opt/tidemark /opt/tidemark"


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_health_check_is_right_about_a_worker_that_answers(status: int, code: int) -> None:
    """Healthy on 200, unhealthy otherwise, asking for liveness at the port that the settings say, without a token."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Authorization"]))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert _check_health(server.server_port) == code
    assert asked == [("/health/live", None)]
    assert "/health/live" in PUBLIC


def test_the_health_check_is_right_about_a_worker_that_is_silent() -> None:
    """Unhealthy when nobody listens."""
    assert _check_health(free_port()) == 1


def _check_health(port: int) -> int:
    program, *arguments = health_check()
    assert program == "python"
    environment = os.environ | {"TIDEMARK_WEB_PORT": str(port)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, stderr=subprocess.DEVNULL, check=False).returncode


def test_the_build_sees_the_packages_and_nothing_else() -> None:
    """The context excludes everything first, then admits what the wheel is made of."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    admitted = {line[1:] for line in lines if line.startswith("!")}
    assert admitted == {"pyproject.toml", "README.md", "app", "agents", "tables"}


# -- compose.yaml ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [DOCKERFILE, COMPOSE, README], ids=["Dockerfile", "compose.yaml", "README.md"])
def test_every_setting_that_is_named_exists(text: str) -> None:
    """A TIDEMARK_ variable in docker/ is a setting: a name that is not would be ignored without a word."""
    named = set(re.findall(r"TIDEMARK_[A-Z_]+", text))
    assert named <= {f"TIDEMARK_{name.upper()}" for name in Settings.model_fields}


def test_defaults_in_compose_are_the_defaults_of_the_settings() -> None:
    """Where compose.yaml repeats a default, it is the one of app/settings.py."""
    repeated = re.findall(r"(?:TIDEMARK_)([A-Z_]+): \$\{TIDEMARK_\1:-([^}]*)\}", COMPOSE)
    assert repeated
    assert {name: value for name, value in repeated if str(Settings.model_fields[name.lower()].default) != value} == {}


def test_without_a_token_nothing_starts() -> None:
    """Compose itself refuses while TIDEMARK_WEB_TOKEN is unset or empty."""
    uses = re.findall(r"\$\{TIDEMARK_WEB_TOKEN[^}]*\}", COMPOSE)
    assert uses
    assert all(use.startswith("${TIDEMARK_WEB_TOKEN:?") for use in uses)


def test_ports_are_published_to_this_machine_only() -> None:
    """The one published port is the views', on 127.0.0.1."""
    published = re.findall(r"^\s+ports:\n(?:\s+#.*\n)*((?:\s+- .*\n)+)", COMPOSE, flags=re.MULTILINE)
    assert [line.strip() for line in published] == ['- "127.0.0.1:${WEB_PORTS:-6066}:6066"']
    assert Settings.model_fields["web_port"].default == 6066
    assert "network_mode" not in COMPOSE


def test_kafka_in_compose_is_the_kafka_that_is_tested() -> None:
    """One version: of the embedded Kafka, which the suite runs on, and of the image."""
    assert re.findall(r"image: (apache/kafka:.*)", COMPOSE) == [f"apache/kafka:{KAFKA_VERSION}"]


def test_every_service_has_no_privileges() -> None:
    """All capabilities are dropped and none can be had; ours cannot change their files, and hear every signal."""
    for name, service in services().items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not {"privileged", "cap_add", "network_mode", "pid"} & service.keys(), name
        if name != "kafka":
            assert service["read_only"] is True, name
            assert service["init"] is True, name
            assert service["tmpfs"] == ["/tmp"], name  # noqa: S108 -- a path inside the container


def test_services_start_in_order() -> None:
    """Topics wait for a broker that serves; workers and ingests wait for the topics."""
    of = services()
    assert "healthcheck" in of["kafka"]
    assert of["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    for name in ("worker", "ingest"):
        assert of[name]["depends_on"] == {"topics": {"condition": "service_completed_successfully"}}


def test_topics_workers_and_ingests_agree() -> None:
    """What all three are told is the same: the address of Kafka and the number of partitions."""
    of = services()
    shared = of["topics"]["environment"]
    assert {"KAFKA_BOOTSTRAP_SERVERS", "TIDEMARK_PARTITIONS"} <= shared.keys()
    assert of["ingest"]["environment"] == shared
    assert of["worker"]["environment"].items() >= shared.items()


# -- the real thing ----------------------------------------------------------------------------------------------------


@dataclass
class Installation:
    """compose.yaml as a project of its own, with a token and ports of its own."""

    compose: list[str]
    first_port: int
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    project: str = field(default_factory=lambda: f"tidemark-test-{secrets.token_hex(4)}")

    def run(self, *arguments: str, seconds: float = UP_SECONDS) -> str:
        """Run a command of Compose; its output."""
        environment = os.environ | {
            "COMPOSE_PROJECT_NAME": self.project,
            "COMPOSE_FILE": str(DOCKER / "compose.yaml"),
            "TIDEMARK_WEB_TOKEN": self.token,
            "WEB_PORTS": f"{self.first_port}-{self.first_port + WORKERS - 1}",
        }
        return _run([*self.compose, *arguments], seconds, environment)

    def workers(self) -> list[Any]:
        """What Docker says of the workers' containers, as `docker inspect` tells it."""
        found: list[Any] = json.loads(_run(["docker", "inspect", *self.run("ps", "-q", "worker").split()]))
        return found

    def ask(self, port: int, path: str, *, token: str | None = None) -> tuple[int, Any]:
        """Status and body of an answer; 0 while nobody answers."""
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {token or self.token}"})
            response = connection.getresponse()
            return response.status, json.load(response)
        except (OSError, HTTPException):
            return 0, None
        finally:
            connection.close()

    def wait_until_ready(self, port: int) -> None:
        """Wait until every view of a worker answers."""
        _until(lambda: self.ask(port, "/health/ready")[0] == 200, f"the worker at {port} is not ready")

    def ports(self) -> range:
        """The published ports."""
        return range(self.first_port, self.first_port + WORKERS)


def _run(command: list[str], seconds: float = UP_SECONDS, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def _works(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=ENGINE_SECONDS, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _compose() -> list[str]:
    not_run = "docker/ is NOT built and NOT run"
    if not _works("docker", "info"):
        pytest.skip(f"no Docker engine answers: {not_run}")
    if _works("docker", "compose", "version"):
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    pytest.skip(f"Docker has no Compose here: {not_run}")


def _free_ports() -> int:
    while True:
        first = free_port()
        if all(is_free(port) for port in range(first + 1, first + WORKERS)):
            return first


def _until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"after {READY_SECONDS:.0f} s: {what}"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    """Two workers on a Kafka of their own, with the sample match ingested; gone, data included, after the tests."""
    made = Installation(_compose(), _free_ports())
    made.run("build", "worker", seconds=BUILD_SECONDS)
    try:
        made.run("up", "-d", "--scale", f"worker={WORKERS}")
        for port in made.ports():
            made.wait_until_ready(port)
        made.run("run", "--rm", "ingest")
        yield made
    finally:
        print(made.run("logs", "--no-color", "topics", "worker"))  # pytest shows it when a test fails
        made.run("down", "-v", "--remove-orphans")


def test_in_docker_the_sample_match_gives_its_numbers_on_every_worker(installation: Installation) -> None:
    """Compose brings up Kafka, topics and two workers; each worker answers for all partitions, and exactly."""
    for port in installation.ports():

        def folded(port: int = port) -> bool:
            status, body = installation.ask(port, "/api/v1/status")
            consumed = {domain["name"]: domain["consumed"] for domain in body["domains"]} if status == 200 else {}
            return consumed.get("players") == 103 and len(body["workers"]) == WORKERS

        _until(folded, f"{port} does not show what was ingested")
        status, body = installation.ask(port, "/api/v1/players?limit=100")
        assert (status, body["missing_partitions"]) == (200, [])
        players = body["results"]
        assert len(players) == 23
        assert sum(player["hits"] for player in players) == 88
        assert round(sum(player["damage"] for player in players), 4) == 1890.9018
        for player in players:
            assert installation.ask(port, f"/api/v1/players/{player['player']}/trend")[0] == 200


def test_in_docker_another_token_is_refused(installation: Installation) -> None:
    """The published port answers nobody who does not have the token, liveness apart."""
    port = installation.first_port
    assert installation.ask(port, "/api/v1/status", token="another")[0] == 401  # noqa: S106 -- which is not one
    assert installation.ask(port, "/health/live", token="another")[0] == 200  # noqa: S106 -- likewise


def test_in_docker_a_worker_has_no_privileges_and_is_healthy(installation: Installation) -> None:
    """Docker itself says so of the running containers; so does the kernel of their processes."""

    def healthy() -> bool:
        return all(worker["State"]["Health"]["Status"] == "healthy" for worker in installation.workers())

    _until(healthy, "the workers are not healthy")
    for worker in installation.workers():
        assert worker["HostConfig"]["ReadonlyRootfs"] is True
        assert {binding["HostIp"] for binding in worker["NetworkSettings"]["Ports"]["6066/tcp"]} == {"127.0.0.1"}
        processes = _run(["docker", "exec", worker["Id"], "sh", "-c", "cat /proc/[0-9]*/status"])
        assert "tidemark" in _values(processes, "Name")
        assert _values(processes, "Uid") == {"10001\t10001\t10001\t10001"}
        assert _values(processes, "CapEff") == _values(processes, "CapBnd") == {"0" * 16}
        assert _values(processes, "NoNewPrivs") == {"1"}


def _values(status: str, name: str) -> set[str]:
    return set(re.findall(rf"^{name}:\t(.*)$", status, flags=re.MULTILINE))


def test_in_docker_sigterm_stops_a_worker_that_is_still_starting(installation: Installation) -> None:
    """It does not have to be killed, though it has not yet said what it wants to do about signals."""
    container = installation.run("run", "-d", "worker").split()[-1]
    began = time.monotonic()
    _run(["docker", "stop", container])
    assert time.monotonic() - began < STOP_SECONDS
    (stopped,) = json.loads(_run(["docker", "inspect", container]))
    _run(["docker", "rm", container])
    assert stopped["State"]["ExitCode"] in (0, 128 + signal.SIGTERM)


def test_in_docker_sigterm_stops_a_worker_and_loses_nothing(installation: Installation) -> None:
    """Both workers end with code 0 within ten seconds; started again, they count the same."""
    installation.wait_until_ready(installation.first_port)
    before = installation.ask(installation.first_port, "/api/v1/status")[1]["domains"]
    began = time.monotonic()
    installation.run("stop", "worker")
    assert time.monotonic() - began < STOP_SECONDS
    assert [worker["State"]["ExitCode"] for worker in installation.workers()] == [0] * WORKERS
    installation.run("start", "worker")
    for port in installation.ports():
        installation.wait_until_ready(port)
    assert installation.ask(installation.first_port, "/api/v1/status")[1]["domains"] == before
