"""The examples of docs/domains/workers.md are what the domain takes and says."""

import json

from agents.driver import Driver
from tables.event import OUTCOMES
from tables.retention import FirstOut
from tables.workers import WORKERS
from tests.docs.pages import page

PAGE = page("docs/domains/workers.md")
EVENTS, SNAPSHOT = PAGE.examples


def test_the_events_give_the_snapshot() -> None:
    """Folded in their order, all are applied, and the record is published as the page has it."""
    driver = Driver(WORKERS)
    for event in EVENTS:
        driver.send(event["worker_id"], event)
    driver.settle()
    assert dict(zip(OUTCOMES, driver.task.table.totals.outcomes, strict=True))["applied"] == len(EVENTS) == 3
    assert json.loads(driver.stats[b"pc-7"]) == SNAPSHOT[0]


def test_the_page_names_every_cell_option_and_view() -> None:
    """And the limits by their defaults."""
    for kind in WORKERS.cells:
        assert f"| `{kind}`" in PAGE.text
    for view in WORKERS.views:
        assert f"`{view.path.replace('{entity}', '{worker}')}" in PAGE.text
    for option in WORKERS.options:
        assert f"TIDEMARK_{option.name.upper()}" in PAGE.text
    for rule in WORKERS.retention:
        assert f"{rule.limit.default:,}" in PAGE.text
        assert isinstance(rule, FirstOut) == (rule.kind == "batch")
