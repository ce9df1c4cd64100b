"""The clocks. Folds and timers get the time passed in."""

import time


def now_ms() -> int:
    """Now, in ms since the epoch."""
    return time.time_ns() // 1_000_000


def elapsed() -> float:
    """Seconds that only grow, also while this process or, where the system can tell, the whole machine is stopped."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
