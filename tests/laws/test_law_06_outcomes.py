"""Law 6: every record has one outcome, and the dead letters are the INVALID and the MISROUTED, each once."""

from hypothesis import given
from hypothesis import strategies as st

from tables.domain import Domain
from tables.event import Outcome
from tests.laws.strategies import EXAMPLES, every_domain, only_records, stories, told


@every_domain
@EXAMPLES
@given(data=st.data())
def test_every_record_has_one_outcome(data: st.DataObject, domain: Domain) -> None:
    """Records consumed = APPLIED + DUPLICATE + LATE + INVALID + MISROUTED, crashes or not."""
    story = data.draw(stories(domain))
    sent = only_records(story)
    driver = told(domain, story)
    counts = driver.task.table.totals.outcomes
    assert sum(counts) == len(sent) == driver.position
    for outcome in (Outcome.INVALID, Outcome.MISROUTED):
        assert counts[outcome] == sum(record.bad is outcome for record in sent)


@every_domain
@EXAMPLES
@given(data=st.data())
def test_dead_letters_are_the_bad_records_once_each_and_in_order(data: st.DataObject, domain: Domain) -> None:
    """Original key and value, and where they stood; none of them twice, none of them missing."""
    story = data.draw(stories(domain))
    bad = [
        (offset, record.bad.name, record.key, record.value)
        for offset, record in enumerate(only_records(story))
        if record.bad is not None
    ]
    letters = [(dict(letter.headers), letter.key, letter.value) for letter in told(domain, story).dead_letters]
    assert [
        (int(headers["tidemark-offset"] or b""), (headers["tidemark-outcome"] or b"").decode(), key, value)
        for headers, key, value in letters
    ] == bad
