"""Dead letters back into the source topic, each by the name of its original, so that it is folded once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from agents.deadletter import RESENT, Place
from app.deadletters.letter import Letter
from app.deadletters.mending import Mending, MendingError
from app.deadletters.standing import AGAIN, FOLDED, Standing
from app.deadletters.trial import Trial
from app.settings import Settings
from app.topology import topic_name
from tables.domain import Domain

WOULD, RESENT_TO, ALREADY, REFUSED, FAILED = "would be resent", "resent", "already folded", "refused", "failed"
Sending = asyncio.Future[Any]
WINDOW = 500  # letters under way before the next is read: at most 500 x 1 MiB of them in memory


class Resent(NamedTuple):
    """What was done about a letter.

    Attributes:
        letter: as it was.
        result: would be resent, resent, already folded, refused, or failed.
        to: where it is now; the offset is -1 where it is not.
        reason: why it was refused, or has failed; of one that would be resent, what is to be known of its outcome.
        outcome: how the resent record would end: APPLIED, DUPLICATE, ...; "" where nobody has foretold it.
    """

    letter: Letter
    result: str
    to: Place
    reason: str = ""
    outcome: str = ""


class Prepared(NamedTuple):
    """A letter as it would be sent, None where it would not be; and what would be said of it."""

    mended: Letter | None
    resent: Resent


class Resender:
    """Resends letters of a domain, or only prepares it.

    Args:
        settings: of the installation.
        domain: whose letters they are.
        standing: what has become of them.
        mending: what is to be different.
        by_id: letters are meant by their ids, so that also one is sent of which a newer one exists.
        unchecked: send also what has been folded, and what this release would make a dead letter again.
    """

    def __init__(
        self, settings: Settings, domain: Domain, standing: Standing, mending: Mending, *, by_id: bool, unchecked: bool
    ) -> None:
        self._settings = settings
        self._domain = domain
        self._standing = standing
        self._mending = mending
        self._by_id = by_id
        self._unchecked = unchecked
        self._trial = Trial(settings, domain)
        self._topic = topic_name(settings, domain, "events")

    async def prepared(self, letters: AsyncIterator[Letter]) -> AsyncIterator[Prepared]:
        """What would be done about letters."""
        async for letter in letters:
            yield await self._prepared(letter)

    async def resend(self, letters: AsyncIterator[Letter]) -> AsyncIterator[Resent]:
        """Send letters, in their order. It ends at the first ones that could not be delivered.

        By an idempotent producer: what it repeats after a lost answer is written once; what a second command repeats
        is recognised by its original.
        """
        producer = AIOKafkaProducer(**self._settings.kafka(), enable_idempotence=True)
        await producer.start()
        try:
            under_way: list[tuple[Resent, Sending | None]] = []
            async for letter in letters:
                mended, resent = await self._prepared(letter)
                under_way.append((resent, None) if mended is None else await self._send(producer, mended, resent))
                if len(under_way) == WINDOW:
                    done, under_way = [await _delivered(*sent) for sent in under_way], []
                    for one in done:
                        yield one
                    if any(one.result == FAILED for one in done):
                        return
            for sent in under_way:
                yield await _delivered(*sent)
        finally:
            await producer.stop()

    async def _prepared(self, letter: Letter) -> Prepared:
        standing = self._standing.of(letter)
        nowhere = Place(self._topic, letter.place.partition, -1)
        if letter.truncated is not None:
            return Prepared(None, Resent(letter, REFUSED, nowhere, _cut(letter)))
        if not self._unchecked:
            if standing == FOLDED:
                return Prepared(None, Resent(letter, ALREADY, nowhere))
            if standing.startswith(AGAIN) and not self._by_id:
                reason = f"it was resent and is a dead letter {standing}"
                return Prepared(None, Resent(letter, REFUSED, nowhere, reason))
        try:
            mended = await self._mending.mended(letter, self._domain)
        except MendingError as error:
            return Prepared(None, Resent(letter, REFUSED, nowhere, str(error)))
        to = nowhere._replace(partition=self._trial.partition_of(mended))
        if not self._unchecked:
            reason = self._refusal(letter, mended, to.partition)
            if reason:
                return Prepared(None, Resent(letter, REFUSED, to, reason))
        return Prepared(mended, Resent(letter, WOULD, to))

    def _refusal(self, letter: Letter, mended: Letter, partition: int) -> str:
        if self._standing.forgotten_in(letter, partition):
            return "its partition has forgotten which letters as old as this it has folded, and would count it as LATE"
        reason = self._trial.refusal(mended)
        return reason and f"it would be a dead letter again: {reason}"

    async def _send(
        self, producer: AIOKafkaProducer, mended: Letter, resent: Resent
    ) -> "tuple[Resent, Sending | None]":
        said = str(mended.original).encode()
        headers = [(RESENT, said), *((name, text) for name, text in mended.headers if name != RESENT)]
        try:
            sending: Sending = await producer.send(
                self._topic,
                value=mended.value,
                key=mended.key,
                partition=resent.to.partition,
                timestamp_ms=mended.timestamp,
                headers=headers,
            )
        except MessageSizeTooLargeError:
            reason = "with the header that names its original it is larger than 1 MiB, and no source takes it"
            return resent._replace(result=REFUSED, reason=reason), None
        except KafkaError as error:
            sending = asyncio.get_running_loop().create_future()
            sending.set_exception(error)
        return resent, sending


async def _delivered(resent: Resent, sending: "Sending | None") -> Resent:
    if sending is None:
        return resent
    try:
        offset = (await sending).offset
    except KafkaError as error:
        where = f"{resent.to.topic} partition {resent.to.partition}"
        return resent._replace(result=FAILED, reason=f"{where} does not take it: {error!r}")
    return resent._replace(result=RESENT_TO, to=resent.to._replace(offset=offset))


def _cut(letter: Letter) -> str:
    return (
        f"it was cut: of its {letter.truncated:,} bytes only the first are here. The whole record is at {letter.place} "
        "as long as that topic keeps it"
    )
