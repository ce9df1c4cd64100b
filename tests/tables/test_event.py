"""Times: ISO 8601 on the wire, integer milliseconds inside, and every event in its right day."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.driver import Driver
from tables.event import DAY_MS, _days, day_of, iso, millis
from tables.players import PLAYERS
from tests.tables.inputs import event, told


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("2024-02-29T23:59:59.999Z", "2024-02-29T23:59:59.999Z"),
        ("2024-02-29T23:59:59.9999Z", "2024-02-29T23:59:59.999Z"),
        ("2024-03-01T00:00:00", "2024-03-01T00:00:00.000Z"),
        ("2024-03-01 00:00:00", "2024-03-01T00:00:00.000Z"),
        ("2024-03-01T00:00:00+05:30", "2024-02-29T18:30:00.000Z"),
        ("2024-02-29T23:00:00-01:00", "2024-03-01T00:00:00.000Z"),
        ("2024-03-01t00:00:00z", "2024-03-01T00:00:00.000Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
    ],
)
def test_a_time_means_the_same_in_every_notation(at: str, said: str) -> None:
    """One without a zone is UTC, one with another zone is converted, and answers always carry Z."""
    row = told([event(at=at)]).row("ann")
    assert iso(row.head.at) == said
    assert [name[1] for name, _ in row.of_kind("day")] == [said[:10]]


@given(st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001 - naive on purpose
def test_milliseconds_are_cut_off_never_rounded_up(naive: datetime, minutes: int) -> None:
    """An event in the last microsecond of a day belongs to that day, in every zone."""
    at = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    there = at.astimezone(UTC)
    assert iso(millis(at)) == there.strftime("%Y-%m-%dT%H:%M:%S.") + f"{there.microsecond // 1000:03d}Z"
    assert day_of(millis(at)) == there.date().isoformat()
    assert millis(naive) == millis(naive.replace(tzinfo=UTC))


def test_days_are_right_at_the_ends_of_months_and_years() -> None:
    """A leap day, a year without one, week 53 and the turn of the year."""
    days = ("2024-02-29", "2023-02-28", "2100-02-28", "2020-12-31", "2021-01-01", "2026-12-31")
    for day in days:
        first = millis(datetime.fromisoformat(day))
        assert {day_of(first), day_of(first + DAY_MS - 1)} == {day}
        assert day_of(first + DAY_MS) > day
        assert day_of(first - 1) < day


def test_hostile_times_do_not_fill_memory() -> None:
    """The names of days are remembered within a bound."""
    for number in range(10_000):
        day_of(number * DAY_MS)
    assert len(_days) <= 4097


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", "0999-06-01T00:00:00Z"])
def test_a_time_before_1970_is_refused_and_no_defect(at: str) -> None:
    """The fold names days by four digits; nothing that anyone sends may make it raise."""
    for fields in (event(at=at), event("damage", at=at), event("knock_down", at=at)):
        driver = Driver(PLAYERS)
        driver.send(b"ann", json.dumps(fields).encode())
        driver.fold()
        driver.commit()
        (letter,) = driver.dead_letters
        assert dict(letter.headers)["tidemark-reason"] == b"the event's time is before 1970"
        assert driver.poison == {}
