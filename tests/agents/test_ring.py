"""Rings: the newest N records of a partition, whatever N was before."""

import json
from operator import itemgetter
from typing import Any

import pytest

from agents.driver import Driver
from agents.task import Outgoing
from tables.retention import newest_records
from tests.agents.slips import RING, SLIPS


def told(count: int, size: int = 3, partition: int = 0, partitions: int = 1) -> Driver:
    """A driver that has folded so many slips."""
    driver = Driver(SLIPS, partition, partitions=partitions, options={RING.name: size})
    names = [name for name in map(str, range(100)) if driver.partition_of(name.encode()) == partition]
    for number in range(count):
        driver.send(names[number % 7], {"name": names[number % 7], "amount": 1})
    driver.settle()
    return driver


def ring(driver: Driver) -> dict[str, int]:
    """Key -> revision, as compaction would have it."""
    return {key.decode(): json.loads(value)["revision"] for key, value in sorted(driver.latest("ring").items())}


def shown(driver: Driver, count: int) -> list[Any]:
    """The revisions that a reader gets."""
    records = [json.loads(value) for value in driver.latest("ring").values()]
    return [record["revision"] for record in newest_records(records, count, itemgetter("revision"))]


def test_compaction_keeps_exactly_the_newest_under_their_slots() -> None:
    """Slot = revision % N, and there are N of them; a reader has them in order."""
    driver = told(10)
    assert ring(driver) == {"0/0": 9, "0/1": 10, "0/2": 8}
    assert shown(driver, 3) == [8, 9, 10]


def test_there_is_one_record_per_applied_event_and_none_for_others() -> None:
    """A duplicate and a record that is none write nothing; a removal does, of the row that goes."""
    driver = told(3)
    driver.send("slip-1", {"name": "slip-1", "amount": -1})
    driver.send("slip-1", b"{")
    driver.send("1", None)
    driver.settle()
    records = [json.loads(record.value or b"") for record in driver.published["ring"]]
    assert [record["revision"] for record in records] == [1, 2, 3, 4]
    assert records[-1]["name"] == "1"


@pytest.mark.parametrize("count", [0, 1, 2, 5, 12, 100])
@pytest.mark.parametrize(("before", "after"), [(5, 3), (3, 5), (5, 1), (1, 5), (4, 8), (3, 3)])
def test_another_number_of_slots_keeps_the_newest(count: int, before: int, after: int) -> None:
    """Lowered or raised, after the restart a reader gets the newest that there were, under slots of the new size."""
    driver = told(count, before)
    driver.options[RING.name] = after
    driver.crash()
    driver.commit()
    newest = list(range(1, count + 1))[-min(before, after) :]
    assert shown(driver, after) == newest
    assert set(ring(driver)) == {f"0/{revision % after}" for revision in newest}
    for _ in range(after + 2):
        driver.send("slip-1", {"name": "slip-1", "amount": 1})
        driver.fold()
    driver.settle()
    assert shown(driver, after) == list(range(count + 3, count + after + 3))
    assert len(driver.latest("ring")) == after


def test_a_crash_before_the_commit_leaves_the_old_ring_whole() -> None:
    """The move is one transaction: all of it or nothing."""
    driver = told(9, 5)
    before = driver.latest("ring")
    driver.options[RING.name] = 2
    driver.crash()
    driver.crash()
    assert driver.latest("ring") == before
    driver.commit()
    assert shown(driver, 2) == [8, 9]
    driver.crash()
    written = len(driver.published["ring"])
    driver.commit()
    assert len(driver.published["ring"]) == written  # done once


def test_revisions_go_on_after_a_crash_without_a_gap() -> None:
    """What was not committed is folded again, and gets the same numbers."""
    driver = told(5)
    driver.send("slip-1", {"name": "slip-1", "amount": 1})
    driver.fold()
    driver.crash()
    driver.settle()
    assert [json.loads(record.value or b"")["revision"] for record in driver.published["ring"]] == [1, 2, 3, 4, 5, 6]


def test_partitions_have_rings_of_their_own() -> None:
    """The partition is part of the key."""
    assert set(ring(told(4, partition=2, partitions=3))) == {"2/0", "2/1", "2/2"}


@pytest.mark.parametrize("value", [b"garbage", b"[]", b"{}", b'{"revision":"9"}', b"\xff", b"7"])
def test_what_a_stranger_has_written_into_a_ring_goes_with_its_next_move(value: bytes) -> None:
    """It stops no restore, and takes no slot from a record."""
    driver = told(5)
    driver.published["ring"].append(Outgoing("ring", b"stranger", value))
    driver.options[RING.name] = 4
    driver.crash()
    driver.commit()
    assert ring(driver) == {"0/0": 4, "0/1": 5, "0/3": 3}


def test_the_records_of_a_ring_move_as_they_are() -> None:
    """Byte for byte: what they say is their release's word."""
    driver = told(5)
    before = set(driver.latest("ring").values())
    driver.options[RING.name] = 4
    driver.crash()
    driver.commit()
    assert set(driver.latest("ring").values()) == before
