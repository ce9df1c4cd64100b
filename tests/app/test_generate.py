"""What `tidemark generate` makes: the same bytes every time, events that are events, faults that add and never take."""

import asyncio
import importlib.util
import json
from collections import Counter
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path
from random import Random

import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.driver import Driver
from app import topology
from app.commands import main
from app.generate import faults, timing
from app.generate.commands import accepts
from app.generate.events import events_of
from app.generate.faults import Shares, Summary, faulty
from app.generate.poison import POISON, Record, spoil
from app.generate.timing import START, paced
from app.ingest.lines import event_records
from app.ingest.report import Report
from app.ingest.source import Source
from app.settings import Settings, load
from tables import DOMAINS
from tables.domain import Domain
from tables.event import Outcome, iso
from tables.players import PLAYERS
from tests.chaos.consume import read_all

WITH_GENERATOR = [domain for domain in DOMAINS if importlib.util.find_spec(f"app.generate.{domain.name}")]
every_generator = pytest.mark.parametrize("domain", WITH_GENERATOR, ids=lambda domain: domain.name)
START_MS = 1_736_121_600_000  # START
SHARES = Shares(duplicates=0.05, disorder=0.1, late=0.05, poison=0.05)
share = st.sampled_from((0.0, 0.01, 0.3, 1.0))
all_shares = st.builds(Shares, share, share, share, share)


def run(*arguments: str) -> Result:
    """The command."""
    return CliRunner().invoke(main, ["generate", *arguments])


def made(domain: Domain, number: int, keys: int = 20, seed: int = 1) -> list[Record]:
    """So many events of a domain, without faults."""
    return list(islice(events_of(domain.name, Random(f"{seed}/events"), keys, START_MS), number))


# -- events ------------------------------------------------------------------------------------------------------------


@every_generator
def test_the_same_seed_gives_the_same_bytes(domain: Domain) -> None:
    """And another one gives others."""
    assert made(domain, 500) == made(domain, 500)
    assert made(domain, 500) != made(domain, 500, seed=2)


@every_generator
@settings(max_examples=10, deadline=None)
@given(keys=st.sampled_from((1, 2, 3, 50, 1_000)), seed=st.integers(0, 2**64))
def test_what_is_made_is_folded(domain: Domain, keys: int, seed: int) -> None:
    """No event is INVALID or MISROUTED, and there are no more entities than were asked for."""
    driver = Driver(domain, key_limit=0, now=START_MS + 366 * 86_400_000)
    events = made(domain, 400, keys, seed)
    for key, value, poison in events:
        assert not poison
        driver.send(key, value)
    driver.fold()
    outcomes = driver.task.table.totals.outcomes
    assert (outcomes[Outcome.INVALID], outcomes[Outcome.MISROUTED]) == (0, 0), driver.task.outgoing[0]
    assert outcomes[Outcome.APPLIED] > 0
    assert len({key for key, _, _ in events}) <= keys


def test_players_play_in_time_order_with_distinct_names() -> None:
    """From the start on; several matches at once, each with its own growing index."""
    events = [json.loads(record.value or b"") for record in made(PLAYERS, 3_000, 1_000)]
    times = [event["at"] for event in events]
    assert times == sorted(times)
    assert times[0] == iso(START_MS)
    sequences: dict[str, list[int]] = {}
    for event in events:
        sequences.setdefault(event["match"], []).append(event["seq"])
    assert len(sequences) >= 5
    assert all(first < second for found in sequences.values() for first, second in pairwise(found))
    module = importlib.import_module("app.generate.players")
    assert len({module.player(rank) for rank in range(5_000)}) == 5_000


def test_a_domain_without_a_generator_says_how_to_write_one() -> None:
    """Not a traceback."""
    nobody = replace(PLAYERS, name="nobody")
    with pytest.raises(
        click.ClickException, match=r"write one: app/generate/nobody.py with events\(random, keys, start\)"
    ):
        made(nobody, 1)


# -- faults ------------------------------------------------------------------------------------------------------------


def numbered(number: int, keys: int) -> list[Record]:
    """Events of players, all different."""
    chance = Random(number)
    return [
        Record(f"p{chance.randrange(keys)}".encode(), json.dumps(EVENT | {"seq": seq, "player": f"p{seq}"}).encode())
        for seq in range(number)
    ]


EVENT = {"type": "kill", "match": "m", "match_type": "official", "at": START}
accepted = accepts(PLAYERS)


