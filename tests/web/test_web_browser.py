"""The dashboard in a real Chromium: pages show the numbers, hostile names stay text, the policy refuses nothing."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from app.web.worker import Worker
from tables.players import PLAYERS
from tests.web.browser import CHROMIUM, Seen, browser, see
from tests.web.conftest import Client, Serve, bound_port
from tests.web.installation import HOSTILE, NAMES, Installation
from tests.web.test_web_restoring import restore

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="NO CHROMIUM: the dashboard is not tested in a browser; install chromium to have it"
)
CONSUMED = 2 * sum(40 - place for place in range(len(NAMES)))


async def look(client: Client, path: str, profile: Path) -> Seen:
    """A page of the worker, as a browser leaves it without a complaint."""
    seen = await see(str(client.make_url("/")).rstrip("/") + path, profile)
    assert seen.complaints == []
    return seen


async def test_the_overview_shows_outcomes_and_partitions(client: Client, tmp_path: Path) -> None:
    """What the status says, drawn."""
    seen = await look(client, "/", tmp_path)
    assert seen.text("consumed") == f"{CONSUMED:,}"
    assert seen.text("lag") == "0"
    assert seen.text("outcomes").split()[:2] == ["players", f"{len(NAMES)}"]
    assert seen.text("partitions").split()[:4] == ["players", "4", "live", f"{len(NAMES)}"]
    assert "/api/v1/players/{player}/trend" in seen.text("views")
    assert seen.text("connection") == "Live"
    assert '<section class="card reasons" id="not-ready" aria-labelledby="reasons-title" hidden' in seen.dom


DASH = "\N{EN DASH}"
UNREACHABLE = "Kafka does not answer since 2026-01-02T03:04:05Z"


@pytest.mark.parametrize("path", ["/", "/players", "/players/Ann"])
async def test_no_page_is_green_while_the_installation_is_not_ready(
    serve: Serve, worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Amber, with the reason; a lag that nobody knows is a dash."""
    monkeypatch.setattr(worker.engine, "reasons_not_ready", lambda: [UNREACHABLE])
    client = await serve(replace(worker, lag_records=lambda _owned: None))
    seen = await look(client, path, tmp_path)
    assert seen.text("connection") == "Not ready"
    assert f'data-state="unready" role="status" title="{UNREACHABLE}"' in seen.dom
    if path == "/":
        assert seen.text("lag") == DASH
        assert seen.text("reasons") == UNREACHABLE


@pytest.mark.parametrize("theirs", ["silent", "nobody's"])
async def test_the_overview_says_what_cannot_be_reached(serve: Serve, tmp_path: Path, theirs: str) -> None:
    """A worker that does not answer, partitions that nobody reports: not ready, and their lag is unknown."""
    installation = Installation()
    left = installation.worker(bound_port(), (0, 1))
    if theirs == "silent":
        installation.worker(bound_port(), (2, 3))
    seen = await look(await serve(left), "/", tmp_path)
    assert seen.text("connection") == "Not ready"
    assert ("does not answer" in seen.text("reasons")) == (theirs == "silent")
    assert "players[3] is unknown" in seen.text("reasons")
    assert seen.text("lag") == DASH


WIDTH = 360  # of a small telephone
NARROWING = (1_200, 1_000, 700, 450, WIDTH)
PAGES = ["/", "/players", "/players/Ann", "/players?search=a&by=longest_kill", "/players/Nobody", "/login", "/nowhere"]
PAGES += [f"/players/{quote(name, safe='')}" for name in HOSTILE[:2]]


async def test_no_page_scrolls_sideways_on_a_telephone(client: Client, tmp_path: Path) -> None:
    """Nor in a window that was made narrower; no percentage takes two lines, no figure is cut off."""
    async with browser(tmp_path) as page:
        for path in PAGES:
            for widths in ((WIDTH,), NARROWING) if path in PAGES[:3] else ((WIDTH,),):
                layouts = await page.layout(str(client.make_url("/")).rstrip("/") + path, *widths)
                assert layouts == [
                    {"inner": width, "scroll": width, "cut": [], "wrapped": [], "wide": []} for width in widths
                ], path


