"""What `tidemark reset` and `tidemark replay` say of a partition, before and after. No broker."""

import json
import re
from collections.abc import Callable

import pytest

from app.repair import report
from app.repair.found import CHANGELOG
from app.repair.partition import Repaired
from app.repair.plan import emptied
from tables.players import PLAYERS
from tables.table import TOTALS_KEY
from tests.app.test_replay_laws import Logs
from tests.app.test_verify_laws import Noted
from tests.tables.inputs import event

CONDITIONAL = re.compile(r"\b(would|will|to write|to delete|can|cannot|nobody has)\b")


@pytest.fixture
def logs() -> Logs:
    """Two players' events, folded and published."""
    driver = Noted(PLAYERS)
    for name in ("ann", "bob", "ann", "bob"):
        driver.send(name, json.dumps(event(player=name)).encode())
    driver.settle()
    return Logs(driver)


def replayed(logs: Logs, *, executed: bool = False) -> Repaired:
    """What a replay has found, planned, and done where it is told to."""
    found, made, plan = logs.plan()
    return Repaired(0, found, plan, made, executed)


def emptied_(logs: Logs, *, executed: bool = False) -> Repaired:
    """Likewise of a reset."""
    found = logs.found()
    return Repaired(0, found, emptied(found, logs.partition.task(), 0), None, executed)


def said(repaired: Repaired) -> str:
    """For people."""
    return "\n".join(report.lines(PLAYERS, repaired))


@pytest.mark.parametrize("way", [replayed, emptied_])
def test_a_dry_run_is_told_in_the_conditional_and_what_was_done_in_the_past(
    logs: Logs, way: Callable[..., Repaired]
) -> None:
    """Every line that says what becomes of something: records, keys, letters, offset, what cannot be read."""
    logs.topics[CHANGELOG] |= {b"\xff": b"garbage", b'["ghost"]': b"\x01\x90"}
    logs.topics["stats"].popitem()
    logs.committed = 1
    dry, done = said(way(logs)), said(way(logs, executed=True))
    for line in (
        "players[0]: would be ",
        "a worker would go on",
        "cannot be used: key",
        "would be written",
        "would be d",
    ):
        assert line in dry, line
    assert not CONDITIONAL.search(done), done
    assert not re.search(r"\bwill\b|\bto (write|delete)\b", dry), dry
    for line in (
        "a worker goes on at source offset",
        "could not be used: key",
        " written, ",
        "key deleted",
        "before, ",
    ):
        assert line in done.replace("keys", "key"), line


def test_nothing_to_change_is_told_likewise(logs: Logs) -> None:
    """One line."""
    assert said(replayed(logs)) == "players[0]: nothing would change; 2 rows, as of source offset 4"
    assert said(replayed(logs, executed=True)) == "players[0]: nothing had to change; 2 rows, as of source offset 4"


@pytest.mark.parametrize(("held", "shown"), [(3, "3"), (None, "none")])
def test_an_offset_that_was_moved_is_shown_where_nothing_else_changes(logs: Logs, held: int | None, shown: str) -> None:
    """The group's, from and to; every row stays."""
    logs.committed = held  # type: ignore[assignment]
    repaired = replayed(logs)
    assert said(repaired).splitlines() == [
        "players[0]: would be made anew from its events; 2 rows before, 2 after",
        f"  a worker would go on at source offset 4; the group's offset: {shown} before, 4 after",
        "  every row would stay as it is",
    ]
    assert report.as_json(repaired)["offset"] == {"before": held, "after": 4}


def test_a_source_that_is_another_topic_is_noted_where_nothing_else_changes(logs: Logs) -> None:
    """The rows say which one they came from."""
    repaired = replayed(logs)
    repaired.found.foreign = repaired.plan.moved = True
    assert "another topic than the one that the rows came from; that would be noted" in said(repaired)


def test_totals_that_nobody_can_read_are_unknown_and_not_zero(logs: Logs) -> None:
    """Of rows those are counted that can be read; the cell is not shown as one of zeros either."""
    logs.topics[CHANGELOG][TOTALS_KEY] = b"garbage"
    repaired = replayed(logs)
    told = report.as_json(repaired)
    assert "2 rows before (its totals are unknown), 2 after" in said(repaired)
    assert "totals: kills unknown before, 4 after" in said(repaired)
    assert told["rows"] == {"before": 2, "by_totals": None, "after": 2}
    assert told["totals"]["kills"] == {"before": None, "after": 4}
    assert (told["differing"], told["first"]["cell"], told["first"]["changelog"]) == (1, ["totals"], None)


def test_rows_that_are_gone_are_known_from_the_totals(logs: Logs) -> None:
    """Whose other numbers are then the right ones."""
    logs.topics[CHANGELOG] = {key: value for key, value in logs.topics[CHANGELOG].items() if b"null" in (key or b"")}
    repaired = replayed(logs)
    assert "2 rows before by its totals, of which 0 can be read, 2 after" in said(repaired)
    assert report.as_json(repaired)["rows"] == {"before": 0, "by_totals": 2, "after": 2}
    assert report.as_json(repaired)["totals"] == {}


def test_a_changelog_that_is_gone_leaves_all_unknown_and_one_that_never_was_is_empty(logs: Logs) -> None:
    """The group's offset tells them apart."""
    logs.topics[CHANGELOG] = {}
    repaired = replayed(logs)
    assert "unknown how many rows before (its totals are unknown), 2 after" in said(repaired)
    assert report.as_json(repaired)["rows"]["before"] is None
    logs.committed = 0
    assert "0 rows before, 2 after" in said(replayed(logs))


def test_rows_that_the_totals_do_not_know_are_counted(logs: Logs) -> None:
    """As a stranger's cell makes one."""
    cells = logs.topics[CHANGELOG]
    cells[b'["eve"]'] = cells[b'["ann"]']
    assert "3 rows before, 2 by its totals, 2 after" in said(replayed(logs))
