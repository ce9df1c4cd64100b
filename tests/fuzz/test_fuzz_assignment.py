"""What the members of the group say of themselves, and what its leader says to us."""

import logging
import zlib
from types import SimpleNamespace
from typing import Any

from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from faust.assignor.client_assignment import ClientMetadata
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from yarl import URL

from app.engine.assignor import Assignor
from tests.fuzz.inputs import encoded, examples, mutated, spoilt, values

SOURCE, CHANGELOG, URL_ = "players-events", "tidemark-players-changelog", "http://127.0.0.1:6066"
HELD = {SOURCE: [0, 1], CHANGELOG: [0, 1]}
MEMBER: dict[str, Any] = {
    "assignment": {"actives": HELD, "standbys": {}},
    "url": URL_,
    "changelog_distribution": {URL_: {CHANGELOG: [0, 1]}},
    "external_topic_distribution": {},
    "topic_groups": {SOURCE: 0, CHANGELOG: 0},
}
SAID: SearchStrategy[bytes] = (
    spoilt(st.just(MEMBER)) | mutated(st.just(encoded(MEMBER))) | values().map(encoded) | st.binary(max_size=40)
)
APP: Any = SimpleNamespace(
    tables=SimpleNamespace(changelog_topics={CHANGELOG}, data={}), conf=SimpleNamespace(canonical_url=URL(URL_))
)


class Cluster:
    """The client's knowledge of topics."""

    def partitions_for_topic(self, _topic: str) -> set[int]:
        """The same number for all."""
        return {0, 1, 2, 3}


@examples(60)
@given(st.lists(SAID | st.just(encoded(MEMBER)), min_size=1, max_size=3), st.integers(0, 1))
def test_whatever_members_say_every_partition_is_assigned_once(said: list[bytes], standbys: int) -> None:
    """The leader raises nothing, and a member that talks nonsense gets its share."""
    logging.getLogger("tidemark.engine").setLevel(logging.CRITICAL)
    topics = [SOURCE, CHANGELOG]
    members = {f"w{n}": ConsumerProtocolMemberMetadata(4, topics, data) for n, data in enumerate(said)}
    made = Assignor(APP, replicas=standbys)._perform_assignment(Cluster(), members)
    owned = [ClientMetadata.loads(Assignor._decompress(each.user_data)).assignment.actives for each in made.values()]
    for topic in topics:
        assert sorted(number for held in owned for number in held[topic]) == [0, 1, 2, 3]


PACKED = SAID.map(zlib.compress) | mutated(st.just(zlib.compress(encoded(MEMBER)))) | st.binary(max_size=40)


@examples(60)
@given(PACKED)
def test_whatever_the_leader_says_the_assigned_partitions_are_taken(said: bytes) -> None:
    """Who owns what is Kafka's to say; only where others are is not known then."""
    logging.getLogger("tidemark.engine").setLevel(logging.CRITICAL)
    assignor = Assignor(APP)
    assignor.on_assignment(ConsumerProtocolMemberAssignment(4, sorted(HELD.items()), said))
    assert {(tp.topic, tp.partition) for tp in assignor.assigned_actives()} == {
        (topic, number) for topic, numbers in HELD.items() for number in numbers
    }
    for topic in HELD:
        assignor.group_for_topic(topic)
    assignor.tables_metadata()
