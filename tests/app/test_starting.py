"""A Kafka client whose start is cancelled: the start ends first, so that its connections can be closed."""

import asyncio

import pytest

from app import starting


class Slow:
    """A client that takes a while to start."""

    def __init__(self, seconds: float, error: Exception | None = None) -> None:
        self.seconds = seconds
        self.error = error
        self.begun = asyncio.Event()
        self.started = False

    async def start(self) -> None:
        """Connect."""
        self.begun.set()
        await asyncio.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        self.started = True


async def cancelled(client: Slow) -> None:
    """Cancel a start in its middle."""
    task = asyncio.create_task(starting.start(client))
    await client.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_start_that_is_cancelled_ends_before_the_cancellation_goes_on() -> None:
    """Whoever cancelled may stop the client then: it has nothing half open."""
    client = Slow(0.05)
    await cancelled(client)
    assert client.started


async def test_a_start_that_fails_while_it_is_cancelled_is_cancelled() -> None:
    """Nobody asks why it would have failed."""
    await cancelled(Slow(0.05, OSError("no broker")))


async def test_a_start_that_hangs_does_not_hold_the_cancellation_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a bound, and then it is cancelled, too."""
    monkeypatch.setattr(starting, "PATIENCE_SECONDS", 0.05)
    client = Slow(60)
    async with asyncio.timeout(5):
        await cancelled(client)
    assert not client.started


async def test_a_start_that_fails_fails() -> None:
    """As without all this."""
    with pytest.raises(OSError, match="no broker"):
        await starting.start(Slow(0, OSError("no broker")))