@settings(max_examples=60, deadline=None)
@given(number=st.integers(0, 300), keys=st.integers(1, 40), shares=all_shares, seed=st.integers())
def test_faults_take_nothing_away_and_are_counted(number: int, keys: int, shares: Shares, seed: int) -> None:
    """Without poison and repeats, sorted, what comes out is what went in; and the summary says how many of each."""
    events, summary = numbered(number, keys), Summary()
    records = list(faulty(events, shares, seed, accepted, summary))
    clean = [record for record in records if not record.poison]
    assert set(clean) == set(events)
    assert len(clean) - len(events) == summary.duplicates
    assert max(Counter(clean).values(), default=0) <= 2
    assert Counter(record.poison for record in records if record.poison) == summary.poison
    told = summary.as_json()
    assert (told["records"], told["events"]) == (len(records), len(events))
    assert len(records) == told["events"] + told["duplicates"] + sum(told["poison"].values())
    again = list(faulty(events, shares, seed, accepted, Summary()))
    assert again == records


def test_without_faults_the_events_are_as_they_are() -> None:
    """No share, no change; and a whole share meets every event."""
    events, summary = numbered(300, 7), Summary()
    assert list(faulty(events, Shares(), 1, accepted, summary)) == events
    assert summary == Summary(events=300)
    everything = Summary()
    list(faulty(events, Shares(1, 1, 1, 1), 1, accepted, everything))
    assert (everything.duplicates, everything.disordered, everything.late) == (300, 300, 300)
    assert everything.poison.total() == 600  # one for each event, its repeat included


def test_faults_are_about_as_many_as_asked_for() -> None:
    """Shares of the events, within a few percent of a long run."""
    summary = Summary()
    list(faulty(numbered(20_000, 50), SHARES, 1, accepted, summary))
    assert summary.duplicates == pytest.approx(1_000, rel=0.1)
    assert summary.disordered == pytest.approx(2_000, rel=0.1)
    assert summary.late == pytest.approx(1_000, rel=0.1)
    assert summary.poison.total() == pytest.approx(1_050, rel=0.1)


def test_more_of_one_fault_moves_no_other() -> None:
    """Each has a random source of its own: the late ones are the same with poison and without."""
    events = numbered(3_000, 10)
    plain = list(faulty(events, Shares(late=0.1), 1, accepted, Summary()))
    with_poison = faulty(events, Shares(late=0.1, poison=0.5), 1, accepted, Summary())
    assert [record for record in with_poison if not record.poison] == plain


def test_late_ones_are_overtaken_by_thousands() -> None:
    """At least 2,000 records, unless the end comes first."""
    events = numbered(30_000, 50)
    records = list(faulty(events, Shares(late=0.01), 1, accepted, Summary()))
    place = {record: number for number, record in enumerate(records)}
    behind = [place[event] - number for number, event in enumerate(events[:15_000])]
    late = [distance for distance in behind if distance > 100]
    assert len(late) > 100
    assert min(late) >= faults.HELD_BACK.start * 0.95  # others that are held back do not pass it
    assert max(late) <= faults.HELD_BACK.stop


def test_disorder_stays_near_and_reaches_the_records_of_one_key() -> None:
    """Nobody waits for more than its own key's next record, or a few others."""
    events = numbered(5_000, 100)
    records = list(faulty(events, Shares(disorder=0.2), 1, accepted, Summary()))
    place = {record: number for number, record in enumerate(records)}
    assert max(place[event] - number for number, event in enumerate(events)) <= faults.OWN_KEY_RECORDS + 20
    of_key: dict[bytes | None, list[int]] = {}
    for event in events:
        of_key.setdefault(event.key, []).append(place[event])
    overtaken = sum(first > second for places in of_key.values() for first, second in pairwise(places))
    assert overtaken > 200


def test_repeats_come_after_the_first_soon_or_a_little_later() -> None:
    """Some at once, some after hundreds of others."""
    records = list(faulty(numbered(20_000, 10), Shares(duplicates=0.1), 1, accepted, Summary()))
    first: dict[Record, int] = {}
    distances = [
        number - first[record] for number, record in enumerate(records) if first.setdefault(record, number) != number
    ]
    assert min(distances) == 1
    assert 200 < max(distances) < faults.LATER.stop * 1.2


@every_generator
@pytest.mark.parametrize("kind", POISON)
def test_poison_is_never_folded(domain: Domain, kind: str) -> None:
    """Every kind of it ends in the dead letters of every domain."""
    driver, chance = Driver(domain, now=START_MS + 366 * 86_400_000), Random(7)
    spoilt = [spoil(record, kind, chance, accepts(domain)) for record in made(domain, 60) if record.value is not None]
    for record in spoilt:
        assert record.poison in {kind, "cut off"}
        driver.send(record.key, record.value)
    driver.fold()
    outcomes = driver.task.table.totals.outcomes
    assert outcomes[Outcome.INVALID] + outcomes[Outcome.MISROUTED] == len(spoilt)
    assert sum(outcomes) == len(spoilt)


@pytest.mark.parametrize("kind", POISON)
def test_players_can_be_poisoned_in_every_way(kind: str) -> None:
    """None of the kinds falls back to another."""
    chance = Random(7)
    assert {spoil(record, kind, chance, accepted).poison for record in made(PLAYERS, 60)} == {kind}


