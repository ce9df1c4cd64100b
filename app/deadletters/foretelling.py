"""How letters would end, were they resent now: the dry run of a resend, by the rows that there are.

Each is folded by the worker's own code, as the record that it would be, into its row as the changelog has it, one after
the other: of two letters about one event the second is the DUPLICATE that it would be. What its source has sent by
itself is told by its sequence, and a resent letter by its original; so each that would count is folded once more, as a
record without an original, to see whether its row has passed its sequence. Nothing is written, and nothing is known of
what no worker has folded yet.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import msgspec

from agents.aggregate import aggregate
from agents.deadletter import RESENT, opened
from agents.driver import Sent
from agents.task import FoldError, Task
from app.clock import now_ms
from app.deadletters.letter import Letter
from app.deadletters.resending import Prepared, Resent
from app.engine.fetch import consuming
from app.repair.found import CHANGELOG, salvaged
from app.settings import Settings
from app.verify.partition import partition_of
from app.verify.reading import Reading, Say
from tables.cells import Cells, Problem
from tables.domain import Domain
from tables.event import Outcome
from tables.table import CorruptCellError

# The changelog is read once for so many, and they and their rows are in memory meanwhile.
LETTERS, LETTERS_BYTES = 5_000, 64 * 1024 * 1024
COUNTED, OVERTAKEN = "its event is counted already", "its row knows something newer"
PASSED = (
    "its row has counted its sequence already, or later ones. It counts all the same, by its original; so if its "
    "producer has sent it again by itself, it counts twice"
)

Held = dict[bytes | None, bytes]
Rows = Callable[[Mapping[int, set[bytes]]], Awaitable[Mapping[int, Held]]]
"""Keys of rows by partition -> their cells and the partition's own, by partition."""


class Foretelling:
    """Foretells how letters of a domain would end.

    Args:
        settings: of the installation.
        domain: whose letters they are.
        rows: reads the rows that they are about.
    """

    def __init__(self, settings: Settings, domain: Domain, rows: Rows) -> None:
        self._domain = domain
        self._rows = rows
        self._partitions = {number: partition_of(settings, domain, number) for number in range(settings.partitions)}
        self._cells: Mapping[int, Held] = {}
        self._of_row: dict[tuple[int, bytes], Held] = {}
        self._tasks: dict[int, Task] = {}

    async def foretold(self, prepared: AsyncIterator[Prepared]) -> AsyncIterator[Resent]:
        """What would be done about letters, and to which end."""
        waiting, size = list[Prepared](), 0
        async for one in prepared:
            waiting.append(one)
            size += sum(len(letter.value or b"") for letter in (one.mended, one.resent.letter) if letter is not None)
            if len(waiting) == LETTERS or size > LETTERS_BYTES:
                for resent in await self._all(waiting):
                    yield resent
                waiting, size = [], 0
        for resent in await self._all(waiting):
            yield resent

    async def _all(self, prepared: list[Prepared]) -> list[Resent]:
        wanted: dict[int, set[bytes]] = {}
        for mended, resent in prepared:
            if mended is not None:
                wanted.setdefault(resent.to.partition, set()).add(mended.key or b"")
        self._tasks, self._cells, self._of_row = {}, await self._rows(wanted) if wanted else {}, {}
        for number, held in self._cells.items():
            for key, value in held.items():
                self._of_row.setdefault((number, _row_of(key) or b""), {})[key] = value
        return [resent if mended is None else self._foretold(mended, resent) for mended, resent in prepared]

    def _foretold(self, mended: Letter, resent: Resent) -> Resent:
        number = resent.to.partition
        if number not in self._tasks:
            self._tasks[number] = self._task(number, self._cells[number])
        outcome, reason = _folded(self._tasks[number], mended, [(RESENT, str(mended.original).encode())])
        if outcome is None:  # the fold has raised: its rows must not be used any more
            del self._tasks[number]
            outcome = Outcome.INVALID
        elif outcome is Outcome.APPLIED:
            reason = PASSED if self._passed(number, mended) else ""
        elif outcome in {Outcome.DUPLICATE, Outcome.LATE}:
            reason = COUNTED if outcome is Outcome.DUPLICATE else OVERTAKEN
        return resent._replace(outcome=outcome.name, reason=reason)

    def _passed(self, number: int, mended: Letter) -> bool:
        """Whether the row, as it is, would not count the same event from its producer."""
        row = self._of_row.get((number, mended.key or b""))
        return row is not None and _folded(self._task(number, row), mended, [])[0] is not Outcome.APPLIED

    def _task(self, number: int, held: Held) -> Task:
        return salvaged(self._partitions[number], held, list(_problems(self._domain, held)), now_ms())


def _folded(task: Task, letter: Letter, headers: list[tuple[str, bytes | None]]) -> tuple[Outcome | None, str]:
    """How a record would end, and why it would be a dead letter; no outcome where the fold has raised."""
    now, before = now_ms(), list(task.table.totals.outcomes)
    stamp = now if letter.timestamp is None else letter.timestamp
    task.position = max(task.position, letter.original.offset + 1)  # it comes after its original
    try:
        aggregate(task, [Sent(task.position, letter.key, letter.value, headers, stamp)], now)
    except FoldError as error:
        return None, error.reason
    outcome = next(one for one in Outcome if task.table.totals.outcomes[one] > before[one])
    letters, task.outgoing = task.outgoing, []
    return outcome, next((opened(sent.headers)[0]["reason"] for sent in letters if sent.role == "dead-letters"), "")


def _problems(domain: Domain, held: Held) -> list[Problem]:
    """Cells that cannot be read. That there are fewer rows than the totals know is none: the others were left out."""
    cells, found = Cells(domain), list[Problem]()
    for key, value in held.items():
        try:
            cells.path(key or b"", value)
        except CorruptCellError as error:
            found.append(Problem(key, str(error)))
    return found


def _row_of(key: bytes | None) -> bytes | None:
    """The key of the row that a cell belongs to; None for the partition's own, and for what is no cell."""
    try:
        entity = msgspec.json.decode(key or b"")[0]
        return entity.encode() if isinstance(entity, str) else None
    except (msgspec.MsgspecError, LookupError, TypeError, ValueError):
        return None


class Changelogs:
    """Reads the rows that letters are about, and no others, from a domain's changelog.

    Args:
        settings: of the installation.
        domain: whose they are.
        say: told how far it is.
    """

    def __init__(self, settings: Settings, domain: Domain, say: Say) -> None:
        self._settings = settings
        self._domain = domain
        self._say = say

    async def rows(self, wanted: Mapping[int, set[bytes]]) -> Mapping[int, Held]:
        """Their cells, and the partition's own, by partition."""
        found = {}
        async with consuming(self._settings) as consumer:  # of its own: the letters' is in the middle of theirs
            for number, keys in wanted.items():
                found[number] = await _held(Reading(self._settings, self._domain, number, consumer, self._say), keys)
        return found


async def _held(reading: Reading, keys: set[bytes]) -> Held:
    """In two parts: what is compacted away while the long first one is read is in the short second one."""
    held: Held = {}
    start = None
    for _ in range(2):
        end = await reading.end(CHANGELOG)
        if end > (start or 0):
            async for records in reading.records(CHANGELOG, end, start):
                for record in records:
                    if record.key is not None and (record.key.startswith(b"[null") or _row_of(record.key) in keys):
                        _keep(held, record.key, record.value)
        start = end
    return held


def _keep(held: Held, key: bytes, value: bytes | None) -> None:
    if value is None:
        held.pop(key, None)
    else:
        held[key] = value
