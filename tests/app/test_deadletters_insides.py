"""What `tidemark deadletters` thinks of letters, without a Kafka: which are meant, mended how, sent or refused why."""

import asyncio
import json
import shlex
import sys
from collections.abc import AsyncIterator, Iterable
from typing import Any

import click
import pytest

from agents.deadletter import Place
from agents.driver import NOW, Driver, Sent
from app.clock import now_ms
from app.deadletters import mending, shown
from app.deadletters.letter import Letter, letter_of
from app.deadletters.mending import Mending, MendingError
from app.deadletters.resending import ALREADY, REFUSED, WOULD, Resender, Resent
from app.deadletters.standing import Standing
from app.deadletters.summary import Summary
from app.deadletters.trial import Trial
from app.deadletters.wanted import IdType, TimeType, Wanted
from app.partitions import partitioner
from app.settings import Settings
from tables import DOMAINS
from tables.domain import Domain
from tables.players import PLAYERS
from tables.resent import mark_of
from tests.tables.inputs import event

SETTINGS = Settings(partitions=4)
HOSTILE = "\x1b[2J\x1b]0;owned\x07\n"


def letter(key: bytes | None = b"ann", value: bytes | None = b"{", **over: Any) -> Letter:
    """A dead letter as the agents write it; the first of its partition."""
    driver = Driver(PLAYERS)
    driver.send(b"ann", b"{", [("trace", b"7")])
    driver.settle()
    (made,) = driver.dead_letters
    found = letter_of(Sent(3, made.key, made.value, list(made.headers), NOW + 5), 0)
    assert found is not None
    return found._replace(key=key, value=value, **over)


def mended(one: Letter, domain: Domain = PLAYERS, **how: Any) -> Letter:
    """A letter as it would be sent."""
    return asyncio.run(Mending(**how).mended(one, domain))


def looked(
    *letters: Letter, standing: Standing | None = None, by_id: bool = False, unchecked: bool = False, **how: Any
) -> list[Resent]:
    """What would be done about letters."""
    resender = Resender(SETTINGS, PLAYERS, standing or Standing(), Mending(**how), by_id=by_id, unchecked=unchecked)

    async def given() -> AsyncIterator[Letter]:
        for one in letters:
            yield one

    async def looking() -> list[Resent]:
        return [one.resent async for one in resender.prepared(given())]

    return asyncio.run(looking())


# -- which are meant ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [
        (Wanted(), True),
        (Wanted(frozenset({(0, 3)})), True),
        (Wanted(frozenset({(0, 2), (1, 3)})), False),
        (Wanted(outcome="INVALID"), True),
        (Wanted(outcome="MISROUTED"), False),
        (Wanted(reason="INPUT data was"), True),
        (Wanted(reason="overflow"), False),
        (Wanted(key="ann"), True),
        (Wanted(key=""), False),
        (Wanted(partition=1), False),
        (Wanted(since=NOW + 5), True),
        (Wanted(since=NOW + 6), False),
        (Wanted(until=NOW + 5), False),
        (Wanted(until=NOW + 6), True),
    ],
)
def test_filters_choose(wanted: Wanted, *, meant: bool) -> None:
    """All of what is asked for has to hold; a span holds its beginning and not its end."""
    assert (letter() in wanted) is meant


def test_only_partitions_that_can_hold_what_is_meant_are_read() -> None:
    """Those of the ids, or the one that is named, or all."""
    assert Wanted(frozenset({(3, 1), (1, 7)})).partitions(4) == [1, 3]
    assert Wanted(frozenset({(3, 1), (1, 7)}), partition=3).partitions(4) == [3]
    assert Wanted(partition=2).partitions(4) == [2]
    assert Wanted().partitions(3) == [0, 1, 2]
    assert not Wanted(frozenset({(1, 1)})).filters
    assert Wanted(since=0).filters


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2025-06-15T15:06:40Z", NOW),
        ("2025-06-15 17:06:40+02:00", NOW),
        ("2025-06-15T15:06:40", NOW),
        ("1970-01-01", 0),
    ],
)
def test_a_time_is_told_as_iso(text: str, ms: int) -> None:
    """Without a zone it is UTC."""
    assert TimeType().convert(text, None, None) == ms


