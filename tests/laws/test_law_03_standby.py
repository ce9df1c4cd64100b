"""Law 3 for standbys: a copy kept warm and then promoted equals a cold restore, with all that is derived.

The copy reads what the live partition commits, as it is committed, in pieces of any size; it settles where a commit
ends, or does not, and may have begun late, on a log that compaction has been at.
"""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.deadletter import RESENT
from agents.driver import Driver, Sent
from agents.emit import take
from agents.task import Task
from agents.warm import WarmCopy
from tables.domain import Domain
from tables.players import PLAYERS
from tables.table import TOTALS_KEY, CorruptCellError, Table
from tables.workers import WORKERS
from tests.laws.strategies import Between, compact, every_domain, play, stories, valid

EXAMPLES = settings(max_examples=40, deadline=None)


def empty_task(driver: Driver, key_limit: int | None = None) -> Task:
    """A task without rows, as the driver would restore into."""
    limit = driver.key_limit if key_limit is None else key_limit
    table = Table(
        driver.domain, driver.partition, partitions=driver.partitions, key_limit=limit, options=driver.options
    )
    return Task(driver.domain, driver.partition, table, f"{driver.domain.name}-events", driver.partition_of)


class Following:
    """A standby of a driver's partition."""

    def __init__(self, driver: Driver, key_limit: int | None = None) -> None:
        self._driver = driver
        self.copy = WarmCopy(empty_task(driver, key_limit))

    def follow(self, pieces: Sequence[int] = (), *, settle: bool = True) -> None:
        """Read what is new, in pieces of these sizes, then all that is left."""
        log, copy = self._driver.changelog, self.copy
        for size in (*pieces, len(log)):
            copy.read(log[copy.position : copy.position + size])
            copy.position = min(len(log), copy.position + size)
        if settle:
            exhaust(copy.settle())

    def promoted(self) -> Task:
        """The task, promoted now."""
        self.follow(settle=False)
        exhaust(self.copy.finish(self._driver.now))
        return self.copy.task


def exhaust(steps: Any) -> None:
    """Let all steps happen."""
    for _ in steps:
        pass


def derived(task: Task) -> dict[str, Any]:
    """Everything that a task knows, whether or not it is in the bytes."""
    table = task.table
    return {
        "cells": table.read(),
        "order": list(table.rows),
        "names": list(table.names or ()),
        "marks": table.marks,
        "totals": table.totals,
        "queues": {kind: [(name, row.entity) for name, row in queue.items()] for kind, queue in table.queues.items()},
        "tops": {name: (top.best(), top.changed) for name, top in table.tops.items()},
        "recents": {name: (recent.published(), recent.changed) for name, recent in table.recents.items()},
        "pending": [(due, key) for due, key in task.timers],
        "scheduled": [row.entity for row in table.rows.values() if row.scheduled],
        "dues": sorted(task.dues),
        "awaited": task.awaited,
        "dirty": [(row.entity, row.changed) for row in table.dirty],
        "buried": table.buried,
        "totals changed": table.totals_changed,
        "position": task.position,
        "originals": {partition: list(pages) for partition, pages in table.originals._pages.items()},
    }


def assert_same(promoted: Task, restored: Task, now: int) -> None:
    """Equal now, and in all that the next two commits say."""
    assert derived(promoted) == derived(restored)
    for moment in (now, now + promoted.delay_ms + 1):
        assert take(promoted, moment) == take(restored, moment)
    assert derived(promoted) == derived(restored)


@every_domain
@EXAMPLES
@given(data=st.data())
def test_a_promoted_copy_equals_a_cold_restore(data: st.DataObject, domain: Domain) -> None:
    """Followed through a whole story in pieces of any size, settled now and then: the same task as from nothing."""
    driver = Driver(domain, key_limit=data.draw(st.integers(0, 4)))
    standby = Following(driver)
    for step in data.draw(stories(domain)):
        play(driver, [step])
        if step in {Between.COMMIT, Between.WAIT, Between.WAIT_LONG} and data.draw(st.booleans(), label="reads"):
            standby.follow(data.draw(st.lists(st.integers(0, 5), max_size=4)), settle=data.draw(st.booleans()))
    driver.commit()
    driver.crash()
    assert_same(standby.promoted(), driver.restored(), driver.now)


