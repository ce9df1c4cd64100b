"""Short forms of the fault matrix, rows 1 to 3: workers that end."""

from pathlib import Path

import pytest

from tests.chaos.catalogue import Fault
from tests.chaos.short import of_rows, run


@pytest.mark.chaos
@pytest.mark.parametrize("fault", of_rows(1, 2, 3), ids=lambda fault: fault.name)
def test_every_number_is_exact_under(fault: Fault, kafka: str, tmp_path: Path) -> None:
    """Whatever is done to it, rows, totals, snapshots, dead letters and views are the oracle's."""
    run(fault, kafka, tmp_path)
