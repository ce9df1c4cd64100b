"""Rollups: snapshots of a few environments and instances, in the week at hand and on the edges of the next one.

No older week: whether the clock has closed it depends on when a story's records are folded, as it should
(tests/tables/test_rollups.py).
"""

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from agents.driver import NOW
from tables.event import FUTURE_MS, iso
from tests.laws.given import Fields, Given

HOSTILE = ("ann", "", 'b"\\/\x00\u2028😀', "ann/i", "day", "[null]")
_INSTANCES = ("i", "", "i/day", "i%2Fday", "instance", None)
_TIMES = (
    "2025-06-09T00:00:00Z",  # the Monday of the driver's week
    "2025-06-09T00:04:59.999Z",
    "2025-06-09T23:59:59.999Z",
    "2025-06-10T00:00:00Z",
    "2025-06-10T12:15:00",
    "2025-06-10T14:15:00+02:00",  # the same moment
    "2025-06-10T12:15:00.001Z",
    "2025-06-15T15:00:00Z",
    "2025-06-15T23:59:59.999999Z",
    "2025-06-16T00:00:00Z",  # the next week begins
    "2025-06-16T00:04:59.999Z",
    "2025-06-16T00:05:00Z",  # and this one closes
    iso(NOW + FUTURE_MS),
)


def _rollups() -> SearchStrategy[tuple[str, Fields | None]]:
    histogram = st.sampled_from(({}, {"open": 3}, {"open": 1, "done": 2}, {"": 0}))
    common: dict[str, SearchStrategy[Any]] = {
        "timestamp": st.sampled_from(_TIMES),
        "totals": st.sampled_from((0, 7, {}, {"projects": 7}, {"projects": 1 << 53, "active": 2})),
        "by_status": histogram,
        "by_priority": histogram,
        "progress_distribution": st.sampled_from(([0] * 10, list(range(10)), [1 << 53] * 10)),
        "env": st.sampled_from((*HOSTILE, None)),
    }
    optional = {"instance_id": st.sampled_from(_INSTANCES)}
    # An absent environment is "", which the empty and the null one are, too.
    named = st.fixed_dictionaries(common, optional=optional)
    absent = named.map(lambda fields: {name: value for name, value in fields.items() if name != "env"})
    return (named | named | named | absent).map(lambda fields: (fields.get("env") or "", fields))


_SPOILT: tuple[Fields, ...] = (
    {"instance_id": 7},
    {"instance_id": "i" * 257},
    {"env": ["ann"]},
    {"env": "e" * 257},
    {"timestamp": None},
    {"timestamp": 1_750_000_000},
    {"timestamp": "2025-06-15T24:00:00Z"},
    {"timestamp": "1969-12-31T23:59:59Z"},
    {"timestamp": iso(NOW + 3 * FUTURE_MS)},
    {"totals": None},
    {"totals": -1},
    {"totals": 1.5},
    {"totals": True},
    {"totals": {"projects": -1}},
    {"totals": {f"total-{number}": 1 for number in range(17)}},
    {"by_status": None},
    {"by_status": []},
    {"by_status": {"open": "3"}},
    {"by_status": {"open": (1 << 53) + 1}},
    {"by_status": {f"status-{number}": 1 for number in range(71)}},
    {"by_priority": {"p" * 65: 1}},
    {"by_priority": 3},
    {"progress_distribution": [0] * 9},
    {"progress_distribution": [0] * 11},
    {"progress_distribution": [0] * 9 + [-1]},
    {"progress_distribution": {"0": 1}},
)

GIVEN = Given(_rollups(), st.sampled_from(_SPOILT))
