"""Records of the topics that workers and commands read back, as somebody else may have written them."""

import json
import logging

import msgspec
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from agents.driver import NOW, Driver, Sent
from agents.emit import take
from agents.ring import resize
from app.engine.totals import TotalsReader
from app.history.shown import entity_of, line
from app.settings import Settings
from app.topology import topic_name
from app.watch.commands import line as watched_line
from app.watch.commands import table as watched_table
from app.watch.sight import Watched
from tables import DOMAINS
from tables.domain import Domain
from tables.retention import revision_of
from tables.views import TopView, TotalsView
from tests.fuzz.inputs import HEADERS, encoded, examples, mutated, spoilt, values
from tests.fuzz.test_fuzz_cells import golden, packed, restored
from tests.fuzz.test_fuzz_records import TIMES
from tests.laws.strategies import every_domain

SETTINGS = Settings(bootstrap_servers="nowhere:9092", partitions=2)


def published(domain: Domain) -> dict[bytes, bytes]:
    """What the owner of the golden rows writes to the totals topic."""
    task = restored(domain, golden(domain))
    table = task.table
    table.totals_changed = True
    for derived in (*table.tops.values(), *table.recents.values()):
        derived.changed = True
    records = take(task, NOW).outgoing
    return {record.key or b"": record.value or b"" for record in records if record.role == "totals"}


PUBLISHED = {domain.name: published(domain) for domain in DOMAINS}


def totals_records(published: dict[bytes, bytes]) -> SearchStrategy[Sent]:
    """Totals records spoilt in their key or their value, or noise."""
    key = st.sampled_from(sorted(published))
    value = key.flatmap(lambda key: spoilt(st.just(json.loads(published[key]))) | mutated(st.just(published[key])))
    any_value = value | values().map(encoded) | st.none() | st.binary(max_size=30)
    return st.builds(lambda key, value: Sent(0, key, value, [], NOW), key | key | st.none() | mutated(key), any_value)


@every_domain
@examples(15)
@given(data=st.data())
def test_no_totals_record_stops_a_reader_or_a_view(data: st.DataObject, domain: Domain) -> None:
    """It is read, or left out with its place; whatever was read, views and `watch` can show it."""
    logging.getLogger("tidemark.engine").setLevel(logging.CRITICAL)
    reader, where = TotalsReader(SETTINGS, DOMAINS), TopicPartition(topic_name(SETTINGS, domain, "totals"), 0)
    good = PUBLISHED[domain.name]
    for key, value in good.items():
        reader._take(where, Sent(0, key, value, [], NOW))
    reader._take(where, data.draw(totals_records(good)))
    shown_by_views(domain, reader)
    sight = Watched(domain, reader).look()
    assert watched_line(sight).isprintable()
    json.dumps(sight.as_json())
    watched_table([sight])


def shown_by_views(domain: Domain, reader: TotalsReader) -> None:
    """What every view of totals and lists answers."""
    for view in domain.views:
        if isinstance(view, TotalsView):
            given_ = {parameter.name: parameter.default for parameter in view.parameters}
            msgspec.json.encode(view.answer(reader.whole(domain), given_))
        elif isinstance(view, TopView):
            given_ = {parameter.name: parameter.default for parameter in view.parameters}
            for _entity, value in reader.top(domain, view.name(given_)):
                msgspec.json.encode(view.value(value, given_))


@every_domain
@examples(8)
@given(data=st.data())
def test_every_record_can_be_shown(data: st.DataObject, domain: Domain) -> None:
    """`tidemark history` shows whatever a topic or a changelog holds, with what is no text by its number."""
    cells = golden(domain)
    key = data.draw(st.none() | st.binary(max_size=20) | st.sampled_from(list(cells)))
    value = data.draw(st.none() | st.binary(max_size=40) | packed(domain.version) | values().map(encoded))
    record = Sent(data.draw(st.integers(0, 2**63 - 1)), key, value, data.draw(HEADERS), data.draw(TIMES))
    for decoded_as in (None, domain):
        json.dumps(line(record, 0, decoded_as)).encode()
    entity_of(key)


@examples(15)
@given(st.dictionaries(st.binary(max_size=6), values().map(encoded) | st.binary(max_size=20), max_size=5))
def test_a_ring_with_strangers_records_is_resized(ring: dict[bytes, bytes]) -> None:
    """What has a revision moves to its slot, everything else goes."""
    driver = Driver(next(domain for domain in DOMAINS if domain.per_event is not None))
    resize(driver.task, ring)
    outgoing = take(driver.task, NOW).outgoing
    kept = [record for record in outgoing if record.value is not None]
    assert {record.value for record in kept} <= {value for value in ring.values() if revision_of(value) is not None}
    assert {record.key for record in outgoing if record.value is None} <= set(ring)
