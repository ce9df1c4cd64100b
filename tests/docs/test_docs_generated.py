"""The derived parts of the documentation are what the code says now: `python -m tests.docs` writes them anew."""

from collections import Counter

import pytest

from tests.docs.generated import BLOCKS
from tests.docs.pages import pages


@pytest.mark.parametrize("name", BLOCKS)
def test_a_derived_block_is_up_to_date(name: str) -> None:
    """A setting, topic, view, command or byte of the walkthrough that has changed has changed in the documentation."""
    found = [page.blocks[name] for page in pages() if name in page.blocks]
    assert found == [BLOCKS[name]()], "run: python -m tests.docs"


def test_no_page_has_a_block_that_nothing_makes() -> None:
    """Every block that claims to be derived is, and stands in one place."""
    found = Counter(name for page in pages() for name in page.blocks)
    assert found == dict.fromkeys(BLOCKS, 1)
