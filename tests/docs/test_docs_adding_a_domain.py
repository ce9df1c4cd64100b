"""docs/adding-a-domain.md is executed: its blocks make a sixth domain in a copy of the project, and it runs."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from app.broker.lock import wait_until
from app.broker.ready import free_port
from tests.docs.pages import ROOT, page

PAGE = page("docs/adding-a-domain.md")
WORKER_SECONDS = 60.0
COPIED = ("app", "agents", "tables", "tests/laws", "tests/tables", "tests/__init__.py", "pyproject.toml")


def blocks() -> list[str]:
    """The programs of the page, in order: domain, import, entry, given, test."""
    return [body for language, body in PAGE.fences if language == "python"]


def insert(path: Path, before: str, line: str) -> None:
    """Put a line before the first one that begins so."""
    lines = path.read_text("utf-8").splitlines(keepends=True)
    number = next(number for number, text in enumerate(lines) if text.startswith(before))
    path.write_text("".join([*lines[:number], line.rstrip("\n") + "\n", *lines[number:]]), "utf-8")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the page's domain, and no other change than the page names."""
    copy = tmp_path_factory.mktemp("sixth")
    for name in COPIED:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy / name)
    domain, imported, entry, given, test = blocks()
    (copy / "tables/greenhouses.py").write_text(domain, "utf-8")
    (copy / "tests/laws/given_greenhouses.py").write_text(given, "utf-8")
    (copy / "tests/tables/test_greenhouses.py").write_text(test, "utf-8")
    insert(copy / "tables/__init__.py", "from tables.players", imported)
    registry = copy / "tables/__init__.py"
    text = registry.read_text("utf-8")
    beginning, _, rest = text.partition("DOMAINS: tuple[Domain, ...] = (")
    registry.write_text(f"{beginning}DOMAINS: tuple[Domain, ...] = (\n{entry}{rest.lstrip()}", "utf-8")
    strategies = copy / "tests/laws/strategies.py"
    text = strategies.read_text("utf-8")
    text = text.replace(
        "from tests.laws import ", "from tests.laws import given_greenhouses\nfrom tests.laws import ", 1
    )
    text = text.replace("] = {", '] = {"greenhouses": given_greenhouses.GIVEN,', 1)
    strategies.write_text(text, "utf-8")
    return copy


def run(project: Path, *command: str) -> str:
    """Run a Python program in the copy; what it printed."""
    environment = os.environ | {"PYTHONPATH": str(project)}
    command = (sys.executable, *command)
    done = subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_own_test_passes(project: Path) -> None:
    """As it stands on the page."""
    assert "2 passed" in run(
        project, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/tables/test_greenhouses.py"
    )


def test_every_law_holds_for_it(project: Path) -> None:
    """One entry in the strategies, and it is checked like the others."""
    printed = run(project, "-m", "pytest", "-q", "-k", "greenhouses", "tests/laws")
    assert "passed" in printed
    laws = len({path.name for path in (ROOT / "tests/laws").glob("test_law_*.py")})
    assert int(printed.split(" passed")[0].split()[-1]) > laws


def test_its_golden_file_is_made_by_a_command(project: Path) -> None:
    """And holds every kind of cell, as for the other domains."""
    assert "greenhouses-1.json" in run(project, "-m", "tests.tables.make_golden", "greenhouses")
    printed = run(project, "-m", "pytest", "-q", "-k", "greenhouses", "tests/tables/test_golden.py")
    assert "4 passed" in printed


def test_it_runs_on_kafka_without_any_other_change(project: Path, kafka: str, prefix: str) -> None:
    """Topics, worker, view: all of it follows from the declaration."""
    with worker(project, kafka, prefix) as base:
        asyncio.run(produce(kafka, f"{prefix}greenhouses-events"))
        answer: dict[str, Any] = {}

        def counted() -> bool:
            with suppress(OSError, ValueError):
                answer.update(ask(f"{base}/api/v1/greenhouses/orchids"))
            return answer.get("readings") == 2

        assert wait_until(counted, WORKER_SECONDS), answer
    assert (answer["mean_celsius"], answer["warmest_celsius"]) == (21.0, 21.5)
    assert [day["day"] for day in answer["days"]] == ["2025-06-14", "2025-06-15"]


async def produce(kafka: str, topic: str) -> None:
    """Three readings, one of them twice."""
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for number, celsius, day in ((1, 20.5, 14), (2, 21.5, 15), (2, 21.5, 15)):
            value = {"greenhouse": "orchids", "sensor": "north", "number": number, "celsius": celsius}
            value["at"] = f"2025-06-{day}T12:00:00Z"
            await producer.send_and_wait(topic, json.dumps(value).encode(), key=b"orchids")


def ask(url: str) -> dict[str, Any]:
    """The JSON of an answer."""
    with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - this test's own worker
        body: dict[str, Any] = json.load(response)
        return body


@contextmanager
def worker(project: Path, kafka: str, prefix: str) -> Iterator[str]:
    """The copy's topics and a worker of it; yields where its views are."""
    port = free_port()
    settings = {
        "PYTHONPATH": str(project),
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "TIDEMARK_PREFIX": prefix,
        "TIDEMARK_WEB_PORT": str(port),
        "TIDEMARK_LOG_LEVEL": "warning",
    }
    environment = os.environ | settings
    with (project / "worker.log").open("wb") as log:
        command = [sys.executable, "-m", "app"]
        subprocess.run([*command, "topics", "create"], cwd=project, env=environment, check=True, stdout=log)
        process = subprocess.Popen([*command, "worker"], cwd=project, env=environment, stdout=log, stderr=log)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)
