"""Law 4: a crash anywhere changes nothing in the final rows, totals, dead letters and last snapshots.

Here a crash falls between folds and commits; between the steps of a commit it takes a broker (tests/chaos).
"""

import pytest
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from agents.driver import Driver
from tables.domain import Domain
from tests.laws.looking import outcome
from tests.laws.strategies import (
    EXAMPLES,
    Between,
    Input,
    bad,
    ended,
    every_domain,
    only_records,
    play,
    records,
    stories,
    told,
    valid,
)


@every_domain
@EXAMPLES
@given(data=st.data())
def test_crashes_leave_no_trace(data: st.DataObject, domain: Domain) -> None:
    """Whatever crashes, commits, batches and waits lie between the records, the end is the same."""
    limit = data.draw(st.integers(0, 4))
    story = data.draw(stories(domain))
    assert outcome(told(domain, story, limit)) == outcome(told(domain, only_records(story), limit))


@every_domain
@pytest.mark.parametrize("limit", [0, 2])
def test_a_crash_at_every_position_after_a_commit_at_every_other(domain: Domain, limit: int) -> None:
    """Exhaustive over one input: commit after record i, crash after record j, for all i and j."""
    sent = _sample(domain)
    wanted = outcome(told(domain, sent, limit))
    for crash in range(len(sent) + 1):
        for commit in range(crash + 1):
            driver = play(Driver(domain, key_limit=limit), sent[:commit])
            driver.fold()
            driver.commit()
            play(driver, sent[commit:crash])
            driver.fold()
            driver.crash()
            play(driver, sent[crash:])
            ended(driver)
            assert outcome(driver) == wanted, (commit, crash)


@every_domain
@EXAMPLES
@given(data=st.data())
def test_crashing_again_and_again_is_crashing_once(data: st.DataObject, domain: Domain) -> None:
    """A restored task that crashes before it commits has written nothing."""
    sent = data.draw(records(domain))
    driver = play(Driver(domain), sent)
    for _ in range(3):
        driver.fold()
        driver.crash()
    ended(driver)
    story: list[Between] = [Between.COMMIT, Between.CRASH, Between.CRASH]
    assert outcome(driver) == outcome(told(domain, [*sent, *story]))


def _sample(domain: Domain) -> list[Input]:
    """Twenty-odd records of the domain that meet each other, the same in every run."""
    found: list[Input] = []

    @seed(20_250_615)
    @settings(max_examples=1, database=None, phases=[Phase.generate])
    @given(st.lists(st.one_of(valid(domain), bad(domain)), min_size=24, max_size=24))
    def draw(sent: list[Input]) -> None:
        found.extend(sent)

    draw()
    return found
