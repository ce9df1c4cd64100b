"""The demo's sample says what the whole recording says."""

import gzip
import os
from pathlib import Path

import orjson
import pytest

from app.demo.cut import SAMPLE, cut, main
from app.ingest.array import elements
from app.ingest.pubg import Slim, slim_events
from app.ingest.report import Report
from app.ingest.source import Source
from tables.players import Damage, Kill
from tests.demo.oracle import numbers

KNOWN = {"players": 23, "hits": 88, "damage": 1890.9018, "kills": 15, "groups": 41}
WHOLE = os.environ.get("TIDEMARK_TELEMETRY", "")
MAX_BYTES = 150_000


def _slim(path: str) -> tuple[list[Slim], Report]:
    report = Report()
    with Source(path) as source:
        return list(slim_events(elements(source), report)), report


def test_the_sample_is_small() -> None:
    """It travels with every installation."""
    assert SAMPLE.stat().st_size < MAX_BYTES


def test_an_independent_count_of_the_sample_gives_the_known_numbers() -> None:
    """Counted over the JSON as it is, without a line of the ingest."""
    assert numbers(orjson.loads(gzip.decompress(SAMPLE.read_bytes()))) == KNOWN


def test_the_slim_events_of_the_sample_give_the_known_numbers() -> None:
    """Counted over what the ingest makes of it."""
    events, report = _slim(str(SAMPLE))
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


@pytest.mark.skipif(not WHOLE, reason="TIDEMARK_TELEMETRY names no file with the whole recording")
def test_the_whole_recording_gives_the_same_slim_events() -> None:
    """Event by event, indexes included, and reason by reason."""
    assert _slim(WHOLE) == _slim(str(SAMPLE))
    assert numbers(orjson.loads(Path(WHOLE).read_bytes())) == KNOWN
