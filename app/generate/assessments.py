"""Believable coding sessions: messages with their moods, a checkpoint now and then, an assessment of the whole."""

import math
from collections.abc import Iterator
from itertools import accumulate
from random import Random
from typing import Any

from tables.event import DAY_MS, iso

SESSIONS_AT_ONCE = 40  # at most; one in five of those that there are
MESSAGE_MS = 25_000  # between two messages of one session, at a middling hour
MESSAGES = (2.8, 0.9)  # of a sitting: log-normal, 16 in the median, 1 in 20 more than 70
MESSAGES_OF_A_SEGMENT = 10
SMOOTHING = 0.3  # of the moving averages
BY_PLUGIN = 0.15  # of the sessions are assessed by the plugin, which has the other shape

_HARNESSES = (("terminal", "2.1.0"), ("terminal", "2.0.3"), ("editor", "0.48.1"))
_METHODS = ("system_prompt", "hook", "tool")
_SIGNALS = ("thanks", "correction", "retry", "accepted", "rephrased", "praise")
_TRIGGERS = ("interval", "topic_change", "commit")
_OUTCOMES = (("success", 61), ("partial", 22), ("failure", 7), ("abandoned", 10))
_PROJECTS = ("atlas", "billing", "website", "mobile", "infra")
_USERS = ("ann", "bob", "chen", "dora", "emeka", "fatima")

Fields = dict[str, Any]


def events(random: Random, keys: int, start: int) -> Iterator[tuple[str, Fields | None]]:
    """Assessments of several sessions at once, in time order.

    Args:
        random: the source of everything.
        keys: how many sessions there are; some are come back to again and again.
        start: time of the first event, ms since the epoch.
    """
    ids = [_uuid7(random, max(0, start - random.randrange(7 * DAY_MS))) for _ in range(keys)]
    popularity = list(accumulate(1 / rank for rank in range(1, keys + 1)))
    messages = [0] * keys
    number = min(SESSIONS_AT_ONCE, max(1, keys // 5))

    def sitting() -> _Sitting:
        (rank,) = random.choices(range(keys), cum_weights=popularity)
        return _Sitting(random, ids, messages, rank)

    sittings = [sitting() for _ in range(number)]
    at = float(start)
    while True:
        place = random.randrange(number)
        for event in sittings[place].turn(random, int(at)):
            yield sittings[place].id, event
        if not sittings[place].left:
            sittings[place] = sitting()
        at += random.expovariate(1.0) * MESSAGE_MS / number / _rhythm(at)


def _rhythm(at_ms: float) -> float:
    """How busy it is: 0.3 at 3 in the night (UTC), 1.7 at 3 in the afternoon."""
    return 1 - 0.7 * math.cos(2 * math.pi * (at_ms / DAY_MS - 1 / 8))


def _uuid7(random: Random, at: int) -> str:
    digits = f"{at:012x}7{random.getrandbits(12):03x}{0b10 << 62 | random.getrandbits(62):016x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


class _Sitting:
    """One sitting of a session: messages until somebody has had enough."""

    def __init__(self, random: Random, ids: list[str], messages: list[int], rank: int) -> None:
        self.id = ids[rank]
        self.left = 1 + int(random.lognormvariate(*MESSAGES))
        self._messages, self._rank = messages, rank
        self._first = messages[rank]
        harness, version = random.choice(_HARNESSES)
        self._plugin = rank % 100 < 100 * BY_PLUGIN
        self._about: Fields = {
            "active_learnings": [f"learning-{random.randrange(40)}" for _ in range(random.randrange(4))],
            "injection_method": random.choice(_METHODS),
            "injection_scope": "session",
            "harness_type": harness,
            "harness_version": version,
            "project_id": _PROJECTS[rank % len(_PROJECTS)],
            "user_id": _USERS[rank % len(_USERS)],
        }
        self._success, self._frustration = 0.5, 0.1
        self._trajectory: list[float] = []

    def turn(self, random: Random, at: int) -> Iterator[Fields]:
        """One message, and what follows from it; its assessments are milliseconds apart."""
        index = self._messages[self._rank]
        self._messages[self._rank] += 1
        self.left -= 1
        yield self._event(random, at, "lightweight", self._message(random, at, index))
        done = index + 1 - self._first
        if done % MESSAGES_OF_A_SEGMENT == 0:
            yield self._event(random, at, "checkpoint", {})
            yield self._event(random, at, "medium", self._segment(random, index))
        if not self.left:
            yield self._event(random, at, "heavy", self._whole(random, done))

    def _event(self, random: Random, at: int, tier: str, body: Fields) -> Fields:
        event_id = _uuid7(random, at)
        if self._plugin:
            result = "session_end" if tier == "heavy" else tier
            payload = {"timestamp": iso(at)} | body
            return {"event_id": event_id, "result_type": result, "session_id": self.id, "payload": payload}
        context = {"session_id": self.id, "event_id": event_id, "timestamp": iso(at)}
        return {"tier": tier, "context": context | self._about} | body

    def _message(self, random: Random, at: int, index: int) -> Fields:
        mood = random.betavariate(4, 2)
        self._success += SMOOTHING * (mood - self._success)
        self._frustration += SMOOTHING * ((1 - mood) ** 2 - self._frustration)
        self._trajectory.append(round(self._frustration, 3))
        return {
            "message_idx": index,
            "signals": random.sample(_SIGNALS, random.choice((0, 0, 0, 1, 1, 2))),
            "frustration_ema": round(self._frustration, 4),
            "success_ema": round(self._success, 4),
            "triggering_event_id": _uuid7(random, at),
        }

    def _segment(self, random: Random, index: int) -> Fields:
        return {
            "checkpoint_id": f"{random.getrandbits(64):016x}",
            "message_range": [index + 1 - MESSAGES_OF_A_SEGMENT, index],
            "trigger": random.choice(_TRIGGERS),
            "summary": f"Messages {index + 1 - MESSAGES_OF_A_SEGMENT} to {index}.",
            "token_metrics": {
                "total_tokens": int(random.lognormvariate(10, 0.8)),
                "correction_ratio": round(random.betavariate(1, 8), 3),
                "retry_count": int(random.expovariate(0.8)),
            },
            "segment_score": round(2 * self._success - 1, 3),
        }

    def _whole(self, random: Random, done: int) -> Fields:
        (outcome,) = random.choices([name for name, _ in _OUTCOMES], [weight for _, weight in _OUTCOMES])
        return {
            "outcome": outcome,
            "task_summary": f"{done} messages.",
            "frustration_trajectory": self._trajectory[-20:],
        }
