"""Law 3: rows restored from the changelog equal the live rows, byte for byte."""

from hypothesis import given
from hypothesis import strategies as st

from agents.driver import Driver
from tables.domain import Domain
from tests.laws.looking import assert_as_restored
from tests.laws.strategies import EXAMPLES, Between, compact, every_domain, play, stories


@every_domain
@EXAMPLES
@given(data=st.data())
def test_restored_rows_equal_live_rows_after_every_commit(data: st.DataObject, domain: Domain) -> None:
    """Bytes, order of retention, names and lists of the best: none depends on having lived through the events."""
    driver = Driver(domain, key_limit=data.draw(st.integers(0, 4)))
    for step in data.draw(stories(domain)):
        play(driver, [step])
        if step in {Between.COMMIT, Between.WAIT, Between.WAIT_LONG}:
            assert_as_restored(driver)
    driver.settle()
    assert_as_restored(driver)


@every_domain
@EXAMPLES
@given(data=st.data())
def test_a_changelog_restores_the_same_before_and_after_compaction(data: st.DataObject, domain: Domain) -> None:
    """Compaction has been at some keys and not yet at others: superseded records and tombstones may be there or not."""
    driver = play(Driver(domain, key_limit=2), data.draw(stories(domain)))
    driver.settle()
    compact(driver, data)
    assert_as_restored(driver)
