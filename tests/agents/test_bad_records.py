"""Poison (row 9 of the fault matrix): whatever a record holds, it becomes a dead letter and the partition goes on."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.deadletter import REASON_LIMIT
from agents.driver import NOW, Driver
from agents.task import Outgoing
from tables.event import DAY_MS, FUTURE_MS, Outcome, iso
from tables.players import PLAYERS
from tests.agents.slips import SLIPS
from tests.tables.inputs import Fields, event

HEADERS: list[tuple[str, bytes | None]] = [("trace", b"\x00\xff"), ("empty", b""), ("null", None)]


def letter_of(key: bytes | None, value: bytes | None, partition: int = 0, partitions: int = 1) -> Outgoing:
    """The dead letter of a record between two good ones, which are folded all the same."""
    driver = Driver(PLAYERS, partition, partitions=partitions)
    name = next(name for name in "abcdefgh" if driver.partition_of(name.encode()) == partition)
    driver.send(name.encode(), encoded(event(player=name)), offset=7)
    driver.send(key, value, HEADERS, offset=40)
    driver.send(name.encode(), encoded(event(player=name)))
    driver.settle()
    assert driver.row(name).head.revision == 2
    assert sum(driver.task.table.totals.outcomes) == 3
    assert driver.position == 42
    (letter,) = driver.dead_letters
    return letter


def encoded(fields: Fields) -> bytes:
    """An event as a producer without manners would write it: lone surrogates, NaN and all."""
    return json.dumps(fields).encode()


def raw(**over: str) -> bytes:
    """An event with fields of raw JSON."""
    fields = {name: json.dumps(value) for name, value in event("damage").items()} | over
    return ("{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}").encode()


def headers_of(letter: Outgoing) -> dict[str, str]:
    """Our headers of a dead letter."""
    return {
        name.removeprefix("tidemark-"): value.decode()
        for name, value in letter.headers
        if name.startswith("tidemark-") and value is not None
    }


DEEP = 100_000
VALUES: dict[str, tuple[bytes | None, str]] = {
    "null value": (None, "the value is null"),
    "0 bytes": (b"", "the value is empty"),
    "bad JSON": (b'{"type": "damage",', "truncated"),
    "garbage after JSON": (raw() + b"}", "trailing"),
    "a byte order mark": (b"\xef\xbb\xbf" + raw(), "malformed"),
    "not UTF-8": (raw(player='"@"').replace(b"@", b"\xff"), "utf-8"),
    "no object": (b"[]", "Expected `object`"),
    "JSON null": (b"null", "Expected `object`"),
    "nesting in the open": (b"[" * DEEP, "Expected `object`"),
    "nesting in a field": (raw(player="[" * DEEP), "`$.player`"),
    "nesting in an unknown field": (raw(new='{"a":' * DEEP + "1" + "}" * DEEP), "nested too deeply"),
    "no type": (raw().replace(b'"type"', b'"typo"'), "`type`"),
    "an unknown type": (raw(type='"suicide"'), "`$.type`"),
    "no player": (raw().replace(b'"player"', b'"plyer"'), "`player`"),
    "an empty player": (raw(player='""'), "`$.player`"),
    "a number for a name": (raw(player="7"), "`$.player`"),
    "null for a name": (raw(match="null"), "`$.match`"),
    "a lone surrogate": (raw(player='"\\ud800"'), "surrogate"),
    "a lone surrogate in a weapon": (raw(weapon='"\\udfff"'), "malformed"),
    "a name too long": (raw(player=json.dumps("x" * 257)), "`$.player`"),
    "an enormous weapon": (raw(weapon=json.dumps("x" * 1_000_000)), "`$.weapon`"),
    "an enormous reason": (raw(reason=json.dumps("x" * 129)), "`$.reason`"),
    "an enormous match type": (raw(match_type=json.dumps("x" * 65)), "`$.match_type`"),
    "NaN": (raw(damage="NaN"), "malformed"),
    "infinity": (raw(damage="Infinity"), "malformed"),
    "1e400": (raw(damage="1e400"), "`$.damage`"),
    "a huge integer for a float": (raw(damage="9" * 5000), "`$.damage`"),
    "damage of 0": (raw(damage="0"), "`$.damage`"),
    "damage of -0.0": (raw(damage="-0.0"), "`$.damage`"),
    "negative damage": (raw(damage="-1"), "`$.damage`"),
    "damage out of range": (raw(damage="100000.1"), "`$.damage`"),
    "true for damage": (raw(damage="true"), "`$.damage`"),
    "text for damage": (raw(damage='"5"'), "`$.damage`"),
    "a distance out of range": (raw(type='"kill"', distance_cm="1e10"), "`$.distance_cm`"),
    "a huge seq": (raw(seq="9" * 400), "`$.seq`"),
    "a seq that floats cannot hold": (raw(seq=str((1 << 53) + 1)), "`$.seq`"),
    "a negative seq": (raw(seq="-1"), "`$.seq`"),
    "true for seq": (raw(seq="true"), "`$.seq`"),
    "a fraction for seq": (raw(seq="1.5"), "`$.seq`"),
    "null for seq": (raw(seq="null"), "`$.seq`"),
    "no time": (raw(at='""'), "`$.at`"),
    "a number for a time": (raw(at="1750000000"), "`$.at`"),
    "a date for a time": (raw(at='"2024-01-01"'), "`$.at`"),
    "no such day": (raw(at='"2023-02-29T00:00:00Z"'), "`$.at`"),
    "a leap second": (raw(at='"2016-12-31T23:59:60Z"'), "`$.at`"),
    "hour 24": (raw(at='"2024-01-01T24:00:00Z"'), "`$.at`"),
    "year 0": (raw(at='"0000-01-01T00:00:00Z"'), "`$.at`"),
    "year 1": (raw(at='"0001-01-01T00:00:00Z"'), "time is before 1970"),
    "before year 1": (raw(at='"0001-01-01T00:00:00+14:00"'), "time is before 1970"),
    "year 9999": (raw(at='"9999-12-31T23:59:59Z"'), "time is more than a day ahead"),
    "after year 9999": (raw(at='"9999-12-31T23:59:59-14:00"'), "time is more than a day ahead"),
    "more than a day ahead": (raw(at=json.dumps(iso(NOW + FUTURE_MS + 1))), "time is more than a day ahead"),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_bad_value_becomes_a_dead_letter_that_says_why(name: str) -> None:
    """Topic, partition, offset, outcome, a reason that names the field, and everything that was there."""
    value, reason = VALUES[name]
    letter = letter_of(b"ann", value)
    ours = headers_of(letter)
    assert reason in ours.pop("reason")
    assert ours.pop("timestamp") == str(NOW)
    assert ours == {"topic": "players-events", "partition": "0", "offset": "40", "outcome": "INVALID"}
    assert (letter.role, letter.key, letter.value) == ("dead-letters", b"ann", value)
    assert [header for header in letter.headers if not header[0].startswith("tidemark-")] == HEADERS


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (None, "the record has no key"),
        (b"", "the key is not the event's player"),
        (b"\xff\xfe", "the key is not the event's player"),
        (b"bob", "the key is not the event's player"),
        (b'"ann"', "the key is not the event's player"),
        (b"ANN", "the key is not the event's player"),
    ],
)
def test_a_record_under_another_key_is_misrouted(key: bytes | None, reason: str) -> None:
    """Row and partition would part: no key, another player's, JSON-encoded, not UTF-8, another case."""
    letter = letter_of(key, raw())
    assert (headers_of(letter)["outcome"], headers_of(letter)["reason"]) == ("MISROUTED", reason)
    assert (letter.key, letter.value is not None) == (key, True)


