"""Workers: a few jobs whose counters grow, fall and come in disorder, and batches by themselves."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from agents.driver import NOW
from tables.event import DAY_MS, FUTURE_MS, iso
from tests.laws.given import Fields, Given

HOSTILE = ("ann", "Ann", 'b"\\/\x00\u2028😀', "ranked", "ann/all")
MIDNIGHT = NOW // DAY_MS * DAY_MS
MONTH = MIDNIGHT - 14 * DAY_MS  # 2025-06-01T00:00:00Z
_FINISHED = (MONTH - 1, MONTH, MIDNIGHT - 1, MIDNIGHT, NOW - 300_000, NOW, NOW + FUTURE_MS)
_STARTED = (MONTH - 3_600_000, MONTH - 3_599_999)


def _workers() -> SearchStrategy[tuple[str, Fields | None]]:
    common: dict[str, SearchStrategy[Any]] = {
        "worker_id": st.sampled_from(HOSTILE),
        "worker_type": st.sampled_from(("pc", "esp32", "unknown")),
        "keys_scanned": st.sampled_from((0, 1, 5, 999, 10**6, 10**15)),
        "duration_ms": st.sampled_from((0, 1, 3, 1000, 60_000, 10**11)),
        "started_at": st.sampled_from(_STARTED).map(iso),
        "finished_at": st.sampled_from(_FINISHED).map(iso),
    }
    more: dict[str, SearchStrategy[Any]] = {
        "error_message": st.sampled_from((None, "", "out of memory", "x" * 600)),
        "nonce_start": st.sampled_from((None, 0, (1 << 63) - 1)),
        "prefix_28": st.sampled_from((None, "0x0f", "FF")),
        "batch_size": st.integers(0, 3),
    }
    job = {"type": st.sampled_from(("checkpoint", "complete")), "job_id": st.sampled_from(("j1", "j2", "job"))}
    batch = {"type": st.just("batch"), "batch_id": st.sampled_from(("b1", "b2", "j1", "\x00"))}
    either = st.fixed_dictionaries(common | job, optional=more) | st.fixed_dictionaries(
        common | batch, optional=more | {"job_id": st.sampled_from((None, "j1"))}
    )
    return either.map(lambda fields: (fields["worker_id"], fields))


_WORKERS_SPOILT: tuple[Fields, ...] = (
    {"type": "pause"},
    {"type": None},
    {"type": "batch", "batch_id": ""},
    {"type": "batch", "batch_id": None},
    {"type": "complete", "job_id": None},
    {"type": "checkpoint", "job_id": "j" * 257},
    {"worker_id": ""},
    {"worker_id": "w" * 257},
    {"worker_id": ["ann"]},
    {"worker_type": "gpu"},
    {"worker_type": None},
    {"keys_scanned": -1},
    {"keys_scanned": 10**15 + 1},
    {"keys_scanned": 10**30},
    {"keys_scanned": "5"},
    {"keys_scanned": 1.5},
    {"keys_scanned": True},
    {"duration_ms": -1},
    {"duration_ms": 10**11 + 1},
    {"duration_ms": None},
    {"nonce_end": 1 << 63},
    {"batch_size": -1},
    {"prefix_28": "0xg"},
    {"prefix_28": "0f\n"},
    {"error_message": 7},
    {"started_at": "yesterday"},
    {"started_at": iso(NOW + FUTURE_MS + 1)},
    {"started_at": iso(MONTH), "finished_at": iso(MONTH - 1)},
    {"started_at": "1969-12-31T23:59:59.999Z"},
    {"started_at": "0001-01-01T00:00:00+14:00"},
    {"finished_at": "2016-12-31T23:59:60Z"},
    {"finished_at": "9999-12-31T23:59:59-14:00"},
    {"finished_at": "0001-01-01T00:00:00+14:00"},
    {"finished_at": iso(NOW + 3 * FUTURE_MS)},
)

GIVEN = Given(_workers(), st.sampled_from(_WORKERS_SPOILT))
