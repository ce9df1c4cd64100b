"""The fault matrix: every row of it, the scenarios that make it, and how large their short and full forms are."""

import dataclasses
from typing import NamedTuple

from tables import DOMAINS
from tests.chaos.run import Scenario, Size
from tests.chaos.scenarios import (
    broker,
    corruption,
    elections,
    killing,
    load,
    moving,
    network,
    records,
    resend,
    soaking,
    standby,
    times,
)

ALL = tuple(domain.name for domain in DOMAINS)
BOUNDED = ("assessments", "players")
SEVERAL = ("assessments", "players", "workers")
SOAK_ROW = 16


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
        1, "kill", "SIGKILL of a worker at random moments, some while it starts", "time from start to live",
        killing.kill, Size(10_000, 2, SEVERAL), Size(60_000, 20, ALL),
    ),
    Fault(
        1, "standby", "SIGKILL of a worker whose partitions another one keeps warm", "promoted, not restored",
        standby.standby, Size(2_000, 1, ("players", "workers")), Size(5_000, 3, ALL),
    ),
    Fault(
        2, "crash", "a crash between every two steps of the orders assigned, commit and revoked", "each place reached",
        killing.crash, Size(2_000, 0), Size(5_000, 2),
    ),
    Fault(
        3, "rolling", "rolling restarts of three workers by SIGTERM, static members and others",
        "each within 10 s; a static member's restart moves nothing",
        killing.rolling, Size(2_000), Size(10_000, 2, SEVERAL),
    ),
    Fault(
        4, "broker", "the broker is killed and restarted, and stopped for a while, under load",
        "one line when it goes, one when it returns; not ready, alive and idle meanwhile; ready by itself",
        broker.broker, Size(3_000), Size(20_000, 2, ALL, 30.0),
    ),
    Fault(
        4, "elections", "brokers of a cluster of three are killed, stopped and restarted under load, two at once, too",
        "all goes on while one is away",
        elections.elections, Size(1_000), Size(10_000, 5, SEVERAL, 10.0),
    ),
    Fault(
        5, "rebalance", "workers 1 → 3 → 2 under load, some killed", "pause of partitions that do not move",
        moving.rebalance, Size(10_000, 1, SEVERAL), Size(10_000, 3, SEVERAL),
    ),
    Fault(
        5, "domains", "workers of different domains in one group; a rolling deploy that adds one", "",
        moving.spread_domains, Size(10_000, 1, SEVERAL), Size(20_000, 1, SEVERAL),
    ),
    Fault(
        5, "zombie", "SIGSTOP past the session timeout, the partitions move, SIGCONT",
        "its commit is refused; it joins again",
        moving.zombie, Size(10_000), Size(50_000, 2),
    ),
    Fault(
        5, "slow-starter", "a worker that was stopped before it fenced goes on when others own its partitions",
        "the owner is fenced, and goes on", moving.slow_starter, Size(5_000), Size(50_000, 1),
    ),
    Fault(
        5, "foreign", "a stranger's transaction is left open on a changelog", "the worker refuses, and names the place",
        moving.foreign, Size(10_000), Size(50_000),
    ),
    Fault(
        6, "network", "a network that delays, throttles, cuts, stalls and half-opens connections", "",
        network.network, Size(1_000, seconds=1.0), Size(5_000, 1, SEVERAL, 5.0),
    ),
    Fault(
        6, "endtxn", "answers to EndTxn, and to all else that a commit asks, are lost; some requests come too late",
        "an EndTxn or a TxnOffsetCommit without an answer is noticed",
        network.end_txn, Size(1_000), Size(10_000, 1, seconds=1.0),
    ),
    Fault(
        7, "disk", "no byte can be written to any file: a worker keeps nothing on disk", "",
        load.disk, Size(1_000, 0), Size(20_000, 2, SEVERAL),
    ),
    Fault(
        8, "garbage", "changelog records that are no cells: garbage, unknown versions, cut off, of unknown names",
        "refused by place; found; mended by a replay",
        corruption.garbage, Size(1_000, 1, ("players", "workers")), Size(5_000, 6, ("players", "workers")),
    ),
    Fault(
        9, "poison", "records of every kind that nobody can fold, among good ones, in every domain",
        "no restore", records.poison, Size(1_000, 1, ALL), Size(20_000, 1, ALL),
    ),
    Fault(
        9, "resend", "dead letters are resent, mended and not, some twice, while the worker is killed",
        "each original counts once", resend.resend, Size(3_000), Size(50_000, 10),
    ),
    Fault(
        10, "times", "late, ahead, out of order, repeated, an hour off; leap day, month's end, ISO week 53",
        "each met; each turn crossed in every domain",
        times.times, Size(1_000, 1, ALL), Size(20_000, 1, ALL),
    ),
    Fault(
        11, "oversized", "events as large as topics take, batches that unpack to far more, topics that take less",
        "refused at the start, by name; the bound of memory", records.oversized, Size(1_000), Size(50_000, 2),
    ),
    Fault(
        12, "hot", "one key with nine of ten events; a burst of new keys, ten times as many", "the bound of memory",
        load.hot, Size(5_000), Size(100_000),
    ),
    Fault(
        13, "offsets", "an offset that was moved, a source that was created anew, one that retention has overtaken",
        "refused by place; found; mended by a reset", corruption.offsets,
        Size(500, 1, ("players", "workers")), Size(20_000, 1, ("players", "workers")),
    ),
    Fault(
        14, "topics", "a wrong cleanup policy, a missing topic, a wrong number of partitions",
        "refused at the start; mended by the command that is named",
        corruption.wrong_topics, Size(500), Size(20_000),
    ),
    Fault(
        15, "clients", "500 listeners, clients that never read, half requests, huge ones",
        "an event costs the processor at most 1.7 times what it does without them; the slow are dropped",
        load.clients, Size(10_000), Size(20_000, 2, SEVERAL, 120),
    ),
    Fault(
        16, "soak", "kills, rebalances, zombies, outages of broker and network by chance, for a while",
        "memory slope, open files, asyncio tasks",
        soaking.soak, Size(5_000, 1, BOUNDED, 15), Size(20_000, 1, BOUNDED, 600),
    ),
)  # fmt: skip


def lasting(fault: Fault, minutes: float) -> Fault:
    """The same, for so long."""
    short, full = (dataclasses.replace(size, seconds=60 * minutes) for size in (fault.short, fault.full))
    return fault._replace(short=short, full=full)


def named(name: str) -> Fault:
    """The scenario of that name."""
    return next(fault for fault in FAULTS if fault.name == name)
