"""Records of every domain, all the way: keys, values, headers and timestamps of any kind."""

from typing import Any, NamedTuple

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from agents.driver import NOW, Driver
from tables.domain import Domain
from tables.event import FUTURE_MS, Outcome
from tests.fuzz.inputs import HEADERS, encoded, examples, mutated, spoilt, values
from tests.laws.looking import rows
from tests.laws.strategies import GIVEN, every_domain


class Raw(NamedTuple):
    """What a producer may send."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    timestamp: int


TIMES = st.integers(-(2**63), 2**63 - 1) | st.sampled_from((-1, 0, NOW, NOW + FUTURE_MS, NOW + FUTURE_MS + 1))
_KEYS = st.none() | st.binary(max_size=12) | st.sampled_from((b"", b"\xff", b"[null]", b"ann", b"null"))


def raw_records(domain: Domain) -> SearchStrategy[Raw]:
    """Records of a domain: good ones, good ones spoilt in one place, and noise."""
    events = GIVEN[domain.name].events
    told = events.filter(lambda event: event[1] is not None)
    nothing: list[tuple[str, bytes | None]] = []
    plain = st.just(nothing) | HEADERS
    good = st.builds(
        lambda event, headers: Raw(event[0].encode(), event[1] and encoded(event[1]), headers, NOW), events, plain
    )
    # Under its own key, so that what still decodes is folded.
    bad = st.builds(
        lambda event, data, headers, time: Raw(event[0].encode(), data, headers, time),
        told,
        spoilt(told.map(lambda event: event[1])) | mutated(told.map(lambda event: encoded(event[1]))),
        plain,
        st.just(NOW) | TIMES,
    ).flatmap(_under_its_key)
    noise = st.builds(Raw, _KEYS, st.none() | st.binary(max_size=40) | values().map(encoded), HEADERS, TIMES)
    return st.one_of(good, bad, bad, noise)


def _under_its_key(record: Raw) -> SearchStrategy[Raw]:
    """The record as it is, or under the first text in it that might be its entity."""
    try:
        event: Any = msgspec.json.decode(record.value or b"")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return st.just(record)
    texts = [each for each in event.values() if isinstance(each, str)] if isinstance(event, dict) else []
    return st.sampled_from([record, *(record._replace(key=text.encode("utf-8", "surrogatepass")) for text in texts)])


def folded(domain: Domain, records: list[tuple[int, Raw]]) -> Driver:
    """A driver that has folded these, each at its offset."""
    driver = Driver(domain)
    for offset, record in records:
        driver.send(record.key, record.value, record.headers, offset=offset, timestamp=record.timestamp)
    driver.fold()
    return driver


@every_domain
@examples(20)
@given(data=st.data())
def test_no_record_raises_and_each_has_one_outcome(data: st.DataObject, domain: Domain) -> None:
    """Nor does it bring out a defect of its domain; what is folded can be committed, published and restored."""
    records = data.draw(st.lists(raw_records(domain), min_size=1, max_size=8))
    driver = Driver(domain)
    for number, record in enumerate(records, 1):
        before = list(driver.task.table.totals.outcomes)
        driver.send(record.key, record.value, record.headers, timestamp=record.timestamp)
        driver.fold()
        after = driver.task.table.totals.outcomes
        assert sorted(now - then for then, now in zip(before, after, strict=True)) == [0, 0, 0, 0, 1]
        assert sum(after) == number
    driver.settle()
    assert driver.poison == {}
    live = driver.read()
    driver.crash()
    assert driver.read() == live
    bad = driver.task.table.totals.outcomes
    assert len(driver.dead_letters) == bad[Outcome.INVALID] + bad[Outcome.MISROUTED]


@every_domain
@examples(15)
@given(data=st.data())
def test_what_is_not_applied_leaves_no_trace_in_the_rows(data: st.DataObject, domain: Domain) -> None:
    """Rows, byte for byte, are those of the applied records alone."""
    records = list(enumerate(data.draw(st.lists(raw_records(domain), min_size=1, max_size=8))))
    driver, applied = Driver(domain), []
    for offset, record in records:
        before = driver.task.table.totals.outcomes[Outcome.APPLIED]
        driver.send(record.key, record.value, record.headers, offset=offset, timestamp=record.timestamp)
        driver.fold()
        if driver.task.table.totals.outcomes[Outcome.APPLIED] > before:
            applied.append((offset, record))
    alone = folded(domain, applied)
    assert rows(alone.read()) == rows(driver.read())
    ours, theirs = driver.task.table.totals, alone.task.table.totals
    ours.outcomes[1:], ours.position = theirs.outcomes[1:], theirs.position
    assert ours == theirs
