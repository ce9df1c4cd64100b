"""Rows that are dropped are freed, without Python's collector of cycles. No broker."""

import asyncio
import random
import weakref
from itertools import islice

import pytest

from agents.driver import Driver
from agents.task import Task
from app.engine.engine import Engine
from app.engine.freeing import Freeing
from app.engine.owned import Owned, State
from app.generate.events import events_of
from app.settings import Settings
from tables import DOMAINS
from tables.domain import Domain
from tables.players import PLAYERS
from tables.table import Table

EVENTS, KEYS = 4_000, 2_500
TURNS = 50  # of the loop: more than there are thousands of rows


pytestmark = pytest.mark.usefixtures("uncollected")


def folded(domain: Domain) -> Task:
    """A task with rows, changed and unchanged ones."""
    driver = Driver(domain)
    for record in islice(events_of(domain.name, random.Random(1), KEYS, driver.now - 3_600_000), EVENTS):
        driver.send(record.key, record.value)
    driver.fold()
    task, driver.task = driver.task, Driver(domain).task
    assert task.table.rows
    return task


async def gone(table: weakref.ref[Table]) -> bool:
    """Whether it is, after a while."""
    for _ in range(TURNS):
        await asyncio.sleep(0)
    return table() is None


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.name)
async def test_a_table_that_is_freed_leaves_nothing_behind(domain: Domain) -> None:
    """Whichever domain: rows, queues, lists of the best, names."""
    task = folded(domain)
    table = weakref.ref(task.table)
    Freeing().table(task.table)
    del task
    assert await gone(table)


async def test_rows_that_are_lost_or_dropped_are_freed() -> None:
    """A worker whose partitions are restored again and again does not grow."""
    engine = Engine(Settings(bootstrap_servers="127.0.0.1:1"), [PLAYERS])
    owned = Owned(engine, PLAYERS, 0)
    for let_go in (owned.lose, owned.drop):
        owned.task, owned.state = folded(PLAYERS), State.LIVE
        table = weakref.ref(owned.task.table)
        awaitable = let_go()
        if awaitable is not None:
            await awaitable
        assert await gone(table)


async def test_a_table_at_which_somebody_is_at_work_is_freed_afterwards() -> None:
    """A warm copy that is being settled."""
    task, turn = folded(PLAYERS), asyncio.Lock()
    table = weakref.ref(task.table)
    async with turn:
        Freeing().table(task.table, turn)
        del task
        assert not await gone(table)
    assert await gone(table)


async def test_what_is_not_freed_yet_holds_no_process_up() -> None:
    """At its end."""
    freeing, task = Freeing(), folded(PLAYERS)
    freeing.table(task.table)
    freeing.stop()
    await asyncio.sleep(0)
    assert task.table.rows
