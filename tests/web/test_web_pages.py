"""The dashboard's files: nothing inline, nothing from elsewhere, nothing missing."""

import re
from pathlib import Path

import pytest

from app.web.assets import PAGES, STATIC, files, pages
from tests.web.conftest import Client, raw

HTML = sorted((STATIC / "pages").glob("*.html"))
SCRIPTS = sorted((STATIC / "js").glob("*.js"))


@pytest.mark.parametrize("path", [path for path, _ in pages() if "{" not in path] + ["/players/a%2Fb"])
async def test_every_page_is_served_complete(client: Client, path: str) -> None:
    """As HTML, with every part of its frame filled in, and all the files that it names."""
    async with client.get(path) as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        text = await answer.text()
    assert "<!-- " not in text
    for name in re.findall(r'(?:src|href)="(/static/[^"]+)"', text):
        async with client.get(name) as answer:
            assert answer.status == 200, name


@pytest.mark.parametrize("path", HTML, ids=lambda path: path.name)
def test_no_page_has_anything_inline_or_from_elsewhere(path: Path) -> None:
    """What the content policy forbids is not there to begin with."""
    text = path.read_text("utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|https?:", text)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_script_writes_markup(path: Path) -> None:
    """Names are hostile: text is set as text."""
    text = path.read_text("utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text)


async def test_a_page_does_not_depend_on_the_request(client: Client) -> None:
    """The same bytes for every player, so that nothing of a name can be in them."""
    bodies = set()
    for name in ("Ann", "%3Cscript%3E"):
        async with client.get(f"/players/{name}") as answer:
            bodies.add(await answer.text())
    assert len(bodies) == 1


@pytest.mark.parametrize("path", ["../server.py", "..%2Fserver.py", "pages/frame.html", "%2Fetc%2Fpasswd", "js/"])
async def test_no_path_leads_out_of_the_static_files(client: Client, path: str) -> None:
    """They are looked up by name, not opened by path."""
    async with client.session.get(raw(client, f"/static/{path}")) as answer:
        assert answer.status == 404


async def test_a_file_is_sent_once(client: Client) -> None:
    """Then its tag is enough."""
    async with client.get("/static/vendor/chart.js/chart.umd.js") as first:
        tag = first.headers["ETag"]
        assert tag.startswith('W/"')  # one tag for the compressed file and the plain one
        assert first.headers["Content-Encoding"] == "gzip"
    async with client.get("/static/vendor/chart.js/chart.umd.js", headers={"If-None-Match": tag}) as second:
        assert second.status == 304


@pytest.mark.parametrize("path", ["/nowhere", "/players/a/b", "/login/x"])
async def test_an_unknown_page_is_a_page_for_a_browser(client: Client, path: str) -> None:
    """404 in the site's style, with a way back; all the files that it names are there."""
    async with client.get(path, headers={"Accept": "text/html,*/*;q=0.8"}) as answer:
        assert (answer.status, answer.content_type) == (404, "text/html")
        text = await answer.text()
    assert "No such page" in text
    for name in re.findall(r'(?:src|href)="([^"]+)"', text):
        async with client.get(name) as answer:
            assert answer.status == 200, name


@pytest.mark.parametrize(
    ("path", "accept"), [("/nowhere", "application/json"), ("/nowhere", "*/*"), ("/api/v1/nowhere", "text/html")]
)
async def test_an_unknown_path_is_json_for_a_client(client: Client, path: str, accept: str) -> None:
    """Also below /api, whoever asks."""
    async with client.get(path, headers={"Accept": accept}) as answer:
        assert (answer.status, answer.content_type) == (404, "application/json")
        assert (await answer.json())["error"]["code"] == "not_found"


def test_the_chart_library_is_what_its_readme_says() -> None:
    """Its version, with its licence beside it."""
    folder = STATIC / "vendor" / "chart.js"
    version = re.search(r"# Chart.js (\S+)", (folder / "README.md").read_text("utf-8"))
    assert version is not None
    assert f"Chart.js v{version[1]}" in (folder / "chart.umd.js").read_text("utf-8")[:100]
    assert "MIT" in (folder / "LICENSE.md").read_text("utf-8")


def test_every_page_has_its_fragment_and_script() -> None:
    """Nothing is left over, either."""
    names = {page.name for page in PAGES}
    assert names | {"frame", "head", "login", "missing"} == {path.stem for path in HTML}
    assert {f"js/{name}.js" for name in names} <= files().keys()
