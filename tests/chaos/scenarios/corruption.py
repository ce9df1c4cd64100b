"""What lies in the topics is not what it has to be: found, exactly there, and mended by the command that is named."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from unittest import mock

from aiokafka import TopicPartition
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.admin.records_to_delete import RecordsToDelete
from click.testing import CliRunner, Result

from app import topology
from app.admin import Admin, administering
from app.broker.ready import free_port
from app.commands import main
from app.topology import topic_name
from tables import DOMAINS
from tables.domain import Domain
from tables.players import PLAYERS
from tables.workers import WORKERS
from tests.app.folded import commit_offset, write
from tests.chaos.checker import Verdict, totals_of
from tests.chaos.consume import latest, read_all, read_raw
from tests.chaos.process import Worker, wait_for
from tests.chaos.run import QUICK, Run
from tests.oracle.interface import Raw

REFUSED = 2  # the exit code of a worker that need not be started again before something is mended
LEFT_SECONDS = 15.0  # until the group knows that a worker is gone
Damage = Callable[[dict[bytes, bytes]], tuple[bytes, bytes, str]]
"""The cells of a partition -> key, value, and a part of what is to be said of that record."""


def tidemark(run: Run, *arguments: str, **variables: str) -> Result:
    """The command line, for the run's installation."""
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": run.settings.bootstrap_servers,
        "TIDEMARK_PREFIX": run.settings.prefix,
        "TIDEMARK_PARTITIONS": str(run.settings.partitions),
    } | QUICK
    return CliRunner().invoke(main, arguments, env=environment | variables)


def done(run: Run, *arguments: str) -> None:
    """A command that ends well, once the group is without members."""
    results: list[Result] = []

    def ends_well() -> bool:
        results.append(tidemark(run, *arguments))
        return results[-1].exit_code == 0 or "workers are running" not in results[-1].output

    wait_for(ends_well, LEFT_SECONDS)
    if results[-1].exit_code != 0:
        raise RuntimeError(f"tidemark {' '.join(arguments)} ended with {results[-1].exit_code}: {results[-1].output}")


def refuses(run: Run, wanted: list[str], *, worker: Worker | None = None) -> None:
    """A worker ends by itself, having said all of this, with the exit code that says not to start it again before."""
    worker = worker or run.worker(static=False)
    ended = worker.wait_dead()
    missing = [each for each in wanted if each not in worker.said()]
    if ended != REFUSED or missing:
        raise RuntimeError(f"the worker ended with {ended} and did not name {missing}:\n{worker.said()[-3000:]}")


def finds(run: Run, domain: Domain, *wanted: dict[str, Any]) -> None:
    """`tidemark doctor` finds these errors in a domain, and no other."""
    result = tidemark(run, "doctor", domain.name, "--json")
    findings = [one for one in json.loads(result.stdout)["findings"] if one["severity"] == "error"]
    unlike = [(one, found) for one, found in zip(wanted, findings, strict=False) if not _is_like(found, one)]
    if len(findings) != len(wanted) or unlike:
        raise RuntimeError(f"the doctor found {findings}, wanted {wanted}")


def _is_like(finding: dict[str, Any], wanted: dict[str, Any]) -> bool:
    texts = {name: text for name, text in wanted.items() if isinstance(text, str)}
    return all(text in finding[name] for name, text in texts.items()) and wanted.items() - texts.items() <= {
        (name, value) for name, value in finding.items() if isinstance(value, int)
    }


def administer(run: Run, work: Callable[[Admin], Awaitable[Any]]) -> None:
    """Do something as an administrator would."""

    async def working() -> None:
        async with administering(run.settings) as admin:
            await work(admin)

    asyncio.run(working())


# -- row 8 -------------------------------------------------------------------------------------------------------------


def _some(cells: dict[bytes, bytes]) -> bytes:
    return next(key for key in cells if b'"damage"' in key)


