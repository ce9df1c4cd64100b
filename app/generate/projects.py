"""Believable projects: planned, begun, held up, done, put away; most of the work goes to a few, in working hours."""

from collections.abc import Iterator
from random import Random
from typing import Any

from tables.event import DAY_MS, iso

CHANGES_A_DAY = 3  # of a project, on average
CUSTOMERS_TO_A_PROJECT = 5  # so many projects have one customer, on average
_HOUR_MS = DAY_MS // 24
_QUIET, _BUSY = 0.2, 2.0  # pace outside and inside of working hours, against the mean
_WORKING_HOURS = range(7, 18)  # UTC
_VERBS = ("Renew", "Move", "Merge", "Audit", "Launch", "Retire", "Measure", "Split")
_THINGS = ("billing", "the archive", "onboarding", "search", "the data centre", "reports", "Zürich", "the app")
_PRIORITIES, _HOW_OFTEN = ("low", "medium", "high", "critical"), (30, 45, 20, 5)
_NULL = 0.2  # of the deletions: as a null value


def events(random: Random, keys: int, start: int) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Upserts and deletions, in time order.

    Args:
        random: the source of everything.
        keys: how many projects there are, at most, at any time.
        start: when the first one is planned, ms since the epoch.
    """
    ids = [f"prj-{number:05d}-{random.getrandbits(24):06x}" for number in range(keys)]
    living: dict[str, dict[str, Any]] = {}
    now = float(start)
    while True:
        # Log-uniform: the n-th project is worked on about 1/n as often as the first one.
        project_id = ids[min(keys - 1, int((keys + 1) ** random.random()) - 1)]
        project = living.get(project_id)
        if project is None:
            living[project_id] = project = _planned(random, project_id, keys)
        elif not _changed(random, project, round(now)):
            del living[project_id]
            gone = None if random.random() < _NULL else {"type": "deleted", "project_id": project_id}
            yield project_id, gone
            continue
        yield project_id, dict(project)
        pace = _BUSY if now % DAY_MS // _HOUR_MS in _WORKING_HOURS else _QUIET
        now += random.expovariate(CHANGES_A_DAY * keys * pace / DAY_MS)


def _planned(random: Random, project_id: str, keys: int) -> dict[str, Any]:
    return {
        "type": "upserted",
        "project_id": project_id,
        "name": f"{random.choice(_VERBS)} {random.choice(_THINGS)}",
        "status": "planned",
        "priority": random.choices(_PRIORITIES, _HOW_OFTEN)[0],
        "customer_id": f"customer-{random.randrange(max(1, keys // CUSTOMERS_TO_A_PROJECT)):04d}",
        "active": True,
        "progress": 0.0,
    }


def _changed(random: Random, project: dict[str, Any], now: int) -> bool:
    """Take a project a step further; False when it is to be deleted."""
    status, dice = project["status"], random.random()
    if status in {"planned", "on_hold"}:
        if dice < 0.1:  # noqa: PLR2004 - as the others: how likely a step is
            project |= {"status": "cancelled", "active": False}
        else:
            project |= {"status": "in_progress", "active": True, "started_at": project.get("started_at") or iso(now)}
    elif status == "in_progress":
        if dice < 0.05:  # noqa: PLR2004
            project |= {"status": "on_hold", "active": False}
        else:
            _worked_on(random, project, now)
    else:
        return False
    return True


def _worked_on(random: Random, project: dict[str, Any], now: int) -> None:
    # The median step is 4 %; some are leaps.
    project["progress"] = min(100.0, round(project["progress"] + max(0.01, random.lognormvariate(1.4, 0.8)), 2))
    if project["progress"] >= 100:  # noqa: PLR2004 - percent
        project |= {"status": "done", "active": False, "finished_at": iso(now)}
