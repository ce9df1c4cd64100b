"""`tidemark watch`: numbers from the totals topics, in place on a terminal, in lines elsewhere."""

import asyncio
import json
import os
import signal
import subprocess
import sys

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from click.testing import CliRunner, Result
from rich.console import Console

from agents.driver import NOW, Driver, Sent
from app import topology
from app.commands import main
from app.engine.totals import TotalsReader
from app.settings import Settings
from app.watch.commands import line, table
from app.watch.sight import Sight, Watched
from tables import DOMAINS
from tables.domain import Domain
from tables.event import OUTCOMES
from tables.players import PLAYERS
from tests.conftest import signals_kept

END_SECONDS = 30.0
HOSTILE = "\x1b[2J[red]ann"


def played(hits: int = 3, player: str = HOSTILE) -> Driver:
    """A partition after some hits, and a record that is none."""
    driver = Driver(PLAYERS)
    hit = {"type": "damage", "match": "m", "player": player, "match_type": "official", "at": "2025-06-01T00:00:00Z"}
    for seq in range(hits):
        driver.send(player, hit | {"seq": seq, "damage": 2.5, "weapon": "WeapPan_C", "reason": "HeadShot"})
    driver.send(player, b"poison")
    driver.settle()
    return driver


def read(domain: Domain, driver: Driver | None = None) -> TotalsReader:
    """A reader that has read what the driver has published."""
    settings = Settings(bootstrap_servers="unused")
    totals = TotalsReader(settings, [domain])
    topic = TopicPartition(topology.topic_name(settings, domain, "totals"), 0)
    for record in driver.published["totals"] if driver else ():
        totals._take(topic, Sent(0, record.key, record.value, [], NOW))
    return totals


def test_a_look_tells_keys_outcomes_and_who_leads() -> None:
    """Values of lists are as the domain's views show them, in the units that people read."""
    sight = Watched(PLAYERS, read(PLAYERS, played())).look()
    assert (sight.keys, sight.consumed, sight.outcomes["applied"], sight.outcomes["invalid"]) == (1, 4, 3, 1)
    said = sight.as_json()
    assert said["at"] == "2025-06-01T00:00:00.000Z"
    assert said["rate"] is None
    assert said["top"]["damage/all"] == {"entity": HOSTILE, "value": 7.5}
    assert "kills/all" not in said["top"]
    assert tuple(said["outcomes"]) == OUTCOMES


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.name)
def test_a_domain_without_a_record_can_be_looked_at(domain: Domain) -> None:
    """Zeros, no time, no lists."""
    sight = Watched(domain, read(domain)).look()
    assert (sight.keys, sight.consumed, sight.at, sight.firsts) == (0, 0, 0, {})
    assert sight.as_json()["at"] is None
    assert line(sight).startswith(f"{domain.name} rows=0 consumed=0 applied=0 ")


def test_the_rate_is_that_of_the_last_seconds() -> None:
    """Records per second since the look five seconds ago, or since the first one."""
    now, totals = NOW, read(PLAYERS)
    counted = totals._totals.setdefault(("players", 0), PLAYERS.totals())
    watched = Watched(PLAYERS, totals, lambda: now)
    rates = []
    for consumed in (100, 200, 300, 400, 500, 600, 600, 600, 600, 600, 600):
        counted.outcomes[0] = consumed
        rates.append(watched.look().rate)
        now += 1000
    assert rates == [None, 100.0, 100.0, 100.0, 100.0, 100.0, 80.0, 60.0, 40.0, 20.0, 0.0]


def test_two_looks_at_one_moment_have_no_rate() -> None:
    """Nothing is divided by no time."""
    watched = Watched(PLAYERS, read(PLAYERS), lambda: NOW)
    assert [watched.look().rate, watched.look().rate] == [None, None]


def test_names_cannot_act_on_the_terminal() -> None:
    """Neither as escape sequences nor as markup of the table."""
    sight = Watched(PLAYERS, read(PLAYERS, played())).look()
    console = Console(width=120, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123 - it goes nowhere
    console.print(table([sight]))
    shown = console.export_text()
    console.file.close()
    assert "\\x1b[2J[red]ann" in shown
    assert "damage/all" in shown
    assert "\x1b" not in line(sight)
    assert "damage/all=\\x1b[2J[red]ann:7.5" in line(sight)


# -- on Kafka ----------------------------------------------------------------------------------------------------------


def run(*arguments: str) -> Result:
    """The command, which has to end by itself."""
    with signals_kept():
        return CliRunner().invoke(main, ["watch", *arguments])


def publish(settings: Settings, driver: Driver) -> None:
    """Write the totals that a driver has published, as a worker does."""
    topic = topology.topic_name(settings, PLAYERS, "totals")

    async def sending() -> None:
        producer = AIOKafkaProducer(**settings.kafka())
        await producer.start()
        try:
            for key, value in driver.totals.items():
                await producer.send_and_wait(topic, key=key, value=value, partition=0)
        finally:
            await producer.stop()

    asyncio.run(sending())


def test_once_it_tells_every_domain_and_ends(installation: Settings) -> None:
    """No worker has to run; exit code 0."""
    publish(installation, played())
    result = run("--once", "--json")
    assert result.exit_code == 0, result.output
    sights = {sight["domain"]: sight for sight in map(json.loads, result.stdout.splitlines())}
    assert list(sights) == [domain.name for domain in DOMAINS]
    assert (sights["players"]["keys"], sights["players"]["consumed"]) == (1, 4)
    lines = run("--once", "--domain", "players").stdout.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("players rows=1 consumed=4 applied=3 ")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_follows_until_it_is_ended(installation: Settings, how: signal.Signals) -> None:
    """A line when numbers change, none while they do not; Ctrl-C and SIGTERM end it with 0 and without a word."""
    command = [sys.executable, "-m", "app", "watch", "--domain", "players", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as watching:
        assert watching.stdout is not None
        assert watching.stderr is not None
        try:
            assert json.loads(watching.stdout.readline())["consumed"] == 0
            publish(installation, played(hits=5))
            consumed = [json.loads(watching.stdout.readline())["consumed"]]
            watching.send_signal(how)
            assert watching.wait(END_SECONDS) == 0
        finally:
            watching.kill()
        consumed += [json.loads(text)["consumed"] for text in watching.stdout]
        assert set(consumed) == {6}
        assert watching.stderr.read() == ""


def test_without_topics_it_says_how_to_create_them(kafka: str, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 2, and no waiting for what will not come."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("TIDEMARK_PREFIX", f"{prefix}-")
    result = run("--once")
    assert result.exit_code == 2
    assert "create them with: tidemark topics create" in result.stderr


def test_sights_that_differ_in_their_rate_alone_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """But that nothing comes any longer is worth one."""
    from app.watch.commands import _lines  # noqa: PLC0415 - an inside

    show, sight = _lines(as_json=False), Sight("players", 1, 2, {}, None, 0, {})
    for rate in (None, 5.0, 3.0, 1.0, 0.0, 0.0):
        show([sight._replace(rate=rate)])
    show([sight._replace(consumed=3, rate=0.2)])
    assert [text.split("rate=")[1].split()[0] for text in capsys.readouterr().out.splitlines()] == ["-", "0.0", "0.2"]
