"""Rollups: point-in-time snapshots of projects, from any service, picked by day and rolled up by ISO week.

A row is an environment. For each of its instances (deployments of a service) it keeps the first snapshot of every UTC
day, the day's *pick*, and a rollup of the picks of every week that is closed. Weeks close for a whole environment at
once: when an event of it is past Monday 00:05 UTC of the week after, or when the clock is and the source has been read
to its end. From then on nothing changes them: a snapshot of a closed week is LATE.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from hashlib import blake2b
from heapq import nlargest, nsmallest
from itertools import groupby
from typing import Annotated, Any

import msgspec

from tables.domain import Domain, Topic
from tables.emission import AtTime, Debounced, Snapshot
from tables.event import DAY_MS, Event, Outcome, day_of, millis
from tables.option import Option
from tables.periods import between
from tables.picks import BINS, MOST_NAMES, NAME_LENGTH, Day, Week, day_shown, rolled_up, week_shown
from tables.row import Cell, CellName, Head, Row
from tables.totals import Totals
from tables.views import Answer, Asked, ListView, Parameter, SortKey
from tables.weeks import WEEK_DAYS, closed_by, closing_of, day_number, monday_of, week_name

MOST_TOTALS = 16
# Of a day, per instance: one a minute. 9 bytes each, written with every snapshot of the day.
REMEMBERED = 1_440

DAYS = Option(
    "rollup_day_limit",
    400,
    "An instance keeps its picks of so many days; at least those of the two weeks that can be open.",
    least=2 * WEEK_DAYS,
    most=4_000,
)
WEEKS = Option("rollup_week_limit", 520, "An instance keeps the rollups of so many weeks.", least=1, most=4_000)
INSTANCES = Option(
    "rollup_instance_limit",
    200,
    "An environment keeps so many instances; a new one takes the place of the one whose last snapshot is the oldest.",
    least=1,
    most=500,
)

_Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]  # a week's sum of seven has 56 bits of 63
_Id = Annotated[str, msgspec.Meta(max_length=256)]
_Label = Annotated[str, msgspec.Meta(max_length=NAME_LENGTH)]
_Histogram = Annotated[dict[_Label, _Count], msgspec.Meta(max_length=MOST_NAMES)]
_Amounts = Annotated[dict[_Label, _Count], msgspec.Meta(max_length=MOST_TOTALS)]


class ProjectsSnapshot(Event, kw_only=True):
    """How a service's projects were at a time. `totals`: named counts, or the number of projects alone."""

    instance_id: _Id | None = None
    env: _Id | None = None
    timestamp: datetime
    totals: _Count | _Amounts
    by_status: _Histogram
    by_priority: _Histogram
    progress_distribution: Annotated[list[_Count], msgspec.Meta(min_length=BINS, max_length=BINS)]


class RollupsHead(Head):
    """An environment.

    `closed_until`: weeks that begin before are closed, ms. `due`: when the clock closes the next one, whether anything
    has come for it or not: else it would be open for ever to whoever comes too late. `leaving`: how many instances have
    been dropped whose records are still to be deleted.
    """

    closed_until: int = 0
    due: int = 0
    leaving: int = 0


class Instances(Cell):
    """("instances",): the ids of those that are kept, in order."""

    ids: list[str] = msgspec.field(default_factory=list)


class Instance(Cell):
    """("instance", id), and ("leaving", id) for one that has been dropped. Days are counted from 1970, in order.

    `days`, `weeks`: those that are kept (a week is its Monday). `owed_*`: those to be published, or deleted where they
    are kept no longer.
    """

    at: int = 0
    days: list[int] = msgspec.field(default_factory=list)
    weeks: list[int] = msgspec.field(default_factory=list)
    owed_days: list[int] = msgspec.field(default_factory=list)
    owed_weeks: list[int] = msgspec.field(default_factory=list)


class RollupsTotals(Totals):
    """Stock: instances, their picks, their rollups of closed weeks."""

    instances: int = 0
    days: int = 0
    weeks: int = 0


def _day_cell(instance: str, day: int) -> CellName:
    return "day", instance, day_of(day * DAY_MS)


def _week_cell(instance: str, monday: int) -> CellName:
    return "week", instance, week_name(monday)


# -- the fold ----------------------------------------------------------------------------------------------------------

CHANGED, EVERYTHING = 1, 2
"""Bits of `pending`: what the instances owe; every record there is, which nobody owes, for whoever wants to compare."""


