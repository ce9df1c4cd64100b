"""Assessments: both shapes, every tier and one that nobody knows, of a few sessions with hostile names."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from agents.driver import NOW
from tables.event import FUTURE_MS, iso
from tests.laws.given import Fields, Given
from tests.laws.given_players import HOSTILE

_TIMES = st.sampled_from((NOW - 86_400_000, NOW - 1, NOW, NOW + FUTURE_MS)).map(iso)
_UUID = "0197742f-{:04x}-7abc-8def-0123456789ab"  # its time is a day or so before NOW
_SAME = (_UUID.format(10).upper(), _UUID.format(10).replace("-", ""))
_IDS = st.one_of(st.integers(0, 20).map(_UUID.format), st.sampled_from((*_SAME, "1", "ann", "\x00")))
_EMA = st.sampled_from((0, 0.25, -1, 1e6, None))
_LIST: SearchStrategy[list[Any]] = st.sampled_from(([], [1], [{"type": "thanks"}, "x", None]))


def _tier(tier: str, **fields: SearchStrategy[Any]) -> SearchStrategy[Fields]:
    context = st.fixed_dictionaries(
        {
            "session_id": st.sampled_from(HOSTILE),
            "event_id": _IDS,
            "timestamp": _TIMES,
            "active_learnings": _LIST,
            "injection_method": st.just("system_prompt"),
            "harness_type": st.just("cli"),
        },
        optional={"project_id": st.sampled_from((None, "p")), "user_id": st.just("u")},
    )
    return st.fixed_dictionaries({"tier": st.just(tier), "context": context} | fields)


_TOKENS = st.builds(
    lambda total: {"total_tokens": total, "correction_ratio": 0.5, "retry_count": 1}, st.integers(0, 10**10)
)
_OUTCOMES = st.sampled_from(("success", "partial", "failure", "abandoned"))
_NUMBERS = st.sampled_from((0, 0.25, -1, 1e6))
_SHAPES = st.one_of(
    _tier(
        "lightweight",
        message_idx=st.integers(0, 3),
        signals=_LIST,
        frustration_ema=_NUMBERS,
        success_ema=_NUMBERS,
        triggering_event_id=st.just("e"),
    ),
    _tier(
        "medium",
        checkpoint_id=st.just("c"),
        message_range=st.sampled_from(([0, 4], {"start": 0, "end": 4}, "0-4")),
        trigger=st.just("interval"),
        summary=st.just(""),
        token_metrics=_TOKENS,
        segment_score=st.sampled_from((-1, 0, 1)),
    ),
    _tier("heavy", outcome=_OUTCOMES, task_summary=st.just(""), frustration_trajectory=_LIST),
    _tier("checkpoint"),
    _tier("of tomorrow"),
    st.fixed_dictionaries(
        {
            "event_id": _IDS,
            "result_type": st.sampled_from(("lightweight", "medium", "heavy", "checkpoint", "session_end", "other")),
            "session_id": st.sampled_from(HOSTILE),
            "payload": st.fixed_dictionaries(
                {},
                optional={
                    "timestamp": _TIMES,
                    "success_ema": _EMA,
                    "frustration_ema": _EMA,
                    "token_metrics": _TOKENS,
                    "outcome": _OUTCOMES,
                },
            ),
        }
    ),
)


def _session(event: Fields) -> str:
    return str(event["context"]["session_id"] if "context" in event else event["session_id"])


_CONTEXT: Fields = {
    "session_id": "ann",
    "event_id": "1",
    "timestamp": iso(NOW),
    "active_learnings": [],
    "injection_method": "m",
    "harness_type": "h",
}
_METRICS: Fields = {"total_tokens": 1, "correction_ratio": 0, "retry_count": 0}


def _checkpoint(**over: Any) -> Fields:
    return {"tier": "checkpoint", "context": _CONTEXT | over}


_SPOILT: tuple[Fields, ...] = (
    {"tier": 5},
    {"tier": None, "result_type": None},
    {"tier": None, "result_type": "heavy", "payload": None},
    {"tier": None, "result_type": "heavy", "session_id": None},
    {"tier": None, "result_type": "heavy", "event_id": None},
    {"tier": "of tomorrow", "context": None},
    {"tier": "lightweight", "context": _CONTEXT, "signals": None},
    {"tier": "medium", "context": _CONTEXT, "summary": None},
    {"tier": "heavy", "context": _CONTEXT, "task_summary": None},
    _checkpoint(session_id=""),
    _checkpoint(session_id="x" * 257),
    _checkpoint(event_id=7),
    _checkpoint(event_id=""),
    _checkpoint(timestamp=None),
    _checkpoint(timestamp="yesterday"),
    _checkpoint(timestamp=iso(NOW + 3 * FUTURE_MS)),
    _checkpoint(timestamp="1969-12-31T23:59:59Z"),
    _checkpoint(active_learnings="none"),
    _checkpoint(harness_type=None),
    _checkpoint(user_id=["ann"]),
    {"message_idx": -1},
    {"message_idx": True},
    {"signals": {}},
    {"success_ema": "0.5"},
    {"frustration_ema": 1e7},
    {"message_range": 4},
    {"segment_score": 1.01},
    {"segment_score": -1.01},
    {"token_metrics": _METRICS | {"total_tokens": -1}},
    {"token_metrics": _METRICS | {"total_tokens": 10**30}},
    {"token_metrics": _METRICS | {"retry_count": 0.5}},
    {"token_metrics": {"total_tokens": 1, "retry_count": 0}},
    {"outcome": "won"},
    {"frustration_trajectory": 1},
)

GIVEN = Given(_SHAPES.map(lambda event: (_session(event), event)), st.sampled_from(_SPOILT), moment=("last_offset",))
