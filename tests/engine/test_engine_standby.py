"""Warm copies on a real Kafka: kept up, promoted exactly, and dropped at any doubt."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from agents.driver import Driver
from agents.task import Task
from app import topology
from app.admin import administering
from app.engine import standby
from app.engine.changelog import restore, stable_end
from app.engine.engine import Engine
from app.engine.owned import Owned
from app.settings import Settings
from tables.players import PLAYERS
from tables.table import TOTALS_KEY, CorruptCellError
from tests.chaos.process import Worker, wait_for
from tests.chaos.run import Size, running
from tests.chaos.scenarios.standby import PROMOTED, keeper, wait_warm
from tests.laws.test_law_03_standby import assert_same
from tests.web.installation import Member

WAIT_SECONDS = 15.0


class Group(Member):
    """A group that has committed what the rows' writer has."""

    def __init__(self) -> None:
        super().__init__()
        self.offset: int | None = 0

    async def committed_offset(self, partition: TopicPartition) -> int | None:  # noqa: ARG002 - of the only partition
        """The offset."""
        return self.offset


class Partition:
    """A players' partition whose owner is elsewhere: a driver that writes its commits to the real changelog."""

    def __init__(self, settings: Settings, producer: AIOKafkaProducer) -> None:
        self.driver = Driver(PLAYERS, key_limit=40)
        self.engine = Engine(settings, [PLAYERS])
        self.engine.partition_of = self.driver.partition_of
        self.engine.group = self.group = Group()
        self.owned = Owned(self.engine, PLAYERS, 0)
        self.key = (self.owned.source, 0)
        self.changelog = TopicPartition(self.owned.changelog, 0)
        self._producer = producer
        self._events = 0

    async def commit(self, events: int = 30, *, abort: bool = False) -> None:
        """Fold some events of other players than before, and of some of the same; write what is to be committed."""
        for number in range(self._events, self._events + events):
            event = {"type": "damage", "match": f"m{number % 3}", "seq": number, "player": f"player-{number * 7 % 60}"}
            event |= {"match_type": "official", "weapon": "Weap", "damage": 1.5, "at": "2025-06-01T00:00:00Z"}
            self.driver.send(f"player-{number * 7 % 60}", event)
        self._events += events
        self.driver.wait(1)
        self.driver.fold()
        cells = self.driver.commit().cells
        await self.write([(cell.key, cell.value) for cell in cells], abort=abort)
        self.group.offset = self.driver.position

    async def write(self, records: list[tuple[bytes, bytes | None]], *, abort: bool = False) -> None:
        """One transaction on the changelog."""
        await self._producer.begin_transaction()
        for key, value in records:
            await self._producer.send(self.changelog.topic, key=key, value=value, partition=0)
        await (self._producer.abort_transaction() if abort else self._producer.commit_transaction())

    async def warm(self) -> standby.Copy:
        """The copy, once it is where the log ends."""
        end = await stable_end(self.owned, self.changelog.topic)
        await eventually(lambda: (copy := self.copy()) is not None and copy.warm.position == end and copy.warm.settled)
        copy = self.copy()
        assert copy is not None
        return copy

    async def settled(self) -> standby.Copy:
        """A copy of a log with one commit, which is about to be promoted: the partition is ours by now."""
        await self.commit()
        self.keep()
        copy = await self.warm()
        self.keep(warm=False)
        return copy

    def copy(self) -> standby.Copy | None:
        """The copy that there is now."""
        return self.engine.standby.copy(self.key)

    def keep(self, *, warm: bool = True) -> None:
        """Be its standby; or, after an assignment that makes it ours, no longer."""
        self.engine.standby.follow([self.key] if warm else [], [] if warm else [self.key])

    async def promote(self) -> Task | None:
        """As in step 4 of the order *assigned*."""
        self.keep(warm=False)
        return await self.engine.standby.promote(self.owned, await stable_end(self.owned, self.changelog.topic))

    async def restore(self) -> Task:
        """The same rows, from the log alone."""
        return await restore(self.owned, await stable_end(self.owned, self.changelog.topic))


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for a condition, with a deadline."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


@asynccontextmanager
async def partition(kafka: str, prefix: str) -> AsyncIterator[Partition]:
    """A partition, and a standby of it that runs."""
    settings = Settings(bootstrap_servers=kafka, prefix=f"{prefix}-", partitions=1, standbys=1)
    await topology.create(settings, [PLAYERS])
    producer = AIOKafkaProducer(**settings.kafka(), transactional_id=f"{prefix}-owner")
    await producer.start()
    made = Partition(settings, producer)
    await made.engine.offsets.start()
    tailing = asyncio.create_task(made.engine.standby.run())
    try:
        yield made
    finally:
        tailing.cancel()
        with suppress(asyncio.CancelledError):
            await tailing
        await made.engine.offsets.stop()
        await producer.stop()