# -- the command -------------------------------------------------------------------------------------------------------


def test_a_file_holds_events_that_an_ingest_takes(tmp_path: Path) -> None:
    """Faults included, poison left out and counted; the same options, the same file."""
    file, again = tmp_path / "events.jsonl", tmp_path / "again.jsonl"
    options = ("--events", "2000", "--keys", "50", "--duplicates", "0.05", "--disorder", "0.1", "--poison", "0.02")
    told = json.loads(run("players", *options, "--output", str(file), "--json").stdout)
    assert run("players", *options, "--output", str(again)).exit_code == 0
    assert file.read_bytes() == again.read_bytes()
    assert (told["domain"], told["events"], told["start"]) == ("players", 2_000, "2025-01-06T00:00:00.000Z")
    assert told["left_out"] == sum(told["poison"].values()) > 0
    assert told["written"] == 2_000 + told["duplicates"]
    report = Report()
    with Source(str(file)) as source:
        keys = {key for key, _ in event_records(source, PLAYERS, report)}
    assert (report.read, report.refused) == (told["written"], 0)
    assert 1 < len(keys) <= 50


def test_standard_output_holds_nothing_but_events() -> None:
    """The summary goes to standard error."""
    result = run("players", "--events", "3", "--output", "-", "--start", "2024-02-29T12:00:00+01:00")
    assert next(json.loads(line)["at"] for line in result.stdout.splitlines()) == "2024-02-29T11:00:00.000Z"
    assert len(result.stdout.splitlines()) == 3
    assert "events                3" in result.stderr


@pytest.mark.parametrize(
    ("start", "ms"),
    [
        ("2025-01-06T00:00:00Z", START_MS),
        ("2025-01-06", START_MS),
        ("now", 10**12),
        ("now-2h", 10**12 - 7_200_000),
        ("now-30d", 10**12 - 30 * 86_400_000),
        ("now-5m", 10**12 - 300_000),
    ],
)
def test_a_start_is_a_time_or_now_and_before(monkeypatch: pytest.MonkeyPatch, start: str, ms: int) -> None:
    """Events that are to look alive begin some time ago."""
    monkeypatch.setattr(timing, "now_ms", lambda: 10**12)
    assert timing.Start().convert(start, None, None) == ms


@pytest.mark.parametrize("start", ["yesterday", "now-", "now-3w", "now+3d", "1969-12-31", ""])
def test_a_start_that_is_none_is_wrong_usage(start: str) -> None:
    """Exit code 2, and how to write one."""
    result = run("players", "--start", start, "--output", "-")
    assert result.exit_code == 2
    assert "`now` or `now-30d`" in result.stderr


def test_a_rate_is_kept_over_all_and_not_between_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was slow for once may catch up; waits too short to be kept are not begun."""
    now = 0.0
    monkeypatch.setattr("app.generate.timing.time.monotonic", lambda: now)
    ahead = paced(10)
    assert ahead is not None
    assert [ahead(), ahead()] == [0.0, 0.1]
    now = 0.5
    assert [ahead() for _ in range(5)] == [0.0, 0.0, 0.0, 0.0, pytest.approx(0.1)]
    assert paced(None) is None


@pytest.fixture
def installation(kafka: str, prefix: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings, also in the environment, and the players' topics."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("TIDEMARK_PREFIX", f"{prefix}-")
    asyncio.run(topology.create(load(), [PLAYERS]))
    return load()


def test_the_same_records_are_in_the_same_partitions_every_time(installation: Settings) -> None:
    """All of them, poison included, those without a key as well; where a worker looks for them."""
    options = ("--events", "3000", "--duplicates", "0.05", "--late", "0.02", "--poison", "0.05", "--seed", "3")
    topic = topology.topic_name(installation, PLAYERS, "events")
    told = json.loads(run("players", *options, "--json").stdout)
    assert told["written"] == told["records"] > 3_000
    first = asyncio.run(read_all(installation, topic))
    assert sum(map(len, first.values())) == told["records"]
    assert run("players", *options).exit_code == 0
    both = asyncio.run(read_all(installation, topic))
    for partition, records in first.items():
        again = both[partition][len(records) :]
        assert [(key, value) for _, key, value in again] == [(key, value) for _, key, value in records]
    keys = {key for records in first.values() for _, key, _ in records}
    assert None in keys


def test_at_a_rate_records_come_one_after_the_other(installation: Settings) -> None:
    """All are written; the wait between two is the clock's."""
    assert run("players", "--events", "30", "--rate", "300").exit_code == 0
    found = asyncio.run(read_all(installation, topology.topic_name(installation, PLAYERS, "events")))
    assert sum(map(len, found.values())) == 30