def test_a_record_in_the_wrong_partition_is_misrouted() -> None:
    """Where murmur2 would not have put it; the reason says what to tell librdkafka."""
    partition = 1 - Driver(PLAYERS, partitions=2).partition_of(b"ann")
    letter = letter_of(b"ann", raw(), partition, 2)
    assert headers_of(letter)["outcome"] == "MISROUTED"
    assert f"belongs to partition {1 - partition}" in headers_of(letter)["reason"]
    assert "partitioner=murmur2_random" in headers_of(letter)["reason"]


def test_another_players_event_under_a_known_key_is_misrouted() -> None:
    """The short way for keys that have a row does not skip the check."""
    driver = Driver(PLAYERS)
    for player in ("ann", "bob"):
        driver.send(b"ann", encoded(event(player=player)))
    driver.fold()
    assert driver.task.table.totals.outcomes[Outcome.MISROUTED] == 1
    assert driver.entities == ["ann"]


def test_a_bad_value_under_a_bad_key_is_invalid() -> None:
    """One outcome each, that of the first step that fails."""
    assert headers_of(letter_of(None, b"{"))["outcome"] == "INVALID"


def test_the_last_of_repeated_fields_counts() -> None:
    """Duplicate JSON keys are legal; and the key must match what was decoded, so nothing slips by the route."""
    driver = Driver(PLAYERS)
    driver.send(b"bob", raw(player='"ann","player":"bob"'))
    driver.send(b"ann", raw(player='"ann","player":"bob"'))
    driver.fold()
    assert driver.entities == ["bob"]
    assert driver.task.table.totals.outcomes[Outcome.MISROUTED] == 1


