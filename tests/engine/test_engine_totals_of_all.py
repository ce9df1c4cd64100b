"""Totals of every domain: one worker or three, after burial, a kill and a restart, everybody says the same."""

import asyncio
import time
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from app import topology
from app.broker.ready import free_port
from app.settings import Settings
from tables import DOMAINS
from tests.chaos.process import Worker, wait_for, workers
from tests.chaos.run import QUICK
from tests.oracle import live

EVENTS, KEY_LIMIT = 3_000, 40
RESTING_SECONDS = 2.0  # longer than any emission below
OPTIONS = QUICK | {"TIDEMARK_KEY_LIMIT": str(KEY_LIMIT), "TIDEMARK_LOG_LEVEL": "info"}
PATHS = (
    "/assess/stats",
    "/api/v1/players/totals",
    "/api/v1/players/leaderboard?by=damage",
    "/api/v1/stats",
    "/api/v1/leaderboard",
    "/api/analytics/overview?window=90day",
    "/status-meta",
    "/stats",
    "/api/v1/daily",
)
# What differs from answer to answer, and is no statistic.
MOMENT = ("age_seconds", "timestamp", "as_of")


def told(settings: Settings) -> dict[str, Any]:
    """What a worker says of everything, and nothing of it that is empty."""
    answers = {path: live.ask(settings, path) for path in PATHS}
    return {
        path: {name: value for name, value in body.items() if name not in MOMENT}
        for path, body in answers.items()
        if body
    }


def published(settings: Settings) -> dict[str, dict[str, Any]]:
    """The merged totals of every domain, as anybody reads them."""
    return {domain.name: asyncio.run(live.merged_totals(settings, domain)) for domain in DOMAINS}


def rested(settings: list[Settings]) -> dict[str, Any]:
    """What all workers say, once they all say the same and no emission changes it any more."""
    said: list[Any] = []

    def look() -> bool:
        answers = [told(each) for each in settings]
        whole = len(answers[0]) == len(PATHS) and not any(
            body.get("missing_partitions") for body in answers[0].values()
        )
        alike = whole and all(answer == answers[0] for answer in answers)
        if not alike or (said and said[0][1] != answers[0]):
            said.clear()
        if alike:
            said.append((time.monotonic(), answers[0]))
        return bool(said) and time.monotonic() - said[0][0] > RESTING_SECONDS

    wait_for(look, 60)
    answer: dict[str, Any] = said[0][1]
    return answer


@pytest.mark.timeout(240)
def test_every_worker_says_the_same_of_everything(kafka: str, prefix: str, tmp_path: Path) -> None:
    """Three workers share all partitions; then one is killed, then all are restarted as one: the same numbers."""
    installation = live.installation(kafka, prefix)
    asyncio.run(topology.create(installation, DOMAINS))
    for domain in DOMAINS:
        asyncio.run(live.write(installation, domain, islice(live.events(domain, EVENTS, 5), EVENTS)))
    wanted = {domain.name: len(asyncio.run(live.raw(installation, domain))) for domain in DOMAINS}
    with workers() as running:

        def start(number: int) -> Settings:
            own = installation.model_copy(update={"instance_id": f"worker-{number}", "web_port": free_port()})
            running.append(Worker(own, tmp_path / f"worker-{number}.log", **OPTIONS))
            return own

        def folded() -> bool:
            found = published(installation)
            return all(sum(found[name].get("outcomes", {}).values()) == number for name, number in wanted.items())

        three = [start(number) for number in range(3)]
        for worker in running:
            worker.wait_live(1, 60)
        wait_for(folded, 60)
        before = rested(three)
        totals = published(installation)
        _check(totals)
        assert before["/assess/stats"]["total_assessments"] == totals["assessments"]["outcomes"]["applied"]
        assert before["/api/v1/stats"]["total_batches"] >= totals["workers"]["keys"]
        running[1].kill()
        assert rested([three[0], three[2]]) == before
        for worker in (running[0], running[2]):
            worker.stop()
        alone = start(9)
        assert rested([alone]) == before
        assert _stock(published(installation)) == _stock(totals)


def _stock(totals: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {name: {key: value for key, value in body.items() if key not in MOMENT} for name, body in totals.items()}


def _check(totals: dict[str, dict[str, Any]]) -> None:
    """Stock totals are those of the living, flow totals those of all events, the buried ones' included."""
    for name in ("assessments", "players", "workers", "tutors", "projects"):
        assert 0 < totals[name]["keys"] <= KEY_LIMIT, name
        assert totals[name]["buried"] > 0, name
    projects = totals["projects"]
    assert sum(projects["by_status"].values()) == projects["keys"] == sum(projects["progress_distribution"])