@every_domain
@EXAMPLES
@given(data=st.data())
def test_a_copy_of_a_compacted_log_equals_a_cold_restore(data: st.DataObject, domain: Domain) -> None:
    """Compaction has been at some keys before the copy began: heads come without their cells, and out of order."""
    driver = play(Driver(domain, key_limit=data.draw(st.integers(0, 3))), data.draw(stories(domain)))
    driver.fold()
    driver.commit()
    compact(driver, data)
    standby = Following(driver)
    standby.follow(data.draw(st.lists(st.integers(0, 9), max_size=4)), settle=data.draw(st.booleans()))
    for step in data.draw(st.lists(valid(domain), max_size=6)):
        play(driver, [step, Between.COMMIT])
        standby.follow()
    driver.crash()
    assert_same(standby.promoted(), driver.restored(), driver.now)


@every_domain
@EXAMPLES
@given(data=st.data())
def test_settling_in_the_middle_of_a_commit_does_no_lasting_harm(data: st.DataObject, domain: Domain) -> None:
    """As where a stranger's transaction is open: either the domain objects, and it is dropped, or it ends right."""
    driver = play(Driver(domain, key_limit=3), data.draw(stories(domain)))
    driver.fold()
    driver.commit()
    standby = Following(driver)
    for size in data.draw(st.lists(st.integers(1, 5), max_size=8)):
        standby.copy.read(driver.changelog[standby.copy.position : standby.copy.position + size])
        standby.copy.position = min(len(driver.changelog), standby.copy.position + size)
        try:
            exhaust(standby.copy.settle())
        except Exception:  # noqa: BLE001 - what a domain says to half a row
            standby = Following(driver)
    driver.crash()
    assert_same(standby.promoted(), driver.restored(), driver.now)


@every_domain
@EXAMPLES
@given(data=st.data())
def test_limits_that_were_lowered_hold_from_the_promotion_on(data: st.DataObject, domain: Domain) -> None:
    """The copy mirrors the log; the surplus goes when it is promoted, as it does in a restore."""
    driver = Driver(domain, key_limit=6)
    standby = Following(driver, key_limit=2)
    play(driver, data.draw(stories(domain)))
    driver.fold()
    driver.commit()
    standby.follow()
    driver.key_limit = 2
    driver.crash()
    assert_same(standby.promoted(), driver.restored(), driver.now)


CORRUPT: list[tuple[str, bytes | None, bytes | None]] = [
    ("a cell of another format", b'["ann"]', b"\x63\x90"),
    ("a cell that is no cell", b'["ann"]', b"\x01\xc1"),
    ("a key that is no key", b"ann", b"\x01\x90"),
    ("no key at all", None, b"\x01\x90"),
    ("a kind that there is not", b'["ann","colour"]', b"\x01\x90"),
    ("cells without a head", b'["ann"]', None),
    ("no totals", TOTALS_KEY, None),
    ("another spelling of a key", b'["ann" ]', b"\x01\x90"),
]


def hit(driver: Driver, player: str, times: int = 1, headers: Sequence[tuple[str, bytes]] = ()) -> None:
    """A player hits somebody."""
    for number in range(len(driver.source), len(driver.source) + times):
        event = {"type": "damage", "match": "m", "seq": number, "player": player, "match_type": "official"}
        driver.send(player, event | {"damage": 1.5, "weapon": "Weap", "at": "2025-06-01T00:00:00Z"}, headers)


def some_players() -> Driver:
    """A partition with two players."""
    driver = Driver(PLAYERS)
    for player in ("ann", "bob", "ann"):
        hit(driver, player)
    driver.settle()
    return driver


@pytest.mark.parametrize(("what", "key", "value"), CORRUPT, ids=[what for what, _, _ in CORRUPT])
def test_a_copy_in_doubt_is_refused(what: str, key: bytes | None, value: bytes | None) -> None:
    """Whatever does not make a whole table is never promoted."""
    driver = some_players()
    driver.changelog.append(Sent(len(driver.changelog), key, value, [], driver.now))
    with pytest.raises(CorruptCellError):
        Following(driver).promoted()
    assert what


