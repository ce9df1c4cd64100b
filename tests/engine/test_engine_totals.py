"""What every worker reads of all partitions: a stranger's record on a totals topic stops nobody."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import msgspec
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

import app.engine.fetch
import app.engine.totals
from app.engine.totals import TotalsReader, following
from app.settings import Settings
from tables.players import PLAYERS
from tables.totals import Totals

TOPIC = TopicPartition("players-totals", 0)
GOOD = b'{"partition":0,"outcomes":{"applied":7},"keys":2,"hits":5,"a_newer_field":1}'


@dataclass
class Read:
    """A record of the totals topic."""

    key: bytes
    value: bytes | None
    offset: int = 0


@pytest.mark.parametrize(
    "value", [b"garbage", b"[]", b"{}", b'{"outcomes":[]}', b'{"outcomes":{},"keys":"many"}', b"\xff", b"1e999"]
)
@pytest.mark.parametrize("key", [b"0", b"0/top", b"x", b""])
def test_a_record_that_is_no_totals_record_is_left_out(key: bytes, value: bytes) -> None:
    """It would be read by every worker at every start, and stay for ever."""
    reader = TotalsReader(Settings(bootstrap_servers="127.0.0.1:1"), [PLAYERS])
    reader._take(TOPIC, Read(b"0", GOOD))
    reader._take(TOPIC, Read(key, value))
    assert reader.totals(PLAYERS).hits in {0, 5}


def test_totals_of_a_release_with_fewer_outcomes_are_read() -> None:
    """An upgrade finds the records of the release before it."""
    reader = TotalsReader(Settings(bootstrap_servers="127.0.0.1:1"), [PLAYERS])
    reader._take(TOPIC, Read(b"0", GOOD))
    assert reader.totals(PLAYERS).outcomes == [7, 0, 0, 0, 0]


def test_a_tombstone_of_a_top_list_empties_it() -> None:
    """A null value is no garbage."""
    reader = TotalsReader(Settings(bootstrap_servers="127.0.0.1:1"), [PLAYERS])
    reader._take(TOPIC, Read(b"0/top", b'{"kills/all":[["ann",3]]}'))
    assert reader.top(PLAYERS, "kills/all") == [("ann", 3)]
    reader._take(TOPIC, Read(b"0/top", None))
    assert reader.top(PLAYERS, "kills/all") == []


def test_whoever_waits_for_news_is_told_of_every_record_that_is_read() -> None:
    """Of totals and of lists; a stranger's record is no news."""
    reader = TotalsReader(Settings(bootstrap_servers="127.0.0.1:1"), [PLAYERS])
    reader._take(TOPIC, Read(b"0", b"garbage"))
    assert (reader.versions, reader.news.is_set()) == ({"players": 0}, False)
    reader._take(TOPIC, Read(b"0", GOOD))
    reader._take(TOPIC, Read(b"0/top", b'{"kills/all":[["ann",3]]}'))
    assert (reader.versions, reader.news.is_set()) == ({"players": 2}, True)


class Binned(Totals):
    """Totals whose release has three bins."""

    bins: list[int] = msgspec.field(default_factory=lambda: [0, 0, 0])
    names: dict[str, int] = msgspec.field(default_factory=dict)


BINNED = replace(PLAYERS, totals=Binned)


@pytest.mark.parametrize(
    ("said", "read"), [("", [0, 0, 0]), (',"bins":[1]', [1, 0, 0]), (',"bins":[1,2,3,4]', [0, 0, 0])]
)
def test_totals_of_a_release_with_other_lists_and_maps_can_be_merged(said: str, read: list[int]) -> None:
    """Shorter lists are filled up; a longer one is a later release's, and left out: nothing that is merged raises."""
    reader = TotalsReader(Settings(bootstrap_servers="127.0.0.1:1"), [BINNED])
    reader._take(TOPIC, Read(b"0", b'{"partition":0,"outcomes":{}%b}' % said.encode()))
    merged = reader.totals(BINNED)
    assert (merged.bins, merged.names) == (read, {})


@dataclass
class Consumer:
    """A consumer of the totals topics that breaks after its first fetch; `sought`: where it was told to begin."""

    sought: dict[int, int]
    _client = SimpleNamespace(cluster=SimpleNamespace(_listeners=[]))

    async def start(self) -> None:
        """Connect."""

    async def stop(self) -> None:
        """Disconnect."""

    def assign(self, partitions: list[TopicPartition]) -> None:
        """Take the partitions."""
        self.partitions = partitions

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Note where."""
        self.sought[partition.partition] = offset
        self.broken = offset > 0

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        """There is one record."""
        return dict.fromkeys(partitions, 8)

    async def position(self, _partition: TopicPartition) -> int:
        """Caught up."""
        return 8

    async def getmany(self, timeout_ms: int) -> dict[TopicPartition, list[Read]]:  # noqa: ARG002 - aiokafka's
        """The record; then nothing more, and an error."""
        if self.broken:
            raise KafkaError("away")
        self.broken = True
        return {TOPIC: [Read(b"0", GOOD, offset=7)]}


async def test_after_an_error_the_reader_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the beginning, the numbers of all views would go back in time, and a periodic record might hold them."""
    consumers: list[Consumer] = []

    def reader(*_arguments: object) -> Consumer:
        consumers.append(Consumer({}))
        return consumers[-1]

    monkeypatch.setattr(app.engine.fetch, "reader", reader)
    totals = TotalsReader(Settings(bootstrap_servers="127.0.0.1:1", partitions=1), [PLAYERS])
    for _ in range(2):
        with pytest.raises(KafkaError):
            await totals._follow()
    assert [consumer.sought for consumer in consumers] == [{0: 0}, {0: 8}]
    assert totals.complete.is_set()


async def test_totals_that_cannot_be_read_in_time_are_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that waits for them ends with a message."""
    monkeypatch.setattr(app.engine.totals, "COMPLETE_SECONDS", 0.01)
    with pytest.raises(TimeoutError, match="the totals topics could not be read"):
        async with following(Settings(bootstrap_servers="127.0.0.1:1"), [PLAYERS]):
            raise AssertionError("there is no broker")
