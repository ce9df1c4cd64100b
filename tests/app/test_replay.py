"""`tidemark replay` on a real Kafka."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.admin.records_to_delete import RecordsToDelete
from click.testing import CliRunner, Result

from app import topology
from app.admin import administering
from app.broker.ready import free_port
from app.commands import main
from app.engine.producer import PartitionProducer
from app.repair.partition import repairing
from app.repair.plan import emptied
from app.repair.swap import RepairError, Swap
from app.settings import Settings, load
from app.topology import topic_name
from app.verify.partition import partition_of
from tables.domain import Domain
from tables.players import PLAYERS
from tables.tutors import TUTORS
from tests.app.folded import Held, commit_offset, folded, held, silent, write
from tests.chaos.checker import committed_offsets


def run(*arguments: str) -> Result:
    """The command line."""
    return CliRunner().invoke(main, arguments)


def replay(*arguments: str) -> dict[str, Any]:
    """What `tidemark replay players` says of partition 0."""
    result = run("replay", "players", "--partition", "0", "--json", *arguments)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)["partitions"][0]
    return found


@pytest.fixture
def settings(loaded: Callable[..., Settings]) -> Settings:
    """An installation of one partition, also in the environment."""
    return loaded(TIDEMARK_PARTITIONS="1")


def changelog(settings: Settings, domain: Domain = PLAYERS) -> str:
    """The topic of the cells."""
    return topic_name(settings, domain, "changelog")


def cell(before: Held, kind: bytes = b'"damage"') -> bytes:
    """The key of some cell."""
    return next(key for cells in before["changelog"].values() for key in cells if key and kind in key)


def test_a_tool_that_dies_on_the_way_leaves_the_old_table(settings: Settings) -> None:
    """Killed after the records are sent, and after the offset is: readers see what was; the next run mends it."""
    folded(settings, PLAYERS)
    right = held(settings, PLAYERS)
    write(settings, changelog(settings), [(cell(right), b"\x01\x92\x07\x08"), (b"\xff\xfe", b"garbage")])
    wrong = held(settings, PLAYERS)
    for failpoint in ("swap.sent", "swap.offset"):
        command = [sys.executable, "-m", "app", "replay", "players", "--execute"]
        environment = os.environ | {"TIDEMARK_FAILPOINT": failpoint}
        died = subprocess.run(command, env=environment, capture_output=True, check=False)
        assert died.returncode == -signal.SIGKILL, died
        assert held(settings, PLAYERS) == wrong
    dry = run("replay", "players")
    assert (dry.exit_code, "1 key would be deleted" in dry.stdout) == (0, True)
    assert dry.stderr == "nothing has been changed: with --execute it would be\n"
    said = replay("--execute")
    assert (said["executed"], said["differing"]) == (True, 1)
    assert said["problems"][0]["key"] == "\\xff\\xfe"
    assert said["problems"][0]["reason"].endswith("its first byte is 0x67, not 0x01")
    assert held(settings, PLAYERS) == right
    assert replay()["differing"] == 0


def test_whoever_fences_last_wins_and_nobody_writes_half(settings: Settings) -> None:
    """A zombie's open transaction is aborted by the tool; a worker that takes over aborts the tool's."""
    folded(settings, PLAYERS)
    before = held(settings, PLAYERS)

    async def story() -> None:
        zombie = PartitionProducer(settings.kafka(), f"{settings.application_id}-players-0", 0, 10)
        await zombie.fence()
        await zombie.begin()
        batch = zombie.batch()
        batch.append(b'["zombie"]', b"\x01\x90")
        for future in await zombie.send(changelog(settings), 0, batch):
            await future
        async with repairing(settings, PLAYERS, silent, execute=True) as repair, repair._fenced(0) as swap:
            assert swap is not None
            with pytest.raises(Exception, match=r"epoch|fenced|Fenced"):
                await zombie.commit()
            await zombie.release()
            worker = PartitionProducer(settings.kafka(), f"{settings.application_id}-players-0", 0, 10)
            await worker.fence()
            plan = emptied(await repair._find(0), partition_of(settings, PLAYERS, 0).task(), 0)
            assert not plan.empty
            with pytest.raises(RepairError, match="taken the partition over"):
                await swap.write(plan)
            await worker.release()

    asyncio.run(story())
    assert held(settings, PLAYERS) == before


def joining(settings: Settings, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """A worker that joins the group after it was found to be empty, and before this partition is fenced."""
    fence, release, source = Swap.fence, Swap.release, topic_name(settings, PLAYERS, "events")
    members: list[AIOKafkaConsumer] = []

    async def fenced_late(swap: Swap, committed: AIOKafkaConsumer) -> None:
        if swap._number == at:
            members.append(AIOKafkaConsumer(source, **settings.kafka(), group_id=settings.application_id))
            await members[0].start()
        await fence(swap, committed)

    async def left(swap: Swap) -> None:
        await release(swap)
        while members:
            await members.pop().stop()

    monkeypatch.setattr(Swap, "fence", fenced_late)
    monkeypatch.setattr(Swap, "release", left)


def spoil(settings: Settings) -> Held:
    """Write garbage into every partition of the changelog; returns what there is to be replaced now."""
    for number in range(settings.partitions):
        write(settings, changelog(settings), [(b"\xff\xfe", b"garbage")], number)
    return held(settings, PLAYERS)


def test_a_worker_that_joins_while_the_partition_is_fenced_is_noticed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have fenced first, and would serve the old table for as long as nothing happens in the partition."""
    folded(settings, PLAYERS)
    wrong = spoil(settings)
    joining(settings, monkeypatch, at=0)
    refused = run("replay", "players", "--execute", "--json")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "workers are running" in refused.stderr
    assert held(settings, PLAYERS) == wrong


