"""Faust's partition assignor, for static members that come back at another address, and for standbys that take over.

Faust's own puts standbys wherever there is room: when a worker dies, the ones who hold its copies may have no room for
its partitions, and somebody without a copy gets them. Here a partition's first standby is the worker that would get it
if its owner died; copies are where failover goes, by construction.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from faust.assignor import PartitionAssignor, partition_assignor
from faust.assignor.copartitioned_assignor import CopartitionedAssignor

from app.engine.members import of_leader, of_member

log = logging.getLogger("tidemark.engine")

Held = dict[str, set[int]]
"""Member -> partitions."""


class Assignor(PartitionAssignor):
    """Faust's assignor, with two of its rules replaced.

    It takes it for an error when an assignment names another address than this worker's own. A static member that
    restarts gets its old assignment back without a rebalance, and the address it had then. Faust raises on it inside
    the client's background task: the worker would wait for ever, and say nothing.
    """

    def on_assignment(self, assignment: Any) -> None:
        """Take an assignment over; an old address of ours in it is replaced by the present one."""
        ours = str(self._url)
        metadata = of_leader(assignment.user_data, assignment.assignment, ours, self._table_manager)
        if metadata.url != ours:
            log.warning(
                "this static member was known at %s and is now at %s: other workers forward views there until the "
                "next rebalance; set TIDEMARK_WEB_URL to an address that stays",
                metadata.url,
                ours,
            )
            for distribution in (metadata.changelog_distribution, metadata.external_topic_distribution):
                if metadata.url in distribution:
                    distribution[ours] = distribution.pop(metadata.url)
            metadata.url = ours
        # As the base class compares them: what the leader has written in another order is the same.
        assignment.assignment = list(metadata.assignment.kafka_protocol_assignment(self._table_manager))
        assignment.user_data = self._compress(metadata.dumps())
        super().on_assignment(assignment)

    def _perform_assignment(self, cluster: Any, member_metadata: Mapping[str, Any]) -> Any:
        """Assign, from what can be understood of what the members say."""
        partitions = {
            topic: cluster.partitions_for_topic(topic) or ()
            for said in member_metadata.values()
            for topic in said.subscription
        }
        understood = {
            member: type(said)(said.version, said.subscription, of_member(member, said.user_data, partitions).dumps())
            for member, said in member_metadata.items()
        }
        return super()._perform_assignment(cluster, understood)


class SpreadAssignor(CopartitionedAssignor):
    """Partitions of topics that are assigned together: Faust's rule without standbys, `spread` with them."""

    def get_assignment(self) -> Any:
        """Each member with its partitions and its copies."""
        if not self.replicas:
            return super().get_assignment()
        members = self._client_assignments
        owned = {member: set(held.actives) for member, held in sorted(members.items())}
        copies = {member: set(held.standbys) for member, held in sorted(members.items())}
        owned, copies = spread(self.num_partitions, owned, copies, self.replicas)
        for member, held in members.items():
            held.actives, held.standbys = owned[member], copies[member]
        return members


# The base class makes one for each group of topics, under this name.
partition_assignor.CopartitionedAssignor = SpreadAssignor


def spread(
    partitions: int, owned: Mapping[str, set[int]], copies: Mapping[str, set[int]], standbys: int
) -> tuple[Held, Held]:
    """Divide partitions and their copies among members, moving as little as possible.

    Args:
        partitions: how many there are.
        owned: member -> what it says it owns; two may claim the same, and none.
        copies: member -> what it says it keeps warm.
        standbys: copies of each partition, where there are members enough.

    Returns:
        Member -> its partitions, their numbers one apart at the most; and member -> its copies.
    """
    dealt = deal(range(partitions), owned, copies)
    placed: Held = {member: set() for member in dealt}
    for owner, held in dealt.items():
        # Where its partitions would go if it died: that is where their copies are to be.
        others = {member: kept for member, kept in dealt.items() if member != owner}
        if others:
            for member, kept in deal(range(partitions), others, copies).items():
                placed[member] |= kept & held
    for _ in range(1, min(standbys, len(dealt) - 1)):
        _place_more(partitions, dealt, copies, placed)
    return dealt, placed


def deal(partitions: Sequence[int], owned: Mapping[str, set[int]], copies: Mapping[str, set[int]]) -> Held:
    """Member -> its partitions: what it has, then what it has a copy of, then what is left, up to an equal share."""
    least, extra = divmod(len(partitions), len(owned))
    dealt: Held = {member: set() for member in owned}

    def room(member: str) -> bool:
        held = len(dealt[member])
        return held < least or (held == least and sum(len(other) > least for other in dealt.values()) < extra)

    def give(wanted: Mapping[str, set[int]]) -> None:
        for partition in partitions:
            if not any(partition in held for held in dealt.values()):
                willing = [member for member in dealt if partition in wanted.get(member, ()) and room(member)]
                if willing:
                    dealt[min(willing, key=lambda member: (len(dealt[member]), member))].add(partition)

    give(owned)
    give(copies)
    give({member: set(partitions) for member in owned})
    return dealt


def _place_more(partitions: int, dealt: Held, copies: Mapping[str, set[int]], placed: Held) -> None:
    """One more copy of each partition: where there was one, else where there are the fewest."""
    for partition in range(partitions):
        free = [member for member in dealt if partition not in dealt[member] | placed[member]]
        if free:
            best = min(free, key=lambda member: (partition not in copies.get(member, ()), len(placed[member]), member))
            placed[best].add(partition)
