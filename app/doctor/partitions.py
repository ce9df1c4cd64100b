"""Every partition of every table: its cells, rows, totals, offset and source. Do they belong together?"""

import re
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

from aiokafka import TopicPartition

from app.clock import now_ms
from app.doctor.finding import ERROR, NOTE, WARNING, Finding, several
from app.doctor.installation import Installation
from app.engine.changelog import SKIPPED, first_unread
from app.engine.topic_ids import topic_ids
from app.history.shown import text
from app.repair.found import CHANGELOG, Found, find
from app.topology import topic_name
from app.verify.partition import partition_of
from tables.cells import Problem
from tables.domain import Domain

CHECK_CELLS, CHECK_OFFSETS = "cells", "offsets"
SHOWN = 20  # causes of bad cells in one partition, each with the first of them
_NAMES = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\d+")  # what may differ in reasons of one cause


class Case(NamedTuple):
    """A partition with what was found of it.

    `before` and `after` are the group's offset on either side of the reading: while a worker runs, the rows are as of
    some commit between the two.
    """

    installation: Installation
    domain: Domain
    number: int
    found: Found
    before: int | None
    after: int | None

    @property
    def changelog(self) -> str:
        """The topic of its cells."""
        return topic_name(self.installation.settings, self.domain, CHANGELOG)

    @property
    def source(self) -> str:
        """The topic of its events."""
        return topic_name(self.installation.settings, self.domain, "events")

    @property
    def replay(self) -> str:
        """The command that makes it anew."""
        return f"tidemark replay {self.domain.name} --partition {self.number}"


async def check(installation: Installation) -> AsyncIterator[Finding]:
    """All partitions of the domains whose topics are there."""
    for domain in installation.domains:
        if not installation.is_whole(domain):
            continue
        source = topic_name(installation.settings, domain, "events")
        ids = await topic_ids(installation.admin._client, [source])  # noqa: SLF001 - nothing public asks
        for number in range(installation.settings.partitions):
            case = await _look(installation, domain, number, ids.get(source, 0))
            for finding in (*_cells(case), *_offsets(case)):
                yield finding


async def _look(installation: Installation, domain: Domain, number: int, source_id: int) -> Case:
    where = TopicPartition(topic_name(installation.settings, domain, "events"), number)
    before = (await installation.committed()).get(where)
    partition = partition_of(installation.settings, domain, number)
    found = await find(installation.reading(domain, number), partition, before, source_id, now_ms(), [CHANGELOG])
    return Case(installation, domain, number, found, before, (await installation.committed()).get(where))


def _cells(case: Case) -> Iterator[Finding]:
    """Bad cells in the order of their offsets; those of one cause together, at the first of them."""
    offsets = case.found.offsets
    causes = dict[str, list[Problem]]()
    for problem in sorted(case.found.problems, key=lambda problem: offsets.get(problem.key, -1)):
        causes.setdefault(_NAMES.sub("", problem.reason), []).append(problem)
    for problems in list(causes.values())[:SHOWN]:
        places = [offsets[problem.key] for problem in problems if problem.key in offsets]
        among = f" ({len(problems):,} cells: offsets {several(places)})" if len(problems) > 1 else ""
        yield _of_cell(case, problems[0].reason + among, offsets.get(problems[0].key), text(problems[0].key))
    if len(causes) > SHOWN:
        yield _of_cell(case, f"{sum(map(len, list(causes.values())[SHOWN:])):,} more cells, for other reasons")


def _of_cell(case: Case, what: str, offset: int | None = None, cell: str | None = None) -> Finding:
    return Finding(
        severity=ERROR,
        check=CHECK_CELLS,
        what=what,
        why="a worker that takes the partition over stops there: it cannot know what the row was",
        remedy=f"{case.replay} shows what the events say, and with --execute puts it in its place; where a newer "
        "version has written it, run that version again",
        topic=case.changelog,
        partition=case.number,
        offset=offset,
        cell=cell,
    )


def _offsets(case: Case) -> Iterator[Finding]:
    found, position = case.found, case.found.task.position
    domain = case.domain.name
    if found.foreign:
        yield _of_source(
            case,
            ERROR,
            f"it is not the topic that the rows were folded from, up to offset {position}: it was created anew",
            "a worker refuses: its offsets mean other records",
            f"tidemark reset {domain} --execute begins anew with it; another TIDEMARK_PREFIX keeps the rows",
        )
        return
    if position > found.end:
        yield _of_source(
            case,
            ERROR,
            f"it ends at offset {found.end}, and the rows hold its records up to {position}",
            "a worker refuses: the topic was created anew, or brokers have lost records",
            f"tidemark replay {domain} makes the rows anew from what it holds; tidemark reset {domain} begins anew",
        )
        return
    if any(problem.key is not None and problem.key.startswith(b"[null]") for problem in found.problems):
        return  # the position is not known
    yield from _group_offset(case, position)
    first = first_unread(found.task)
    if first < found.beginning and (position or found.committed is not None):
        yield _of_source(
            case,
            WARNING,
            f"{found.beginning - first:,} offsets, from {first} on, were deleted before they were folded",
            "a worker goes on with the first record that is left; the others are in no number",
            "nothing brings them back: lengthen TIDEMARK_EVENTS_RETENTION_DAYS, or run workers more often",
        )
    skipped = found.task.table.marks.get(SKIPPED, 0)
    if skipped:
        yield _of_source(
            case,
            NOTE,
            f"{skipped:,} offsets have been skipped, ever: retention had deleted them before they were folded",
            "the rows lack what they said",
            f"ingest them again from elsewhere; `{case.replay} --from beginning` makes the rows of what is left",
        )


def _group_offset(case: Case, position: int) -> Iterator[Finding]:
    if case.before is None:
        if position and case.after is None:
            yield _of_source(
                case,
                NOTE,
                f"the group {case.installation.group} has no offset here, and the rows end at {position}",
                "offsets of a group without members expire; the rows know their position, and a worker goes on there",
                "nothing has to be done",
            )
    elif not case.before <= position <= (case.after or case.before):
        script = f"kafka-consumer-groups.sh --bootstrap-server {case.installation.settings.bootstrap_servers}"
        yield _of_source(
            case,
            ERROR,
            f"the group {case.installation.group} has committed offset {case.before}, and the rows end at {position}",
            "both are written in one transaction, so somebody has moved the offset, or the changelog has lost records; "
            "a worker refuses",
            f"if the offset was moved: {script} --group {case.installation.group} --topic {case.source}:{case.number} "
            f"--reset-offsets --to-offset {position} --execute; else: {case.replay}",
        )


def _of_source(case: Case, severity: str, what: str, why: str, remedy: str) -> Finding:
    return Finding(
        severity=severity,
        check=CHECK_OFFSETS,
        what=what,
        why=why,
        remedy=remedy,
        topic=case.source,
        partition=case.number,
    )
