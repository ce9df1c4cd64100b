"""Projects: a few that come, change, go and come again; upserts that repeat what is known, and edges of the bins."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.laws.given import Fields, Given

HOSTILE = ("ann", "Ann", 'b"\\/\x00\u2028😀', "upserted", "ann/all", "[null]", "0")
_PROGRESS = (-5, -0.0, 0, 9.999999, 10, 49.5, 89.999, 90, 99.9, 100, 250, 1e9)


def _projects() -> SearchStrategy[tuple[str, Fields | None]]:
    entity = st.sampled_from(HOSTILE)
    facts: dict[str, SearchStrategy[Any]] = {
        "type": st.just("upserted"),
        "project_id": entity,
        "name": st.sampled_from(("A", "a", "")),
        "status": st.sampled_from(("open", "done", "Other", "Open")),
        "priority": st.sampled_from(("high", "low", "open")),
        "progress": st.sampled_from(_PROGRESS),
    }
    more: dict[str, SearchStrategy[Any]] = {
        "customer_id": st.sampled_from((None, "c1", "")),
        "active": st.booleans(),
        "started_at": st.sampled_from((None, "1970-01-01T00:00:00Z", "2025-06-15T15:06:40.123456+02:00")),
        "finished_at": st.sampled_from((None, "9999-12-31T23:59:59Z")),
    }
    upserted = st.fixed_dictionaries(facts, optional=more).map(lambda fields: (str(fields["project_id"]), fields))
    deleted = entity.map(lambda name: (name, {"type": "deleted", "project_id": name}))
    null: SearchStrategy[tuple[str, Fields | None]] = entity.map(lambda name: (name, None))
    return st.one_of(upserted, upserted, upserted, upserted, deleted, null)


_UPSERTED: Fields = {"type": "upserted", "name": "A", "status": "open", "priority": "low", "progress": 1}
_SPOILT: tuple[Fields, ...] = (
    {"type": "updated"},
    {"type": None},
    {"type": "deleted", "project_id": ""},
    {"type": "upserted", "project_id": "x" * 257},
    *(
        _UPSERTED | {"project_id": "ann"} | over
        for over in (
            {"project_id": 7},
            {"name": None},
            {"name": "n" * 257},
            {"status": ""},
            {"status": "s" * 65},
            {"priority": 3},
            {"customer_id": 12},
            {"active": None},
            {"active": "true"},
            {"progress": "50"},
            {"progress": None},
            {"progress": 1e10},
            {"progress": -1e10},
            {"started_at": "yesterday"},
            {"started_at": "1969-12-31T23:59:59.999Z"},
            {"finished_at": "9999-12-31T23:59:59-14:00"},
            {"finished_at": 1_750_000_000},
        )
    ),
)

GIVEN = Given(_projects(), st.sampled_from(_SPOILT), recognised=False)
