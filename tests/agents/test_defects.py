"""A defect of a domain: the record that brings it out becomes a dead letter, and nothing of it stays in the rows."""

import json
from dataclasses import replace
from typing import Any

import pytest

from agents.aggregate import aggregate
from agents.driver import Driver
from agents.task import FoldError
from tables.event import Outcome
from tables.players import PLAYERS, reduce
from tables.row import Row
from tests.tables.inputs import event, tell


def buggy(row: Row, what: Any, at: int, totals: Any) -> Outcome:
    """Players' rule with a defect: it fails half way through an event with this weapon."""
    outcome = reduce(row, what, at, totals)
    if what.weapon == "bug":
        raise ZeroDivisionError("half way\nthrough")
    return outcome


BUGGY = replace(PLAYERS, reduce=buggy)


def test_a_defect_names_the_offset_and_the_error() -> None:
    """So that the engine can go round it, and a human can find it."""
    driver = Driver(BUGGY)
    driver.send(b"ann", b"null", offset=4)
    tell_unfolded(driver, event(weapon="bug"))
    with pytest.raises(FoldError) as caught:
        aggregate(driver.task, driver.source, driver.now)
    assert caught.value.offset == 5
    assert caught.value.reason == "ZeroDivisionError: half way through"
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def tell_unfolded(driver: Driver, *events: dict[str, Any]) -> None:
    """Send without folding."""
    for fields in events:
        driver.send(fields["player"].encode(), json.dumps(fields).encode())


def test_a_poisonous_record_becomes_a_dead_letter_and_the_partition_goes_on() -> None:
    """Restored, gone round, INVALID with the defect as its reason; its neighbours are folded exactly once."""
    driver = tell(Driver(BUGGY), event())
    driver.commit()
    tell(driver, event(), event(weapon="bug"), event("damage"), event(weapon="bug"), event(player="bob"))
    driver.settle()
    totals = driver.task.table.totals
    assert totals.outcomes == [4, 0, 0, 2, 0]
    assert (totals.kills, totals.hits, driver.row("ann").head.revision) == (3, 1, 3)
    reasons = [dict(letter.headers)["tidemark-reason"] for letter in driver.dead_letters]
    assert reasons == [b"ZeroDivisionError: half way through"] * 2
    assert driver.read() == driver.cells


def test_a_poisonous_record_is_found_again_after_a_crash() -> None:
    """A new process knows nothing of it, and ends the same."""
    driver = tell(Driver(BUGGY), event(), event(weapon="bug"), event())
    driver.crash()
    driver.settle()
    assert driver.task.table.totals.outcomes == [2, 0, 0, 1, 0]
    assert len(driver.dead_letters) == 1


def test_a_repaired_domain_folds_what_was_poison() -> None:
    """Poison is not remembered beyond the process: after a new release the record is an event again."""
    driver = tell(Driver(BUGGY), event(weapon="bug"))
    driver.domain = PLAYERS
    driver.crash()
    driver.settle()
    assert driver.task.table.totals.outcomes == [1, 0, 0, 0, 0]


@pytest.mark.parametrize("outcome", [Outcome.DUPLICATE, Outcome.LATE])
def test_an_event_that_is_not_applied_makes_no_row(outcome: Outcome) -> None:
    """A first event that is LATE leaves nothing behind, but the count."""
    driver = tell(Driver(replace(PLAYERS, reduce=lambda *_: outcome)), event())
    driver.settle()
    assert driver.entities == []
    assert driver.task.table.totals.outcomes[outcome] == 1
    assert driver.stats == {}
    assert len(driver.cells) == 1


def raising(what: object, *_more: object) -> Any:
    """A defect."""
    raise KeyError(type(what).__name__)


@pytest.mark.parametrize("part", ["entity", "at"])
def test_a_defect_before_the_fold_costs_the_record_and_nothing_else(part: str) -> None:
    """What the domain says of an event may fail, too; the records before it in the batch count once."""

    def defective(what: Any) -> Any:
        return raising(what) if what.weapon == "bug" else getattr(PLAYERS, part)(what)

    parts: dict[str, Any] = {part: defective}
    driver = tell(Driver(replace(PLAYERS, **parts)), event(), event(weapon="bug"), event())
    driver.settle()
    assert driver.task.table.totals.outcomes == [2, 0, 0, 1, 0]
    assert driver.row("ann").head.revision == 2
    assert [dict(letter.headers)["tidemark-reason"] for letter in driver.dead_letters] == [b"KeyError: 'Kill'"]


def test_a_snapshot_that_cannot_be_made_is_left_out() -> None:
    """The row is right, and counts on; only its publication fails, until the domain is mended."""
    driver = tell(Driver(replace(PLAYERS, snapshots=raising)), event())
    driver.settle()
    assert driver.stats == {}
    assert driver.row("ann").head.pending == 0
    assert driver.task.table.totals.outcomes == [1, 0, 0, 0, 0]


def test_a_row_that_cannot_be_written_is_restored_without_its_last_event() -> None:
    """A sum beyond 64 bits: the event that brought it there becomes a dead letter, and commits go on."""

    def beyond(row: Row, what: Any, at: int, totals: Any) -> Outcome:
        outcome = reduce(row, what, at, totals)
        row.head.classes[1].damage += (1 << 70) * (what.weapon == "bug")
        return outcome

    driver = tell(Driver(replace(PLAYERS, reduce=beyond)), event(), event(weapon="bug"))
    driver.settle()
    assert driver.task.table.totals.outcomes == [1, 0, 0, 1, 0]
    reason = dict(driver.dead_letters[0].headers)["tidemark-reason"] or b""
    assert b"the row of 'ann' cannot be written" in reason


@pytest.mark.parametrize(
    ("value", "theirs", "size"),
    [(b" " * 3_000_000, [("trace", b"x" * 100_000)], b"3100035"), (b"{", [("", None)] * 1_200_000, b"14400004")],
    ids=["value", "headers of nothing"],
)
def test_a_dead_letter_always_fits_into_its_topic(value: bytes, theirs: Any, size: bytes) -> None:
    """A record may be as large as its compression hides; the original stays readable at the source."""
    driver = Driver(PLAYERS)
    driver.send(b"ann", value, headers=theirs)
    driver.settle()
    (letter,) = driver.dead_letters
    headers = dict(letter.headers)
    assert headers["tidemark-truncated"] == size
    assert letter.value == value[: 512 * 1024]
    assert len(letter.headers) < 10
    assert sum(len(part or b"") for part in (letter.key, letter.value, *headers.values())) < 1024 * 1024
