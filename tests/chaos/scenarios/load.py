"""Hostile load: a hot key, a burst of keys, clients that hang; memory stays within its bound, folding goes on."""

import asyncio
import itertools
import json
import os
import selectors
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from app.topology import topic_name
from tables.players import PLAYERS
from tests.chaos import workload
from tests.chaos.checker import Verdict, drained, totals_of
from tests.chaos.process import Worker, wait_for
from tests.chaos.produce import produce
from tests.chaos.run import Run

MEBIBYTE = 1024 * 1024


class Rss:
    """The resident memory of a process, looked at again and again: the most that it ever was."""

    def __init__(self, worker: Worker) -> None:
        self._status = Path(f"/proc/{worker.process.pid}/status")
        self.start = self.peak()

    def peak(self) -> int:
        """In bytes, as the kernel has kept count."""
        line = next(line for line in self._status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024


# -- row 12 ------------------------------------------------------------------------------------------------------------

BURST_KEY_LIMIT = 50_000
# What a worker may grow by, beyond what its rows need, for each of its 4 partitions: two fetches of 4 MiB with their
# records parsed (50 MiB), those between the client and the agent (20 MiB), what 30,000 changes become as records, once
# waiting for a commit and once on its way (2 x 30 MiB), and a third of all that which the allocator does not give back.
WORKING_BYTES = 4 * 190 * MEBIBYTE
ROW_BYTES = 4_096  # of a row of one event, with all its cells, indexes and what the allocator keeps: 1.5 to 2.5 kB


def hot(run: Run) -> Verdict:
    """One key with 90 % of the events, exact; then a burst of new keys under a limit: memory within its bound."""
    run.write(run.events // 10)
    asyncio.run(produce(run.settings, topic_name(run.settings, PLAYERS, "events"), hot_records(run)))
    first = run.worker()
    first.wait_live(run.partitions())
    with asking(first) as answered:
        run.drain(240)
    verdict = run.finish(first)
    run.note("views answered beside the hot key, slowest", slowest(answered))
    _burst(run)
    return verdict


def hot_records(run: Run) -> Iterator[tuple[bytes, bytes]]:
    """Events of a workload, nine of ten of them one player's."""
    for number in range(run.events):
        player = "hot" if run.rng.random() < 0.9 else f"cold-{run.rng.randrange(1_000)}"
        event = workload.event(run.rng, f"hot-{number // 500 % 700}", number, player, 3)
        yield player.encode(), json.dumps(event).encode()


def _burst(run: Run) -> None:
    keys = run.events * 10
    limit = min(BURST_KEY_LIMIT, keys // 4)
    worker = run.worker("burst", TIDEMARK_KEY_LIMIT=str(limit))
    worker.wait_live(run.partitions())
    rss = Rss(worker)
    before = asyncio.run(totals_of(run.settings, PLAYERS))
    source = topic_name(run.settings, PLAYERS, "events")
    with asking(worker) as answered:
        asyncio.run(produce(run.settings, source, burst(keys)))
        asyncio.run(drained(run.settings, 900))
    after = asyncio.run(totals_of(run.settings, PLAYERS))
    folded = sum(sum(each["outcomes"].values()) for each in after.values()) - sum(
        sum(each["outcomes"].values()) for each in before.values()
    )
    rows, buried = (sum(each[name] for each in after.values()) for name in ("keys", "buried"))
    grown, bound = rss.peak() - rss.start, WORKING_BYTES + limit * ROW_BYTES
    expected = keys + sum(each["keys"] + each["buried"] for each in before.values())
    worker.stop()
    if folded != keys or rows > limit or rows + buried != expected:
        raise RuntimeError(f"{folded} folded of {keys}, {rows} rows of {limit}, {rows + buried} keys of {expected}")
    if grown > bound:
        raise RuntimeError(f"the worker has grown by {grown / MEBIBYTE:.0f} MiB, the bound is {bound / MEBIBYTE:.0f}")
    used = f"{grown / MEBIBYTE:.0f} MiB of {bound / MEBIBYTE:.0f} allowed"
    run.note(f"burst of {keys:,} keys, limit {limit:,}", used)
    run.note("views answered during the burst, slowest", slowest(answered))


def burst(keys: int) -> Iterator[tuple[bytes, bytes]]:
    """One event of each of so many players that nobody has seen before."""
    for number in range(keys):
        event = {"type": "kill", "match": "burst", "seq": number, "player": f"burst-{number}"}
        yield b"burst-%d" % number, orjson.dumps(event | {"match_type": "official", "at": "2026-01-05T00:00:00Z"})


@contextmanager
def asking(worker: Worker) -> Iterator[list[float]]:
    """Ask for the totals again and again while the block runs; the seconds that the answers took.

    Raises:
        RuntimeError: one was not given.
    """
    took: list[float] = []
    failed: list[str] = []
    done = threading.Event()

    def ask() -> None:
        while not done.wait(0.1):
            began = time.monotonic()
            try:
                status(worker, "/api/v1/players/totals")
            except OSError as error:
                failed.append(repr(error))
            took.append(time.monotonic() - began)

    wait_for(lambda: answers(worker), 20, worker)
    asker = threading.Thread(target=ask)
    asker.start()
    try:
        yield took
    finally:
        done.set()
        asker.join()
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(took)} questions were not answered: {failed[0]}")


def answers(worker: Worker) -> bool:
    """Whether a worker serves its views yet."""
    with suppress(OSError):
        return bool(status(worker, "/api/v1/players/totals"))
    return False


def slowest(took: list[float]) -> str:
    """The number of answers and the slowest."""
    return f"{len(took)}, {max(took, default=0) * 1000:.0f} ms"


def status(worker: Worker, path: str = "/api/v1/status") -> dict[str, Any]:
    """What a view of a worker answers."""
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.web_port}{path}", timeout=30) as answer:
        body: dict[str, Any] = json.load(answer)
        return body


# -- row 15 ------------------------------------------------------------------------------------------------------------

DEAF, HALF = 10, 60
LISTENERS = 500 - DEAF  # with those that never read as many as a worker takes
# What a worker's processor does for an event without clients, by what it does with all of them: at its limit the ratio
# of the rates. Rates by the clock would say who got the two cores: the writer and 490 readers run on them, too. The
# short form folds for a second or two, beside other tests: there it is only noted.
FOLDING_RATIO = 0.6
RATE_RATIO = 0.2  # by the clock all the same, and far off: a worker that waits for a client uses no processor


class Folding(NamedTuple):
    """What it took to fold so many events."""

    events_per_second: float
    processor_us_per_event: float


def clients(run: Run) -> Verdict:
    """500 listeners, some that never read, half requests, huge ones: folding is unaffected, the slow are dropped."""
    run.write()
    worker = run.worker()
    worker.wait_live(run.partitions())
    run.drain()
    before = _folding(run, worker)
    listeners = 250 if run.faults == 1 else LISTENERS
    with connected(worker, listeners) as hostile:
        beside = _folding(run, worker)
        found = status(worker)["clients"]
        if found["listeners"] < listeners:
            raise RuntimeError(f"{found['listeners']} of {listeners} are listening")
        if run.size.seconds:
            _until_dropped(run, worker, len(hostile))
    alone = min(before, _folding(run, worker), key=lambda folding: folding.processor_us_per_event)
    ratio = alone.processor_us_per_event / beside.processor_us_per_event
    run.note(
        "processor per event alone, beside the clients",
        f"{alone.processor_us_per_event:.1f} µs, {beside.processor_us_per_event:.1f} µs: {ratio:.2f} of the rate",
    )
    run.note("events/s alone, beside them", f"{alone.events_per_second:,.0f}, {beside.events_per_second:,.0f}")
    run.note("dropped", json.dumps({name: count for name, count in status(worker)["clients"].items() if count}))
    slow = beside.events_per_second < RATE_RATIO * alone.events_per_second
    if run.size.seconds and (ratio < FOLDING_RATIO or slow):
        raise RuntimeError(f"{run.figures}, wanted {FOLDING_RATIO}, and {RATE_RATIO} by the clock")
    return run.finish(worker)


def _until_dropped(run: Run, worker: Worker, hostile: int) -> None:
    """Write on, so that there is something to tell those who never read, until they all are given up."""
    deadline = time.monotonic() + run.size.seconds
    while True:
        run.write(100)
        found = status(worker)["clients"]
        if found["listeners_dropped"] >= DEAF and found["listeners_dropped"] + found["idle_closed"] >= hostile:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"not all of {hostile} hostile clients are given up: {found}")
        time.sleep(0.5)