DAMAGES: tuple[Damage, ...] = (
    lambda cells: (_some(cells), b"\x09" + cells[_some(cells)][1:], "its first byte is 0x09, not 0x01"),
    lambda _cells: (b"\xff\xfe", b"\x01garbage", "malformed"),
    lambda cells: (_some(cells), cells[_some(cells)][:-1], "truncated"),
    lambda _cells: (b'["ann","nothing"]', b"\x01\x90", "there are no cells of kind 'nothing'"),
    lambda cells: (_some(cells), b"\x01garbage", ""),
    lambda _cells: (b"[null]", b"\x01\x80", ""),
)


def garbage(run: Run) -> Verdict:
    """Records that are no cells, one kind after the other: a worker refuses at each, the doctor names it, replay mends.

    All domains of the worker stop with it: a worker that went on without one of its partitions would be found late.
    """
    topic = topic_name(run.settings, PLAYERS, "changelog")
    first = run.rng.randrange(len(DAMAGES))
    for turn in range(run.faults):
        run.write()
        worker = run.worker(static=False)
        run.drain()
        worker.stop()
        number = turn % run.settings.partitions
        held = latest(asyncio.run(read_all(run.settings, topic)))[TopicPartition(topic, number)]
        key, value, reason = DAMAGES[(first + turn) % len(DAMAGES)]({key: value for key, value in held.items() if key})
        offset = write(run.settings, topic, [(key, value)], number)
        place = f"{topic} partition {number} offset {offset}"
        refuses(run, [place, reason, "tidemark doctor players", f"tidemark replay players --partition {number}"])
        finds(run, PLAYERS, {"topic": topic, "partition": number, "offset": offset, "what": reason})
        done(run, "replay", "players", "--partition", str(number), "--execute")
        finds(run, PLAYERS)
    run.note("refused, found and mended", f"{run.faults} kinds of damage")
    run.write()
    return run.finish(run.worker(static=False))


# -- row 13 ------------------------------------------------------------------------------------------------------------


def offsets(run: Run) -> Verdict:
    """An offset that was moved, a source that was created anew, and one that retention has overtaken."""
    run.write()
    worker = run.worker(static=False)
    run.drain()
    worker.stop()
    _moved(run)
    _created_anew(run, WORKERS)
    before = _overtaken(run)
    kept = asyncio.run(read_raw(run.settings, topic_name(run.settings, PLAYERS, "events")))

    async def as_folded(settings: Any, topic: str) -> list[Raw]:
        """The source as it was folded: with what was deleted afterwards, without what was deleted before."""
        records = await read_raw(settings, topic)
        return before + kept if topic == topic_name(run.settings, PLAYERS, "events") else records

    with mock.patch("tests.chaos.checker.read_raw", as_folded):
        return run.check()


def _moved(run: Run) -> None:
    """Somebody has set the group's offset: refused; set back, as the message says, all is well."""
    source = TopicPartition(topic_name(run.settings, PLAYERS, "events"), 1)
    position = asyncio.run(totals_of(run.settings, PLAYERS))[1]["position"]
    commit_offset(run.settings, source, 10**9)
    said = f"has committed offset {10**9}"
    refuses(run, [f"{source.topic} partition 1", said, f"set the group's offset back to {position}"])
    back = f"--reset-offsets --to-offset {position}"
    finds(run, PLAYERS, {"topic": source.topic, "partition": 1, "what": said, "remedy": back})
    wait_for(lambda: _without_members(run), LEFT_SECONDS)
    commit_offset(run.settings, source, position)


def _without_members(run: Run) -> bool:
    return "workers are running" not in tidemark(run, "reset", "players", "--partition", "0").output


