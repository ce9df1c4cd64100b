"""Row 4: the broker is killed and restarted, and stopped for a while, under load.

The broker is the scenario's own. It is restarted by `Broker.restart`, which ends the killed process's session first
(app/broker/recovery.py): without that, Kafka 4.3.1 loses markers of committed transactions, and this scenario would
find a defect of the broker.
"""

import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from aiokafka.errors import KafkaError

from app.broker import Broker, embedded
from tests.chaos.checker import Verdict
from tests.chaos.process import Worker, wait_for
from tests.chaos.run import Run

# A worker that waits for 24 busy partitions took 0.06 CPU seconds per second; a loop without a pause takes 1.
BUSY_SHARE = 0.25
NOTICED_SECONDS = 20.0  # it takes up to 7: two between looks, five for an answer
READY_SECONDS = 60.0
LOOK_SECONDS = 0.2
AWAY, BACK = "Kafka does not answer since", "Kafka answers again"
# While Kafka is away: the line that says so, and one per partition whose last commit was cut off.
LINES_PER_PARTITION = 2


@contextmanager
def own_broker(run: Run, properties: Mapping[str, str] | None = None) -> Iterator[Broker]:
    """A broker of the scenario's own; the run reads and writes there."""
    with embedded(run.folder / "kafka", properties=properties) as broker:
        run.settings = run.settings.model_copy(update={"bootstrap_servers": broker.bootstrap_servers})
        yield broker


def broker(run: Run) -> Verdict:
    """SIGKILL and restart, SIGSTOP and SIGCONT, in turns, while events are written."""
    with own_broker(run) as running:
        run.write()
        worker = run.worker()
        worker.wait_live(run.partitions())
        watched = Outage(run, worker)
        with loading(run) as acknowledged:
            for _ in range(run.faults):
                watched.of("kill", lambda: os.kill(running.java_pid, signal.SIGKILL), running.restart)
                watched.of(
                    "stop",
                    lambda: os.kill(running.java_pid, signal.SIGSTOP),
                    lambda: os.kill(running.java_pid, signal.SIGCONT),
                    run.size.seconds,
                )
        verdict = run.finish(worker)
        if verdict.records < acknowledged[0] + run.events * len(run.domains):
            raise AssertionError(f"{acknowledged[0]} records were acknowledged, {verdict.records} are there")
        return verdict


@contextmanager
def loading(run: Run) -> Iterator[list[int]]:
    """Write all the time, whenever the broker answers; yields the number of acknowledged records, in a list."""
    acknowledged, end = [0], threading.Event()

    def write() -> None:
        while not end.is_set():
            try:
                run.write(LOAD_RECORDS)
            except (KafkaError, TimeoutError, OSError):
                end.wait(1)  # unknown how many of them are there: at least none is missed
            else:
                acknowledged[0] += LOAD_RECORDS * len(run.domains)
                end.wait(0.3)

    thread = threading.Thread(target=write, name="load")
    thread.start()
    try:
        yield acknowledged
    finally:
        end.set()
        thread.join()


LOAD_RECORDS = 500  # at a time: a few commits' worth


class Outage:
    """What a worker does while Kafka is away: it says so once, is not ready, is alive, idles, and comes back."""

    def __init__(self, run: Run, worker: Worker) -> None:
        self._run = run
        self._worker = worker
        self._share = 0.0
        self._lines = 0
        self._back: list[float] = []
        wait_for(self._is_ready, READY_SECONDS, worker)

    def of(self, name: str, begin: Callable[[], object], end: Callable[[], object], seconds: float = 0.0) -> None:
        """Make an outage of at least so many seconds, and at least until the worker has noticed."""
        before, spent, began = len(self._said()), cpu_seconds(self._worker.process.pid), time.monotonic()
        with self._alive():
            begin()
            wait_for(lambda: AWAY in self._reasons(), NOTICED_SECONDS, self._worker)
            time.sleep(max(1.0, seconds - (time.monotonic() - began)))  # an outage is measured, not waited for
            self._idle(name, cpu_seconds(self._worker.process.pid) - spent, time.monotonic() - began)
            told = self._said()[before:]
            end()
            back = time.monotonic()
            wait_for(self._is_ready, READY_SECONDS, self._worker)
            self._back.append(time.monotonic() - back)
        self._count(name, told, self._said()[before:])
        self._run.note("ready again after (s)", ", ".join(f"{took:.1f}" for took in self._back))

    def _idle(self, name: str, spent: float, seconds: float) -> None:
        self._share = max(self._share, spent / seconds)
        self._run.note("CPU while Kafka was away", f"{self._share:.3f} s per second")
        if self._share > BUSY_SHARE:
            raise AssertionError(f"{name}: {spent:.2f} CPU seconds in {seconds:.1f} s without Kafka: a hot loop")

    def _count(self, name: str, meanwhile: list[str], all_told: list[str]) -> None:
        self._lines = max(self._lines, len(meanwhile))
        self._run.note("log lines while Kafka was away", str(self._lines))
        once = [sum(words in line for line in all_told) for words in (AWAY, BACK)]
        if once != [1, 1] or len(meanwhile) > 1 + LINES_PER_PARTITION * self._run.partitions():
            raise AssertionError(f"{name}: gone and back were told {once} times:\n" + "\n".join(all_told[:60]))

    def _said(self) -> list[str]:
        return self._worker.said().splitlines()

    def _is_ready(self) -> bool:
        return ask(self._worker.web_port, "ready")[0] == 200

    def _reasons(self) -> str:
        status, reasons = ask(self._worker.web_port, "ready")
        return reasons if status == 503 else ""

    @contextmanager
    def _alive(self) -> Iterator[None]:
        """See that /health/live says 200 all the time."""
        wrong: list[int] = []
        end = threading.Event()

        def look() -> None:
            while not end.wait(LOOK_SECONDS):
                status, _ = ask(self._worker.web_port, "live")
                if status != 200:
                    wrong.append(status)

        thread = threading.Thread(target=look, name="liveness")
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()
        if wrong:
            raise AssertionError(f"/health/live said {wrong}:\n{self._worker.said()[-3000:]}")


def ask(port: int, what: str) -> tuple[int, str]:
    """Status of /health/ready or /health/live, and its reasons; 0 where nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/{what}", timeout=5) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        return error.code, json.dumps(json.loads(error.read())["error"].get("reasons", []))
    except OSError:
        return 0, ""


def cpu_seconds(pid: int) -> float:
    """What a process has spent so far, in user and kernel mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