def reduce(row: Row, event: ProjectsSnapshot, at: int, totals: RollupsTotals) -> Outcome:
    """One snapshot into its day. It is known by its instance and time; without an instance by time and content."""
    head: RollupsHead = row.head
    instance, number = event.instance_id or "", at // DAY_MS
    amounts = event.totals if isinstance(event.totals, dict) else {"projects": event.totals}
    content = (amounts, event.by_status, event.by_priority, event.progress_distribution)
    mark = at % DAY_MS if instance else _mark(at % DAY_MS, content)
    name = _day_cell(instance, number)
    day: Day | None = row.cells.get(name)
    if day is not None and _remembers(day, mark):
        return Outcome.DUPLICATE
    if at < head.closed_until or not _room(row, instance, at, totals):
        return Outcome.LATE
    state: Instance = row.cell(("instance", instance), Instance)
    state.at = max(state.at, at)
    if day is None:
        row.cell(name, lambda: Day(at, *content, seen=[mark]))
        _keep_day(row, instance, number, totals)
    else:
        row.touch(name)
        if at < day.timestamp:
            day.timestamp = at
            day.totals, day.by_status, day.by_priority, day.progress = content
        insort(day.seen, mark)
        del day.seen[:-REMEMBERED]
    _owe(state.owed_days, number)
    _close(row, closed_by(at), totals)
    head.due = closing_of(head.closed_until)
    head.pending |= CHANGED
    return Outcome.APPLIED


def _mark(moment_ms: int, content: tuple[Any, ...]) -> int:
    """27 bits of the time of the day and 36 of the content."""
    digest = blake2b(msgspec.msgpack.encode(content, order="sorted"), digest_size=5).digest()
    return moment_ms << 36 | int.from_bytes(digest, "big") >> 4


def _remembers(day: Day, mark: int) -> bool:
    place = bisect_left(day.seen, mark)
    return place < len(day.seen) and day.seen[place] == mark


def _owe(owed: list[int], number: int) -> None:
    place = bisect_left(owed, number)
    if owed[place : place + 1] != [number]:
        owed.insert(place, number)


def _keep_day(row: Row, instance: str, number: int, totals: RollupsTotals) -> None:
    state: Instance = row.cells["instance", instance]
    insort(state.days, number)
    totals.days += 1
    while len(state.days) > row.table.options[DAYS.name]:
        oldest = state.days.pop(0)
        row.drop(_day_cell(instance, oldest))
        _owe(state.owed_days, oldest)
        totals.days -= 1


# -- instances come and go ---------------------------------------------------------------------------------------------


def _room(row: Row, instance: str, at: int, totals: RollupsTotals) -> bool:
    """Make room for an instance at a time. False: it is older than those that are kept, and nothing has happened."""
    kept: Instances | None = row.cells.get(("instances",))
    ids = kept.ids if kept is not None else []
    state: Instance | None = row.cells.get(("instance", instance))
    surplus = len(ids) + (state is None) - row.table.options[INSTANCES.name]
    if surplus > 0:  # a new instance, or the limit was lowered
        oldest = nsmallest(surplus, (_age(row, other) for other in ids if other != instance))
        if max(at, state.at if state is not None else 0) <= oldest[-1][0]:
            return False
        for _, other in oldest:
            _leave(row, other, totals)
    if state is None:
        insort(row.cell(("instances",), Instances).ids, instance)
        totals.instances += 1
    return True


def _age(row: Row, instance: str) -> tuple[int, str]:
    """What the instances are ordered by, the one to go first being the smallest."""
    return row.cells["instance", instance].at, instance


def _leave(row: Row, instance: str, totals: RollupsTotals) -> None:
    """Drop an instance. What was published of it is deleted with the row's next publication."""
    state: Instance = row.cells["instance", instance]
    row.cell(("instances",), Instances).ids.remove(instance)
    for number in state.days:
        row.drop(_day_cell(instance, number))
    for monday in state.weeks:
        row.drop(_week_cell(instance, monday))
    row.drop(("instance", instance))
    totals.instances -= 1
    totals.days -= len(state.days)
    totals.weeks -= len(state.weeks)
    name = ("leaving", instance)
    row.head.leaving += name not in row.cells
    leaving: Instance = row.cell(name, Instance)
    leaving.owed_days = sorted({*leaving.owed_days, *state.days, *state.owed_days})
    leaving.owed_weeks = sorted({*leaving.owed_weeks, *state.weeks, *state.owed_weeks})


