"""Short forms of the fault matrix; `python -m tests.chaos --full` runs the long ones."""

from pathlib import Path

import pytest

from tests.chaos.catalogue import FAULTS, Fault
from tests.chaos.run import running


@pytest.mark.chaos
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_number_is_exact_under(fault: Fault, kafka: str, tmp_path: Path) -> None:
    """Whatever is done to it, rows, totals, snapshots, dead letters and views are the oracle's."""
    with running(kafka, tmp_path, fault.name, seed=fault.row, size=fault.short) as run:
        verdict = fault.scenario(run)
    assert verdict.records >= run.events
    assert sum(verdict.outcomes.values()) == verdict.records