def test_a_time_is_told_by_how_long_ago_it_was() -> None:
    """In one unit."""
    for text, seconds in (("90s", 90), ("30m", 1800), ("2h", 7200), ("7d", 604_800)):
        assert abs(now_ms() - 1000 * seconds - TimeType().convert(text, None, None)) < 1000


@pytest.mark.parametrize("text", ["", "soon", "2h30m", "2025-13-01", "-1h", "1w", "9999-12-31T24:00"])
def test_what_is_no_time_is_said(text: str) -> None:
    """Never a traceback."""
    with pytest.raises(click.BadParameter, match="neither a time"):
        TimeType().convert(text, None, None)


@pytest.mark.parametrize("text", ["", "7", "0/", "/7", "-1/7", "01/7", "0/7/7", "0/x", "\N{ARABIC-INDIC DIGIT ONE}/7"])
def test_what_is_no_id_is_said(text: str) -> None:
    """With the way to find one."""
    with pytest.raises(click.BadParameter, match="deadletters list"):
        IdType().convert(text, None, None)


# -- letters -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("trace", b"7")],
        [("tidemark-topic", b"t"), ("tidemark-partition", b"0"), ("tidemark-offset", b"-1")],
        [("tidemark-topic", b"t"), ("tidemark-partition", b"0"), ("tidemark-offset", b"1")],
        [
            ("tidemark-topic", None), ("tidemark-partition", b"0"), ("tidemark-offset", b"1"),
            ("tidemark-outcome", b"INVALID"),
        ],
        [
            ("tidemark-topic", b"t"), ("tidemark-partition", b"0"), ("tidemark-offset", b"1"),
            ("tidemark-outcome", b"APPLIED"),
        ],
    ],
)  # fmt: skip
def test_what_a_stranger_has_put_there_is_no_letter(headers: list[tuple[str, bytes | None]]) -> None:
    """It is passed over: nobody knows what it was."""
    assert letter_of(Sent(0, b"", b"", headers, 0), 0) is None


def test_letters_of_an_earlier_release_are_read() -> None:
    """They do not say the record's time: it is resent with the time of now."""
    headers = [("topic", b"t"), ("partition", b"0"), ("offset", b"1"), ("outcome", b"INVALID"), ("reason", b"why")]
    old = letter_of(Sent(7, None, None, [("tidemark-" + name, text) for name, text in headers], 9), 2)
    assert old is not None
    assert (old.id, old.place, old.original, old.timestamp, old.headers) == (
        "2/7",
        Place("t", 0, 1),
        old.place,
        None,
        [],
    )


@pytest.mark.parametrize("forged", [b"x", b"tutors-events/0/0", None, b"players-events/0/99999999999999999999"])
def test_a_forged_original_is_not_believed(forged: bytes | None) -> None:
    """As the worker does not believe it: then the letter is about its own record."""
    driver = Driver(PLAYERS)
    driver.send(b"ann", b"{", [("tidemark-resent", forged)])
    driver.settle()
    found = letter_of(Sent(0, b"", b"", list(driver.dead_letters[0].headers), 0), 0)
    assert found is not None
    assert found.original == found.place == Place("players-events", 0, 0)


