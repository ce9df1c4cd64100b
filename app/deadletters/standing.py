"""What has become of dead letters: folded after all, dead again, or neither.

A partition's changelog knows which originals it has folded (`tables/resent.py`), and the dead letters that came of
resent ones name their originals. Nothing else has to be kept, and nothing can be told that did not happen.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer

from agents import deadletter
from agents.deadletter import Place
from app.deadletters.letter import Letter, letter_of
from app.deadletters.wanted import Wanted
from app.settings import Settings
from app.verify.reading import Reading, Say
from tables.domain import Domain
from tables.event import Outcome
from tables.resent import Original, recognised

OPEN, FOLDED, FORGOTTEN, TRUNCATED, AGAIN = "open", "folded", "forgotten", "truncated", "again as "
_MARK = b'[null,"resent/'
_name = msgspec.json.Decoder(tuple[None, str]).decode
_number = msgspec.msgpack.Decoder(int).decode

ROLES = ("changelog", deadletter.ROLE)

Marks = dict[str, int]
Ends = Mapping[int, tuple[int, int]]
"""Partition -> where its changelog and its dead letters end."""


@dataclass
class Standing:
    """What is known of the originals of a domain.

    Attributes:
        marks: partition -> what its changelog remembers of originals.
        newest: original -> (when, the id of the newest letter that came of resending it).
    """

    marks: dict[int, Marks] = field(default_factory=dict)
    newest: dict[Place, tuple[int, str]] = field(default_factory=dict)

    def of(self, letter: Letter) -> str:
        """What has become of a letter: `folded`, `again as ID`, `truncated`, `forgotten` or `open`."""
        known = {number: recognised(marks, _original(letter)) for number, marks in self.marks.items()}
        if Outcome.DUPLICATE in known.values():
            return FOLDED
        newest = self.newest.get(letter.original)
        if newest is not None and newest[1] != letter.id:
            return AGAIN + newest[1]
        if letter.truncated is not None:
            return TRUNCATED
        return FORGOTTEN if known.get(letter.partition) is Outcome.LATE else OPEN

    def forgotten_in(self, letter: Letter, partition: int) -> bool:
        """Whether a partition has forgotten which originals as old as the letter's it has folded."""
        return recognised(self.marks.get(partition, {}), _original(letter)) is Outcome.LATE

    def folded_in(self, letter: Letter, partition: int) -> bool:
        """Whether a partition has folded the letter's original, as far as it remembers."""
        return recognised(self.marks.get(partition, {}), _original(letter)) is Outcome.DUPLICATE


def _original(letter: Letter) -> Original:
    return Original(letter.original.partition, letter.original.offset)


class Letters:
    """Reads a domain's dead letters, and what has become of them.

    Args:
        settings: of the installation.
        domain: whose they are.
        consumer: of committed records, as `app.engine.fetch.reader` makes it.
        say: told how far it is.
    """

    def __init__(self, settings: Settings, domain: Domain, consumer: AIOKafkaConsumer, say: Say) -> None:
        self._partitions = settings.partitions
        self._consumer = consumer
        self._readings = [Reading(settings, domain, number, consumer, say) for number in range(settings.partitions)]
        self._version = bytes([domain.version])
        self._began: Ends = {}

    async def read(self, wanted: Wanted) -> AsyncIterator[Letter]:
        """The letters that are wanted, partition by partition, each in its order; up to where it ended first."""
        for number in wanted.partitions(self._partitions):
            async for letter in self.between(number, None, (await self.began()).get(number, (0, 0))[1]):
                if letter in wanted:
                    yield letter

    async def standing(self) -> Standing:
        """What is known of all originals, as of now."""
        found = Standing()
        if not any(letters for _, letters in (await self.began()).values()):
            return found  # of nothing
        for number in range(self._partitions):
            found.marks[number] = await self.marks(number)
        async for letter in self.read(Wanted()):
            if letter.original != letter.place:
                time = letter.written, letter.id
                found.newest[letter.original] = max(found.newest.get(letter.original, time), time)
        return found

    async def marks(self, number: int) -> Marks:
        """What a partition's changelog says of originals."""
        return await self.later_marks(number, Marks(), None, (await self.began())[number][0])

    async def later_marks(self, number: int, marks: Marks, start: int | None, end: int) -> Marks:
        """The same, where all of it up to an offset is known."""
        marks = marks.copy()
        async for records in self._records(number, "changelog", start, end):
            for record in records:
                if record.key is not None and record.key.startswith(_MARK):
                    _apply(marks, record.key, record.value, self._version)
        return marks

    async def between(self, number: int, start: int | None, end: int) -> AsyncIterator[Letter]:
        """The letters of a part of a partition; without a start, from the first that there is."""
        async for records in self._records(number, deadletter.ROLE, start, end):
            for record in records:
                letter = letter_of(record, number)
                if letter is not None:
                    yield letter

    async def _records(self, number: int, role: str, start: int | None, end: int) -> AsyncIterator[list[Any]]:
        # aiokafka's fetcher misses that it is to stop while it takes in a new assignment, and stopping it would wait
        # for ever: so nothing is assigned that need not be read.
        if end > (start or 0):
            async for records in self._readings[number].records(role, end, start):
                yield records

    async def began(self) -> Ends:
        """Where all ended when they were first looked at: what comes later is not in what is read."""
        if not self._began:
            self._began = await self.ends(range(self._partitions))
        return self._began

    async def ends(self, numbers: Iterable[int]) -> Ends:
        """Where changelogs and dead letters end, as far as no transaction is open."""
        topics = {number: [self._readings[number].topic(role) for role in ROLES] for number in numbers}
        found = await self._consumer.end_offsets([topic for pair in topics.values() for topic in pair])
        return {number: (found[changelog], found[letters]) for number, (changelog, letters) in topics.items()}


def _apply(marks: Marks, key: bytes, value: bytes | None, version: bytes) -> None:
    name = _name(key)[1]
    if value is None:
        marks.pop(name, None)
    elif value.startswith(version):  # else of another release; a worker would refuse it
        marks[name] = _number(value[1:])
