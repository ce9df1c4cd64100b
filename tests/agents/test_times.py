"""What is published without any event: at a row's own time, and periodically."""

import json
from dataclasses import replace
from typing import Any

from agents.driver import NOW, Driver
from agents.emit import DUE_ROWS, MISSED_MS, SPARE_DUES
from tests.agents.slips import EVERY, SLIPS, SlipTotals

QUARTER_MS = 900_000
SECONDS_TO_BOUNDARY = (QUARTER_MS - NOW % QUARTER_MS) / 1000


def sent(driver: Driver, name: str, **fields: Any) -> None:
    """Fold one slip."""
    driver.send(name, {"name": name, "amount": 1} | fields)
    driver.fold()


def paid(driver: Driver, name: str) -> int:
    """What the latest snapshot says."""
    found: int = json.loads(driver.stats[name.encode()])["paid"]
    return found


def sums(driver: Driver) -> list[int]:
    """The timestamps of the periodic records."""
    return [json.loads(record.value or b"")["timestamp"] for record in driver.published.get("sums", [])]


# -- a row's own time --------------------------------------------------------------------------------------------------


def test_a_row_is_published_at_its_time_without_an_event() -> None:
    """Not before, and once."""
    driver = Driver(SLIPS)
    sent(driver, "ann", due=NOW + 60_000)
    driver.settle()
    driver.now = NOW + 59_999
    driver.commit()
    assert paid(driver, "ann") == 0
    driver.wait(0.001)
    driver.commit()
    assert paid(driver, "ann") == 1
    written = len(driver.published["stats"])
    driver.wait(3600)
    driver.commit()
    assert len(driver.published["stats"]) == written


def test_a_time_survives_a_crash_before_and_after_it() -> None:
    """It is part of the row; one that passed while nobody ran is made up for."""
    driver = Driver(SLIPS)
    sent(driver, "ann", due=NOW + 60_000)
    driver.settle()
    driver.crash()
    driver.wait(3600)
    driver.crash()
    driver.commit()
    assert paid(driver, "ann") == 1


def test_a_time_that_was_moved_or_whose_row_is_gone_is_forgotten() -> None:
    """What counts is what the row says by then."""
    driver = Driver(SLIPS)
    sent(driver, "ann", due=NOW + 60_000)
    sent(driver, "bob", due=NOW + 60_000)
    driver.settle()
    sent(driver, "ann", due=NOW + 120_000)
    driver.send("bob", None)
    driver.settle()
    driver.now = NOW + 60_000
    driver.commit()
    assert paid(driver, "ann") == 0
    assert driver.stats.keys() == {b"ann"}
    driver.now = NOW + 120_000
    driver.commit()
    assert paid(driver, "ann") == 1


# -- periodically ------------------------------------------------------------------------------------------------------


def test_there_is_exactly_one_record_per_boundary() -> None:
    """At multiples of the interval since the epoch, with the totals of all partitions."""
    driver = Driver(SLIPS, partitions=2)
    driver.others = SlipTotals(amount=41)
    sent(driver, next(name for name in "abcdefgh" if driver.partition_of(name.encode()) == 0))
    driver.commit()
    assert sums(driver) == []  # the boundary before the first start is nobody's
    driver.wait(SECONDS_TO_BOUNDARY)
    for _ in range(3):
        driver.commit()
        driver.crash()
        driver.commit()
    boundary = NOW - NOW % QUARTER_MS + QUARTER_MS
    assert sums(driver) == [boundary]
    driver.wait(900)
    driver.commit()
    assert sums(driver) == [boundary, boundary + QUARTER_MS]
    assert json.loads(driver.published["sums"][0].value or b"") == {"timestamp": boundary, "amount": 42, "every": 900}


def test_a_record_goes_to_the_partition_of_its_key() -> None:
    """It is consumed again, by key; the rest goes to the task's own partition."""
    driver = Driver(SLIPS, partitions=5)
    driver.commit()
    driver.wait(SECONDS_TO_BOUNDARY)
    driver.commit()
    [record] = driver.published["sums"]
    assert record.partition == driver.partition_of(b"all")