def test_a_repair_that_stops_on_the_way_says_what_is_done(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that was started meanwhile: partition 0 is swapped, 1 and 2 are not; also for scripts."""
    monkeypatch.setenv("TIDEMARK_PARTITIONS", "3")
    settings = load()
    folded(settings, PLAYERS)
    spoil(settings)
    joining(settings, monkeypatch, at=1)
    stopped = run("replay", "players", "--execute", "--json")
    assert stopped.exit_code == 4
    said = json.loads(stopped.stdout)
    assert [(one["partition"], one["executed"]) for one in said["partitions"]] == [(0, True)]
    assert said["failed"]["partition"] == 1
    assert "workers are running" in said["failed"]["reason"]
    assert "players[1] has failed: workers are running" in stopped.stderr
    assert "Partitions that are done: 0; not begun: 2. Run it again" in stopped.stderr
    changed = [
        part.partition for part, cells in held(settings, PLAYERS)["changelog"].items() if b"\xff\xfe" not in cells
    ]
    assert changed == [0]


def test_what_retention_has_deleted_is_not_forgotten_by_accident(settings: Settings) -> None:
    """Refused, unless --from says that the table is to be made of what is left."""
    folded(settings, PLAYERS)
    source = TopicPartition(topic_name(settings, PLAYERS, "events"), 0)

    async def delete() -> None:
        async with administering(settings) as admin:
            await admin.delete_records({source: RecordsToDelete(before_offset=100)})

    asyncio.run(delete())
    refused = run("replay", "players", "--execute")
    assert refused.exit_code == 1
    assert f"{source.topic} partition 0 begins at offset 100" in refused.stderr
    assert "--from beginning" in refused.stderr
    said = replay("--from", "beginning", "--execute")
    assert (said["records"], said["position"]) == (100, 200)
    assert said["rows"]["after"] < said["rows"]["before"]
    assert replay("--from", "beginning")["differing"] == 0
    for moment in ("99", "201"):
        outside = run("replay", "players", "--partition", "0", "--from", moment)
        assert outside.exit_code == 1
        assert f"--from {moment}: {source.topic} holds offsets from 100 to 200" in outside.stderr


def test_a_replay_may_stop_early_and_a_worker_folds_the_rest(settings: Settings) -> None:
    """--to is at most where the table is: what nobody has folded yet is a worker's."""
    folded(settings, PLAYERS)
    said = replay("--to", "50", "--execute")
    assert (said["position"], said["totals"]["position"]) == (50, {"before": 200, "after": 50})
    assert replay()["differing"] == 0
    beyond = run("replay", "players", "--partition", "0", "--to", "60")
    assert beyond.exit_code == 1
    assert "has been folded up to 50" in beyond.stderr
    assert replay("--to", "end")["position"] == 50


def test_an_offset_that_somebody_has_moved_is_shown_and_moved_back(settings: Settings) -> None:
    """It is all that changes: what a dry run would do, and then what was done."""
    folded(settings, PLAYERS)
    right = held(settings, PLAYERS)
    source = TopicPartition(topic_name(settings, PLAYERS, "events"), 0)
    commit_offset(settings, source, 20)
    dry, done = run("replay", "players"), run("replay", "players", "--execute")
    assert "  a worker would go on at source offset 200; the group's offset: 20 before, 200 after\n" in dry.stdout
    assert "  a worker goes on at source offset 200; the group's offset: 20 before, 200 after\n" in done.stdout
    assert ("would" in done.output, "will" in done.output) == (False, False)
    assert asyncio.run(committed_offsets(settings))[source] == 200
    assert held(settings, PLAYERS) == right


def test_a_record_without_a_key_is_removed_with_all_before_it(settings: Settings) -> None:
    """No tombstone deletes it. The topic's settings are afterwards what they were."""
    folded(settings, TUTORS)
    right = held(settings, TUTORS)
    topic = changelog(settings, TUTORS)

    async def policy(value: str) -> None:
        async with administering(settings) as admin:
            own = {"cleanup.policy": value, "segment.bytes": str(64 * 1024 * 1024)}
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, own)])

    asyncio.run(policy("delete"))
    offset = write(settings, topic, [(None, b"nobody's")])
    asyncio.run(policy("compact"))
    found = json.loads(run("doctor", "tutors", "--json").stdout)["findings"]
    errors = [(one["topic"], one["offset"], one["what"]) for one in found if one["severity"] == "error"]
    assert errors == [(topic, offset, "the record has no key")]
    assert run("replay", "tutors", "--execute").exit_code == 0
    after = held(settings, TUTORS)
    assert after["changelog"].keys() == right["changelog"].keys()
    assert {key for cells in after["changelog"].values() for key in cells} == {
        key for cells in right["changelog"].values() for key in cells
    }
    assert asyncio.run(topology.problems(settings, [TUTORS])) == []
    assert run("doctor", "tutors", "--deep").exit_code == 0


