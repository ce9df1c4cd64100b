"""What every worker reads of all partitions: a stranger's record on a totals topic stops nobody."""

from dataclasses import dataclass

import pytest
from aiokafka import TopicPartition

from app.engine.totals import TotalsReader
from app.settings import Settings
from tables.players import PLAYERS

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