def test_nothing_of_a_letter_reaches_a_terminal_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Key, value, reason, headers: what does not print is shown by its number, and a letter stays a line."""
    text = HOSTILE.encode()
    hostile = letter(text, text * 2_000, reason=HOSTILE, headers=[(HOSTILE, text)])
    shown.print_table([shown.line(hostile, "open")])
    assert capsys.readouterr().out.count("\n") == 2
    shown.print_whole(shown.whole(hostile, "open"))
    summary = Summary()
    summary.add(hostile, "open")
    summary.print()
    said = capsys.readouterr().out
    assert all(line.isprintable() for line in said.splitlines())
    assert "more characters; see --raw" in said


@pytest.mark.parametrize(
    ("value", "said", "sizes"),
    [(None, "null", "key 3, no value"), (b"", "empty", "key 3, value 0"), (b"null", "null", "key 3, value 4")],
)
def test_a_letter_without_a_value_says_so(
    capsys: pytest.CaptureFixture[str], value: bytes | None, said: str, sizes: str
) -> None:
    """None and nothing are told apart, also from a text of that name; only what was cut is called truncated."""
    shown.print_whole(shown.whole(letter(b"ann", value), "open"))
    lines = capsys.readouterr().out.splitlines()
    assert f"bytes      {sizes}" in lines
    assert lines[-1] == f"value      {said}"
    assert not [line for line in lines if line.startswith("truncated")]
    shown.print_whole(shown.whole(letter(None, value)._replace(truncated=2_000_000), "open"))
    lines = capsys.readouterr().out.splitlines()
    assert "key        null" in lines
    assert "truncated  it had 2,000,000 bytes, of which the first are here" in lines


def test_a_summary_counts_reasons_whatever_numbers_are_in_them() -> None:
    """One producer's error is one line, though every letter has its own byte."""
    summary = Summary()
    for number in range(3):
        summary.add(letter(reason=f"malformed (byte {number})", place=Place("t", 0, number)), "again as 0/7")
    summary.add(letter(reason="malformed (byte 9)"), "open")
    assert summary.as_json() == [
        {"outcome": "INVALID", "state": "again", "reason": "malformed (byte N)", "letters": 3, "records": 3},
        {"outcome": "INVALID", "state": "open", "reason": "malformed (byte N)", "letters": 1, "records": 1},
    ]


def test_a_summary_counts_a_record_once_whose_letter_was_written_again(capsys: pytest.CaptureFixture[str]) -> None:
    """As a worker does after a reset; another record at the same offset, of a topic created anew, is another one."""
    summary = Summary()
    for offset, value in ((3, b"{"), (4, b"{"), (5, b"["), (6, b"{")):
        summary.add(letter(value=value)._replace(offset=offset), "open")
    assert [(line["letters"], line["records"]) for line in summary.as_json()] == [(2, 4)]
    summary.print()
    assert capsys.readouterr().out.startswith("        2  INVALID    open       Input data was truncated  (4 records:")


# -- mending -----------------------------------------------------------------------------------------------------------


def program(code: str) -> str:
    """A command that runs some Python."""
    return f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}"


def test_a_letter_goes_as_it_came_unless_told_otherwise() -> None:
    """Key, value, time, headers; each may be another one."""
    one = letter()
    assert mended(one) == one
    assert mended(one, key=b"bob", value=b"x", now=True) == one._replace(key=b"bob", value=b"x", timestamp=None)
    assert mended(one, value=json.dumps(event(player="eve")).encode(), rekey=True).key == b"eve"


def test_a_program_mends_bytes_and_is_told_which_letter_it_is() -> None:
    """Any bytes in and out, without a shell between."""
    one = letter(value=b"\xff\n$HOME")
    code = "import os, sys; sys.stdout.buffer.write(sys.stdin.buffer.read() + os.environ['LETTER_ID'].encode())"
    assert mended(one, command=program(code)).value == b"\xff\n$HOME0/3"
    assert mended(letter(value=None), command=program("print('x', end='')")).value == b"x"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"command": "/nowhere/jq ."}, "cannot be run"),
        ({"command": "'"}, "cannot be run"),
        ({"command": ""}, ""),
        ({"command": program("import sys; sys.exit('no such\\nfield')")}, "ended with 1: no such field"),
        ({"rekey": True}, "its player cannot be told"),
        ({"rekey": True, "value": b"null"}, "its player cannot be told"),
    ],
)
def test_what_cannot_be_mended_is_refused_with_the_reason(how: dict[str, Any], said: str) -> None:
    """The letter, not the command as a whole."""
    (one,) = looked(letter(), **how)
    assert one.result == REFUSED
    assert said in one.reason


