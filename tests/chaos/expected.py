"""What must have become of every record: a domain's oracle, asked before and after each one.

The oracles know only the input topic. What they do not say themselves follows from how their counts move: which record
is a dead letter, and how often, and by which record at last, each row has been changed.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tables.domain import Domain
from tests.chaos.oracle import PlayersOracle
from tests.oracle.assessments import AssessmentsOracle
from tests.oracle.interface import Oracle, Raw
from tests.oracle.projects import ProjectsOracle
from tests.oracle.rollups import RollupsOracle
from tests.oracle.tutors import TutorsOracle
from tests.oracle.workers import WorkersOracle

ORACLES: Mapping[str, type[Oracle]] = {
    "assessments": AssessmentsOracle,
    "players": PlayersOracle,
    "workers": WorkersOracle,
    "tutors": TutorsOracle,
    "projects": ProjectsOracle,
    "rollups": RollupsOracle,
}
DEAD = {"invalid", "misrouted"}


def endings(oracle: Oracle, records: Iterable[Raw]) -> Iterator[tuple[Raw, set[str]]]:
    """Fold records, and say of each how it ended: the outcomes that are counted once more after it."""
    before = dict(oracle.outcomes())
    for record in records:
        oracle.fold(record)
        after = dict(oracle.outcomes())
        yield record, {name for name, count in after.items() if count > before.get(name, 0)}
        before = after


class Expected:
    """The input of one domain, folded by its oracle.

    Attributes:
        revisions: key -> how many records have changed its row; nothing for a row that is gone.
        offsets: key -> the offset of the last of those.
        dead: the records that must be dead letters, in their order.
        applied: partition -> how many records were applied.
        ends: partition -> the offset after its last record; nothing for one without records.
    """

    def __init__(self, domain: Domain, records: Iterable[Raw]) -> None:
        self.domain = domain
        self.oracle = ORACLES[domain.name]()
        self.revisions: dict[bytes, int] = {}
        self.offsets: dict[bytes, int] = {}
        self.dead: list[Raw] = []
        self.applied: dict[int, int] = {}
        self.ends: dict[int, int] = {}
        self.records = 0
        for record, ended in endings(self.oracle, records):
            self._note(record, ended)

    def _note(self, record: Raw, ended: set[str]) -> None:
        self.records += 1
        self.ends[record.partition] = record.offset + 1
        if ended & DEAD:
            self.dead.append(record)
        if "applied" in ended and record.key is not None:
            self.applied[record.partition] = self.applied.get(record.partition, 0) + 1
            self._changed(record.key, record)

    def _changed(self, key: bytes, record: Raw) -> None:
        if isinstance(self.oracle, ProjectsOracle) and key.decode() not in self.oracle.known:  # it was deleted
            self.revisions.pop(key, None)
            self.offsets.pop(key, None)
            return
        self.revisions[key] = self.revisions.get(key, 0) + 1
        self.offsets[key] = record.offset

    @property
    def cells(self) -> Mapping[tuple[str, ...], Any] | None:
        """Every cell as the oracle has it, where it has cells."""
        return self.oracle.cells if isinstance(self.oracle, PlayersOracle) else None
