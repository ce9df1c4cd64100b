"""Files of strangers for `tidemark ingest`: a message and an exit code, never a traceback, in bounded memory."""

import asyncio
import gzip
import json
import tracemalloc
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from app import topology
from app.commands import main
from app.connection import Connection
from app.demo.cut import SAMPLE
from app.demo.farm import FARM
from app.ingest import commands
from app.ingest.report import Report
from app.settings import Settings
from tables.domain import Domain
from tests.fuzz.inputs import encoded, examples, mutated, spoilt, values
from tests.laws.strategies import GIVEN, every_domain

# Of an ingest that reads a bomb. An element of an array is at most 4 Mi characters of up to 4 bytes, a line 1 MB, and
# 20,000 events wait for the name of their match; a farm's file is read as a whole, 64 MiB of it.
PEAK_BYTES = 40 * 1024 * 1024
FARM_PEAK_BYTES = 160 * 1024 * 1024
PLACES = ("byte ", "element ", "line ", '"line":', "$", "sample", "--match-id", "it is empty", "the file")
MATCH = {"_T": "LogMatchDefinition", "MatchId": "match.bro.official.steam.eu.m"}
HIT = {
    "_T": "LogPlayerTakeDamage",
    "_D": "2025-06-15T00:00:00Z",
    "common": {"isGame": 1.0},
    "attacker": {"name": "ann"},
    "damage": 12.5,
    "damageReason": "HeadShot",
    "damageCauserName": "WeapHK416_C",
}
KILL = {
    "_T": "LogPlayerKillV2",
    "_D": "2025-06-15T00:00:00Z",
    "common": {"isGame": 2.0, "matchId": MATCH["MatchId"]},
    "finisher": {"name": "ann"},
    "victim": {"name": "bob"},
    "isSuicide": False,
    "finishDamageInfo": {"damageReason": "TorsoShot", "damageCauserName": "WeapAK47_C", "distance": 4_999.5},
}
WINDOW = {
    "time_period": 4_900_000,
    "rigs": {"rig1": {"ReportedHashrate": 350_000_000}, "rig2": {"ReportedHashrate": None}},
}
FILE = {"period_duration": 300, "long_window_sample": {"4900000": WINDOW}, "short_window_sample": {"4900000": WINDOW}}


@pytest.fixture(autouse=True, scope="module")
def nowhere() -> Iterator[None]:
    """Records are taken and thrown away, in the place of a producer; everything before it is the command's own."""

    @contextmanager
    def connection() -> Iterator[Connection]:
        yield Connection(Settings(bootstrap_servers="nowhere:9092"), embedded=False, version=None)

    async def verify(*_: object) -> None:
        await asyncio.sleep(0)

    async def write(_settings: Settings, _topic: str, records: Iterable[tuple[bytes, bytes]], report: Report) -> None:
        for key, value in records:
            assert isinstance(key, bytes)
            assert msgspec.json.decode(value) is not None
            report.written += 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commands, "connection", connection)
        patch.setattr(topology, "verify", verify)
        patch.setattr(commands, "write", write)
        yield


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that every example overwrites."""
    return tmp_path_factory.mktemp("fuzz") / "input"


def ingested(path: Path, content: bytes, *command: str) -> Result:
    """Run the command on a file of these bytes; it ends as a command may end."""
    path.write_bytes(content)
    result = CliRunner().invoke(main, ["ingest", *command, str(path)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert result.exit_code in (0, 1)
    said = result.stdout + result.stderr
    assert "Traceback" not in said
    assert len(said) < 20_000  # a file of a gigabyte must not come back by way of its own errors
    assert all(line.isprintable() for line in said.splitlines()), said
    if result.exit_code:
        assert str(path) in said
        assert any(place in said for place in PLACES), said
    return result


def packed(content: SearchStrategy[bytes]) -> SearchStrategy[bytes]:
    """As they are, or gzipped, the gzip file itself spoilt now and then."""
    zipped = content.map(lambda data: gzip.compress(data, 1, mtime=0))
    return content | zipped | mutated(zipped)


def telemetry() -> SearchStrategy[bytes]:
    """Telemetry, spoilt somewhere; noise; and a real match's."""
    whole = st.just([MATCH, HIT, KILL, {"_T": "LogHeal"}, HIT])
    real = st.just(gzip.decompress(SAMPLE.read_bytes())[:20_000])
    return spoilt(whole) | mutated(whole.map(encoded)) | mutated(real) | noise()


