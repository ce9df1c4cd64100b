"""When the group has confirmed this worker last: views of rows are refused once that is too long ago. No broker."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, SyncGroupRequest

from app.engine.consumer_thread import ConsumerThread

LEFT_AT, ANSWERED_AT = 10.0, 100.0


class Clock:
    """Stands still until somebody has asked the coordinator; then it is much later, as after a SIGSTOP."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = LEFT_AT
        monkeypatch.setattr("app.engine.consumer_thread.elapsed", lambda: self.now)

    def asked(self, answer: Any) -> Callable[..., Any]:
        """What the coordinator answers, when it does."""

        async def ask(*_: Any) -> Any:
            self.now = ANSWERED_AT
            return answer

        return ask


@pytest.mark.parametrize(
    ("request_", "error_code", "confirmed_at"),
    [
        (SyncGroupRequest("group", 1, "member", None, []), 0, LEFT_AT),
        (SyncGroupRequest("group", 1, "member", None, []), 27, 0.0),
        (JoinGroupRequest("group", 6_000, 6_000, "", None, "consumer", []), 0, 0.0),
    ],
    ids=["synced", "refused", "joining"],
)
async def test_an_assignment_confirms_a_worker_as_of_its_request(
    monkeypatch: pytest.MonkeyPatch, request_: Any, error_code: int, confirmed_at: float
) -> None:
    """A process that is stopped between the answer and its partitions may have lost them when it wakes."""
    thread: Any = SimpleNamespace(
        confirmed_at=0.0, _ask=Clock(monkeypatch).asked(SimpleNamespace(error_code=error_code))
    )
    await ConsumerThread._noted_request(thread, request_)
    assert thread.confirmed_at == confirmed_at


@pytest.mark.parametrize(("answered", "confirmed_at"), [(True, LEFT_AT), (False, 0.0)])
async def test_a_heartbeat_confirms_a_worker_as_of_when_it_left(
    monkeypatch: pytest.MonkeyPatch, *, answered: bool, confirmed_at: float
) -> None:
    """The coordinator's clock runs from when it got it, which is later."""
    thread: Any = SimpleNamespace(confirmed_at=0.0, _beat=Clock(monkeypatch).asked(answered))
    assert await ConsumerThread._noted_heartbeat(thread) is answered
    assert thread.confirmed_at == confirmed_at


async def test_an_answer_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was asked."""
    answer = SimpleNamespace(error_code=0)
    thread: Any = SimpleNamespace(confirmed_at=0.0, _ask=Clock(monkeypatch).asked(answer))
    assert await ConsumerThread._noted_request(thread, HeartbeatRequest("group", 1, "member")) is answer
