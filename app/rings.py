"""Objects of asyncio and aiokafka that refer to themselves when they are done with: such rings are opened here.

A worker's collector of cycles comes by the more rarely the more rows there are (`app.allocator`), so a ring would stay
for long, with all that it holds: a few kB for each connection that was ever closed, a whole client for each one that a
request of had failed.
"""

import asyncio
from asyncio import selector_events
from collections.abc import Awaitable
from typing import Any, TypeVar

from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaError

T = TypeVar("T")

Transport: Any = selector_events._SelectorSocketTransport  # type: ignore[attr-defined] # noqa: SLF001 - see test_rings.py
_lost = Transport._call_connection_lost  # noqa: SLF001
_lookup = AIOKafkaClient.coordinator_lookup
_on_read_error = AIOKafkaConnection._on_read_task_error.__func__  # noqa: SLF001


def _nothing() -> None:
    """In the place of a method of a transport that is closed."""


def _connection_lost(self: Any, error: Exception | None) -> None:
    _lost(self, error)
    self._read_ready_cb = _nothing  # it kept a method of its own, and so itself


async def _coordinator_lookup(self: AIOKafkaClient, *arguments: Any) -> Any:
    """Its frame keeps the error that it raises, and that, by its traceback, the frame, and so the client."""
    return await forgetting(_lookup(self, *arguments))


def _read_task_error(cls: type[AIOKafkaConnection], self_ref: Any, task: "asyncio.Task[None]") -> None:
    """Likewise: its frame keeps the task, that its error."""
    _on_read_error(cls, self_ref, task)
    if not task.cancelled():
        forget(task.exception())


def forget(error: BaseException | None) -> None:
    """Drop the tracebacks of an error that was told, and of what it came of.

    A future keeps its error, the error its traceback, that the frames it came through, and one of them the future: such
    a ring, and all that the frames hold, would stay until the collector of cycles comes by, which is hardly ever.
    """
    seen: set[int] = set()  # a refusal that is raised from the error that it came of is its cause and comes of it
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


async def forgetting(answer: Awaitable[T]) -> T:
    """Await it. An error comes out without where it was raised: a frame that holds the future that holds the error.

    Aiokafka drops such errors and tries again. A cancellation is as good: its task keeps it, and each frame on its way.
    """
    try:
        return await answer
    except (KafkaError, TimeoutError, asyncio.CancelledError) as error:
        forget(error)
        raise


def install() -> None:
    """Open them in all of this process."""
    Transport._call_connection_lost = _connection_lost  # noqa: SLF001
    AIOKafkaClient.coordinator_lookup = _coordinator_lookup
    AIOKafkaConnection._on_read_task_error = classmethod(_read_task_error)  # noqa: SLF001
