"""Projects: a service's projects as they are, and point-in-time snapshots of their counts for aggregators.

An event says what a project is from now on; it carries no version and no time, so the order of the log is the order of
the facts and the record's timestamp is its time. All totals are stock: an update takes the old value out first, a
deletion takes it out for good.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec

from tables.domain import Domain, Topic
from tables.emission import Debounced, Periodic, Snapshot
from tables.event import NAME_LENGTH, REMOVED, Event, Name, Outcome, Removed, iso, millis
from tables.option import Option, Options
from tables.row import Head, Row
from tables.totals import Totals, Whole, add
from tables.views import AggregateView, Answer, Asked, EntityView, ListView, Parameter, SortKey, TotalsView

# How many statuses (and priorities) a partition tells apart; a project with one more counts under OTHER. The totals
# record and every snapshot hold all of them: 2 x 64 names x 64 characters stay below 100 kB.
MOST_NAMES = 64
OTHER = "Other"
BINS = 10  # of the progress: 0..10, 10..20, ... 90..100; a bin holds its lower edge, the last one its upper edge, too
_LATEST_MS = 253_402_300_799_999  # the last moment of the year 9999

INTERVAL = Option(
    "snapshot_interval",
    900,
    "Seconds between the snapshots of all projects; they are taken at its multiples (UTC).",
    least=1,
    most=86_400,
)
INSTANCE_ID = Option(
    "snapshot_instance_id",
    "",
    "What the snapshots call this deployment: one name for all of its workers. Left out where it is not set.",
    most=NAME_LENGTH,
    variable="INSTANCE_ID",
)
ENV = Option(
    "snapshot_env",
    "",
    "The environment that the snapshots name, and their key. Left out where it is not set; the key is empty then.",
    most=NAME_LENGTH,
    variable="ENV",
)

_Label = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Text = Annotated[str, msgspec.Meta(max_length=NAME_LENGTH)]


class Upserted(Event, tag_field="type", tag="upserted", kw_only=True):
    """What a project is from now on. One that does not say whether it is active is; progress is in percent."""

    project_id: Name
    name: _Text
    status: _Label
    priority: _Label
    customer_id: _Text | None = None
    active: bool = True
    progress: Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]
    started_at: datetime | None = None
    finished_at: datetime | None = None

    def __post_init__(self) -> None:
        """Turn down times that cannot be shown.

        Raises:
            ValueError: one of them lies before 1970 or after 9999.
        """
        for name, at in (("started_at", self.started_at), ("finished_at", self.finished_at)):
            if at is not None and not 0 <= millis(at) <= _LATEST_MS:
                raise ValueError(f"`{name}` has to lie in the years 1970 to 9999")


class Deleted(Event, tag_field="type", tag="deleted"):
    """The project is no more. A null value means the same for its key."""

    project_id: Name


class Project(msgspec.Struct, array_like=True, gc=False):
    """What is known of a project; times in ms since the epoch."""

    name: str = ""
    status: str = ""
    priority: str = ""
    customer_id: str | None = None
    active: bool = True
    progress: float = 0.0
    started_at: int | None = None
    finished_at: int | None = None


class ProjectHead(Head):
    """A project. `counted_*`: the names under which it is in the totals: its own, or OTHER."""

    project: Project = msgspec.field(default_factory=Project)
    counted_status: str = ""
    counted_priority: str = ""


class ProjectsTotals(Totals):
    """Stock, all of it: counts of the living projects. `progress_distribution`: by bin of the progress."""

    active: int = 0
    by_status: dict[str, int] = msgspec.field(default_factory=dict)
    by_priority: dict[str, int] = msgspec.field(default_factory=dict)
    progress_distribution: list[int] = msgspec.field(default_factory=lambda: [0] * BINS)


# -- the fold ----------------------------------------------------------------------------------------------------------


def reduce(row: Row, event: Upserted | Deleted, at: int, totals: ProjectsTotals) -> Outcome | Removed:
    """What an event says takes the place of what was known. An upsert that says nothing new is a DUPLICATE.

    Events come in their order, but for a resent dead letter: LATE where the project has changed since it was sent.
    """
    head: ProjectHead = row.head
    if row.table.resent and at < head.at:
        return Outcome.LATE
    if isinstance(event, Deleted):
        return REMOVED
    project = Project(
        event.name,
        event.status,
        event.priority,
        event.customer_id,
        event.active,
        event.progress,
        None if event.started_at is None else millis(event.started_at),
        None if event.finished_at is None else millis(event.finished_at),
    )
    if head.revision:
        if project == head.project:
            return Outcome.DUPLICATE
        _take_out(head, totals)
    head.project = project
    head.counted_status, head.counted_priority = _put_in(project, totals)
    head.pending |= 1
    return Outcome.APPLIED


def _put_in(project: Project, totals: ProjectsTotals) -> tuple[str, str]:
    """Count a project. Returns the names that it counts under: its status and priority, or OTHER."""
    names = _within(totals.by_status, project.status), _within(totals.by_priority, project.priority)
    _count(project, *names, totals, 1)
    return names


def _take_out(head: ProjectHead, totals: ProjectsTotals) -> None:
    _count(head.project, head.counted_status, head.counted_priority, totals, -1)


def _count(project: Project, status: str, priority: str, totals: ProjectsTotals, projects: int) -> None:
    totals.active += projects * project.active
    add(totals.by_status, status, projects)
    add(totals.by_priority, priority, projects)
    totals.progress_distribution[bin_of(project.progress)] += projects


def bin_of(progress: float) -> int:
    """The bin of a progress in percent; what is below 0 counts as 0, what is above 100 as 100."""
    return min(BINS - 1, int(min(100.0, max(0.0, progress)) // 10))


def _within(counts: dict[str, int], name: str) -> str:
    return name if name in counts or len(counts) - (OTHER in counts) < MOST_NAMES else OTHER


def bury(row: Row, totals: ProjectsTotals) -> None:
    """Take a project that is no more out of the totals."""
    _take_out(row.head, totals)


def _deleted(key: str) -> Deleted:
    if not 1 <= len(key) <= NAME_LENGTH:
        raise ValueError(f"the key has to be a `project_id`: 1..{NAME_LENGTH} characters")
    return Deleted(key)


# -- what is published -------------------------------------------------------------------------------------------------


def shown(row: Row) -> Answer:
    """A project, as the stats topic and the views say it. `updated_at`: the timestamp of the newest record."""
    head: ProjectHead = row.head
    project = head.project
    return {
        "project_id": row.entity,
        "name": project.name,
        "status": project.status,
        "priority": project.priority,
        "customer_id": project.customer_id,
        "active": project.active,
        "progress": project.progress,
        "started_at": None if project.started_at is None else iso(project.started_at),
        "finished_at": None if project.finished_at is None else iso(project.finished_at),
        "updated_at": iso(head.at),
    }


def snapshots(row: Row, _now: int, _totals: ProjectsTotals) -> Sequence[Snapshot]:
    """The project; a deleted one's record is deleted with its row."""
    return (Snapshot("", shown(row)),) if row.head.pending else ()


