"""Law 3: rows restored from the changelog equal the live rows, byte for byte."""

from hypothesis import given
from hypothesis import strategies as st

from agents.driver import Driver
from tables.domain import Domain
from tests.laws.looking import assert_as_restored
from tests.laws.strategies import EXAMPLES, Between, every_domain, play, stories


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
    latest = {record.key: record.offset for record in driver.changelog}
    gone = {key for key in latest if data.draw(st.booleans(), label="compacted")}
    driver.changelog = [
        record
        for record in driver.changelog
        if record.key not in gone or (record.offset == latest[record.key] and record.value is not None)
    ]
    assert_as_restored(driver)
