"""The benches: what is measured, in which order, and what the runs say together."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

from app.topology import topic_name
from tests.bench import data
from tests.bench.installation import DOMAINS, create, create_plain, installation
from tests.bench.process import BenchError, measure

Report = dict[str, Any]
Say = Callable[[str], None]
LIMIT, TIDEMARK, STOCK = "limit", "tidemark", "stock faust"


@dataclass(frozen=True)
class Sizes:
    """How much is measured. Stock Faust gets less of everything; its rate is measured over that."""

    events: int = 1_000_000
    stock_events: int = 30_000
    rows: int = 1_000_000
    stock_rows: int = 50_000
    runs: int = 3
    seconds: float = 120.0
    """For each measured program, until it reports."""


SHORT = Sizes(events=300_000, stock_events=4_000, rows=300_000, stock_rows=10_000, runs=1, seconds=30.0)


class Bench:
    """One bench on one broker: run it, then ask it for its medians."""

    def __init__(self, name: str, servers: str, prefix: str, sizes: Sizes, say: Say) -> None:
        self.name = name
        self.servers = servers
        self.prefix = f"{prefix}{name}-"
        self.sizes = sizes
        self.reports: dict[str, list[Report]] = {LIMIT: [], TIDEMARK: [], STOCK: []}
        self._say = say

    def run(self) -> None:
        """Prepare, then measure all in turn, `runs` times: what disturbs one disturbs the others too."""
        self._say(f"{self.name}: writing what is to be read ...")
        self.prepare()
        for number in range(1, self.sizes.runs + 1):
            for peer in self.reports:
                report = self.measure(peer, number)
                self.reports[peer].append(report)
                rate = report["number"] / report["seconds"]
                self._say(f"{self.name}, run {number} of {self.sizes.runs}: {peer} {rate:,.0f}/s")

    def prepare(self) -> None:
        """Create the topics and write the records."""
        raise NotImplementedError

    def measure(self, peer: str, number: int) -> Report:
        """Measure one of the three; `number` is that of the run."""
        raise NotImplementedError

    def rates(self, peer: str) -> list[float]:
        """Events or rows per second, run by run."""
        return [report["number"] / report["seconds"] for report in self.reports[peer]]

    def ratio(self, peer: str) -> float:
        """How many times as fast Tidemark is: the median of the runs' own ratios."""
        pairs = zip(self.rates(TIDEMARK), self.rates(peer), strict=True)
        return median(ours / theirs for ours, theirs in pairs)

    def summary(self) -> Report:
        """Medians and ratios."""
        return {
            "rates": {peer: median(self.rates(peer)) for peer in self.reports},
            "cpu_us": {
                peer: median(1e6 * report["cpu_seconds"] / report["number"] for report in reports)
                for peer, reports in self.reports.items()
            },
            "of_limit": self.ratio(LIMIT),
            "times_stock": self.ratio(STOCK),
            "runs": self.reports,
        }


class Fold(Bench):
    """Folding preloaded events of one domain."""

    events: dict[str, Callable[[int], Iterator[data.Pair]]] = {  # noqa: RUF012 - a constant
        "one-cell": data.one_cell_events,
        "players": data.damage_events,
        "assessments": data.assessment_events,
    }

    def __init__(self, domain: str, servers: str, prefix: str, sizes: Sizes, say: Say) -> None:
        super().__init__(f"fold {domain}".replace(" ", "-"), servers, prefix, sizes, say)
        self.domain = DOMAINS[domain]
        self.source = topic_name(installation(servers, self.prefix, ""), self.domain, "events")

    def prepare(self) -> None:
        """Write the events; every run of Tidemark gets a changelog of its own."""
        create(self.servers, self.prefix, map(str, range(1, self.sizes.runs + 1)), self.domain)
        events = self.events[self.domain.name](self.sizes.events)
        asyncio.run(data.preload(self.servers, self.source, events))

    def measure(self, peer: str, number: int) -> Report:
        """Fold all events once; stock Faust some of them."""
        sizes, name = self.sizes, self.domain.name
        if peer == LIMIT:
            return measure("limit", self.servers, self.source, name, seconds=sizes.seconds)
        if peer == STOCK:
            app_id = f"{self.prefix}stock-{number}"
            arguments = "fold", self.servers, app_id, self.source, name, sizes.stock_events
            return measure("stock_faust", *arguments, seconds=sizes.seconds)
        report = measure(
            "tidemark", "fold", self.servers, self.prefix, number, name, sizes.events, seconds=sizes.seconds
        )
        return checked(report, sizes.events)


class Restore(Bench):
    """Restoring the rows of the one-cell domain."""

    def __init__(self, servers: str, prefix: str, sizes: Sizes, say: Say) -> None:
        super().__init__("restore", servers, prefix, sizes, say)
        self.domain = DOMAINS["one-cell"]
        settings = installation(servers, self.prefix, "1")
        self.source = topic_name(settings, self.domain, "events")
        self.changelog = topic_name(settings, self.domain, "changelog")
        self.stock = f"{self.prefix}stock"

    def prepare(self) -> None:
        """Let Tidemark write its changelog, by folding an event per key; write stock Faust's as Faust would."""
        create(self.servers, self.prefix, ["1"], self.domain)
        rows = self.sizes.rows
        asyncio.run(data.preload(self.servers, self.source, data.one_event_per_key(rows)))
        folding = "fold", self.servers, self.prefix, "1", self.domain.name, rows
        checked(measure("tidemark", *folding, seconds=self.sizes.seconds), rows)
        changelog = f"{self.stock}-rows-changelog"
        create_plain(self.servers, [(changelog, "compact"), (f"{self.stock}-events", "delete")])
        asyncio.run(data.preload(self.servers, changelog, data.stock_rows(self.sizes.stock_rows)))

    def measure(self, peer: str, number: int) -> Report:  # noqa: ARG002 - every run reads the same changelogs
        """Read, or restore, all rows once."""
        sizes, name = self.sizes, self.domain.name
        if peer == LIMIT:
            return measure("limit", self.servers, self.changelog, "changelog", seconds=sizes.seconds)
        if peer == STOCK:
            arguments = "restore", self.servers, self.stock, f"{self.stock}-events", name, sizes.stock_rows
            return measure("stock_faust", *arguments, seconds=sizes.seconds)
        report = measure("tidemark", "restore", self.servers, self.prefix, 1, name, sizes.rows, seconds=sizes.seconds)
        if report["keys"] != sizes.rows:
            raise BenchError(f"restored {report['keys']} rows of {sizes.rows}")
        return checked(report, sizes.rows)


def checked(report: Report, wanted: int) -> Report:
    """A report, if every event was folded exactly once: a fast wrong result is none."""
    if report["number"] != wanted:
        raise BenchError(f"folded {report['number']} events of {wanted}")
    return report