def counts(totals: ProjectsTotals) -> Answer:
    """The counts of projects, names in their order."""
    return {
        "totals": {"projects": totals.keys, "active": totals.active},
        "by_status": dict(sorted(totals.by_status.items())),
        "by_priority": dict(sorted(totals.by_priority.items())),
        "progress_distribution": totals.progress_distribution,
    }


def record(totals: ProjectsTotals, time_ms: int, options: Options) -> tuple[str, dict[str, Any]]:
    """The snapshot of all projects at a time, and its key: the environment."""
    named = {"instance_id": options[INSTANCE_ID.name], "env": options[ENV.name]}
    body = {name: value for name, value in named.items() if value} | {"timestamp": iso(time_ms)} | counts(totals)
    for histogram in ("by_status", "by_priority"):
        body[histogram] = _most(body[histogram])
    return options[ENV.name], body


def _most(counted: dict[str, int]) -> dict[str, int]:
    """Every partition has its own MOST_NAMES; a snapshot has the commonest of them all, and OTHER."""
    ranked = sorted(counted, key=lambda name: (name == OTHER, -counted[name], name))
    rest = sum(counted[name] for name in ranked[MOST_NAMES:])
    kept = {name: counted[name] for name in sorted(ranked[:MOST_NAMES])}
    if rest:
        add(kept, OTHER, rest)
    return kept