async def assert_exact(made: Partition) -> Task:
    """Promote, and compare with a restore and with the rows of the one who wrote them."""
    promoted = await made.promote()
    assert promoted is not None
    restored, now = await made.restore(), time.time_ns() // 1_000_000
    assert promoted.table.read() == restored.table.read() == made.driver.cells
    assert_same(promoted, restored, now)
    return promoted


async def test_a_copy_follows_its_log_and_is_promoted_exactly(kafka: str, prefix: str) -> None:
    """Through commits that bury rows, and an aborted transaction; promoted where it is, without reading any more."""
    async with partition(kafka, prefix) as made:
        await made.commit()
        made.keep()
        await made.warm()
        for _ in range(5):
            await made.commit()
        await made.write([(b'["nobody"]', b"\x01\x90")], abort=True)
        copy = await made.warm()
        assert copy.lag_records == 0
        read = copy.warm.records
        await assert_exact(made)
        assert copy.warm.records == read
        assert made.copy() is None


async def test_a_copy_that_is_behind_reads_the_rest_first(kafka: str, prefix: str) -> None:
    """Whatever was committed since it stopped to follow, it is brought up to exactly the end."""
    async with partition(kafka, prefix) as made:
        copy = await made.settled()
        read = copy.warm.records
        await made.commit()
        await made.write([(b'["nobody"]', b"\x01\x90")], abort=True)
        await assert_exact(made)
        assert 0 < copy.warm.records - read < read * 2


async def test_a_promotion_that_is_interrupted_leaves_the_copy_as_it_was(kafka: str, prefix: str) -> None:
    """Another rebalance, in the middle of it: the copy is kept warm again, or promoted at the next attempt."""
    async with partition(kafka, prefix) as made:
        await made.commit()
        made.keep()
        await made.warm()
        made.keep(warm=False)
        await made.commit()
        promoting = asyncio.create_task(made.promote())
        await asyncio.sleep(0.001)
        promoting.cancel()
        with suppress(asyncio.CancelledError):
            await promoting
        assert made.copy() is not None
        made.keep()
        await made.commit()
        await made.warm()
        await assert_exact(made)


