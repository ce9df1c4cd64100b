"""A source partition that cannot be read on waits alone: the others lose nothing, and the group is left in peace.

No broker is needed: the consumer's thread and its fetches are played; batches are the client's own.
"""

import logging
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CorruptRecordException, GroupAuthorizationFailedError, KafkaError, NotEnoughReplicasError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from faust.types.tuples import TP

from agents.task import Task
from app.engine import fetch, transport, unreadable
from app.engine.consumer_thread import ConsumerThread
from app.engine.engine import Engine
from app.engine.owned import Owned, State
from app.engine.transport import Consumer
from app.settings import Settings
from tables.players import PLAYERS
from tables.table import Table
from tests.engine.test_engine_ownership import Fetched
from tests.web.installation import Member

TOPIC = "players-events"
SOUND, SPOILED = TP(TOPIC, 0), TP(TOPIC, 1)
PLACE = 7  # the offset that cannot be read
END = 20


class Record(Fetched):
    """A record with what the transport asks of one."""

    timestamp = timestamp_type = 0


class Thread:
    """The consumer's thread: a fetch takes the sound partition's records first, and then raises for the spoiled one."""

    def __init__(self) -> None:
        self.positions = dict.fromkeys((SOUND, SPOILED), 0)
        self.error: KafkaError | None = CorruptRecordException("Invalid CRC")
        self.of_group: KafkaError | None = None
        self.fetches: list[set[TP]] = []

    async def seek_and_wait(self, tp: TP, offset: int) -> None:
        """Seek."""
        self.positions[tp] = offset

    def ends(self, tp: TP) -> tuple[int, int]:
        """High watermark, and where it reads on."""
        return END, self.positions[tp]

    async def get_over(self) -> None:
        """Raise the group's own error, if it has one."""
        if self.of_group is not None:
            raise self.of_group

    async def failed_at(self, _fetched: Any, error: KafkaError) -> tuple[TP, int] | None:
        """Only a spoiled batch has a place."""
        return (SPOILED, PLACE) if isinstance(error, CorruptRecordException) else None

    def fetch(self, tps: set[TP]) -> dict[TP, list[Record]]:
        """Three records of each partition; positions move whether the caller gets to see them or not."""
        self.fetches.append(tps)
        fetched = {}
        for tp in sorted(tps):
            if tp == SPOILED and self.error is not None:
                raise self.error
            first = self.positions[tp]
            self.positions[tp] = min(first + 3, END)
            fetched[tp] = [Record(offset) for offset in range(first, self.positions[tp])]
        return fetched


class Played(Consumer):
    """The transport's consumer, whose messages are folded at once."""

    def __init__(self, engine: Engine, thread: Thread) -> None:  # Faust's own wants an app
        self.app = SimpleNamespace(engine=engine, consumer_generation_id=1)
        self._thread: Any = thread
        self.flow_active = True

    async def rounds(self, number: int) -> None:
        """Fetch so many times."""
        turns = iter([False] * number + [True])
        self._stopped = SimpleNamespace(is_set=lambda: next(turns))
        await self._drain_messages(SimpleNamespace(_stopped=SimpleNamespace(is_set=lambda: False)))

    async def _getmany(self, *, active_partitions: set[TP], **_: Any) -> dict[TP, list[Any]]:
        return self._thread.fetch(active_partitions)  # type: ignore[no-any-return]

    async def callback(self, message: Any) -> None:
        """Fold a message, as the agent does."""
        for slice_ in message.value:
            slice_.fold()


@pytest.fixture
def engine() -> Engine:
    """An engine that owns two live, empty partitions."""
    engine = Engine(Settings(bootstrap_servers="127.0.0.1:1", partitions=2), [PLAYERS])
    engine.group = Member()
    for tp in (SOUND, SPOILED):
        owned = engine.owned[tp] = Owned(engine, PLAYERS, tp.partition)
        owned.task = Task(PLAYERS, tp.partition, Table(PLAYERS, tp.partition), TOPIC, engine.partition_of)
        owned.state, owned.seek_to = State.LIVE, 0
    return engine


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "ERROR_PAUSE_SECONDS", 0)


def counted(engine: Engine, tp: TP) -> tuple[int, int]:
    """The position of a partition, and how many records its rows count."""
    task = engine.owned[tp].task
    assert task is not None
    return task.position, sum(task.table.totals.outcomes)