def _folding(run: Run, worker: Worker) -> Folding:
    """Write, and wait until all is folded and committed."""
    began, used = time.monotonic(), _processor_seconds(worker)
    for _ in range(3):
        run.write()
    run.drain()
    events = 3 * run.events * len(run.domains)
    return Folding(events / (time.monotonic() - began), (_processor_seconds(worker) - used) / events * 1_000_000)


def _processor_seconds(worker: Worker) -> float:
    """User's and system's, of a process; see proc(5), stat: fields 14 and 15, in ticks."""
    fields = Path(f"/proc/{worker.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def connected(worker: Worker, listeners: int) -> Iterator[list[socket.socket]]:
    """Listeners that read, in a thread, and hostile clients, which are given."""
    reading = [_client(worker, b"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n") for _ in range(listeners)]
    done = threading.Event()

    def read() -> None:
        with selectors.DefaultSelector() as ready:
            for client in reading:
                ready.register(client, selectors.EVENT_READ)
            while not done.is_set():
                for key, _ in ready.select(0.2):
                    with suppress(OSError):
                        key.fileobj.recv(65_536)  # type: ignore[union-attr] # they are sockets

    reader = threading.Thread(target=read)
    reader.start()
    hostile = list(_hostile(worker))
    try:
        yield hostile
    finally:
        done.set()
        reader.join()
        for client in (*reading, *hostile):
            client.close()


def _hostile(worker: Worker) -> Iterator[socket.socket]:
    """Clients that never read, that send half a request and wait, and that send far too much; the last are refused."""
    for _ in range(DEAF):
        yield _client(worker, b"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n", receive_buffer=2_048)
    for half in itertools.islice(itertools.cycle((b"", b"GET /api", b"GET / HTTP/1.1\r\nHost: loc")), HALF):
        yield _client(worker, half)
    for huge in (
        b"GET /" + b"x" * 300_000,
        b"GET / HTTP/1.1\r\nX: " + b"x" * 300_000,
        b"GET /api/v1?" + b"x=1&" * 50_000,
    ):
        with _client(worker, b"") as client, suppress(ConnectionError):
            client.sendall(huge + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = client.recv(100)
            if answer and b" 4" not in answer[:12]:
                raise RuntimeError(f"a huge request was answered with {answer!r}")


def _client(worker: Worker, said: bytes, receive_buffer: int = 0) -> socket.socket:
    client = socket.socket()
    if receive_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.settimeout(10)
    client.connect(("127.0.0.1", worker.web_port))
    client.sendall(said)
    return client


# -- row 7 -------------------------------------------------------------------------------------------------------------


def disk(run: Run) -> Verdict:
    """No byte can be written to any file, and there is no place for temporary ones: nothing here needs either."""
    run.write()
    run.program = ("tests.chaos.diskless",)
    nowhere = str(run.folder / "absent" / "tmp")
    for _ in range(run.faults + 1):
        worker = run.worker(TMPDIR=nowhere, TIDEMARK_HOME=nowhere)
        worker.wait_live(run.partitions())
        run.write()
        run.drain()
        code = worker.stop()
        if code:
            raise RuntimeError(f"it ended with {code}:\n{worker.said()[-3000:]}")
    run.note("files written", "none: none could be (RLIMIT_FSIZE 0), the log went through a pipe")
    return run.check()
