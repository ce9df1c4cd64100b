"""How resent letters have ended: each is folded, late, or a dead letter again."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from app.admin import administering
from app.deadletters.resending import Resent
from app.deadletters.standing import FOLDED, ROLES, Ends, Letters, Standing
from app.group import committed_offsets
from app.settings import Settings
from app.topology import topic_name
from app.verify.reading import Say
from tables.domain import Domain

LATE, NOT_YET, DEAD_AGAIN = "late", "not folded yet", "a dead letter again, as "
POLL_SECONDS = 0.2


class Ended(NamedTuple):
    """How a resent letter has ended: `folded`, `late`, `a dead letter again, as ID`, or `not folded yet`."""

    resent: Resent
    end: str
    reason: str = ""


class Waiting:
    """Waits for resent letters of a domain.

    Args:
        settings: of the installation.
        domain: whose letters they are.
        letters: reads them.
        standing: what was known of originals before the first letter was sent.
        say: told how far it is.
    """

    def __init__(self, settings: Settings, domain: Domain, letters: Letters, standing: Standing, say: Say) -> None:
        self._settings = settings
        self._domain = domain
        self._letters = letters
        self._standing = standing
        self._say = say

    async def ended(self, sent: Iterable[Resent], seconds: float) -> list[Ended]:
        """How each of the sent ones has ended; those that nobody has folded after so many seconds are not yet."""
        sent = list(sent)
        if not sent:
            return []
        deadline = time.monotonic() + seconds
        wanted: dict[int, int] = {}
        for resent in sent:
            wanted[resent.to.partition] = max(wanted.get(resent.to.partition, 0), resent.to.offset + 1)
        committed = await self._committed(wanted, deadline)
        ends = await self._settled(wanted, deadline)
        found: dict[tuple[int, int], tuple[str, str]] = {}
        standing, began = Standing(), await self._letters.began()
        for number, (changelog, dead) in ends.items():
            start = began[number]
            known = self._standing.marks[number]
            standing.marks[number] = await self._letters.later_marks(number, known, start[0], changelog)
            async for letter in self._letters.between(number, start[1], dead):
                found[letter.place.partition, letter.place.offset] = letter.id, letter.reason
        return [_ended(resent, committed, standing, found) for resent in sent]

    async def _committed(self, wanted: Mapping[int, int], deadline: float) -> Mapping[int, int]:
        """Partition -> the group's offset, once it has passed what is wanted, or at the deadline."""
        topic = topic_name(self._settings, self._domain, "events")
        async with administering(self._settings) as admin:
            while True:
                offsets = await committed_offsets(admin, self._settings)
                found = {number: offsets.get(TopicPartition(topic, number)) for number in wanted}
                committed = {number: -1 if offset is None else offset.offset for number, offset in found.items()}
                behind = sum(max(0, end - committed[number]) for number, end in wanted.items())
                if not behind or time.monotonic() > deadline:
                    return committed
                self._say(f"waiting until {behind:,} more records are folded")
                await asyncio.sleep(POLL_SECONDS)

    async def _settled(self, numbers: Iterable[int], deadline: float) -> Ends:
        """Where changelogs and dead letters end, once what was committed before is visible there.

        The group's offset may be seen before the end of its transaction is written to all partitions. Nothing of the
        next transaction comes before that: what lies below the high watermark by now has to become stable.
        """
        topics = {
            TopicPartition(topic_name(self._settings, self._domain, role), n): n for n in numbers for role in ROLES
        }
        consumer = AIOKafkaConsumer(**self._settings.kafka(), isolation_level="read_uncommitted")
        await consumer.start()
        try:
            found = await consumer.end_offsets(topics)
        finally:
            await consumer.stop()
        high: dict[int, list[int]] = {}
        for topic, number in topics.items():
            high.setdefault(number, []).append(found[topic])
        while True:
            ends = await self._letters.ends(high)
            unstable = [
                number for number in high if any(a < b for a, b in zip(ends[number], high[number], strict=True))
            ]
            if not unstable or time.monotonic() > deadline:
                return ends
            await asyncio.sleep(POLL_SECONDS)


def _ended(
    resent: Resent, committed: Mapping[int, int], standing: Standing, found: Mapping[tuple[int, int], tuple[str, str]]
) -> Ended:
    where = resent.to.partition, resent.to.offset
    if where in found:
        id_, reason = found[where]
        return Ended(resent, DEAD_AGAIN + id_, reason)
    if committed[resent.to.partition] <= resent.to.offset:
        return Ended(
            resent, NOT_YET, f"the worker of {resent.to.topic} partition {resent.to.partition} has not come to it"
        )
    return Ended(resent, FOLDED if standing.folded_in(resent.letter, resent.to.partition) else LATE)
