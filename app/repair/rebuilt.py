"""A partition made anew from its events, with all that it would have published."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from agents import deadletter
from agents.emit import publish
from agents.task import FoldError, Outgoing, Task
from app.repair.found import CHANGELOG, TOTALS, Latest, kept_roles
from app.verify.letters import Letter, poisoned
from app.verify.reading import Reading
from app.verify.rebuild import Partition, Publications, Rebuild
from tables.row import Row
from tables.table import UnwritableRowError

MOST_DEFECTS = 1_000  # records whose fold raises; each one begins the whole table anew


@dataclass
class Rebuilt:
    """What the events say.

    Attributes:
        task: with the rows, every one as published at the moment of the rebuild.
        latest: role -> key -> value of what is published, as compaction would have it; without the totals.
        letters: dead letters that nobody has written yet.
        start: the first source offset that was read.
        records: how many records were folded.
    """

    task: Task
    latest: dict[str, Latest]
    start: int = 0
    records: int = 0
    letters: list[Outgoing] = field(default_factory=list)


@dataclass(frozen=True)
class Span:
    """What of the source is folded, and when.

    Attributes:
        start: the first offset.
        end: the one after the last.
        now: ms since the epoch.
        read_to_end_at: the time up to which the source is known to have been folded to its end; 0 where it is not.
    """

    start: int
    end: int
    now: int
    read_to_end_at: int


async def rebuild(
    reading: Reading,
    partition: Partition,
    span: Span,
    known: Mapping[int, Letter],
    told: Publications | None = None,
) -> Rebuilt:
    """Fold a span of the source.

    Args:
        reading: of the partition.
        partition: what to rebuild.
        span: of the source.
        known: the dead letters that there are: those records are INVALID by their word, and no letter is written twice.
        told: when rows were published, where that matters.

    Raises:
        FoldError: a defect of the domain at too many records.
    """
    poison = poisoned(known, span.end)
    for _ in range(MOST_DEFECTS):
        made = Rebuilt(partition.task(), {role: {} for role in kept_roles(partition.domain)}, span.start)
        keeper = _Keeper(made, known)
        folding = Rebuild(partition, poison, span.now, told, keeper.keep, known)
        made.task = folding.task
        made.task.position = span.start
        try:
            async for records in reading.records("events", span.end, span.start):
                made.records += len(records)
                folding.read(records)
        except (FoldError, UnwritableRowError) as error:  # as the engine does: the record becomes a dead letter
            poison[error.offset] = error.reason if isinstance(error, FoldError) else str(error)
        else:
            _settle(made.task, span, keeper)
            return made
    raise FoldError(max(poison), f"the fold has raised at {MOST_DEFECTS} records")


def _settle(task: Task, span: Span, keeper: "_Keeper") -> None:
    task.read_to_end_at = span.read_to_end_at
    for row in list(task.table.rows.values()):
        for record in settled(task, row, span.now):
            keeper.keep(record)
    task.table.take(span.now)  # the lists of the best take the rows in


def settled(task: Task, row: Row, now: int) -> list[Outgoing]:
    """Publish a row; what leaves is returned, and nothing is owed any more."""
    publish(task, row, now)
    row.scheduled = False
    outgoing, task.outgoing = task.outgoing, []
    return outgoing


class _Keeper:
    """Keeps what a rebuild publishes."""

    def __init__(self, made: Rebuilt, known: Mapping[int, Letter]) -> None:
        self._made = made
        self._known = known

    def keep(self, record: Outgoing) -> None:
        """Take a record in: into the topic that holds its latest value; a letter only if there is none yet.

        All else (alerts) was published when it happened, and is left alone.
        """
        if record.role == deadletter.ROLE:
            headers = dict(reversed(record.headers))  # the first of a name counts
            letter = self._known.get(int(headers[f"{deadletter.PREFIX}offset"] or b"0"))
            if letter is None or not letter.is_of(record.key, record.value):
                self._made.letters.append(record)
        elif record.role in self._made.latest and record.role not in {CHANGELOG, TOTALS}:
            latest = self._made.latest[record.role]
            if record.value is None:
                latest.pop(record.key, None)
            else:
                latest[record.key] = record.value
