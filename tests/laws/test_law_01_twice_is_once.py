"""Law 1: folding an event twice is folding it once.

The edge of the bound: tests/tables/test_dedupe.py.
"""

from hypothesis import given
from hypothesis import strategies as st

from tables.domain import Domain
from tables.event import Outcome
from tests.laws.looking import bodies, rows
from tests.laws.strategies import EXAMPLES, every_domain, every_recognising_domain, stories, told


@every_recognising_domain
@EXAMPLES
@given(data=st.data())
def test_a_log_read_twice_is_a_log_read_once(data: st.DataObject, domain: Domain) -> None:
    """A backfill that is run twice changes no row, no snapshot and no amount of the totals."""
    story = data.draw(stories(domain))
    once, twice = told(domain, story), told(domain, story + story)
    assert rows(once.read()) == rows(twice.read())
    assert bodies(once) == bodies(twice)
    first, second = once.task.table.totals, twice.task.table.totals
    applied = first.outcomes[Outcome.APPLIED]
    assert second.outcomes[Outcome.APPLIED] == applied
    # An upsert that was overtaken by a newer one is LATE when it comes again.
    refused_once, refused_twice = (
        totals.outcomes[Outcome.DUPLICATE] + totals.outcomes[Outcome.LATE] for totals in (first, second)
    )
    assert refused_twice == 2 * refused_once + applied
    ignored = {"outcomes", "position"}
    for name in set(first.__struct_fields__) - ignored:
        assert getattr(first, name) == getattr(second, name), name


@every_domain
@EXAMPLES
@given(data=st.data())
def test_every_record_repeated_at_once_changes_nothing(data: st.DataObject, domain: Domain) -> None:
    """A producer without idempotence that sends each record twice in a row is as good as one that does not."""
    story = data.draw(stories(domain))
    doubled = [step for step in story for _ in range(2)]
    once, twice = told(domain, story), told(domain, doubled)
    assert bodies(once) == bodies(twice)
    assert once.task.table.totals.outcomes[Outcome.APPLIED] == twice.task.table.totals.outcomes[Outcome.APPLIED]
