"""`tidemark reset` on a real Kafka."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from click.testing import CliRunner, Result

from app.broker.ready import free_port
from app.commands import main
from app.repair.partition import repairing
from app.settings import Settings
from app.topology import topic_name
from tables.assessments import ASSESSMENTS
from tables.domain import Domain
from tests.app.folded import fold, folded, held, silent, write
from tests.chaos.checker import committed_offsets
from tests.chaos.process import Worker, wait_for, workers


def run(*arguments: str) -> Result:
    """The command line."""
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def settings(loaded: Callable[..., Settings]) -> Settings:
    """An installation of one partition, also in the environment."""
    return loaded(TIDEMARK_PARTITIONS="1", TIDEMARK_WEB_PORT=str(free_port()))


def same(domain: Domain) -> bool:
    """Whether `tidemark verify` says so."""
    result = run("verify", domain.name, "--json")
    return [part["state"] for part in json.loads(result.stdout)["partitions"]] == ["same"]


def test_a_worker_folds_anew_after_a_reset_and_a_running_one_is_not_disturbed(
    settings: Settings, tmp_path: Path
) -> None:
    """Garbage, rows, snapshots, totals and the ring are gone at once; then all but the garbage is as it was."""
    folded(settings, ASSESSMENTS)
    write(settings, topic_name(settings, ASSESSMENTS, "events"), [(b"nobody", b"garbage")] * 2)
    fold_again(settings)
    right = held(settings, ASSESSMENTS)
    garbage = [(b"\xff\xfe", b"garbage"), (b'["ghost"]', b"\x01\x90")]
    for role in ("changelog", "stats", "totals", "snapshots"):
        write(settings, topic_name(settings, ASSESSMENTS, role), garbage)
    wrong = held(settings, ASSESSMENTS)
    shown = run("reset", "assessments")
    assert (shown.exit_code, shown.stderr.endswith("with --execute it would be\n")) == (0, True)
    assert held(settings, ASSESSMENTS) == wrong

    done = json.loads(run("reset", "assessments", "--execute", "--json").stdout)["partitions"][0]
    assert (done["executed"], done["position"], done["rows"]["after"]) == (True, 0, 0)
    left = {role: len(next(iter(topic.values()))) for role, topic in held(settings, ASSESSMENTS).items()}
    assert left == {"changelog": 2, "stats": 0, "totals": 2, "snapshots": 0}  # totals and source; totals and top
    with workers() as running:
        running.append(Worker(settings, tmp_path / "worker.log", "assessments", TIDEMARK_ASSESSMENTS_STATS_SECONDS="0"))
        running[0].wait_live(1)
        refused = run("reset", "assessments", "--execute")
        assert refused.exit_code == 1
        assert "workers are running: faust" in refused.stderr
        assert f"Stop all workers of {settings.application_id}" in refused.stderr
        wait_for(lambda: held(settings, ASSESSMENTS)["stats"].keys() == right["stats"].keys() and same(ASSESSMENTS), 20)
        wait_for(lambda: keys(held(settings, ASSESSMENTS)) == keys(right), 20)
        running[0].stop()
    assert next(iter(held(settings, ASSESSMENTS)["snapshots"].values())) == next(iter(right["snapshots"].values()))
    letters = json.loads(run("deadletters", "list", "assessments", "--summary", "--json").stdout)
    assert (letters["letters"], letters["records"]) == (2, 4)  # the worker has written them once more


def fold_again(settings: Settings) -> None:
    """What has come since."""

    async def folding() -> None:
        async with repairing(settings, ASSESSMENTS, silent, execute=True) as repair:
            await fold(repair, 0)

    asyncio.run(folding())


def keys(topics: dict[str, dict[TopicPartition, dict[bytes | None, bytes]]]) -> dict[str, set[bytes | None]]:
    """The keys of every role."""
    return {role: {key for topic in parts.values() for key in topic} for role, parts in topics.items()}


def test_a_reset_begins_where_it_is_told_to(settings: Settings) -> None:
    """At an offset, at a time, at the end; rows and the group's offset agree, and what lies outside is refused."""
    folded(settings, ASSESSMENTS)
    source = TopicPartition(topic_name(settings, ASSESSMENTS, "events"), 0)
    end = json.loads(next(iter(held(settings, ASSESSMENTS)["totals"].values()))[b"0"])["position"]
    for moment, wanted in (("17", 17), ("2999-01-01T00:00:00+01:00", end)):
        result = run("reset", "assessments", "--partition", "0", "--to", moment, "--execute")
        assert result.exit_code == 0, result.output
        assert asyncio.run(committed_offsets(settings))[source] == wanted
        totals = json.loads(next(iter(held(settings, ASSESSMENTS)["totals"].values()))[b"0"])
        assert (totals["position"], totals["keys"]) == (wanted, 0)
    assert run("doctor", "assessments").exit_code == 0
    outside = run("reset", "assessments", "--partition", "0", "--to", f"{end + 1}", "--execute")
    assert outside.exit_code == 1
    assert f"holds offsets from 0 to {end}" in outside.stderr