async def test_the_others_go_on_and_lose_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What a fetch has taken of them before it fails is fetched again; then the spoiled one is left out for a while."""
    thread = Thread()
    consumer = Played(engine, thread)
    await consumer.rounds(3)
    assert counted(engine, SOUND) == (6, 6)
    assert thread.fetches == [{SOUND, SPOILED}, {SOUND}, {SOUND}]
    # However often it is tried, it is said once; readiness says it, too.
    monkeypatch.setattr(unreadable, "RETRY_SECONDS", 0.0)
    waiting = engine.owned[SPOILED].unreadable
    assert waiting is not None
    engine.owned[SPOILED].unreadable = replace(waiting, retry_at=0.0)
    await consumer.rounds(3)
    (said,) = caplog.messages
    assert f"{TOPIC} partition 1 cannot be read at offset {PLACE} (CorruptRecordException" in said
    assert "let another replica lead it" in said
    (reason,) = engine.reasons_not_ready()
    assert reason.startswith(f"players[1]: {TOPIC} partition 1 cannot be read")
    # A sound replica leads.
    thread.error = None
    await consumer.rounds(20)
    assert counted(engine, SOUND) == counted(engine, SPOILED) == (END, END)
    assert engine.reasons_not_ready() == []
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]


async def test_only_an_error_of_the_group_is_told_of_as_one(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """Another one repeats the fetch; the group's own stops the worker where trying again mends nothing."""
    thread, crashes = Thread(), []

    async def crash(error: BaseException) -> None:
        crashes.append(error)

    engine.crash = crash
    consumer = Played(engine, thread)
    thread.error = NotEnoughReplicasError()
    await consumer.rounds(2)
    assert [message.split(":")[0] for message in caplog.messages] == ["a fetch"]
    thread.of_group = GroupAuthorizationFailedError("tidemark")
    await consumer.rounds(2)
    assert crashes == [thread.of_group]
    assert counted(engine, SOUND) == (0, 0)


class Coordinator:
    """The group's, as far as `get_over` asks."""

    def __init__(self, error: KafkaError | None) -> None:
        self.error, self.rejoins = error, 0
        self._coordination_task = SimpleNamespace(done=lambda: False)

    def check_errors(self) -> None:
        """Raise what there is."""
        if self.error is not None:
            raise self.error

    def request_rejoin(self) -> None:
        """Count."""
        self.rejoins += 1


async def test_the_group_is_joined_again_for_errors_of_its_own() -> None:
    """And for no others."""
    thread: Any = SimpleNamespace()
    for error, rejoins in ((None, 0), (KafkaError("loading"), 1)):
        coordinator = Coordinator(error)
        thread._ensure_consumer = lambda found=coordinator: SimpleNamespace(_coordinator=found)
        with pytest.raises(KafkaError) if error is not None else nullcontext():
            await ConsumerThread._get_over_now(thread)
        assert coordinator.rejoins == rejoins


def batch(first: int, *, spoiled: bool = False) -> bytes:
    """A batch of two records as it lies in a log."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, 10_000)
    for number in range(2):
        builder.append(number, timestamp=0, key=b"ann", value=b"x", headers=[])
    data = bytearray(builder.build())
    data[:8] = first.to_bytes(8, "big")
    if spoiled:
        data[-2] ^= 1
    return bytes(data)


@pytest.mark.parametrize("sound_before", [0, 1])
def test_the_place_is_that_of_the_batch(sound_before: int) -> None:
    """Whichever partition of the fetch it is in; what comes before it in the same answer does not wait with it."""
    fetch.install()
    partition = TopicPartition(SPOILED.topic, SPOILED.partition)
    state = SimpleNamespace(position=4, paused=False, has_valid_position=True)
    state.consumed_to = lambda offset: setattr(state, "position", offset)
    assignment = SimpleNamespace(active=True, state_value=lambda _: state)
    data = b"".join([batch(4)] * sound_before + [batch(4 + 2 * sound_before, spoiled=True)])
    records = fetch.ParsedPartitionRecords(
        partition, fetch.FetchedRecords(data), [], 4, fetch.PARSED, None, True, 0
    )  # fmt: skip
    result = fetch.ParsedFetchResult(partition, assignment=assignment, partition_records=records, backoff=0)
    if sound_before:
        assert [record.offset for record in result.getall(100)] == [4, 5]
        assert (state.position, result.has_more()) == (6, False)  # it is fetched again, from there
        records = fetch.ParsedPartitionRecords(
            partition, fetch.FetchedRecords(batch(6, spoiled=True)), [], 6, fetch.PARSED, None, True, 0
        )  # fmt: skip
        result = fetch.ParsedFetchResult(partition, assignment=assignment, partition_records=records, backoff=0)
    fetcher = SimpleNamespace(_records={partition: result})
    with pytest.raises(CorruptRecordException) as raised:
        result.getall(100)
    subscription: Any = SimpleNamespace(is_assigned=lambda _: True, subscription=SimpleNamespace(assignment=assignment))
    found = unreadable.failed_at(fetcher, subscription, [SOUND, SPOILED], raised.value)
    assert found == (SPOILED, 4 + 2 * sound_before)
    named = KafkaError(f"something about {partition}")
    assert unreadable.failed_at(SimpleNamespace(_records={}), subscription, [SPOILED], named) == (
        SPOILED,
        state.position,
    )
    assert unreadable.failed_at(SimpleNamespace(_records={}), subscription, [SPOILED], KafkaError()) is None
