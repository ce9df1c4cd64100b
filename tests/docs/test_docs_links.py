"""Links lead somewhere, and every page can be found."""

import pytest

from tests.docs.pages import ROOT, Page, pages


def _targets(page: Page) -> list[tuple[Page, str]]:
    local = [link for link in page.links if "://" not in link]
    parts = [link.partition("#") for link in local]
    return [(Page((page.path.parent / path).resolve()) if path else page, anchor) for path, _, anchor in parts]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading(page: Page) -> None:
    """Files exist; what stands behind `#` is a heading of theirs."""
    for target, anchor in _targets(page):
        assert target.path.exists(), f"{page.name} links to {target.path}"
        assert ROOT in target.path.parents, f"{page.name} links out of the repository"
        if anchor:
            assert anchor in target.anchors, f"{page.name} links to #{anchor} of {target.name}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    """No page is left alone."""
    everything = {page.path: page for page in pages()}
    seen, todo = set(), [ROOT / "README.md"]
    while todo:
        path = todo.pop()
        if path in everything and path not in seen:
            seen.add(path)
            todo += [target.path for target, _ in _targets(everything[path])]
    assert seen == set(everything)
