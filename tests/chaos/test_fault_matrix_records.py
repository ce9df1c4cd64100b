"""Short forms of the fault matrix, rows 8 to 12: what records hold, and how many there are."""

from pathlib import Path

import pytest

from tests.chaos.catalogue import Fault
from tests.chaos.short import of_rows, run


@pytest.mark.chaos
@pytest.mark.parametrize("fault", of_rows(8, 9, 10, 11, 12), ids=lambda fault: fault.name)
def test_every_number_is_exact_under(fault: Fault, kafka: str, tmp_path: Path) -> None:
    """Whatever is done to it, rows, totals, snapshots, dead letters and views are the oracle's."""
    run(fault, kafka, tmp_path)
