"""What the operations page says about outages of Kafka is what the engine does."""

import re

from app.engine import owned, sender, totals, trouble
from app.engine.orders import assigned
from app.main import REQUEST_SECONDS
from app.reach import LOOK_SECONDS
from tests.chaos.scenarios.broker import AWAY, BACK, BUSY_SHARE
from tests.docs.pages import page

OPERATIONS = page("docs/operations.md")


def said() -> str:
    """The section, with its lines joined."""
    return " ".join(OPERATIONS.section("When Kafka is away").split())


def test_the_pauses_between_attempts_are_those_of_the_engine() -> None:
    """Each of them, in order; the last one repeats."""
    found = re.findall(r"\| ([\d., ]+?)(?: s)?, then every (\d+) s", said())
    pauses = [(*map(float, first.split(",")), float(last)) for first, last in found]
    assert pauses == [owned.BACKOFF_SECONDS, sender.RECONNECT_SECONDS]


def test_the_times_are_those_of_the_engine() -> None:
    """Of looking, answering, giving up."""
    watch, answer = trouble.WATCH_SECONDS, trouble.ANSWER_SECONDS
    times = (
        f"within {watch + answer:.0f} s: the brokers are asked every {watch:.0f} s, and have {answer:.0f} s to answer"
    )
    assert times in said()
    assert f"given up after {assigned.FENCE_SECONDS} s" in said()
    assert f"its connection is closed after {REQUEST_SECONDS:.0f} s" in said()
    assert f"the totals topics | every {totals.RETRY_SECONDS:.0f} s" in said()
    assert f"no answer within {LOOK_SECONDS:.0f} s" in " ".join(OPERATIONS.section("No Kafka answers").split())
    assert trouble.REFUSED_LOOKS == 3
    assert "at three looks in a row" in " ".join(OPERATIONS.section("Kafka refuses").split())


def test_the_lines_are_those_that_the_fault_matrix_counts() -> None:
    """Whoever alarms on a line finds it."""
    assert AWAY in said()
    assert BACK in said()
    assert BUSY_SHARE == 0.25
    assert "less than a quarter of a core" in said()
