"""Where partitions and their copies go: evenly, moving little, and a dead worker's partitions to who has copies."""

import random
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from faust.assignor.client_assignment import ClientMetadata, CopartitionedAssignment
from faust.assignor.copartitioned_assignor import CopartitionedAssignor
from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.assignor import Assignor, Held, SpreadAssignor, deal, spread

Assigned = tuple[Held, Held]


def nobody(*members: str) -> Held:
    """Members that have nothing."""
    return {member: set() for member in members}


def without(held: Held, dead: str) -> Held:
    """What the others say."""
    return {member: set(partitions) for member, partitions in held.items() if member != dead}


def assert_even(partitions: int, standbys: int, assigned: Assigned) -> None:
    """Every partition once, shares one apart at the most, and so many copies of each, with others than its owner."""
    owned, copies = assigned
    assert sorted(partition for held in owned.values() for partition in held) == list(range(partitions))
    assert max(map(len, owned.values())) - min(map(len, owned.values())) <= 1
    for member, held in owned.items():
        assert not held & copies[member]
    for partition in range(partitions):
        assert sum(partition in held for held in copies.values()) == min(standbys, len(owned) - 1)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 12), st.integers(1, 3), st.randoms(use_true_random=False))
def test_whoever_dies_its_partitions_go_to_who_has_their_copies(
    partitions: int, standbys: int, rng: random.Random
) -> None:
    """Through any series of workers that join and die; and what lives keeps what it has when another one dies."""
    assigned = spread(partitions, nobody("w0"), nobody("w0"), standbys)
    for number in range(1, 12):
        owned, copies = assigned
        if len(owned) > 1 and rng.random() < 0.5:
            dead = rng.choice(sorted(owned))
            after = spread(partitions, without(owned, dead), without(copies, dead), standbys)
            for member, kept in after[0].items():
                assert kept >= owned[member]
                assert kept - owned[member] <= copies[member]
            assigned = after
        else:
            name = f"w{number}"
            assigned = spread(partitions, owned | nobody(name), copies | nobody(name), standbys)
        assert_even(partitions, standbys, assigned)


def test_nothing_moves_when_nothing_has_happened() -> None:
    """A rebalance for no reason leaves partitions and copies where they are."""
    first = spread(7, nobody("a", "b", "c"), nobody("a", "b", "c"), 1)
    assert spread(7, *first, 1) == first


def test_a_partition_that_two_claim_has_one_owner() -> None:
    """A zombie that comes back claims what has moved meanwhile."""
    assert deal(range(2), {"a": {0, 1}, "b": {0, 1}}, {}) == {"a": {0}, "b": {1}}


class Cluster:
    """The client's knowledge of topics."""

    def partitions_for_topic(self, _topic: str) -> set[int]:
        """The same number for all."""
        return {0, 1, 2, 3}


CHANGELOGS = ("players-changelog", "workers-changelog")
TOPICS = ["players-events", "workers-events", *CHANGELOGS]
APP = SimpleNamespace(tables=SimpleNamespace(changelog_topics=set(CHANGELOGS), data={}))


def rebalanced(members: dict[str, Any]) -> dict[str, Any]:
    """Each member's new assignment, as the leader makes it from what each has said of its last one."""
    assignor = Assignor(APP, replicas=1)
    said = {
        member: ConsumerProtocolMemberMetadata(
            4,
            TOPICS,
            ClientMetadata(
                assignment=assignment, url=f"http://{member}", changelog_distribution={}, topic_groups={}
            ).dumps(),
        )
        for member, assignment in members.items()
    }
    made = assignor._perform_assignment(Cluster(), said)
    return {
        member: ClientMetadata.loads(assignor._decompress(protocol.user_data)).assignment
        for member, protocol in made.items()
    }


@pytest.mark.parametrize("dead", ["a", "b", "c"])
def test_all_domains_of_a_dead_worker_fail_over_to_their_copies(dead: str) -> None:
    """Through Faust's own assignor: two domains, three workers, one dies; partitions of all topics go to copies."""
    before = rebalanced(dict.fromkeys("abc", Assignor(APP)._assignment))
    after = rebalanced({member: assignment for member, assignment in before.items() if member != dead})
    for topic in CHANGELOGS:
        assert sorted(p for assignment in after.values() for p in assignment.actives[topic]) == [0, 1, 2, 3]
        for member, assignment in after.items():
            taken = set(assignment.actives[topic]) - set(before[member].actives[topic])
            assert taken <= set(before[member].standbys[topic])


def moved_without_copy(kind: type[CopartitionedAssignor], dead: str) -> list[int]:
    """The partitions of a dead worker, of three, that go to one without a copy."""
    workers = {member: CopartitionedAssignment(topics={"t"}) for member in "abc"}
    kind(["t"], workers, num_partitions=4, replicas=1).get_assignment()
    copies = {member: set(held.standbys) for member, held in workers.items()}
    lost = set(workers.pop(dead).actives)
    kind(["t"], workers, num_partitions=4, replicas=1).get_assignment()
    return [p for member, held in workers.items() for p in held.actives & lost if p not in copies[member]]


def test_faust_alone_gives_partitions_to_workers_without_copies() -> None:
    """Why there is a rule of our own: this fails when Faust has learnt it, and ours may go."""
    assert [partition for dead in "abc" for partition in moved_without_copy(CopartitionedAssignor, dead)]
    assert not [partition for dead in "abc" for partition in moved_without_copy(SpreadAssignor, dead)]