@pytest.mark.parametrize("seq", [0, 1 << 53])
@pytest.mark.parametrize("at", [iso(NOW + FUTURE_MS), "1970-01-01T00:00:00Z", "2024-02-29T12:00:00+14:00"])
@pytest.mark.parametrize("player", ["x" * 256, "\x00", "😀" * 256, "\u202e", " "])
def test_the_edges_are_valid(player: str, at: str, seq: int) -> None:
    """The longest names, the greatest sequence, exactly a day ahead: folded, written and restored."""
    driver = Driver(PLAYERS)
    weapon = "\x00" * 128
    driver.send(player.encode(), encoded(event("damage", player=player, at=at, seq=seq, weapon=weapon, match=player)))
    driver.settle()
    live = driver.read()
    driver.crash()
    assert driver.read() == live
    assert driver.entities == [player]
    assert not driver.dead_letters


def test_what_is_ahead_is_judged_by_the_clock_passed_in() -> None:
    """A skew of an hour is tolerated; the same event is INVALID today and valid tomorrow."""
    for ahead, invalid in ((3_600_000, 0), (DAY_MS, 0), (DAY_MS + 1, 1), (3 * DAY_MS, 1)):
        driver = Driver(PLAYERS)
        driver.send(b"ann", encoded(event(at=iso(NOW + ahead))))
        driver.fold()
        assert driver.task.table.totals.outcomes[Outcome.INVALID] == invalid


def test_a_reason_is_bounded_and_one_line() -> None:
    """It may quote what a stranger sent."""
    for value in (raw(type=json.dumps("\n\x1b[31m" + "x" * 10_000)), raw(type='"a\\nb"')):
        reason = headers_of(letter_of(b"ann", value))["reason"]
        assert len(reason) <= REASON_LIMIT
        assert "\n" not in reason


def test_a_batch_of_nothing_but_poison_moves_on() -> None:
    """Position and totals are committed: it is not read again."""
    driver = Driver(PLAYERS)
    for value, _ in VALUES.values():
        driver.send(b"ann", value)
    driver.settle()
    driver.crash()
    driver.settle()
    assert len(driver.dead_letters) == len(VALUES) == driver.position
    assert driver.entities == []


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from([*event("damage"), "weapon", "reason", "distance_cm"]), json_values, max_size=3))
def test_no_field_of_any_kind_stops_a_partition(over: Fields) -> None:
    """Fuzzed fields: folded or a dead letter, never an exception; and what is folded can be written and restored."""
    driver = Driver(PLAYERS)
    fields = event("damage") | over
    player = fields["player"]
    driver.send(player.encode("utf-8", "surrogatepass") if isinstance(player, str) else b"ann", encoded(fields))
    driver.settle()
    assert driver.poison == {}
    live = driver.read()
    driver.crash()
    assert driver.read() == live
    assert len(driver.entities) + len(driver.dead_letters) == 1


@settings(max_examples=300, deadline=None)
@given(st.none() | st.binary(max_size=30), st.none() | st.binary(max_size=80))
def test_no_bytes_of_any_kind_stop_a_partition(key: bytes | None, value: bytes | None) -> None:
    """Random keys and values: a dead letter each, as they were."""
    letter = letter_of(key, value)
    assert (letter.key, letter.value) == (key, value)


@pytest.mark.parametrize(
    ("timestamp", "reason"),
    [
        (-1, "the event has no time, and its record no timestamp"),
        (-2, "the record's time is before 1970"),
        (NOW + FUTURE_MS + 1, "the record's time is more than a day ahead of now"),
    ],
)
def test_an_event_without_a_time_needs_its_records(timestamp: int, reason: str) -> None:
    """Some producers set none; whoever looks at the dead letter is told which time is meant."""
    driver = Driver(SLIPS)
    driver.send("ann", {"name": "ann", "amount": 1}, timestamp=timestamp)
    driver.send("ann", {"name": "ann", "amount": 1, "at": NOW}, timestamp=timestamp)
    driver.settle()
    [letter] = driver.dead_letters
    assert headers_of(letter)["reason"] == reason
    assert driver.row("ann").head.revision == 1
