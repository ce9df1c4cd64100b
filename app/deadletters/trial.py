"""Whether a mended letter would be folded: it is, by the worker's own code, into a table that nobody keeps."""

from agents.aggregate import aggregate
from agents.deadletter import opened
from agents.driver import Sent
from agents.task import FoldError, Task
from app.clock import now_ms
from app.deadletters.letter import Letter
from app.partitions import partitioner
from app.settings import Settings
from app.topology import topic_name
from tables.domain import Domain
from tables.table import Table

ROWS = 1_000  # then the table is thrown away


class Trial:
    """Tries letters of a domain.

    Args:
        settings: of the installation.
        domain: whose letters they are.
    """

    def __init__(self, settings: Settings, domain: Domain) -> None:
        self._settings = settings
        self._domain = domain
        self._source = topic_name(settings, domain, "events")
        self._partition_of = partitioner(settings.partitions)
        self._tasks: dict[int, Task] = {}

    def partition_of(self, letter: Letter) -> int:
        """Where a letter goes: to its key's partition; without a key, to where it was."""
        return letter.place.partition if letter.key is None else self._partition_of(letter.key)

    def refusal(self, letter: Letter) -> str:
        """Why the record would be a dead letter again, as far as that can be told without the rows; "" if not."""
        number, now = self.partition_of(letter), now_ms()
        task = self._tasks.get(number) or self._task(number)
        stamp = now if letter.timestamp is None else letter.timestamp
        try:
            aggregate(task, [Sent(task.position, letter.key, letter.value, [], stamp)], now)
        except FoldError as error:
            del self._tasks[number]
            return error.reason
        if len(task.table.rows) >= ROWS:
            del self._tasks[number]
        letters, task.outgoing = task.outgoing, []
        return next((opened(sent.headers)[0]["reason"] for sent in letters if sent.role == "dead-letters"), "")

    def _task(self, number: int) -> Task:
        settings = self._settings
        table = Table(self._domain, number, partitions=settings.partitions, options=settings.options)
        task = self._tasks[number] = Task(self._domain, number, table, self._source, self._partition_of)
        return task
