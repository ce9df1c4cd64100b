"""The fault matrix: every row of it, the scenarios that make it, and how large their short and full forms are."""

from typing import NamedTuple

from tables import DOMAINS
from tests.chaos.run import Scenario, Size
from tests.chaos.scenarios import killing, moving, standby

ALL = tuple(domain.name for domain in DOMAINS)
SEVERAL = ("assessments", "players", "workers")


class Fault(NamedTuple):
    """One scenario.

    Attributes:
        row: of the matrix, 1 to 16.
        name: on the command line.
        what: what is done to it.
        checked: what is checked beside the invariants; "" for nothing.
        scenario: does it.
        short: its size in CI.
        full: its size for the report.
    """

    row: int
    name: str
    what: str
    checked: str
    scenario: Scenario
    short: Size
    full: Size


FAULTS = (
    Fault(
        1, "kill", "SIGKILL of a worker at random moments", "time from start to live",
        killing.kill, Size(20_000, 2, SEVERAL), Size(100_000, 20, ALL),
    ),
    Fault(
        1, "standby", "SIGKILL of a worker whose partitions another one keeps warm", "promoted, not restored",
        standby.standby, Size(3_000, 1, ("players", "workers")), Size(100_000, 6, ALL),
    ),
    Fault(
        2, "crash", "a crash between every two steps of the orders assigned, commit and revoked", "each place reached",
        killing.crash, Size(2_000), Size(20_000),
    ),
    Fault(
        3, "rolling", "rolling restarts of three workers by SIGTERM, static members and others", "each within 10 s",
        killing.rolling, Size(5_000, 1, SEVERAL), Size(50_000, 4, SEVERAL),
    ),
    Fault(
        5, "rebalance", "workers 1 → 3 → 2 under load, some killed", "pause of partitions that do not move",
        moving.rebalance, Size(10_000, 1, SEVERAL), Size(50_000, 6, SEVERAL),
    ),
    Fault(
        5, "domains", "workers of different domains in one group; a rolling deploy that adds one", "",
        moving.spread_domains, Size(10_000, 1, SEVERAL), Size(100_000, 1, SEVERAL),
    ),
    Fault(
        5, "zombie", "SIGSTOP past the session timeout, the partitions move, SIGCONT", "the zombie joins again",
        moving.zombie, Size(10_000), Size(100_000, 4),
    ),
    Fault(
        5, "slow-starter", "a worker that was stopped before it fenced goes on when others own its partitions",
        "the owner is fenced, and goes on", moving.slow_starter, Size(5_000), Size(50_000, 3),
    ),
    Fault(
        5, "foreign", "a stranger's transaction is left open on a changelog", "the worker refuses, and names the place",
        moving.foreign, Size(10_000), Size(100_000),
    ),
)  # fmt: skip


def named(name: str) -> Fault:
    """The scenario of that name."""
    return next(fault for fault in FAULTS if fault.name == name)
