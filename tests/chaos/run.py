"""One run of a scenario: an installation of its own, its input, its workers, and what is compared in the end."""

import asyncio
import random
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from app import topology
from app.broker.ready import free_port
from app.settings import Settings
from app.topology import topic_name
from tables import DOMAINS
from tables.domain import Domain
from tables.players import PLAYERS
from tests.chaos.checker import BrokenError, Verdict, check, drained, folded, settle
from tests.chaos.consume import read_raw
from tests.chaos.expected import Expected
from tests.chaos.process import Worker
from tests.chaos.produce import produce
from tests.chaos.watching import Watcher
from tests.oracle import live

SHOWN_SECONDS = 10.0  # until totals that other workers have published last are read
ASKED = 100  # players whose views are asked for while faults happen
# Debounced by as little as makes sense, so that nobody waits; no snapshot of our own in the rollups' source.
QUICK = {f"TIDEMARK_{domain.name.upper()}_STATS_SECONDS": "0.5" for domain in DOMAINS} | {
    "TIDEMARK_SNAPSHOT_INTERVAL": "86400"
}
Scenario = Callable[["Run"], Verdict]


@dataclass(frozen=True)
class Size:
    """How much of a scenario is run.

    Attributes:
        events: written at a time, per domain.
        faults: how many.
        domains: by name.
        seconds: how long, where a scenario goes by time.
    """

    events: int = 10_000
    faults: int = 1
    domains: tuple[str, ...] = (PLAYERS.name,)
    seconds: float = 0.0


@dataclass
class Run:
    """One run.

    Attributes:
        settings: of the installation.
        folder: for logs.
        rng: seeded; whatever is left to chance asks it.
        size: how much.
        program: the module that a worker process runs, and its arguments before the domains.
        figures: what was measured, for the report.
        players: whose views are asked for: the first that were written.
        workers: every worker that was started; whichever still runs at the end is killed.
    """

    settings: Settings
    folder: Path
    rng: random.Random
    size: Size
    program: tuple[str, ...] = ("tests.chaos.worker",)
    figures: dict[str, str] = field(default_factory=dict)
    workers: list[Worker] = field(default_factory=list)
    watcher: Watcher | None = None
    players: dict[str, None] = field(default_factory=dict)

    @property
    def events(self) -> int:
        """How many to write at a time."""
        return self.size.events

    @property
    def faults(self) -> int:
        """How many to make."""
        return self.size.faults

    @property
    def domains(self) -> list[Domain]:
        """The domains that take part, in the order of the registry."""
        return [domain for domain in DOMAINS if domain.name in self.size.domains]

    # -- input -------------------------------------------------------------------------------------------------------

    def write(self, events: int = 0, *, seed: int | None = None) -> None:
        """Write so many records of every domain (by default `events`), by default with another seed each time."""
        asyncio.run(self._write(events or self.events, self.rng.randrange(1_000) if seed is None else seed))

    async def _write(self, count: int, seed: int) -> None:
        await topology.create(self.settings, self.domains)
        for domain in self.domains:
            records = live.events(domain, count, seed)
            if domain is PLAYERS:
                records = self._noting(records)
            await produce(self.settings, topic_name(self.settings, domain, "events"), records)

    def _noting(self, records: Iterable[live.Sent]) -> Iterator[live.Sent]:
        """Note the first players, to ask for them."""
        for key, value in records:
            if len(self.players) < ASKED and key is not None:
                self.players[key.decode()] = None
            yield key, value

    # -- workers -----------------------------------------------------------------------------------------------------

    def worker(self, name: str = "worker-0", *domains: str, static: bool = True, **variables: str) -> Worker:
        """Start a worker.

        Args:
            name: of its log and, unless told otherwise, its name as a static member.
            domains: that it runs; all of the run's where none is named.
            static: a static member, who comes back without a rebalance.
            variables: of its environment, beside those of the run.
        """
        settings = self.settings.model_copy(update={"instance_id": name if static else "", "web_port": free_port()})
        names = domains or tuple(domain.name for domain in self.domains)
        worker = Worker(settings, self.folder / f"{name}.log", *names, program=self.program, **QUICK | variables)
        self.workers.append(worker)
        return worker

    def partitions(self) -> int:
        """Of all domains together."""
        return self.settings.partitions * len(self.domains)

    # -- while it runs -----------------------------------------------------------------------------------------------

    @contextmanager
    def watching(self) -> Iterator[Watcher]:
        """Ask views of players while the block runs; `finish` judges the answers."""
        self.watcher = Watcher(self.settings, list(self.players), self._ports)
        with self.watcher.watching():
            yield self.watcher

    def _ports(self) -> list[int]:
        return [
            worker.web_port
            for worker in self.workers
            if worker.process.poll() is None and PLAYERS.name in worker.domains
        ]

    def answers(self) -> int:
        """How often views have been answered so far."""
        return 0 if self.watcher is None else len(self.watcher.answers)

    def note(self, name: str, value: str) -> None:
        """Keep a figure for the report."""
        self.figures[name] = value

    # -- the end -----------------------------------------------------------------------------------------------------

    def drain(self, seconds: float = 120) -> None:
        """Wait until all is folded, committed and published."""
        asyncio.run(drained(self.settings, seconds, self.domains))

    def finish(self, *workers: Worker, seconds: float = 120) -> Verdict:
        """Wait until all is folded and published, stop these workers, and compare everything with the oracles."""
        self.drain(seconds)
        oracles = asyncio.run(folded(self.settings, self.domains))
        settled = asyncio.run(settle(self.settings, oracles))
        unlike = self._unlike(workers, oracles)
        for worker in workers:
            worker.stop()
        verdict = self._check(oracles, settled)
        if unlike:  # said last: what is published says more about what went wrong
            raise BrokenError(f"I1 view {unlike}")
        return verdict

    def _unlike(self, workers: Iterable[Worker], oracles: Iterable[Expected]) -> str:
        """Ask the views of every domain of which its oracle says what they have to answer; the first that does not."""
        for expected in oracles:
            for port in [worker.web_port for worker in workers if expected.domain.name in worker.domains]:
                settings = self.settings.model_copy(update={"web_port": port})
                said = live.said_at_last(partial(live.unlike, settings, expected.oracle), SHOWN_SECONDS)
                if said:
                    return said
        return ""

    def check(self) -> Verdict:
        """Compare everything with the oracles; see `tests.chaos.checker.check`.

        Raises:
            BrokenError: an invariant does not hold.
        """
        return self._check(asyncio.run(folded(self.settings, self.domains)))

    def _check(self, oracles: Iterable[Expected], settled: int = -1) -> Verdict:
        verdict = asyncio.run(check(self.settings, oracles, settled=settled))
        if self.watcher is not None:
            source = topic_name(self.settings, PLAYERS, "events")
            self.watcher.judge(asyncio.run(read_raw(self.settings, source)), verdict)
        verdict.figures = self.figures  # what is noted after the comparison belongs to it, too
        return verdict


@contextmanager
def running(bootstrap_servers: str, folder: Path, name: str, *, seed: int, size: Size) -> Iterator[Run]:
    """A run in an installation of its own; none of its workers outlives it."""
    prefix = f"chaos-{name}-{uuid.uuid4().hex[:8]}-"
    settings = Settings(bootstrap_servers=bootstrap_servers, prefix=prefix, session_timeout_seconds=6)
    folder = folder / prefix
    folder.mkdir(parents=True)
    run = Run(settings, folder, random.Random(seed), size)
    try:
        yield run
    finally:
        for worker in run.workers:
            if worker.process.poll() is None:
                worker.kill()