async def test_a_copy_whose_log_was_cut_off_is_begun_anew(
    kafka: str, prefix: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it would have to read next has been deleted: it is dropped, told, and never promoted as it is."""
    monkeypatch.setattr(standby, "DROPPED_SECONDS", 0.1)
    async with partition(kafka, prefix) as made:
        first = await made.settled()
        for _ in range(3):
            await made.commit()
        end = await stable_end(made.owned, made.changelog.topic)
        await delete_records(made, end)
        assert await made.promote() is None
        assert "the log no longer has offset" in caplog.text
        made.engine.standby._copies[made.key] = first
        made.keep()
        await eventually(lambda: made.copy() not in {None, first})
        assert "it was cut off or made anew; it is begun anew" in caplog.text


async def delete_records(made: Partition, before: int) -> None:
    """Let the broker forget the beginning of the log; of one that is compacted only, it would not."""
    async with administering(made.engine.settings) as admin:
        deleting = {"cleanup.policy": "compact,delete"}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, made.changelog.topic, deleting)])
        await admin.delete_records({made.changelog: RecordsToDelete(before)})


async def test_a_copy_of_another_topic_of_the_same_name_is_dropped(
    kafka: str, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Deleted and created anew, and longer than before: no offset tells, but the topic's id does."""
    async with partition(kafka, prefix) as made:
        copy = await made.settled()
        copy.topic_id += 1
        assert await made.promote() is None
        assert "the topic was made anew" in caplog.text
        assert (await made.restore()).table.read() == made.driver.cells


async def test_a_copy_beyond_the_end_of_its_log_is_dropped(
    kafka: str, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A leader that was elected uncleanly has lost what the copy has read."""
    async with partition(kafka, prefix) as made:
        copy = await made.settled()
        copy.warm.position += 1
        assert await made.promote() is None
        assert "it was cut off or made anew" in caplog.text


async def test_a_copy_that_does_not_fit_the_committed_offset_is_dropped(
    kafka: str, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Rows and offset are written in one transaction: whichever differs, a restore has to judge it."""
    async with partition(kafka, prefix) as made:
        await made.commit()
        made.keep()
        await made.warm()
        made.group.offset = made.driver.position - 1
        assert await made.promote() is None
        assert f"the group has committed {made.driver.position - 1}" in caplog.text


async def test_a_copy_that_was_behind_for_half_a_day_is_dropped(
    kafka: str, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A tombstone that it has not read may have been compacted away: it would keep what is buried."""
    async with partition(kafka, prefix) as made:
        copy = await made.settled()
        copy.read_to_end_at -= standby.STALE_MS + 1
        assert await made.promote() is None
        assert "tombstones may have been compacted away" in caplog.text


async def test_a_corrupt_cell_is_never_promoted_and_does_no_harm_once_it_is_superseded(
    kafka: str, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The copy is dropped and a restore names the place; where the cell was mended before, all is well."""
    async with partition(kafka, prefix) as made:
        await made.commit()
        made.keep()
        good = made.driver.cells[b'["player-7"]']
        await made.write([(b'["player-7"]', b"\x01garbage")])
        await made.warm()
        await made.write([(b'["player-7"]', good)])
        await made.warm()
        await assert_exact(made)
        made.keep()
        await made.write([(b'["player-7"]', b"\x01garbage")])
        await made.warm()
        assert await made.promote() is None
        assert "player-7" in caplog.text
        with pytest.raises(CorruptCellError, match="player-7"):
            await made.restore()


async def test_a_strangers_open_transaction_leaves_a_copy_that_is_mended_or_dropped(
    kafka: str, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The last stable offset then lies within a commit: the copy settles on half of it, and yet ends exact."""
    async with partition(kafka, prefix) as made:
        await made.commit()
        made.keep()
        await made.warm()
        stranger = AIOKafkaProducer(**made.engine.settings.kafka(), transactional_id=f"{prefix}-stranger")
        await stranger.start()
        try:
            cells = await half_committed(made, stranger)
            await eventually(lambda: (copy := made.copy()) is not None and copy.warm.settled)
            await stranger.abort_transaction()
        finally:
            await stranger.stop()
        assert cells
        await made.warm()
        await assert_exact(made)
        assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def half_committed(made: Partition, stranger: AIOKafkaProducer) -> int:
    """A commit with the beginning of a stranger's transaction in its middle; returns its number of records."""
    for number in range(1_000, 1_040):
        event = {"type": "damage", "match": "late", "seq": number, "player": f"player-{number % 20}", "damage": 1.5}
        made.driver.send(f"player-{number % 20}", event | {"match_type": "official", "at": "2025-06-01T00:00:00Z"})
    made.driver.fold()
    cells, producer = made.driver.commit().cells, made._producer
    await producer.begin_transaction()
    for number, cell in enumerate(cells):
        await producer.send_and_wait(made.changelog.topic, key=cell.key, value=cell.value, partition=0)
        if number == len(cells) // 2:
            await stranger.begin_transaction()
            await stranger.send_and_wait(made.changelog.topic, key=b"x", value=b"y", partition=0)
    await producer.commit_transaction()
    made.group.offset = made.driver.position
    return len(cells)


async def test_what_is_no_ones_standby_any_more_is_given_up(kafka: str, prefix: str) -> None:
    """Its memory is free at once; and a partition without a copy is restored."""
    async with partition(kafka, prefix) as made:
        await made.commit()
        made.keep()
        await made.warm()
        made.engine.standby.follow([], [])
        assert made.copy() is None
        assert await made.promote() is None
        assert TOTALS_KEY in (await made.restore()).table.read()


@pytest.mark.chaos
def test_workers_that_come_and_go_hand_on_warm_partitions(kafka: str, tmp_path: Path) -> None:
    """The standby is killed while it copies and comes back; the owner leaves; a new one joins, and leaves."""
    with running(kafka, tmp_path, "standbys", seed=7, size=Size(3_000)) as run:
        run.write()
        first = keeper(run, "worker-0")
        first.wait_live(run.partitions())
        second = run.worker("worker-1", TIDEMARK_STANDBYS="1")  # a static member comes back without a rebalance
        second.wait_live(1)
        run.write()
        second.kill()
        second = run.worker("worker-1", TIDEMARK_STANDBYS="1", TIDEMARK_WEB_PORT=str(second.web_port))
        second.wait_live(1)
        wait_warm(run, [first, second])
        run.write()
        hand_over(first, second, run.partitions() // 2)
        third = keeper(run, "worker-2")
        wait_warm(run, [third, second])
        run.write()
        hand_over(third, second, run.partitions() // 2)
        run.finish(second)


def hand_over(leaving: Worker, staying: Worker, partitions: int) -> None:
    """Stop a worker; the other one promotes all that it had, and restores nothing."""
    before, restored = len(PROMOTED.findall(staying.said())), staying.said().count("restored,")
    assert leaving.stop() == 0
    wait_for(lambda: len(PROMOTED.findall(staying.said())) >= before + partitions, WAIT_SECONDS, staying)
    assert staying.said().count("restored,") == restored
