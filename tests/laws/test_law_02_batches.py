"""Law 2: the same records give the same bytes in every row, whatever the batch boundaries."""

from hypothesis import given
from hypothesis import strategies as st

from agents.driver import Driver
from tables.domain import Domain
from tests.laws.looking import outcome
from tests.laws.strategies import EXAMPLES, GIVEN, Between, every_domain, only_records, records, stories, told


@every_domain
def test_every_domain_has_generated_events(domain: Domain) -> None:
    """A domain that is not in the registry of strategies would have no laws."""
    assert domain.name in GIVEN


@every_domain
@EXAMPLES
@given(data=st.data())
def test_rows_do_not_depend_on_how_batches_are_cut(data: st.DataObject, domain: Domain) -> None:
    """One batch, a batch per record, or anything between, with ticks where they may: the same bytes."""
    limit = data.draw(st.integers(0, 4))
    story = [step for step in data.draw(stories(domain)) if step is not Between.CRASH]
    assert outcome(told(domain, story, limit)) == outcome(told(domain, only_records(story), limit))


@every_domain
@EXAMPLES
@given(data=st.data())
def test_one_record_at_a_time_is_as_good_as_all_at_once(data: st.DataObject, domain: Domain) -> None:
    """The smallest batches and the largest one leave the same rows, committed or not."""
    sent = data.draw(records(domain))
    together, apart = Driver(domain, key_limit=3), Driver(domain, key_limit=3)
    for record in sent:
        together.send(record.key, record.value)
        apart.send(record.key, record.value)
        apart.fold(1)
    together.fold()
    assert together.read() == apart.read()
