"""Locks kept by the kernel: they end with the process that holds them, however it dies."""

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

POLL_SECONDS = 0.05


class Lock:
    """An advisory lock (flock) on a file, free until it is taken.

    The descriptor is closed on exec, so that a child process does not keep the lock by accident; a child that is to
    hold it is given `fileno()` on purpose.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def fileno(self) -> int:
        """Return the open file's descriptor."""
        return self._descriptor

    def try_shared(self) -> bool:
        """Take the lock together with others, unless somebody has it alone."""
        return self._try(fcntl.LOCK_SH)

    def try_exclusive(self) -> bool:
        """Take the lock alone, unless somebody has it."""
        return self._try(fcntl.LOCK_EX)

    def exclusive(self) -> None:
        """Wait, as long as it takes, until nobody else has the lock, and take it."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def release(self) -> None:
        """Let go of the lock, if it was taken, and keep the file open to take it again."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the lock, if it was taken; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _try(self, kind: int) -> bool:
        try:
            fcntl.flock(self._descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def is_held(path: Path) -> bool:
    """Say whether a living process has the lock on this file alone."""
    if not path.exists():
        return False
    with Lock(path) as lock:
        return not lock.try_shared()


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition, at most so many seconds; say whether it came true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