def _instances(row: Row) -> Iterator[tuple[str, Instance]]:
    kept: Instances | None = row.cells.get(("instances",))
    for instance in kept.ids if kept is not None else ():
        yield instance, row.cells["instance", instance]


def bury(row: Row, totals: RollupsTotals) -> None:
    """Take an environment that is no more out of the totals."""
    for _, state in _instances(row):
        totals.instances -= 1
        totals.days -= len(state.days)
        totals.weeks -= len(state.weeks)


# -- weeks close -------------------------------------------------------------------------------------------------------


def _close(row: Row, until: int, totals: RollupsTotals) -> None:
    """Roll up the weeks that begin before a time."""
    head: RollupsHead = row.head
    if until <= head.closed_until:
        return
    for instance, state in _instances(row):
        first, end = bisect_left(state.days, head.closed_until // DAY_MS), bisect_left(state.days, until // DAY_MS)
        for monday, week in groupby(state.days[first:end], key=monday_of):
            row.put(_week_cell(instance, monday), _rolled_up(row, instance, week))
            state.weeks.append(monday)
            _owe(state.owed_weeks, monday)
            totals.weeks += 1
            row.touch(("instance", instance))
        while len(state.weeks) > row.table.options[WEEKS.name]:
            oldest = state.weeks.pop(0)
            row.drop(_week_cell(instance, oldest))
            _owe(state.owed_weeks, oldest)
            totals.weeks -= 1
            row.touch(("instance", instance))
    head.closed_until = until


def _rolled_up(row: Row, instance: str, days: Iterable[int]) -> Week:
    return rolled_up({number: row.cells[_day_cell(instance, number)] for number in days})


# -- what is published -------------------------------------------------------------------------------------------------


def suffix(instance: str, kind: str, name: str) -> str:
    """The stats key after the environment. No slash but ours: keys of different instances cannot be the same."""
    return f"{instance.replace('%', '%25').replace('/', '%2F')}/{kind}/{name}"


def snapshots(row: Row, now: int, totals: RollupsTotals) -> Sequence[Snapshot]:
    """Close what the clock closes; then the picks and weeks that are new, changed or gone since the last time."""
    head: RollupsHead = row.head
    if 0 < head.due <= now:
        _close(row, closed_by(now), totals)
        head.due = closing_of(head.closed_until)
    if head.pending & EVERYTHING:
        return [snapshot for name, state in _owing(row) for snapshot in _everything(row, name[1], state)]
    published: list[Snapshot] = []
    for name, state in _owing(row):
        if state.owed_days or state.owed_weeks:
            published += _records(row, name[1], state.owed_days, state.owed_weeks)
            state.owed_days, state.owed_weeks = [], []
            row.touch(name)
        if name[0] == "leaving":
            row.drop(name)
    head.leaving = 0
    return published


def _owing(row: Row) -> list[tuple[CellName, Instance]]:
    """All that may owe something, by name: the instances, and those that have been dropped."""
    leaving = sorted(name for name in row.cells if name[0] == "leaving") if row.head.leaving else []
    kept = [("instance", instance) for instance, _ in _instances(row)]
    return [(name, row.cells[name]) for name in (*leaving, *kept)]


def _records(row: Row, instance: str, days: Iterable[int], weeks: Iterable[int]) -> Iterator[Snapshot]:
    for number in days:
        day, name = row.cells.get(_day_cell(instance, number)), suffix(instance, "day", day_of(number * DAY_MS))
        yield Snapshot(name, None if day is None else day_shown(row.entity, instance, number, day))
    for monday in weeks:
        week, name = row.cells.get(_week_cell(instance, monday)), suffix(instance, "week", week_name(monday))
        yield Snapshot(name, None if week is None else week_shown(row.entity, instance, monday, week))


def _everything(row: Row, instance: str, state: Instance) -> Iterator[Snapshot]:
    days, weeks = {*state.days, *state.owed_days}, {*state.weeks, *state.owed_weeks}
    return _records(row, instance, sorted(days), sorted(weeks))


def suffixes(row: Row) -> list[str]:
    """The keys of everything that is published of an environment, or still to be deleted."""
    names = [
        name
        for (_, instance), state in _owing(row)
        for name in (
            *(suffix(instance, "day", day_of(day * DAY_MS)) for day in (*state.days, *state.owed_days)),
            *(suffix(instance, "week", week_name(monday)) for monday in (*state.weeks, *state.owed_weeks)),
        )
    ]
    return list(dict.fromkeys(names))


# -- views -------------------------------------------------------------------------------------------------------------

ANY = "*"
_PARAMETERS = (
    Parameter("env", ANY, about="of this environment; an empty one is that of snapshots without one, * is any"),
    Parameter("instance", ANY, about="of this instance; an empty one is that of snapshots without one, * is any"),
    *between("day", "the oldest there is", "the newest there is"),
)


def _asked_for(row: Row, asked: Asked) -> Iterator[tuple[str, Instance]]:
    if asked["env"] in {ANY, row.entity}:
        limit, found = row.table.options[INSTANCES.name], list(_instances(row))
        if len(found) > limit:  # it was lowered, and nothing has come since
            kept = {instance for _, instance in nlargest(limit, (_age(row, instance) for instance, _ in found))}
            found = [(instance, state) for instance, state in found if instance in kept]
        for instance, state in found:
            if asked["instance"] in {ANY, instance}:
                yield instance, state


def _within(days: range, asked: Asked) -> bool:
    """Whether one of these days was asked for."""
    first = max(days[0], day_number(asked["from"])) if asked["from"] else days[0]
    last = min(days[-1], day_number(asked["to"])) if asked["to"] else days[-1]
    return first <= last


def _daily(row: Row, asked: Asked, _now: int) -> Iterator[tuple[SortKey, tuple[str, int]]]:
    for instance, state in _asked_for(row, asked):
        for number in state.days[-row.table.options[DAYS.name] :]:
            if _within(range(number, number + 1), asked):
                yield [-number, row.entity, instance], (instance, number)


def _daily_line(row: Row, needed: tuple[str, int], _asked: Asked, _now: int) -> Answer:
    return day_shown(row.entity, *needed, row.cells[_day_cell(*needed)])


def _open_from(row: Row) -> int:
    """The Monday of the first open week."""
    return monday_of(row.head.closed_until // DAY_MS)


def _weekly(row: Row, asked: Asked, _now: int) -> Iterator[tuple[SortKey, tuple[str, int]]]:
    for instance, state in _asked_for(row, asked):
        running = dict.fromkeys(monday_of(day) for day in state.days[bisect_left(state.days, _open_from(row)) :])
        for monday in (*state.weeks[-row.table.options[WEEKS.name] :], *running):
            if _within(range(monday, monday + WEEK_DAYS), asked):
                yield [-monday, row.entity, instance], (instance, monday)


def _weekly_line(row: Row, needed: tuple[str, int], _asked: Asked, _now: int) -> Answer:
    instance, monday = needed
    if monday < _open_from(row):
        return week_shown(row.entity, instance, monday, row.cells[_week_cell(instance, monday)])
    days = [day for day in row.cells["instance", instance].days if monday <= day < monday + WEEK_DAYS]
    return week_shown(row.entity, instance, monday, _rolled_up(row, instance, days), closed=False)


ROLLUPS = Domain(
    name="rollups",
    entity_name="environment",
    version=1,
    event=ProjectsSnapshot,
    entity=lambda event: event.env or "",
    at=lambda event: millis(event.timestamp),
    reduce=reduce,
    head=RollupsHead,
    cells={"instances": Instances, "instance": Instance, "leaving": Instance, "day": Day, "week": Week},
    totals=RollupsTotals,
    bury=bury,
    snapshots=snapshots,
    suffixes=suffixes,
    emission=Debounced(1.0),
    at_time=AtTime(due=lambda head: head.due, after_backlog=True),
    topics=(
        Topic("events", "projects-snapshots", "the source: point-in-time counts of all projects", retention_days=30),
        Topic("stats", "projects-rollups", "the latest pick per instance and day, the rollup per closed week"),
    ),
    settable=(DAYS, WEEKS, INSTANCES),
    key_limit=10_000,
    views=(
        ListView(
            "/rollups/daily",
            "The first snapshot of every day, the newest first.",
            _daily,
            _daily_line,
            parameters=_PARAMETERS,
        ),
        ListView(
            "/rollups/weekly",
            "Weeks, the newest first; open ones as they stand.",
            _weekly,
            _weekly_line,
            parameters=_PARAMETERS,
        ),
    ),
)
