"""Believable snapshots of several services: every quarter of an hour each, with outages of hours and of days."""

from collections.abc import Iterator
from random import Random
from typing import Any

from tables.event import iso

INTERVAL_MS = 900_000
MOST_INSTANCES = 3  # of an environment
_NAMED = ("production", "staging", "")  # what the first environments are called; the last of these says nothing
_STATUSES = ("planned", "in_progress", "on_hold", "done", "cancelled")
_PRIORITIES = ("low", "medium", "high", "critical")
_DOWN, _MEDIAN_DOWN = 0.002, 8.0  # an outage begins at one in 500 snapshots and takes about eight of them
BINS = 10


class _Service:
    """One instance: its counts wander, its clock is a little late, it goes down now and then."""

    def __init__(self, random: Random, env: str, number: int) -> None:
        self.random = random
        self.named: dict[str, Any] = {"env": env} if env else {}
        if number or random.random() < 0.8:  # noqa: PLR2004 - one first instance in five says no name
            self.named["instance_id"] = f"{env or 'main'}-{random.getrandbits(16):04x}"
        self.env = env
        self.late_ms = 0 if number == 0 else random.randrange(40_000)
        self.down = 0
        size = max(1, round(random.lognormvariate(3.5, 0.8)))
        self.projects = [self._new() for _ in range(size)]

    def _new(self) -> list[Any]:
        return [self.random.choice(_STATUSES), self.random.choice(_PRIORITIES), self.random.uniform(0, 100)]

    def snapshot(self, boundary_ms: int) -> dict[str, Any] | None:
        """The snapshot of a boundary; None while it is down."""
        random = self.random
        if self.down:
            self.down -= 1
            return None
        if random.random() < _DOWN:
            self.down = round(random.lognormvariate(0, 1.5) * _MEDIAN_DOWN)
        self._live_on()
        body: dict[str, Any] = self.named | {"timestamp": iso(boundary_ms + self.late_ms)}
        active = sum(status in {"planned", "in_progress"} for status, _, _ in self.projects)
        body["totals"] = {"projects": len(self.projects), "active": active}
        for name, values, place in (("by_status", _STATUSES, 0), ("by_priority", _PRIORITIES, 1)):
            counts = {value: sum(project[place] == value for project in self.projects) for value in values}
            body[name] = {value: count for value, count in counts.items() if count}
        progress = [0] * BINS
        for _, _, percent in self.projects:
            progress[min(BINS - 1, int(percent // 10))] += 1
        return body | {"progress_distribution": progress}

    def _live_on(self) -> None:
        """A project or so changes between two snapshots; now and then one comes or goes."""
        random = self.random
        project = random.choice(self.projects)
        project[0] = random.choice(_STATUSES)
        project[2] += random.expovariate(0.2)
        if project[2] >= 100:  # noqa: PLR2004 - percent: the next project takes its place
            project[:] = self._new()
        dice = random.random()
        if dice < 0.03:  # noqa: PLR2004 - as likely as going, so that the number wanders
            self.projects.append(self._new())
        elif dice > 0.97 and len(self.projects) > 1:  # noqa: PLR2004
            self.projects.remove(project)


def events(random: Random, keys: int, start: int) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Snapshots in time order, keyed by environment.

    Args:
        random: the source of everything.
        keys: how many environments there are.
        start: the first snapshots are of the quarter of an hour that begins then, or next; ms since the epoch.
    """
    names = [*_NAMED, *(f"env-{number:04d}" for number in range(len(_NAMED), keys))][:keys]
    services = [
        _Service(random, env, number) for env in names for number in range(random.randrange(1, MOST_INSTANCES + 1))
    ]
    services.sort(key=lambda service: service.late_ms)
    boundary = -(-start // INTERVAL_MS) * INTERVAL_MS
    while True:
        for service in services:
            snapshot = service.snapshot(boundary)
            if snapshot is not None:
                yield service.env, snapshot
        boundary += INTERVAL_MS
