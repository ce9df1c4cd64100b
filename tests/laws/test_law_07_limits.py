"""Law 7: no count limit is ever exceeded for a reader; a buried key is gone from changelog and stats, and stays so."""

import json

from hypothesis import given
from hypothesis import strategies as st

from agents.driver import Driver
from agents.emit import stats_key
from tables.domain import Domain
from tables.event import Outcome
from tests.laws.strategies import EXAMPLES, every_domain, play, records, stories, told


def stats_keys(driver: Driver) -> set[bytes]:
    """All the keys under which the living may be published."""
    rows = driver.task.table.rows.values()
    return {stats_key(row.entity, suffix) for row in rows for suffix in driver.domain.suffixes_of(row)}


def assert_only_the_living(driver: Driver) -> None:
    """Changelog and stats know nobody but the living."""
    living = set(driver.entities)
    assert {json.loads(key)[0] for key in driver.cells} - {None} == living
    assert driver.stats.keys() <= stats_keys(driver)


@every_domain
@EXAMPLES
@given(data=st.data())
def test_a_buried_key_is_gone_and_stays_gone(data: st.DataObject, domain: Domain) -> None:
    """After every commit, and after a restart, changelog, stats, names and lists hold the living only."""
    limit = data.draw(st.integers(1, 3))
    driver = Driver(domain, key_limit=limit)
    for step in data.draw(stories(domain)):
        play(driver, [step])
        driver.fold()
        assert len(driver.entities) <= limit
        driver.commit()
        assert_only_the_living(driver)
    driver.settle()
    driver.crash()
    driver.settle()
    assert_only_the_living(driver)
    living = driver.task.table
    assert sorted(living.names or (), key=str) == sorted(driver.entities if domain.searchable else ())
    assert {entity for top in living.tops.values() for entity, _ in top.best()} <= set(driver.entities)


@every_domain
@EXAMPLES
@given(data=st.data())
def test_the_living_are_the_most_recently_updated(data: st.DataObject, domain: Domain) -> None:
    """With a limit of n, the survivors are the n entities whose last APPLIED event is the latest."""
    limit = data.draw(st.integers(1, 3))
    driver = Driver(domain, key_limit=limit)
    order: list[str] = []
    for record in data.draw(records(domain)):
        before = driver.task.table.totals.outcomes[Outcome.APPLIED]
        play(driver, [record])
        driver.fold()
        if driver.task.table.totals.outcomes[Outcome.APPLIED] > before:
            entity = (record.key or b"").decode()
            order = [name for name in order if name != entity]
            if entity in driver.entities:  # else the event has taken its row away
                order = [*order, entity][-limit:]
    assert driver.entities == order


@every_domain
@EXAMPLES
@given(limit=st.integers(1, 7), partitions=st.integers(1, 5))
def test_the_limit_holds_over_all_partitions_together(domain: Domain, limit: int, partitions: int) -> None:
    """Divided over the partitions, never rounded up beyond the limit; a partition keeps the row at hand, though."""
    allowed = [
        Driver(domain, number, partitions=partitions, key_limit=limit).task.table.row_limit
        for number in range(partitions)
    ]
    assert min(allowed) >= 1
    assert sum(allowed) == max(limit, partitions)


@every_domain
@EXAMPLES
@given(data=st.data())
def test_a_lowered_limit_holds_from_the_restart_on(data: st.DataObject, domain: Domain) -> None:
    """A worker that is started with a lower limit buries the surplus before it serves anything."""
    driver = told(domain, data.draw(stories(domain)))
    before = driver.entities
    driver.key_limit = data.draw(st.integers(1, 3))
    driver.crash()
    assert driver.entities == before[-driver.key_limit :]
    driver.commit()
    assert_only_the_living(driver)
    assert driver.task.table.totals.keys == len(driver.entities)
    driver.crash()
    assert driver.entities == before[-driver.key_limit :]
