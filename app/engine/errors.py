"""What can go wrong with an owned partition, and what trying again cannot mend (`app.engine.trouble` judges)."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    InconsistentGroupProtocolError,
    InvalidSessionTimeoutError,
    InvalidTransactionTimeout,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from agents.task import FoldError


class GenerationError(Exception):
    """The assignment that this work was for is over."""


class LostSliceError(Exception):
    """A slice did not follow on the one before it."""


class OpenTransactionError(Exception):
    """Somebody else's transaction stays open on a changelog: restoring below it would lose committed rows."""


class PositionError(Exception):
    """Rows and committed offset do not belong together, or the source topic is not the one they came from."""


# The partition is dropped, fenced and restored anew.
PASSING = (KafkaError, TimeoutError, OSError, FoldError, LostSliceError)

# Of those, these are the broker's last word: they stop the worker.
FINAL = (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    InconsistentGroupProtocolError,
    InvalidSessionTimeoutError,
    InvalidTransactionTimeout,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)


@contextmanager
def cancelled_by_us() -> Iterator[None]:
    """Let a CancelledError out only where this task was cancelled; another one is made an error that passes.

    A client that awaits a task of its own which it has cancelled may let that one's end out; it would end ours, too,
    and without a word.

    Raises:
        KafkaError: it was not this task that was cancelled.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise KafkaError("a task of the client was cancelled") from error


def in_words(error: BaseException) -> str:
    """An error and what it came of: the client hides the brokers' reasons behind errors of its own."""
    kind = type(error).__name__
    words = f"{kind}: {error}".removesuffix(": ").replace(f"{kind}: {kind}", kind)  # some of aiokafka's say it twice
    if error.__cause__ is not None and type(error.__cause__) is not type(error):
        words += f" ({in_words(error.__cause__)})"
    return words


def refusal(error: BaseException | None) -> KafkaError | None:
    """The broker's last word that an error is, or has come of; None where trying again may help."""
    seen = set[int]()
    while error is not None and not isinstance(error, FINAL):
        if id(error) in seen:  # Faust raises the reason of a crash from itself
            return None
        seen.add(id(error))
        error = error.__cause__
    return error
