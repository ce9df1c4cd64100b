"""docs/dependencies.md gives a reason for each dependency, and for nothing else."""

import re
import tomllib
from collections.abc import Iterable

import pytest

from tests.docs.pages import ROOT, page

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
HEADINGS = {
    "Always": PROJECT["dependencies"],
    "`embedded`: a Kafka from Python packages": EXTRAS["embedded"],
    "`dev`: the tests": EXTRAS["dev"],
}


def _names(requirements: Iterable[str]) -> set[str]:
    return {re.split(r"[<>=!~ ]", requirement)[0] for requirement in requirements}


@pytest.mark.parametrize("heading", HEADINGS)
def test_every_dependency_has_its_reason(heading: str) -> None:
    """One line per package, none too many."""
    rows = re.findall(r"^\| `(.+?)` \| (.+) \|$", page("docs/dependencies.md").section(heading), re.MULTILINE)
    assert {name for name, _ in rows} == _names(HEADINGS[heading])
    assert all(len(reason) > 5 for _, reason in rows)


def test_no_extra_is_left_out() -> None:
    """A new extra needs a table of its own."""
    assert set(EXTRAS) == {"embedded", "dev"}


def test_the_pinned_versions_are_the_ones_that_the_page_names() -> None:
    """The engine uses the insides of two packages, so which ones matters."""
    text = page("docs/dependencies.md").text
    for name in ("faust-streaming", "aiokafka"):
        requirement = next(found for found in PROJECT["dependencies"] if found.startswith(name))
        version = requirement.removeprefix(f"{name}==").removesuffix(".*")
        assert re.search(rf"^\| `{name}` .*Pinned to {re.escape(version)}:", text, re.MULTILINE)
