"""The orders of docs/design.md are those of `app/engine/orders`, step by step, with every failpoint."""

import inspect
import re

import pytest

from app.engine import failpoints, orders
from app.engine.orders import assigned, commit
from tests.docs.pages import page, pages

DESIGN = page("docs/design.md")
ORDERS = {"Assigned": failpoints.ASSIGNED, "Commit": failpoints.COMMIT, "Revoked": failpoints.REVOKED}
_FAILPOINT = re.compile(r"`((?:assigned|commit|revoked)\.\w+)`")


def _steps_of_the_code(order: str) -> list[str]:
    text = " ".join((orders.__doc__ or "").split())
    sentence = re.split(r"\.(?: \*|$| [A-Z])", text.split(f"*{order}*: 1 ")[1])[0]
    return re.split(r", \d ", sentence)


@pytest.mark.parametrize("order", ORDERS)
def test_the_steps_of_an_order_are_those_of_the_code(order: str) -> None:
    """The same numbers, the same words."""
    steps = re.findall(r"^(\d)\. \*\*(.+?)\*\*", DESIGN.section(order), re.MULTILINE)
    assert [int(number) for number, _ in steps] == list(range(1, len(steps) + 1))
    assert [words for _, words in steps] == _steps_of_the_code(order)


@pytest.mark.parametrize("order", ["Assigned", "Commit"])
def test_the_code_numbers_its_steps_likewise(order: str) -> None:
    """Each step is a comment where it happens."""
    source = inspect.getsource(assigned if order == "Assigned" else commit)
    numbers = [int(number) for number in re.findall(r"^\s+# (\d) ", source, re.MULTILINE)]
    assert numbers == list(range(1, len(_steps_of_the_code(order)) + 1))


@pytest.mark.parametrize(("order", "names"), ORDERS.items())
def test_an_order_names_its_failpoints_in_their_order(order: str, names: tuple[str, ...]) -> None:
    """A reader sees where a test can crash the process."""
    assert tuple(dict.fromkeys(_FAILPOINT.findall(DESIGN.section(order)))) == names


def test_no_page_names_a_failpoint_that_does_not_exist() -> None:
    """And every one that exists is named."""
    named = {name for page in pages() for name in _FAILPOINT.findall(page.text)}
    assert named == set(failpoints.ALL)
