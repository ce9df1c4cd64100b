"""One partition, read from Kafka at one consistent point and made twice."""

from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer

from agents.task import FoldError
from app.clock import now_ms
from app.partitions import partitioner
from app.settings import Settings
from app.topology import topic_name
from app.verify.difference import Difference, differences
from app.verify.letters import Letter, poisoned
from app.verify.reading import Reading, Say
from app.verify.rebuild import Made, Partition, Rebuild, restored
from tables.domain import Domain
from tables.table import CorruptCellError, UnwritableRowError

SAME, DIFFERENT, UNKNOWN = "same", "different", "unknown"


@dataclass(frozen=True)
class Verdict:
    """What came of one partition.

    Attributes:
        state: same, different, or unknown (it cannot be compared).
        position: the source offset up to which both sides were made.
        rows: in the changelog.
        cells: in the changelog.
        invalid: records that are INVALID on the word of the dead letters.
        differing: how many cells differ.
        first: the first of them.
        reason: why it is different without a cell to show, or unknown.
    """

    partition: int
    state: str
    position: int = 0
    rows: int = 0
    cells: int = 0
    invalid: int = 0
    differing: int = 0
    first: Difference | None = None
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return self.__dict__ | {"first": None if self.first is None else self.first.as_json()}


class Verifier:
    """Verifies partitions of a domain, one after the other.

    Args:
        settings: of the installation; options and limits have to be those of its workers.
        domain: whose table it is.
        consumer: without a group, of committed records, as `app.engine.fetch.reader` makes it.
        say: told how far it is, often.
    """

    def __init__(self, settings: Settings, domain: Domain, consumer: AIOKafkaConsumer, say: Say) -> None:
        self._settings = settings
        self._domain = domain
        self._consumer = consumer
        self._say = say

    async def verify(self, number: int) -> Verdict:
        """Make one partition twice and compare."""
        reading = Reading(self._settings, self._domain, number, self._consumer, self._say)
        partition = partition_of(self._settings, self._domain, number)
        changelog = await reading.changelog()
        now = now_ms()  # after the end of what was read: no worker has folded any of it later
        try:
            wanted = restored(partition, changelog, now)
        except CorruptCellError as error:
            return Verdict(number, DIFFERENT, reason=f"{await _place(reading, error.key)}: {error}")
        about: dict[str, Any] = {"position": wanted.position, "rows": wanted.rows, "cells": len(wanted.cells)}
        reason = await _cannot_compare(reading, wanted.position)
        if reason:
            return Verdict(number, UNKNOWN, **about, reason=reason)
        known = await reading.dead_letters()
        about["invalid"] = len(poisoned(known, wanted.position))
        try:
            differing, first = await _compare(partition, reading, known, wanted, now)
        except (FoldError, UnwritableRowError) as error:
            return Verdict(number, DIFFERENT, **about, reason=f"{error}; no dead letter names that record")
        reason = await _cannot_compare(reading, wanted.position)
        if reason:  # retention has overtaken the reading
            return Verdict(number, UNKNOWN, **about, reason=reason)
        return Verdict(number, DIFFERENT if differing else SAME, **about, differing=differing, first=first)


def partition_of(settings: Settings, domain: Domain, number: int) -> Partition:
    """What a task of an installation is made of."""
    return Partition(
        domain,
        number,
        settings.partitions,
        partitioner(settings.partitions),
        topic_name(settings, domain, "events"),
        settings.key_limit,
        settings.options,
    )


async def _compare(
    partition: Partition, reading: Reading, known: dict[int, Letter], wanted: Made, now: int
) -> tuple[int, Difference | None]:
    poison = poisoned(known, wanted.position)
    made = await _rebuilt(Rebuild(partition, poison, now, known=known), reading, wanted.position)
    found = differences(partition.domain, made.cells, wanted.cells)
    if not found[0] or partition.domain.at_time is None:
        return found
    # What time has changed between two events may decide about the second one.
    rebuild = Rebuild(partition, poison, now, await reading.publications(), known=known)
    made = await _rebuilt(rebuild, reading, wanted.position)
    return differences(partition.domain, made.cells, wanted.cells)


async def _rebuilt(rebuild: Rebuild, reading: Reading, position: int) -> Made:
    async for records in reading.records("events", position):
        rebuild.read(records)
    return rebuild.finish()


async def _place(reading: Reading, key: bytes | None) -> str:
    """Where the latest record of a key is. What is compared keeps no offsets, so the changelog is read once more."""
    offset, _ = (await reading.latest("changelog")).get(key, (None, None))
    topic = reading.topic("changelog")
    return f"{topic.topic} partition {topic.partition}{'' if offset is None else f' offset {offset}'}"


async def _cannot_compare(reading: Reading, position: int) -> str:
    topic, beginning = reading.topic("events").topic, await reading.beginning("events")
    if beginning and position:
        return (
            f"{topic} begins at offset {beginning}: what came before was deleted by its retention, and "
            "cannot be folded again. The changelog by itself is sound"
        )
    end = await reading.end("events")
    if end < position:
        return f"{topic} ends at offset {end}, before {position}: it was recreated or cut off"
    return ""