async def test_the_players_page_searches_and_ranks(client: Client, tmp_path: Path) -> None:
    """Its address says what is searched and compared."""
    seen = await look(client, "/players?search=ann&by=damage", tmp_path)
    assert seen.text("found").split() == ["Ann", "40", "kills", "anna", "39", "kills", "ANNABEL", "38", "kills"]
    assert seen.text("board").split()[:4] == ["1", "Ann", "500", "HP"]
    assert seen.text("found-count") == "3 found."
    totals = " ".join(seen.text("totals").split())
    assert totals == (
        f"Players {len(NAMES)} Hits {CONSUMED // 2} Damage, HP {CONSUMED // 2 * 12.5:,.0f} "
        f"Kills {CONSUMED // 2} Knock-downs 0 Groups {len(NAMES)}"
    )


async def test_one_kill_is_not_one_kills(client: Client, worker: Worker, tmp_path: Path) -> None:
    """One of them, in the singular."""
    _, row = worker.engine.row(PLAYERS, "Bob")
    assert row is not None
    for sums in row.head.classes:
        sums.kills = 0
    row.head.classes[0].kills = 1
    seen = await look(client, "/players?search=bob", tmp_path)
    assert seen.text("found").split() == ["Bob", "1", "kill"]


async def test_a_player_has_a_radar_chart(client: Client, tmp_path: Path) -> None:
    """The chart says in words what it shows, for those who cannot see it."""
    seen = await look(client, "/players/Ann", tmp_path)
    assert seen.text("name") == "Ann"
    assert 'aria-label="Damage: AR 100 %. Kills: SR 100 %."' in seen.dom
    figures = " ".join(seen.text("tiles").split())
    assert figures.startswith("Kills 40 Damage, HP 500.0 Headshot rate 100.0 % Hits 40")
    assert figures.endswith("Longest kill, m 25.0")
    assert "M416 AR 500.0 40" in " ".join(seen.text("weapons").split())
    assert "Head" in seen.text("body")


@pytest.mark.parametrize("name", HOSTILE[:2])
async def test_a_hostile_name_stays_text(client: Client, tmp_path: Path, name: str) -> None:
    """On its own page, in the search and on the leaderboard: no element is made of it."""
    seen = await look(client, f"/players/{quote(name, safe='')}", tmp_path / "player")
    assert seen.text("name") == name
    assert seen.text("connection") == "Live"
    listed = await look(client, "/players", tmp_path / "players")
    assert name in listed.text("found")
    for page in (seen, listed):
        assert "<img src=x" not in page.dom
        assert 'ü"<script>' not in page.dom


async def test_an_unknown_player_gets_a_page_that_says_so(client: Client, tmp_path: Path) -> None:
    """Not an empty chart. The browser logs the 404s of both views."""
    seen = await see(str(client.make_url("/players/Nobody")), tmp_path)
    assert seen.text("connection") == "Not found"
    assert "Nobody called “Nobody”" in seen.text("missing")
    assert all("404" in complaint for complaint in seen.complaints)


async def test_a_restore_is_told_apart_from_an_empty_installation(
    client: Client, worker: Worker, tmp_path: Path
) -> None:
    """The page says that it waits, and what for."""
    restore(worker.engine, *range(4))
    seen = await see(str(client.make_url("/players")), tmp_path)
    assert seen.text("connection") == "Restoring"
    assert seen.text("notice") == "No partition of players can be searched yet."
    assert "skeleton" in seen.dom


async def test_a_browser_without_a_session_sees_the_form(serve: Serve, tmp_path: Path) -> None:
    """And no numbers."""
    client = await serve(Installation(token="secret").worker(bound_port()))  # noqa: S106 - a token of tests
    seen = await look(client, "/players", tmp_path)
    assert 'type="password"' in seen.dom
    assert "Leaderboard" not in seen.dom
