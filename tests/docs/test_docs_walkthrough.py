"""docs/walkthrough.md follows the steps of `agents/__init__.py`, and what it says of its event is so."""

import json
import re

import agents
from tables.event import Outcome
from tests.docs.pages import page
from tests.docs.walkthrough import COMMIT_MS, EMISSION_MS, NOW, walk

WALKTHROUGH = page("docs/walkthrough.md")


def test_the_headings_are_the_steps_of_a_batch() -> None:
    """Seven steps, with the numbers and names that the code gives them."""
    steps = re.findall(r"^(\d)\. (\w+):", agents.__doc__ or "", re.MULTILINE)
    headings = [text.split(". ") for level, text in WALKTHROUGH.headings if level == 2 and text[0] in "1234567"]
    assert [tuple(heading) for heading in headings] == steps


def test_the_event_takes_the_way_that_the_page_tells() -> None:
    """It is APPLIED, at the index and in the partition that the prose names."""
    way = walk()
    assert way.outcome is Outcome.APPLIED
    assert f"Element {way.index:,} of the demo's file" in WALKTHROUGH.text
    assert f"Each goes to partition {way.partition} of its topic" in WALKTHROUGH.text
    assert f"the key `{way.partition}`" in WALKTHROUGH.text
    assert (
        f"asked at {NOW // 1000 % 86_400 // 3_600}:{NOW // 1000 % 3_600 // 60}:{NOW // 1000 % 60}" in WALKTHROUGH.text
    )


def test_the_numbers_in_the_prose_are_those_of_the_code() -> None:
    """Time, damage, and what is in the two transactions."""
    way = walk()
    totals = json.loads(way.first.outgoing[0].value or b"")
    assert f"its time is {totals['at']} ms" in WALKTHROUGH.text
    assert f"{totals['damage']:,}" in WALKTHROUGH.text
    assert len(way.first.cells) + len(way.first.outgoing) == 6
    assert f"and the source offset {way.first.position}" in WALKTHROUGH.text
    assert way.second.position == way.first.position


def test_the_two_snapshots_differ_in_their_class_alone() -> None:
    """The page shows one of them and says so."""
    everything, normal = (json.loads(record.value or b"") for record in walk().second.outgoing)
    assert everything | {"match_type": "normal"} == normal


def test_the_snapshot_is_due_after_the_first_commit() -> None:
    """Otherwise the page would tell of one transaction too many."""
    assert COMMIT_MS < EMISSION_MS
