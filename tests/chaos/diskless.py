"""A worker of some domains for which no file can be written at all: `python -m tests.chaos.diskless players`.

Its log goes through a pipe: this process passes it on, and SIGTERM the other way. The kernel kills it with this one.
"""

import ctypes
import resource
import signal
import subprocess
import sys

PR_SET_PDEATHSIG = 1


def without_disk() -> None:
    """From here on every write to a file fails, as on a disk that is full."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def main() -> int:
    """Run the worker; its exit code is this one's."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.worker", *sys.argv[1:]],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=without_disk,  # noqa: PLW1509 - this process has no other thread
    )
    signal.signal(signal.SIGTERM, lambda number, _: worker.send_signal(number))
    assert worker.stdout is not None
    for line in worker.stdout:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
    return worker.wait()


if __name__ == "__main__":
    sys.exit(main())