def test_a_program_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a minute; here at once."""
    monkeypatch.setattr(mending, "COMMAND_SECONDS", 0.05)
    with pytest.raises(MendingError, match="did not end"):
        mended(letter(), command=program("import time; time.sleep(60)"))


# -- sent or refused ---------------------------------------------------------------------------------------------------

GOOD = json.dumps(event(player="ann")).encode()


def test_what_would_be_a_dead_letter_again_is_refused_with_the_workers_own_reason() -> None:
    """Bytes, keys, times: tried by the code that folds."""
    late = json.dumps(event(at="2999-01-01T00:00:00Z")).encode()
    results = looked(letter(), letter(value=GOOD), letter(b"bob", GOOD), letter(None, GOOD), letter(value=late))
    assert [one.result for one in results] == [REFUSED, WOULD, REFUSED, REFUSED, REFUSED]
    reasons = [one.reason.removeprefix("it would be a dead letter again: ") for one in results]
    assert reasons[0].startswith("Input data was truncated")
    assert reasons[2] == "the key is not the event's player"
    assert reasons[3] == "the record has no key"
    assert reasons[4] == "the event's time is more than a day ahead of now"
    assert [one.result for one in looked(letter(), unchecked=True)] == [WOULD]


def test_a_letter_goes_to_the_partition_of_its_key() -> None:
    """By Kafka's default partitioner: one that was written with another is put right by being resent."""
    home, bobs = partitioner(SETTINGS.partitions)(b"ann"), partitioner(SETTINGS.partitions)(b"bob")
    assert home != 0  # where its letter is
    assert looked(letter(value=GOOD))[0].to == Place("players-events", home, -1)
    (bob,) = looked(letter(value=json.dumps(event(player="bob")).encode()), rekey=True)
    assert (bob.result, bob.to) == (WOULD, Place("players-events", bobs, -1))
    assert looked(letter(None), unchecked=True)[0].to.partition == 0  # without a key, where it was


def test_a_defect_of_the_domain_is_a_reason_and_the_next_letter_is_tried_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What raised in the worker raises here."""
    with monkeypatch.context() as broken:
        broken.setattr("tables.players.CLASSES", ())
        (one,) = looked(letter(value=GOOD))
    assert (one.result, "IndexError" in one.reason) == (REFUSED, True)
    assert looked(letter(value=GOOD))[0].result == WOULD


def standing_of(*marks: tuple[int, str, int], newest: Iterable[tuple[Place, str]] = ()) -> Standing:
    """What is known: marks as (partition, name, value), and originals that are dead again."""
    found = Standing({number: {} for number in range(4)})
    for number, name, value in marks:
        found.marks[number][name] = value
    found.newest = {original: (NOW, id_) for original, id_ in newest}
    return found


def test_what_has_become_of_a_letter_is_told_by_what_remembers_its_original() -> None:
    """Folded wherever it went, dead again, forgotten, cut; else open."""
    one = letter()
    again = standing_of(newest=[(one.original, "0/9")])
    assert standing_of().of(one) == "open"
    assert standing_of((3, mark_of(0, 0), 1)).of(one) == "folded"
    assert standing_of((3, mark_of(0, 0), 2)).of(one) == "open"
    assert standing_of((0, mark_of(0), 64)).of(one) == "forgotten"
    assert again.of(one) == "again as 0/9"
    assert again.of(one._replace(offset=9)) == "open"  # it is the newest itself
    assert standing_of().of(one._replace(truncated=2_000_000)) == "truncated"


def test_only_what_can_still_count_is_sent() -> None:
    """What is folded is passed over; of several letters of an original the newest is sent, unless one is named."""
    one, home = letter(value=GOOD), partitioner(SETTINGS.partitions)(b"ann")
    again = standing_of(newest=[(one.original, "0/9")])
    assert looked(one, standing=standing_of((3, mark_of(0, 0), 1)))[0].result == ALREADY
    assert "is a dead letter again as 0/9" in looked(one, standing=again)[0].reason
    assert looked(one, standing=again, by_id=True)[0].result == WOULD
    assert "LATE" in looked(one, standing=standing_of((home, mark_of(0), 64)))[0].reason
    cut = looked(one._replace(truncated=2_000_000), unchecked=True)[0]
    assert (cut.result, "players-events/0/0" in cut.reason, "2,000,000" in cut.reason) == (REFUSED, True, True)


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.name)
def test_every_domain_tells_garbage(domain: Domain) -> None:
    """The trial knows no domain by name."""
    assert Trial(SETTINGS, domain).refusal(letter())
