"""Make a golden file of a domain: `python -m tests.tables.make_golden <domain>` writes the next one of its files.

Records of the laws' generator are folded until every kind of cell is there. Look at what it wrote before you keep it:
from then on the file says what these bytes mean, for ever.
"""

import json
import sys

import msgspec
from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st

from agents.driver import Driver
from tables import domain_named
from tables.domain import Domain
from tables.table import Table
from tests.laws.strategies import play, valid
from tests.tables.test_golden import GOLDEN, Entry, files_of, named

FEW = settings(
    max_examples=20_000,
    database=None,
    derandomize=True,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


def complete(driver: Driver) -> bool:
    """Whether the rows have every kind of cell."""
    rows = driver.task.table.rows.values()
    return {name[0] for row in rows for name in row.cells} == set(driver.domain.cells)


def told(domain: Domain) -> Driver:
    """A driver with the fewest records that make every kind of cell."""

    def enough(records: list[object]) -> bool:
        return complete(_after(domain, records))

    return _after(domain, find(st.lists(valid(domain), min_size=1, max_size=60), enough, settings=FEW))


def _after(domain: Domain, records: object) -> Driver:
    driver = play(Driver(domain), records)  # type: ignore[arg-type] # as the strategy made them
    driver.settle()
    return driver


def entries(table: Table) -> list[Entry]:
    """Every cell of a table: key, bytes, meaning."""
    found = []
    for key, value in sorted(table.read().items()):
        path = json.loads(key)
        if path[0] is None and len(path) > 1:
            continue  # a mark is a number, and means what it says
        row = None if path[0] is None else table.rows[path[0].encode()]
        cell = table.totals if row is None else row.cells[tuple(path[1:])] if len(path) > 1 else row.head
        found.append({"key": key.decode(), "value": value.hex(), "means": named(cell)})
    return found


def main() -> int:
    """Write the file and say where."""
    domain = domain_named(sys.argv[1])
    path = GOLDEN / f"{domain.name}-{len(files_of(domain)) + 1}.json"
    made = entries(told(domain).task.table)
    path.write_text(json.dumps(msgspec.to_builtins(made), indent=1) + "\n", "utf-8")
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
