"""A replay from the beginning is the live table, and mends any other. No broker."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.driver import Sent
from app.repair.found import CHANGELOG, Found, kept_roles, salvaged
from app.repair.plan import Plan, emptied, published_totals, replaced
from app.repair.rebuilt import Rebuilt, Span, rebuild
from app.verify.letters import letters
from app.verify.rebuild import Partition, Publications
from tables.cells import Cells
from tables.domain import Domain
from tables.table import TOTALS_KEY
from tests.app.test_verify_laws import Noted, partition
from tests.laws.strategies import every_domain, play, stories

FEW = settings(max_examples=15, deadline=None)
Topics = dict[str, dict[bytes | None, bytes]]


class Logs:
    """A driver's logs, as the repair reads them from Kafka."""

    def __init__(self, driver: Noted) -> None:
        self.driver = driver
        self.partition: Partition = partition(driver)
        self.topics: Topics = {role: cast("Any", driver.latest(role)) for role in kept_roles(driver.domain)}
        self.topics[CHANGELOG] = cast("Any", dict(driver.cells))
        self.committed = driver.position

    async def records(self, _role: str, end: int, start: int | None = None) -> AsyncIterator[list[Sent]]:
        """The source, as `Reading` gives it."""
        yield [record for record in self.driver.source if (start or 0) <= record.offset < end]

    def found(self) -> Found:
        """What there is."""
        latest = {role: dict(records) for role, records in self.topics.items()}
        problems = list(Cells(self.driver.domain).problems(latest[CHANGELOG]))
        task = salvaged(self.partition, latest[CHANGELOG], problems, self.driver.now)
        end = self.driver.source[-1].offset + 1 if self.driver.source else 0
        return Found(latest, {}, problems, task, self.committed, 0, end, 0)

    def plan(self, told: Publications | None = None) -> tuple[Found, Rebuilt, Plan]:
        """What a replay from the beginning would do."""
        found = self.found()
        known = letters(self.driver.dead_letters, self.driver.task.source, self.driver.partition)
        span = Span(0, self.driver.position, self.driver.now, self.driver.now)
        made = asyncio.run(rebuild(cast("Any", self), self.partition, span, known, told))
        return found, made, replaced(found, made, self.driver.now)

    def execute(self, plan: Plan) -> None:
        """What the transaction does."""
        for role, records in plan.records.items():
            for key, value in records:
                if value is None:
                    self.topics[role].pop(key, None)
                else:
                    self.topics[role][key] = value
        self.committed = plan.position


def told_of(driver: Noted) -> Publications | None:
    """When it was published, where that matters."""
    return None if driver.domain.at_time is None else driver.told()


@every_domain
@FEW
@given(data=st.data())
def test_a_replay_from_the_beginning_is_the_live_table(data: st.DataObject, domain: Domain) -> None:
    """Whatever has happened to a table, a replay finds nothing to change: no cell, no snapshot, no slot of a ring."""
    driver = Noted(domain, key_limit=data.draw(st.integers(0, 4)))
    play(driver, data.draw(stories(domain)))
    driver.fold()
    driver.commit()
    _, made, plan = Logs(driver).plan(told_of(driver))
    assert (plan.differing, plan.first) == (0, None)
    assert plan.records == {role: [] for role in plan.records}
    assert made.letters == []
    assert plan.empty


@every_domain
@FEW
@given(data=st.data())
def test_a_replay_mends_whatever_was_done_to_a_table(data: st.DataObject, domain: Domain) -> None:
    """Cells gone, changed, garbage: after the swap the rows are what the events say, and a second replay is idle."""
    driver = Noted(domain, key_limit=data.draw(st.integers(0, 4)))
    play(driver, data.draw(stories(domain)))
    driver.settle()
    logs = Logs(driver)
    for role, topic in logs.topics.items():
        for key in sorted(key for key in topic if key is not None):
            match data.draw(st.sampled_from(("", "", "", "gone", "garbage", "version"))):
                case "gone":
                    del topic[key]
                case "garbage":
                    topic[key] = b"garbage"
                case "version" if role == CHANGELOG:
                    topic[key] = b"\xfe" + topic[key][1:]
        for key in data.draw(st.lists(st.sampled_from((b"", b"\xff\xfe", b"[]", b'["ghost"]', b'[null,"x"]')))):
            topic[key] = b"garbage"
    logs.committed = driver.position
    _, made, plan = logs.plan(told_of(driver))
    logs.execute(plan)
    again = logs.found()
    assert again.problems == []
    assert again.position == driver.position
    _, _, second = logs.plan(told_of(driver))
    assert (second.differing, second.empty) == (0, True), second.records
    assert set(logs.topics["stats"]) == set(made.latest["stats"])


@every_domain
@FEW
@given(data=st.data())
def test_a_reset_leaves_nothing_but_where_to_begin(data: st.DataObject, domain: Domain) -> None:
    """One cell of totals, all zero but for the position; and their records."""
    driver = Noted(domain)
    play(driver, data.draw(stories(domain)))
    driver.settle()
    logs = Logs(driver)
    logs.topics[CHANGELOG][b"\xff"] = b"garbage"
    position = data.draw(st.integers(0, driver.position))
    empty = logs.partition.task()
    logs.execute(emptied(logs.found(), empty, position))
    again = logs.found()
    assert (again.problems, again.position, len(again.task.table.rows)) == ([], position, 0)
    assert again.task.table.totals.keys == 0
    assert {role: len(topic) for role, topic in logs.topics.items() if role not in {CHANGELOG, "totals"}} == {
        role: 0 for role in logs.topics if role not in {CHANGELOG, "totals"}
    }
    assert TOTALS_KEY in logs.topics[CHANGELOG]
    assert logs.topics["totals"] == published_totals(again.task)
