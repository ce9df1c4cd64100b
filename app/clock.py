"""The wall clock. Folds and timers get it passed in."""

import time


def now_ms() -> int:
    """Now, in ms since the epoch."""
    return time.time_ns() // 1_000_000