def test_only_partition_zero_publishes() -> None:
    """Else there would be as many records as partitions."""
    driver = Driver(SLIPS, 1, partitions=2)
    sent(driver, "ann")
    for _ in range(3):
        driver.wait(900)
        driver.commit()
    assert sums(driver) == []


def test_a_boundary_that_passed_while_the_partition_was_moving_is_seen_to() -> None:
    """The next owner publishes it, with the boundary's time, and no second one."""
    driver = Driver(SLIPS)
    driver.commit()
    driver.wait(SECONDS_TO_BOUNDARY + MISSED_MS / 1000)
    driver.crash()
    driver.commit()
    assert sums(driver) == [NOW - NOW % QUARTER_MS + QUARTER_MS]


def test_boundaries_that_were_missed_while_nobody_ran_are_skipped() -> None:
    """A snapshot must not claim a time at which nobody looked."""
    driver = Driver(SLIPS)
    driver.commit()
    driver.wait(SECONDS_TO_BOUNDARY + 5 * 900 + MISSED_MS / 1000 + 0.001)
    driver.crash()
    driver.commit()
    assert sums(driver) == []
    driver.now += QUARTER_MS - driver.now % QUARTER_MS
    driver.commit()
    assert sums(driver) == [driver.now]


def test_nothing_is_published_while_the_other_partitions_are_not_known() -> None:
    """Half a sum would be wrong; a moment later it is made up for."""
    driver = Driver(SLIPS)
    driver.commit()
    driver.wait(SECONDS_TO_BOUNDARY)
    driver.others = None
    driver.commit()
    assert sums(driver) == []
    driver.wait(1)
    driver.others = SlipTotals()
    driver.commit()
    assert sums(driver) == [NOW - NOW % QUARTER_MS + QUARTER_MS]


def test_one_on_demand_has_its_own_time_and_replaces_none() -> None:
    """The next boundary comes all the same."""
    driver = Driver(SLIPS)
    driver.commit()
    driver.task.demanded = True
    driver.commit()
    driver.commit()
    assert sums(driver) == [NOW]
    driver.wait(SECONDS_TO_BOUNDARY)
    driver.commit()
    assert sums(driver) == [NOW, NOW - NOW % QUARTER_MS + QUARTER_MS]


def test_the_interval_is_an_option() -> None:
    """In seconds."""
    driver = Driver(SLIPS, options={EVERY.name: 2})
    for _ in range(10):
        driver.commit()
        driver.wait(1)
    assert sums(driver) == [NOW + 2000, NOW + 4000, NOW + 6000, NOW + 8000]


# -- defects -----------------------------------------------------------------------------------------------------------


def raising(*_: object) -> Any:
    """A defect of the domain."""
    raise KeyError("defect")


def test_a_due_row_that_cannot_be_published_is_not_tried_again_and_again() -> None:
    """Its next event tries; the partition goes on."""
    driver = Driver(replace(SLIPS, snapshots=raising))
    sent(driver, "ann", due=NOW + 60_000)
    driver.settle()
    for _ in range(3):
        driver.wait(3600)
        assert not [record for record in driver.commit().outgoing if record.role == "stats"]
    assert driver.task.dues == []


def test_a_periodic_record_that_cannot_be_made_costs_that_boundary() -> None:
    """Not the worker."""
    periodic = SLIPS.periodic
    assert periodic is not None
    driver = Driver(replace(SLIPS, periodic=replace(periodic, record=raising)))
    driver.commit()
    driver.wait(SECONDS_TO_BOUNDARY)
    sent(driver, "ann")
    driver.commit()
    driver.commit()
    assert sums(driver) == []
    assert driver.task.table.totals.outcomes[0] == 1


