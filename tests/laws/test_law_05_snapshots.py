"""Law 5: the last snapshot of an entity equals its row, when no emission is pending."""

import json

from hypothesis import given
from hypothesis import strategies as st

from agents.driver import Driver
from agents.emit import stats_key
from tables.domain import Domain
from tests.laws.looking import bodies, expected_bodies
from tests.laws.strategies import EXAMPLES, every_domain, play, stories, told


@every_domain
@EXAMPLES
@given(data=st.data())
def test_the_last_snapshots_equal_the_rows(data: st.DataObject, domain: Domain) -> None:
    """Everything published says what its row says; a row that has changed has been published."""
    driver = told(domain, data.draw(stories(domain)), data.draw(st.integers(0, 4)))
    published, expected = bodies(driver), expected_bodies(driver)
    assert published.keys() <= expected.keys()
    assert published == {key: expected[key] for key in published}
    assert not any(row.head.pending for row in driver.task.table.rows.values())
    for entity in driver.entities:
        keys = {stats_key(entity, suffix) for suffix in domain.suffixes_of(driver.row(entity))}
        newest = [json.loads(driver.stats[key]) for key in keys & driver.stats.keys()]
        head = driver.row(entity).head
        assert max(body["revision"] for body in newest) == head.revision
        assert {body["offset"] for body in newest if body["revision"] == head.revision} == {head.offset}


@every_domain
@EXAMPLES
@given(data=st.data())
def test_what_is_not_pending_is_published_at_any_commit(data: st.DataObject, domain: Domain) -> None:
    """Not only in the end: after each commit, a row that owes nothing is what its snapshots say."""
    driver = Driver(domain, key_limit=data.draw(st.integers(0, 4)))
    for step in data.draw(stories(domain)):
        play(driver, [step])
        driver.fold()
        driver.commit()
        published, expected = bodies(driver), expected_bodies(driver)
        resting = [row for row in driver.task.table.rows.values() if not row.head.pending]
        keys = {stats_key(row.entity, suffix) for row in resting for suffix in domain.suffixes_of(row)}
        assert {key: published[key] for key in keys & published.keys()} == {
            key: expected[key] for key in keys & published.keys()
        }
