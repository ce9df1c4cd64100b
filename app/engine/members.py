"""What the members of the group say of themselves and of each other, read as bytes from strangers.

Faust believes every word of it. But to raise here would be worse than to be told nonsense: it happens inside the
client's background task, of the leader for everybody, and the group would stand still and say nothing. What cannot be
understood is said in the log and left out: who owns what is decided by Kafka's own part of the protocol.
"""

import logging
import zlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec
from faust.assignor.client_assignment import ClientAssignment, ClientMetadata

log = logging.getLogger("tidemark.engine")

UNPACKED_BYTES = 16 * 1024 * 1024  # of an assignment; one of 1,000 partitions of six domains on 50 workers is 0.3 MB
Partitions = dict[str, list[int]]
Listed = list[tuple[str, list[int]]]


class _Held(msgspec.Struct):
    actives: Partitions
    standbys: Partitions


class _Member(msgspec.Struct):
    """`ClientMetadata` of Faust, which checks no types; maps it writes as null are empty."""

    assignment: _Held
    url: str
    changelog_distribution: dict[str, Partitions]
    external_topic_distribution: dict[str, Partitions] | None = None
    topic_groups: dict[str, int] | None = None


def _metadata(said: bytes) -> ClientMetadata:
    member = msgspec.json.decode(said, type=_Member)
    return _made(
        member.assignment.actives,
        member.assignment.standbys,
        member.url,
        member.changelog_distribution,
        member.external_topic_distribution or {},
        member.topic_groups or {},
    )


def _made(
    actives: Mapping[str, Any],
    standbys: Mapping[str, Any],
    url: str,
    changelogs: Mapping[str, Any],
    others: Mapping[str, Any],
    groups: Mapping[str, int],
) -> ClientMetadata:
    return ClientMetadata(
        assignment=ClientAssignment(actives=dict(actives), standbys=dict(standbys)),
        url=url,
        changelog_distribution=dict(changelogs),
        external_topic_distribution=dict(others),
        topic_groups=dict(groups),
    )


def of_member(name: str, said: bytes, partitions: Mapping[str, Collection[int]]) -> ClientMetadata:
    """What a member says that it has, for the leader to assign from; nothing where it cannot be understood.

    Args:
        name: the member's id.
        said: its user data.
        partitions: topic -> the partitions that there are; others are left out.
    """
    try:
        metadata = _metadata(said)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        log.error("member %r of the group does not say what it has (%s): it is taken for new", name, error)  # noqa: TRY400
        return _made({}, {}, "", {}, {}, {})
    held = metadata.assignment
    return _made(
        _there(held.actives, partitions), _there(held.standbys, partitions), metadata.url,
        metadata.changelog_distribution, metadata.external_topic_distribution, metadata.topic_groups,
    )  # fmt: skip


def _there(claimed: Partitions, partitions: Mapping[str, Collection[int]]) -> Partitions:
    return {
        topic: [number for number in numbers if number in partitions[topic]]
        for topic, numbers in claimed.items()
        if topic in partitions
    }


def of_leader(said: bytes, assigned: Iterable[tuple[str, list[int]]], url: str, tables: Any) -> ClientMetadata:
    """The leader's assignment for us; where it cannot be understood, what Kafka's own part of it says.

    Args:
        said: the assignment's user data, compressed.
        assigned: topic and partitions, as Kafka's protocol has them.
        url: this worker's address.
        tables: Faust's tables, which know the changelog topics.
    """
    given = sorted((topic, sorted(numbers)) for topic, numbers in assigned)
    try:
        unpacked = zlib.decompressobj().decompress(said, UNPACKED_BYTES)
        metadata = _metadata(unpacked)
        wrong = _contradiction(metadata, given, tables)
    except (zlib.error, msgspec.MsgspecError, ValueError, RecursionError) as error:
        wrong = str(error)
    if wrong:
        log.error("the group's leader does not say who owns what (%s): views of other workers' rows answer 503", wrong)
        return _made(dict(given), {}, url, {}, {}, {topic: 0 for topic, _ in given})
    return metadata


def _contradiction(metadata: ClientMetadata, given: Listed, tables: Any) -> str:
    told = metadata.assignment.kafka_protocol_assignment(tables)
    if sorted((topic, sorted(numbers)) for topic, numbers in told) != given:
        return "it differs from the partitions that were assigned"
    missing = [topic for topic, _ in given if topic not in metadata.topic_groups]
    return f"it names no group of topics for {missing[0]}" if missing else ""
