"""Running short forms. They are in files of their own by theme, so that several processes share them out."""

from pathlib import Path

from tests.chaos.catalogue import FAULTS, Fault
from tests.chaos.run import running


def of_rows(*rows: int) -> list[Fault]:
    """The scenarios of these rows of the matrix."""
    return [fault for fault in FAULTS if fault.row in rows]


def run(fault: Fault, kafka: str, folder: Path) -> None:
    """Run the short form of a scenario, and see that it was about something."""
    with running(kafka, folder, fault.name, seed=fault.row, size=fault.short) as started:
        verdict = fault.scenario(started)
    assert verdict.records >= started.events
    assert sum(verdict.outcomes.values()) == verdict.records
