"""What the laws compare: everything durable of a driver, timers aside."""

import json
from typing import Any

from agents.driver import Driver
from agents.emit import stats_key
from tables.emission import STATS
from tables.table import TOTALS_KEY
from tests.laws.strategies import GIVEN

ABOUT = ("revision", "as_of", "partition", "offset")  # what a snapshot says of the moment of its publication
EVERY = -1  # `head.pending` with all its bits set


def bodies(driver: Driver) -> dict[bytes, Any]:
    """The latest snapshots without what they say of their moment: `normal` is not published again for `ranked`."""
    moment = {*ABOUT, *GIVEN[driver.domain.name].moment}
    return {key: _without(moment, json.loads(value)) for key, value in driver.stats.items()}


def expected_bodies(driver: Driver) -> dict[bytes, Any]:
    """What the live rows would publish now, if everything were owed."""
    bodies_ = {}
    moment = set(GIVEN[driver.domain.name].moment)
    for row in driver.task.table.rows.values():
        owed, row.head.pending = row.head.pending, EVERY
        for suffix, body, role in driver.domain.snapshots(row, driver.now, driver.task.table.totals):
            if role == STATS and body is not None:
                bodies_[stats_key(row.entity, suffix)] = _without(moment, json.loads(json.dumps(body)))
        row.head.pending = owed
    return bodies_


def _without(moment: set[str], body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in moment}


def rows(cells: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Cells without those of the totals."""
    return {key: value for key, value in cells.items() if key != TOTALS_KEY}


def outcome(driver: Driver) -> dict[str, Any]:
    """Everything that must not depend on batches, commits, crashes and the time of day; who was seen lately does."""
    table = driver.task.table
    return {
        "cells": driver.read(),
        "changelog": dict(driver.cells),
        "snapshots": bodies(driver),
        "totals": {key: json.loads(value) for key, value in driver.totals.items() if b"/" not in key},
        "published tops": published_tops(driver),
        "dead letters": driver.dead_letters,
        "position": driver.position,
        "order": driver.entities,
        "names": list(table.names or ()),
        "tops": live_tops(driver),
    }


def published_tops(driver: Driver) -> dict[str, list[tuple[str, int]]]:
    """The lists of the best as readers of the totals topic know them; one that was never published is empty."""
    body = json.loads(driver.totals.get(f"{driver.partition}/top".encode(), b"{}"))
    return {name: [(entity, value) for entity, value in best] for name, best in body.items() if best}


def live_tops(driver: Driver) -> dict[str, list[tuple[str, int]]]:
    """The lists of the best as the table has them, without the empty ones."""
    return {name: top.best() for name, top in driver.task.table.tops.items() if top.best()}


def assert_as_restored(driver: Driver) -> None:
    """Right after a commit a restored task equals the live one: bytes, order of retention, names, lists, position."""
    live, restored = driver.task.table, driver.restored().table
    if not driver.position:
        return  # no record yet: there is nothing to restore
    assert restored.read() == live.read() == driver.cells
    assert list(restored.rows) == list(live.rows)
    assert list(restored.names or ()) == list(live.names or ())
    assert restored.queues.keys() == live.queues.keys()
    assert {kind: list(queue) for kind, queue in restored.queues.items()} == {
        kind: list(queue) for kind, queue in live.queues.items()
    }
    assert {name: top.best() for name, top in restored.tops.items()} == {
        name: top.best() for name, top in live.tops.items()
    }
