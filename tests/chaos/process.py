"""Worker processes of a scenario: started, killed and stopped by id; none outlives the run."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.settings import Settings

COMMAND = [sys.executable, "-m", "app", "worker"]
READY_LINE = "goes on at offset"


class Worker:
    """One worker process with a log of its own; of all domains, unless some are named."""

    def __init__(
        self,
        settings: Settings,
        log: Path,
        *domains: str,
        program: Sequence[str] = ("tests.chaos.worker",),
        **variables: str,
    ) -> None:
        command = [sys.executable, "-m", *program, *domains] if domains else COMMAND
        self.log = log
        self.domains = domains
        self.web_port = int(variables.get("TIDEMARK_WEB_PORT", settings.web_port))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMARK_")}
        environment |= {
            "KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
            "TIDEMARK_PREFIX": settings.prefix,
            "TIDEMARK_PARTITIONS": str(settings.partitions),
            "TIDEMARK_INSTANCE_ID": settings.instance_id,
            "TIDEMARK_TRANSACTION_TIMEOUT_SECONDS": str(settings.transaction_timeout_seconds),
            "TIDEMARK_WEB_PORT": str(settings.web_port),
        } | variables
        self._started_at = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self.process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)

    def said(self) -> str:
        """What this process has logged so far."""
        with self.log.open("rb") as log:
            log.seek(self._started_at)
            return log.read().decode(errors="replace")

    def wait_live(self, partitions: int, seconds: float = 30) -> None:
        """Wait until it has restored at least so many partitions."""
        wait_for(lambda: self.said().count(READY_LINE) >= partitions or self.process.poll() is not None, seconds, self)
        if self.process.poll() is not None:
            raise RuntimeError(f"the worker ended with {self.process.returncode}:\n{self.said()[-3000:]}")

    def wait_dead(self, seconds: float = 30) -> int:
        """Wait until it has ended by itself; returns its exit code (negative: the signal)."""
        wait_for(lambda: self.process.poll() is not None, seconds, self)
        return int(self.process.returncode)

    def kill(self) -> None:
        """SIGKILL, and wait."""
        self.process.kill()
        self.process.wait()

    def stop(self, seconds: float = 15) -> int:
        """SIGTERM, and wait for a graceful end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


def wait_for(condition: Callable[[], bool], seconds: float, worker: Worker | None = None) -> None:
    """Wait for a condition with a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s" + (f":\n{worker.said()[-3000:]}" if worker else ""))
        time.sleep(0.02)


@contextmanager
def workers() -> Iterator[list[Worker]]:
    """A list for the workers of a scenario; whichever still runs at its end is killed."""
    running: list[Worker] = []
    try:
        yield running
    finally:
        for worker in running:
            if worker.process.poll() is None:
                worker.kill()
