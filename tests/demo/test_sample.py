"""The demo's sample says what the whole recording says."""

import gzip
from pathlib import Path

import orjson
import pytest

from app.demo.cut import SAMPLE, cut, main, slim
from tables.players import Damage, Kill
from tests.demo.oracle import numbers

KNOWN = {"players": 23, "hits": 88, "damage": 1890.9018, "kills": 15, "groups": 41}
MAX_BYTES = 150_000


def test_the_sample_is_small() -> None:
    """It travels with every installation."""
    assert SAMPLE.stat().st_size < MAX_BYTES


def test_an_independent_count_of_the_sample_gives_the_known_numbers() -> None:
    """Counted over the JSON as it is, without a line of the ingest."""
    assert numbers(orjson.loads(gzip.decompress(SAMPLE.read_bytes()))) == KNOWN


def test_the_slim_events_of_the_sample_give_the_known_numbers() -> None:
    """Counted over what the ingest makes of it."""
    events, report = slim(str(SAMPLE))
    hits = [event for event in events if isinstance(event, Damage)]
    assert {
        "players": len({event.player for event in events}),
        "hits": len(hits),
        "damage": round(sum(event.damage for event in hits), 4),
        "kills": sum(isinstance(event, Kill) for event in events),
        "groups": len({(event.player, event.weapon, event.reason) for event in hits}),
    } == KNOWN
    assert (report.read, report.skipped.total()) == (5_459, 5_459 - 103)


def test_cutting_again_takes_nothing_away(tmp_path: Path) -> None:
    """The sample is what `cut` leaves, byte for byte; the known numbers therefore hold for its rules, too."""
    again = tmp_path / "again.json.gz"
    main(str(SAMPLE), str(again))
    assert gzip.decompress(again.read_bytes()) == gzip.decompress(SAMPLE.read_bytes())


def test_cut_keeps_what_an_ingest_uses_and_nothing_else() -> None:
    """Names stay, places and accounts go; an event of no use keeps its place and its type."""
    kept = {"_T": "LogPlayerKillV2", "_D": "2024-01-01T00:00:00Z", "isSuicide": False, "distance": 3.5}
    kept |= {"killer": {"name": "anna"}, "finisher": None, "finishDamageInfo": {"damageReason": "ArmShot"}}
    more = {"attackId": 7, "dBNOMaker": {"name": "bert"}}
    assert cut(kept | more | {"killer": {"name": "anna", "accountId": "account.1", "location": {"x": 1}}}) == kept
    assert cut({"_T": "LogPlayerPosition", "character": {"name": "anna"}}) == {"_T": "LogPlayerPosition"}


@pytest.fixture
def recording(tmp_path: Path) -> str:
    """A small recording, with more in it than an ingest uses."""
    common = {"isGame": 1, "matchId": "match.bro.official.x.one", "weather": "fog"}
    anna = {"name": "anna", "accountId": "account.1", "location": {"x": 1.5}}
    about = {"_D": "2024-01-01T00:00:00Z", "_V": 2, "common": common}
    events = [
        {"_T": "LogPlayerPosition", "character": anna} | about,
        {"_T": "LogPlayerTakeDamage", "attacker": anna, "damage": 10.5, "damageCauserName": "WeapAK47_C"} | about,
        {"_T": "LogPlayerTakeDamage", "attacker": None, "damage": 1} | about,
        {"_T": "LogPlayerKill", "killer": anna, "victim": {"name": "bert", "health": 0}, "distance": 12} | about,
    ]
    path = tmp_path / "recording.json"
    path.write_bytes(orjson.dumps(events))
    return str(path)


def test_a_cut_says_that_it_gives_the_same_slim_events(
    recording: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Event by event, indexes included, and reason by reason; what is of no use is gone."""
    sample = tmp_path / "sample.json.gz"
    main(recording, str(sample))
    assert "the same 2 slim events of 4 elements" in capsys.readouterr().out
    assert b"account" not in gzip.decompress(sample.read_bytes())
    assert [event.seq for event in slim(str(sample))[0]] == [1, 3]


def test_a_cut_that_gives_other_slim_events_is_refused(
    recording: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a rule begins to use a field that the cut takes away: the command fails and names the file."""
    sample = str(tmp_path / "sample.json.gz")
    monkeypatch.setattr("app.demo.cut.cut", lambda element: {"_T": element["_T"]} | ({"_D": element.get("_D")}))
    with pytest.raises(SystemExit, match="gives other slim events than"):
        main(recording, sample)
