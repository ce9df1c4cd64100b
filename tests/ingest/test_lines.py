"""JSON lines of any domain: the key is derived, what is no event is refused with its line."""

from app.ingest.lines import LINE_LIMIT, event_records
from app.ingest.report import REFUSED_SHOWN, Report
from app.ingest.source import Source
from tables.players import PLAYERS
from tests.ingest.conftest import Write

GOOD = (
    b'{"type":"damage","match":"m","seq":1,"player":"Zo\xc3\xab","match_type":"x",'
    b'"at":"2024-01-01T00:00:00Z","damage":1}'
)


def _read(path: str) -> tuple[list[tuple[bytes, bytes]], Report]:
    report = Report()
    with Source(path) as source:
        return list(event_records(source, PLAYERS, report)), report


def test_a_line_is_written_as_it_is_under_its_players_name(write: Write) -> None:
    """Space around it and empty lines mean nothing; the last line needs no end."""
    records, report = _read(write(b"\n" + GOOD + b"\r\n\n  " + GOOD))
    assert records == [("Zoë".encode(), GOOD)] * 2
    assert (report.read, report.refused) == (2, 0)


def test_what_is_no_event_is_refused_with_its_line(write: Write) -> None:
    """The others are written."""
    wrong = [b"{", b"[]", b'{"type":"damage"}', GOOD.replace(b":1}", b':"1"}'), GOOD.replace(b"Zo\xc3\xab", b"\\ud800")]
    wrong.append(GOOD[:-1] + b',"pad":"' + b"x" * LINE_LIMIT + b'"}')
    records, report = _read(write(b"\n".join([GOOD, *wrong, GOOD])))
    assert len(records) == 2
    assert [line for line, _ in report.reasons] == [2, 3, 4, 5, 6, 7]
    assert all(reason for _, reason in report.reasons)
    assert (report.read, report.refused) == (8, 6)


def test_reasons_are_bounded_and_their_number_is_told(write: Write) -> None:
    """A million wrong lines fill neither memory nor the screen."""
    _, report = _read(write(b"x\n" * 100))
    assert (report.refused, len(report.reasons)) == (100, REFUSED_SHOWN)
    assert report.as_lines()[-1] == f"  and {100 - REFUSED_SHOWN} more"
