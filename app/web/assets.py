"""The dashboard's pages and static files, read once and served from memory.

A page is a fragment of HTML in `static/pages/` set into `frame.html`, which `head.html` begins, when the worker starts;
nothing of a request ever gets into it. What is shown comes from the API by script, which writes text, never markup.
"""

import gzip
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

from app.web.answers import COMPRESSED_BYTES, knows, weak

STATIC = Path(__file__).parent / "static"
TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".md": "text/markdown",
    ".svg": "image/svg+xml",
}


class PageFile(NamedTuple):
    """A page: where it is, its fragment and script (`<name>.html`, `<name>.js`), and where it stands among the others.

    Attributes:
        path: of its route.
        name: of its files.
        title: of the browser's tab.
        section: the path of the page that navigation shows as the current one.
        navigation: what navigation calls it; empty where it has no entry of its own.
        tab: what its section's tabs call it; empty where it is none of them.
        domain: what it is the page of, so that the overview knows the way to it.
    """

    path: str
    name: str
    title: str
    section: str
    navigation: str = ""
    tab: str = ""
    domain: str = ""


ENTITY = "{entity:[^/]+}"
PAGES = (
    PageFile("/", "overview", "Overview", "/", "Overview"),
    PageFile(
        "/assessment/status", "assessments", "Assessments", "/assessment/status", "Assessments", domain="assessments"
    ),
    PageFile(f"/assessment/sessions/{ENTITY}", "session", "Session", "/assessment/status"),
    PageFile("/players", "players", "Players", "/players", "Players", domain="players"),
    PageFile(f"/players/{ENTITY}", "player", "Player", "/players"),
    PageFile("/workers", "workers", "Workers", "/workers", "Workers", "Overview", "workers"),
    PageFile("/workers/daily", "workers-daily", "Workers by day", "/workers", tab="Daily"),
    PageFile("/workers/monthly", "workers-monthly", "Workers by month", "/workers", tab="Monthly"),
    PageFile("/workers/leaderboard", "workers-leaderboard", "Leaderboard of workers", "/workers", tab="Leaderboard"),
    PageFile(f"/worker/{ENTITY}", "worker", "Worker", "/workers"),
    PageFile("/tutors", "tutors", "Tutors", "/tutors", "Tutors", domain="tutors"),
    PageFile(f"/tutor/{ENTITY}", "tutor", "Tutor", "/tutors"),
    PageFile("/project-overview", "projects", "Projects", "/project-overview", "Projects", domain="projects"),
)


class Asset:
    """A file as it is sent: its bytes, compressed ones where that is worth it, and their tag."""

    def __init__(self, body: bytes, content_type: str) -> None:
        self._body = body
        self._type = content_type
        self._gzipped = gzip.compress(body, mtime=0) if len(body) >= COMPRESSED_BYTES else None
        self._tag = blake2b(body, digest_size=16).hexdigest()

    async def serve(self, request: web.Request) -> web.Response:
        """Send the file, unless the client has it."""
        headers = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        body = self._body
        if knows(request, self._tag):
            response = web.Response(status=304, headers=headers)
        else:
            if self._gzipped and "gzip" in request.headers.get("Accept-Encoding", "").lower():
                body, headers["Content-Encoding"] = self._gzipped, "gzip"
            response = web.Response(body=body, content_type=self._type, charset="utf-8", headers=headers)
        response.etag = weak(self._tag)
        return response


def files(root: Path = STATIC) -> Mapping[str, Asset]:
    """Every static file by its path below `/static/`; looked up by name, so no path leads out of the folder."""
    return {
        path.relative_to(root).as_posix(): Asset(path.read_bytes(), TYPES[path.suffix])
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.parent.name != "pages"
    }


def _read(name: str) -> str:
    return (STATIC / "pages" / f"{name}.html").read_text("utf-8")


def _filled(name: str, title: str, **parts: str) -> bytes:
    """A page with its head, and its other parts in their places."""
    whole = _read(name)
    for place, part in {"head": _read("head").rstrip("\n"), "title": title, **parts}.items():
        whole = whole.replace(f"<!-- {place} -->", part)
    return whole.encode()


MISSING = _filled("missing", "Not found")


def pages() -> Iterator[tuple[str, Asset]]:
    """Every page with its path, the log-in form included."""
    for page in PAGES:
        parts = {
            "script": page.name,
            "links": _links(PAGES, page.section, "navigation"),
            "main": _read(page.name),
            "tabs": _links([each for each in PAGES if each.section == page.section], page.path, "tab"),
        }
        yield page.path, Asset(_filled("frame", page.title, **parts), TYPES[".html"])
    yield "/login", Asset(_filled("login", "Log in"), TYPES[".html"])


def _links(listed: Iterable[PageFile], current: str, called: str) -> str:
    """Items of a list: a link to each of the pages that are called something here."""
    links = []
    for page in listed:
        if label := getattr(page, called):
            here = ' aria-current="page"' if page.path == current else ""
            domain = f' data-domain="{page.domain}"' if page.domain else ""
            links.append(f'<li><a href="{page.path}"{here}{domain}>{label}</a></li>')
    return "\n".join(links)


def routes() -> Iterator[web.RouteDef]:
    """The routes of pages and files."""
    for path, page in pages():
        yield web.get(path, page.serve)
    assets = files()

    async def serve(request: web.Request) -> web.Response:
        asset = assets.get(request.match_info["path"])
        if asset is None:
            raise web.HTTPNotFound
        return await asset.serve(request)

    yield web.get("/static/{path:.+}", serve)
