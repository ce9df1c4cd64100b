"""The map of `tables/` in its docstring names every file, and no other."""

import re

import tables
from tests.docs.pages import ROOT


def test_every_file_of_the_tables_is_on_the_map() -> None:
    """Whoever looks for a domain's parts finds them."""
    named = set(re.findall(r"`(\w+\.py)`", tables.__doc__ or ""))
    assert named == {path.name for path in (ROOT / "tables").glob("*.py")} - {"__init__.py"}