def noise() -> SearchStrategy[bytes]:
    """Bytes, and JSON of any kind."""
    return st.binary(max_size=200) | values(12).map(encoded) | mutated(values(12).map(encoded))


@examples(50)
@given(content=packed(telemetry()))
@example(content=b'[{"_T": "LogPlayerTakeDamage", "_D": "2025-06-15T00:00:00Z", "common": {"\\ud800isGame": 1.0}}]')
def test_no_telemetry_is_answered_with_a_traceback(path: Path, content: bytes) -> None:
    """What is wrong is named with its place; what came before it is written."""
    ingested(path, content, "pubg")


@examples(40)
@given(content=packed(spoilt(st.just(FILE)) | mutated(st.just(encoded(FILE))) | noise()))
def test_no_farm_is_answered_with_a_traceback(path: Path, content: bytes) -> None:
    """The file is checked as a whole: one that is wrong writes nothing."""
    ingested(path, content, "smartpool")


@examples(10)
@given(content=mutated(st.just(FARM.read_bytes())) | mutated(st.just(gzip.decompress(FARM.read_bytes()))))
def test_no_real_farm_that_was_damaged_is_answered_with_a_traceback(path: Path, content: bytes) -> None:
    """Bits flipped in a real file, packed and unpacked."""
    ingested(path, content, "smartpool")


@every_domain
@examples(8)
@given(data=st.data())
def test_no_lines_are_answered_with_a_traceback(path: Path, data: st.DataObject, domain: Domain) -> None:
    """What is refused is refused by number and reason; the other lines are written."""
    told = GIVEN[domain.name].events.filter(lambda event: event[1] is not None).map(lambda event: event[1])
    line = told.map(encoded) | spoilt(told) | mutated(told.map(encoded)) | noise()
    content = data.draw(packed(st.lists(line, max_size=4).map(b"\n".join)))
    report = json.loads(ingested(path, content, "events", domain.name, "--json").stdout)["files"][0]
    assert report["read"] == report["written"] + report["refused"]
    ingested(path, content, "events", domain.name)


# -- bombs -------------------------------------------------------------------------------------------------------------


def bomb(head: bytes, filling: bytes, size: int) -> bytes:
    """A gzip file whose content is so many bytes, of a thousandth of that."""
    packer = zlib.compressobj(9, wbits=31)
    piece = filling * (1024 * 1024 // len(filling))
    parts = [packer.compress(head), *(packer.compress(piece) for _ in range(size // len(piece)))]
    return b"".join([*parts, packer.flush()])


def peak_of(path: Path, *command: str) -> int:
    """The memory that the command allocates at once, in bytes."""
    tracemalloc.start()
    try:
        result = CliRunner().invoke(main, ["ingest", *command, str(path)])
        assert isinstance(result.exception, SystemExit | None), result.exc_info
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


ELEMENT = json.dumps(HIT).encode() + b","
BOMBS = {
    "spaces": (b"", b" ", 96, ("pubg",)),
    "spaces in an array": (b"[", b" ", 96, ("pubg",)),
    "a string": (b'[{"_T":"', b"a", 96, ("pubg",)),
    "nesting": (b'[{"a":', b"[", 96, ("pubg",)),
    "events of no match": (b"[", ELEMENT, 8, ("pubg",)),
    "a line": (b"", b"x", 96, ("events", "players")),
    "empty lines": (b"", b"\n", 1, ("events", "players")),
    "wrong lines": (b"", b'{"type":"damage"}\n', 1, ("events", "players")),
    "a farm": (b'{"period_duration":300,"long_window_sample":{', b'"1":0,', 96, ("smartpool",)),
}


@pytest.mark.parametrize(("head", "filling", "mebibytes", "command"), BOMBS.values(), ids=BOMBS)
def test_a_bomb_costs_no_more_memory_than_any_file(
    path: Path, head: bytes, filling: bytes, mebibytes: int, command: tuple[str, ...]
) -> None:
    """A hundred megabytes out of one: refused or passed over, within the limits of their parts."""
    path.write_bytes(bomb(head, filling, mebibytes * 1024 * 1024))
    assert path.stat().st_size < mebibytes * 1024 * 1024 // 50
    assert peak_of(path, *command) < (FARM_PEAK_BYTES if "smartpool" in command else PEAK_BYTES)
