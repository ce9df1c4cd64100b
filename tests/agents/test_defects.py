"""A defect of a domain: the record that brings it out becomes a dead letter, and nothing of it stays in the rows."""

import json
from dataclasses import replace
from typing import Any

import pytest

from agents.aggregate import aggregate
from agents.task import FoldError
from tables.event import Outcome
from tables.players import PLAYERS, reduce
from tables.row import Row
from tests.driver import Driver
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
