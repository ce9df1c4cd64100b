"""Law 9: the merged totals equal a fold over all input, in one go, exactly."""

from collections.abc import Sequence

import msgspec
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from agents.driver import Driver
from tables.domain import Domain
from tables.top import merge
from tests.laws.looking import live_tops, published_tops
from tests.laws.strategies import EXAMPLES, GIVEN, Between, Input, Step, ended, every_domain, play, stories, told

PARTITIONS = 5


def spread(domain: Domain, story: Sequence[Step]) -> list[Driver]:
    """The story told to the partitions that its records belong to; what happens between happens to all."""
    drivers = [Driver(domain, number, partitions=PARTITIONS, key_limit=0) for number in range(PARTITIONS)]
    for step in story:
        if isinstance(step, Input):
            key = step.key or b""
            play(drivers[drivers[0].partition_of(key)], [step])
        else:
            for driver in drivers:
                play(driver, [step])
    for driver in drivers:
        ended(driver)
    return drivers


@every_domain
def test_the_generated_entities_are_in_several_partitions(domain: Domain) -> None:
    """Else this law would say nothing."""
    found: set[int] = set()

    @seed(1)
    @settings(max_examples=50, database=None, phases=[Phase.generate], deadline=None)
    @given(event=GIVEN[domain.name].events)
    def look(event: tuple[str, object]) -> None:
        found.add(Driver(domain, partitions=PARTITIONS).partition_of(event[0].encode()))

    look()
    assert len(found) >= 3


@every_domain
@EXAMPLES
@given(data=st.data())
def test_merged_totals_equal_one_fold_of_everything(data: st.DataObject, domain: Domain) -> None:
    """Several partitions with their batches and crashes, merged, are one partition that folds all in one go."""
    story = data.draw(stories(domain))
    merged = domain.totals()
    drivers = spread(domain, story)
    for driver in drivers:
        merged.merge(driver.task.table.totals)
    alone = told(domain, [step for step in story if isinstance(step, Input)], 0)
    assert msgspec.to_builtins(merged) == msgspec.to_builtins(alone.task.table.totals)
    assert [driver.task.table.totals.position for driver in drivers] == [driver.position for driver in drivers]
    for top in domain.tops:
        lists = [driver.task.table.tops[top.name].best() for driver in drivers]
        assert merge(lists) == alone.task.table.tops[top.name].best()


@every_domain
@EXAMPLES
@given(data=st.data())
def test_stock_totals_are_those_of_the_living(data: st.DataObject, domain: Domain) -> None:
    """Burial takes the stock of a row out again: nothing is left of nobody."""
    driver = told(domain, data.draw(stories(domain)), data.draw(st.integers(1, 3)))
    table = driver.task.table
    assert table.totals.keys == len(table.rows)
    flow = msgspec.to_builtins(told(domain, [], 0).task.table.totals)
    for entity in list(table.rows):
        table.bury(entity)
    assert table.totals.keys == flow["keys"] == 0


@every_domain
@EXAMPLES
@given(data=st.data())
def test_published_totals_are_the_committed_ones(data: st.DataObject, domain: Domain) -> None:
    """The totals records of a partition say what its totals cell and its lists of the best say, after every commit."""
    driver = Driver(domain, key_limit=data.draw(st.integers(0, 3)))
    for step in data.draw(stories(domain)):
        play(driver, [step])
        if step is Between.COMMIT and driver.position:
            assert published_tops(driver) == live_tops(driver)
            body = msgspec.json.decode(driver.totals[b"0"])
            body["outcomes"] = list(body["outcomes"].values())
            assert body.pop("partition") == 0
            assert body == msgspec.to_builtins(driver.task.table.totals)