@pytest.mark.parametrize("command", ["doctor", "replay", "reset"])
def test_the_help_shows_examples_and_exit_codes(command: str) -> None:
    """Asked of nobody but the program."""
    shown = run(command, "--help")
    assert shown.exit_code == 0
    assert f"tidemark {command} players" in shown.stdout
    assert "Exit code 0:" in shown.stdout
    assert command == "doctor" or "--to beginning|end|OFFSET|TIME" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from", "17"), "say which with --partition"),
        (("--from", "yesterday", "--partition", "0"), "neither beginning, nor end, nor an offset, nor a time"),
        (("--partition", "7"), "there are 1, from 0 on"),
    ],
)
@pytest.mark.usefixtures("settings")
def test_wrong_usage_is_explained(arguments: tuple[str, ...], said: str) -> None:
    """Exit code 2, before anything is asked of Kafka."""
    result = run("replay", "players", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize("command", ["replay", "reset"])
def test_what_is_not_there_has_an_exit_code(command: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the help says: 2 for topics that are missing, 3 for a Kafka that does not answer."""
    missing = run(command, "players")
    assert (missing.exit_code, f"{settings.prefix}players-events" in missing.stderr) == (2, True)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", f"127.0.0.1:{free_port()}")
    assert run(command, "players").exit_code == 3
    assert "2: wrong usage or configuration; 3:" in " ".join(run(command, "--help").stdout.split())
