"""Places between the steps of every order where a test can crash the process.

TIDEMARK_FAILPOINT=commit.sent:3 kills this process with SIGKILL when `commit.sent` is reached for the third time, as
a power cut would; commit.sent:3:stop stops it there with SIGSTOP, until somebody sends it SIGCONT. Unset, reaching a
failpoint costs one comparison.
"""

import os
import signal

from app.settings import SettingsError

ASSIGNED = (
    "assigned.begun",
    "assigned.fenced",
    "assigned.checked",
    "assigned.stable",
    "assigned.restored",
    "assigned.offset",
    "assigned.resumed",
)
COMMIT = (
    "commit.begun",
    "commit.taken",
    "commit.sending",
    "commit.sent",
    "commit.delivered",
    "commit.offset",
    "commit.committed",
)
REVOKED = ("revoked.begun", "revoked.stopped", "revoked.committed", "revoked.released", "revoked.dropped")
ALL = (*ASSIGNED, *COMMIT, *REVOKED)
SWAP = ("swap.fenced", "swap.begun", "swap.sending", "swap.sent", "swap.offset", "swap.committed")  # of the tools

SIGNALS = {"": signal.SIGKILL, "kill": signal.SIGKILL, "stop": signal.SIGSTOP}

_armed, _count, _action = [*os.environ.get("TIDEMARK_FAILPOINT", "").split(":", 2), "", ""][:3]
_left = int(_count) if _count.isdecimal() else 1


def check(names: tuple[str, ...] = ALL) -> None:
    """Refuse a failpoint that cannot be reached: a test that arms one must not pass for that reason.

    Raises:
        SettingsError: naming those that exist.
    """
    if _count and not (_count.isdecimal() and _left):
        raise SettingsError(f"TIDEMARK_FAILPOINT: {_count!r} is no number of times")
    if _action not in SIGNALS:
        raise SettingsError(f"TIDEMARK_FAILPOINT: {_action!r} is neither kill nor stop")
    if _armed and _armed not in names:
        raise SettingsError(f"TIDEMARK_FAILPOINT={_armed!r} is not one of {', '.join(names)}")


def reach(name: str) -> None:
    """Pass a failpoint, or die (or stop) here if it is armed and its turn has come."""
    global _left  # noqa: PLW0603 - one counter per process, as the environment variable is
    if name == _armed:
        _left -= 1
        if _left == 0:
            os.kill(os.getpid(), SIGNALS[_action])