@pytest.mark.parametrize(("key", "value"), [(key, value) for _, key, value in CORRUPT if value is not None])
def test_what_is_superseded_or_buried_does_no_harm(key: bytes | None, value: bytes) -> None:
    """As in a restore only the newest value of a key counts, and a tombstone ends any doubt about it."""
    driver = some_players()
    good = next((record.value for record in reversed(driver.changelog) if record.key == key), None)
    for newer in (value, good):
        driver.changelog.append(Sent(len(driver.changelog), key, newer, [], driver.now))
    standby = Following(driver)
    standby.follow([len(driver.changelog) - 1])
    assert_same(standby.promoted(), driver.restored(), driver.now)


def test_cells_that_belong_to_nobody_are_refused() -> None:
    """The totals know of as many rows, and yet there is a cell of one that has no head."""
    driver = some_players()
    key, value = next((key, value) for key, value in driver.cells.items() if key.startswith(b'["ann",'))
    driver.changelog.append(Sent(len(driver.changelog), key.replace(b"ann", b"eve"), value, [], driver.now))
    with pytest.raises(CorruptCellError, match="the head of 'eve' is gone"):
        Following(driver).promoted()


def test_a_copy_knows_which_dead_letters_were_folded_after_all() -> None:
    """What resent originals are recognised by is restored with the marks."""
    driver = some_players()
    driver.fold()
    hit(driver, "ann", headers=[(RESENT, b"players-events/0/0")])
    driver.settle()
    standby = Following(driver)
    standby.follow([2])
    driver.crash()
    promoted = standby.promoted()
    assert promoted.table.originals._pages
    assert_same(promoted, driver.restored(), driver.now)


def test_lists_of_the_best_are_whole_after_the_best_have_gone() -> None:
    """More rows are buried than a list has candidates: it is built anew from the others."""
    driver = Driver(PLAYERS, key_limit=70)
    for place in range(70):
        hit(driver, f"player-{place}", 72 - place)
    driver.fold()
    driver.commit()
    standby = Following(driver)
    standby.follow()
    for place in range(66):
        hit(driver, f"newcomer-{place}")
    driver.fold()
    driver.commit()
    standby.follow()
    driver.crash()
    promoted = standby.promoted()
    assert [entity for top in promoted.table.tops.values() for entity, _ in top.best() if entity == "player-66"]
    assert_same(promoted, driver.restored(), driver.now)


def test_a_queue_is_in_order_although_its_cells_were_read_in_another() -> None:
    """A commit writes row after row: the third batch of a worker before the second of another."""
    driver = Driver(WORKERS)
    standby = Following(driver)
    for number, rig in enumerate(("a", "b", "a", "b", "a")):
        if number == 2:
            driver.fold()
            driver.commit()
            standby.follow()
        event = {"type": "batch", "batch_id": f"batch-{number}", "worker_id": rig, "worker_type": "pc", "job_id": "job"}
        event |= {"started_at": "2025-06-01T00:00:00Z", "finished_at": "2025-06-01T00:10:00Z"}
        driver.send(rig, event | {"keys_scanned": 1000, "duration_ms": 600_000})
    driver.fold()
    driver.commit()
    for record in driver.changelog[standby.copy.position :]:
        standby.copy.read([record])
        exhaust(standby.copy.settle())
    standby.copy.position = len(driver.changelog)
    driver.crash()
    promoted = standby.promoted()
    assert [row.entity for row in promoted.table.queues["batch"].values()] == ["a", "b", "a", "b", "a"]
    assert_same(promoted, driver.restored(), driver.now)


def test_steps_are_short() -> None:
    """Whoever else shares the loop has a turn after at most a thousand rows."""
    driver = Driver(PLAYERS)
    for number in range(5_000):
        hit(driver, f"p{number}")
    driver.fold()
    driver.commit()
    driver.crash()
    standby = Following(driver)
    standby.follow(settle=False)
    assert len(list(standby.copy.settle())) >= 10
    assert len(list(standby.copy.finish(driver.now))) >= 10