def _created_anew(run: Run, domain: Domain) -> None:
    """The source is deleted and created anew, and has grown past the rows' position: refused; reset begins anew."""
    source, letters = (topic_name(run.settings, domain, role) for role in ("events", "dead-letters"))
    administer(run, lambda admin: admin.delete_topics([source, letters]))
    created: set[str] = set()

    def all_there() -> bool:
        created.update(asyncio.run(topology.create(run.settings, run.domains)))
        return created == {source, letters}

    wait_for(all_there, LEFT_SECONDS)
    run.write(2 * run.events)
    refuses(run, [source, "was deleted and created anew", f"tidemark reset {domain.name}"])
    place = {"topic": source, "what": "it is not the topic that the rows were folded from"}
    finds(run, domain, *[place | {"partition": number} for number in range(run.settings.partitions)])
    done(run, "reset", domain.name, "--execute")


def _overtaken(run: Run) -> list[Raw]:
    """Retention deletes what nobody has folded: a worker goes on with what is left, and says what is missing.

    Returns:
        the records of that partition that were folded before.
    """
    source = TopicPartition(topic_name(run.settings, PLAYERS, "events"), 0)
    run.write()  # a worker that refused may have folded what was there
    position = asyncio.run(totals_of(run.settings, PLAYERS))[0]["position"]
    records = asyncio.run(read_raw(run.settings, source.topic))
    missing = sum(record.partition == 0 and record.offset >= position for record in records) // 2
    before = position + missing
    administer(run, lambda admin: admin.delete_records({source: RecordsToDelete(before_offset=before)}))
    found = json.loads(tidemark(run, "doctor", "players", "--json").stdout)["findings"]
    said = [one["what"] for one in found if one["severity"] == "warning"]
    if said != [f"{missing:,} offsets, from {position} on, were deleted before they were folded"]:
        raise RuntimeError(f"the doctor found {found}")
    worker = run.worker(static=False)
    run.drain()
    worker.stop()
    wanted = f"{missing} offsets, from {position} on, were deleted before they could be folded"
    if wanted not in worker.said():
        raise RuntimeError(f"the worker did not say {wanted!r}:\n{worker.said()[-3000:]}")
    run.note("deleted before it was folded", f"{missing:,} records, named by worker and doctor")
    return [record for record in records if record.partition == 0 and record.offset < position]


# -- row 14 ------------------------------------------------------------------------------------------------------------


def wrong_topics(run: Run) -> Verdict:
    """Topics with a wrong cleanup policy, wrong partitions, or none: each refused with the command that mends it."""
    asyncio.run(topology.create(run.settings, DOMAINS))
    run.write()
    policy = topic_name(run.settings, PLAYERS, "changelog")
    gone = topic_name(run.settings, PLAYERS, "stats")
    wrong = {"cleanup.policy": "delete"}
    administer(run, lambda admin: admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, policy, wrong)]))
    administer(run, lambda admin: admin.delete_topics([gone]))
    said = f"topic {policy} has cleanup.policy=delete, wanted compact; mend it with: tidemark topics create"
    missing = f"topic {gone} does not exist; create it with: tidemark topics create"
    wait_for(lambda: tidemark(run, "topics", "verify").exit_code != 0, LEFT_SECONDS)
    refuses(run, [said, missing], worker=_whole_worker(run, "refused"))
    done(run, "topics", "create")
    partitions = run.settings.partitions + 1
    counted = f"has {run.settings.partitions} partitions, wanted {partitions}; set TIDEMARK_PARTITIONS="
    more = _whole_worker(run, "too-many", TIDEMARK_PARTITIONS=str(partitions))
    refuses(run, [policy, counted + str(run.settings.partitions)], worker=more)
    run.note("refused and mended", "a cleanup policy, a missing topic, a number of partitions")
    return run.finish(run.worker(static=False))


def _whole_worker(run: Run, name: str, **variables: str) -> Worker:
    """A worker as users start it: it looks at its topics before all else."""
    settings = run.settings.model_copy(update={"web_port": free_port()})
    worker = Worker(settings, run.folder / f"{name}.log", **QUICK | variables)
    run.workers.append(worker)
    return worker