# -- views -------------------------------------------------------------------------------------------------------------

_FILTERS = (
    Parameter("customer_id", "", about="only this customer's projects"),
    Parameter("active", "", ("", "true", "false"), "only active projects, or only others"),
    Parameter("priority", "", about="only projects of this priority; Other: and those that count under it"),
    Parameter("status", "", about="only projects of this status; Other: and those that count under it"),
)


def _matches(head: ProjectHead, asked: Asked) -> bool:
    project = head.project
    return (
        asked["customer_id"] in {"", project.customer_id}
        and asked["active"] in {"", "true" if project.active else "false"}
        and asked["priority"] in {"", project.priority, head.counted_priority}
        and asked["status"] in {"", project.status, head.counted_status}
    )


def _add(row: Row, into: ProjectsTotals, asked: Asked, _now: int) -> None:
    """Under its own names as long as there is room: who asks for one that counts under OTHER is to see it."""
    if _matches(row.head, asked):
        into.keys += 1
        _put_in(row.head.project, into)


def _status_meta(whole: Whole, _asked: Asked) -> Answer:
    """What the filters can be set to: what there is, with its number of projects, the commonest first."""
    totals: ProjectsTotals = whole.totals
    return {
        "statuses": _choices(totals.by_status),
        "priorities": _choices(totals.by_priority),
        "active": [
            {"name": "true", "projects": totals.active},
            {"name": "false", "projects": totals.keys - totals.active},
        ],
        "progress_bins": [{"from": 100 // BINS * number, "to": 100 // BINS * (number + 1)} for number in range(BINS)],
        "sort": list(SORTS),
        "direction": list(DIRECTIONS),
    }


def _choices(counted: dict[str, int]) -> list[Answer]:
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [{"name": name, "projects": projects} for name, projects in ranked]


SORTS = ("updated", "name", "status", "priority", "progress")
DIRECTIONS = ("asc", "desc")


def _lines(row: Row, asked: Asked, _now: int) -> Iterable[tuple[SortKey, None]]:
    if _matches(row.head, asked):
        sort = asked["sort"]
        value = row.head.at if sort == "updated" else getattr(row.head.project, sort)
        yield _sort_key(value, descending=asked["direction"] == "desc"), None


def _sort_key(value: float | str, *, descending: bool) -> SortKey:
    """Text by its case-folded form; downwards by its negated code points, and what goes on before what has ended."""
    if isinstance(value, str):
        folded = value.casefold()
        return [*(-ord(character) for character in folded), 1] if descending else [folded]
    return [-value if descending else value]


def _line(row: Row, _needed: None, _asked: Asked, _now: int) -> Answer:
    return shown(row)


def _one(row: Row, _asked: Asked, _now: int) -> Answer:
    return shown(row)


PROJECTS = Domain(
    name="projects",
    entity_name="project",
    version=1,
    event=Upserted | Deleted,
    entity=lambda event: event.project_id,
    at=lambda _event: None,
    on_null=_deleted,
    reduce=reduce,
    head=ProjectHead,
    totals=ProjectsTotals,
    bury=bury,
    snapshots=snapshots,
    emission=Debounced(1.0),
    periodic=Periodic("snapshots", INTERVAL, record, "/snapshots", "Take a snapshot of all projects now."),
    topics=(Topic("snapshots", "projects-snapshots", "point-in-time counts of all projects", retention_days=30),),
    settable=(INSTANCE_ID, ENV),
    key_limit=0,
    views=(
        AggregateView(
            "/stats",
            "Counts of the projects that match.",
            add=_add,
            answer=lambda totals, _asked: counts(totals),
            whole=lambda asked: not any(asked.values()),
            parameters=_FILTERS,
        ),
        TotalsView(
            "/status-meta", "What the filters can be set to, with the number of projects of each.", _status_meta
        ),
        ListView(
            "/projects",
            "Projects that match, sorted; equal ones by their id.",
            lines=_lines,
            line=_line,
            parameters=(
                Parameter("sort", "updated", SORTS, "what to sort by"),
                Parameter("direction", "desc", DIRECTIONS, "upwards or downwards"),
                *_FILTERS,
            ),
        ),
        EntityView("/projects/{entity}", "A project.", _one),
    ),
)