def test_many_rows_that_are_due_at_once_are_published_in_turns() -> None:
    """After a long pause, so that views need not wait for all of them."""
    driver = Driver(SLIPS)
    for number in range(DUE_ROWS + 1):
        driver.send(f"slip-{number}", {"name": f"slip-{number}", "amount": 1, "due": NOW + 60_000})
    driver.settle()
    driver.wait(3600)
    assert len([record for record in driver.commit().outgoing if record.role == "stats"]) == DUE_ROWS
    assert len([record for record in driver.commit().outgoing if record.role == "stats"]) == 1


# -- clocks ------------------------------------------------------------------------------------------------------------


def test_a_boundary_that_was_published_by_a_clock_ahead_is_not_published_again() -> None:
    """Another worker's clock may be behind: its first boundary is the next one."""
    driver = Driver(SLIPS)
    driver.commit()
    driver.wait(SECONDS_TO_BOUNDARY)
    driver.commit()
    driver.wait(-120)
    driver.crash()
    for _ in range(4):
        driver.commit()
        driver.wait(60)
    assert sums(driver) == [NOW - NOW % QUARTER_MS + QUARTER_MS]


def test_a_clock_that_was_a_year_ahead_does_not_silence_the_partition_for_a_year() -> None:
    """Set right again, the next boundary is published; what lies more than a day ahead is nobody's."""
    driver = Driver(SLIPS)
    driver.commit()
    driver.wait(365 * 86_400)
    driver.commit()
    driver.now = NOW
    driver.crash()
    driver.commit()
    assert sums(driver) == []
    driver.wait(SECONDS_TO_BOUNDARY)
    driver.commit()
    driver.commit()
    assert sums(driver) == [NOW - NOW % QUARTER_MS + QUARTER_MS]


def test_one_on_demand_at_a_boundary_is_the_boundarys() -> None:
    """Two records of one time would count as one by some readers and as two by others."""
    driver = Driver(SLIPS)
    driver.commit()
    driver.now += QUARTER_MS - driver.now % QUARTER_MS
    driver.task.demanded = True
    driver.commit()
    driver.commit()
    assert sums(driver) == [driver.now]


# -- over a long time --------------------------------------------------------------------------------------------------


def test_a_row_whose_time_is_put_off_again_and_again_does_not_pile_up_times() -> None:
    """Each move leaves a time behind that no row awaits; they are dropped long before they would come."""
    driver = Driver(SLIPS)
    for days in range(1, 3 * SPARE_DUES):
        sent(driver, "ann", due=NOW + days * 86_400_000)
        driver.wait(driver.task.delay_ms / 1000)
        driver.commit()
    assert len(driver.task.dues) <= SPARE_DUES + 2
    driver.wait(3 * SPARE_DUES * 86_400)
    driver.commit()
    assert paid(driver, "ann") == 1


def test_rows_that_are_gone_are_awaited_no_longer_when_times_pile_up() -> None:
    """Slips come and go, and each has a time far ahead."""
    driver = Driver(SLIPS)
    for number in range(2 * SPARE_DUES):
        sent(driver, f"slip-{number}", due=NOW + 86_400_000 + number)
        driver.wait(driver.task.delay_ms / 1000)
        driver.commit()
        driver.send(f"slip-{number}", None)
    sent(driver, "ann", due=NOW + 1)
    driver.settle()
    assert len(driver.task.awaited) <= SPARE_DUES + 1


def test_what_a_restart_owes_is_published_in_turns_too() -> None:
    """Where rows change with time, and so are dear to publish; the task says that the next tick is to come at once."""
    driver = Driver(SLIPS)
    for number in range(DUE_ROWS + 1):
        driver.send(f"slip-{number}", {"name": f"slip-{number}", "amount": 1})
    driver.fold()
    driver.commit()
    driver.crash()
    assert len([record for record in driver.commit().outgoing if record.role == "stats"]) == DUE_ROWS
    assert driver.task.owes
    assert len([record for record in driver.commit().outgoing if record.role == "stats"]) == 1
    assert not driver.task.owes
