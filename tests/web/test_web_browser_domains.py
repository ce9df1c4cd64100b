"""Each domain's pages in a real Chromium: the numbers of its API, and every state that a page can be in."""

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from tests.web import stories
from tests.web.browser import CHROMIUM, SECONDS, Page
from tests.web.conftest import Client, Serve, at, bound_port
from tests.web.everything import Everything
from tests.web.stories import HOSTILE
from tests.web.test_web_restoring import restore

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="NO CHROMIUM: the dashboard is not tested in a browser; install chromium to have it"
)
NAME = quote(HOSTILE, safe="")
LISTS = [
    "/assessment/status",
    "/players",
    "/workers",
    "/workers/daily",
    "/workers/monthly",
    "/workers/leaderboard",
    "/tutors",
    "/project-overview",
]
ENTITIES = ["/assessment/sessions/{}", "/players/{}", "/worker/{}", "/tutor/{}"]
PAGES = ["/", *LISTS, *(path.format(NAME) for path in ENTITIES)]
WIDTH = 360  # of a small telephone
NARROWING = (1_280, 800, WIDTH)
API = ("*/api/*", "*/assess/*", "*/stats*", "*/status-meta*", "*/projects?*", "*/rollups/*")


@pytest.fixture
def everything() -> Everything:
    """All domains, without an event."""
    return Everything(bound_port())


@pytest.fixture
async def empty(serve: Serve, everything: Everything) -> Client:
    """A client of an installation that has seen nothing."""
    return await serve(everything.worker)


@pytest.fixture
async def client(empty: Client, everything: Everything) -> Client:
    """A client of an installation to which all stories have been told."""
    stories.tell(everything)
    return empty


async def texts(page: Page, client: Client, path: str, *elements: str) -> list[str]:
    """What some elements of a page say, once it stands still without a complaint."""
    seen = await page.open(at(client, path))
    assert seen.complaints == []
    assert seen.text("connection") == "Live"
    return [" ".join(seen.text(element).split()) for element in elements]


async def ask(client: Client, path: str) -> Any:
    """The API's answer."""
    async with client.get(path) as answer:
        assert answer.status == 200
        return await answer.json()


# -- what pages show ---------------------------------------------------------------------------------------------------


async def test_assessments_are_shown_by_tier(client: Client, page: Page) -> None:
    """With what is of no known tier, so that the shares sum up; the busiest sessions and the first of two pages."""
    tiles, tiers, top, history, pages = await texts(
        page, client, "/assessment/status", "tiles", "tiers", "top", "history", "pages"
    )
    assert tiles == "Assessments 1,230 Lightweight 1,202 Checkpoint 3 Medium 2 Heavy 22 Busiest session 1,207"
    assert tiers == (
        "Lightweight 1,202 · 97.7 % Checkpoint 3 · 0.24 % Medium 2 · 0.16 % Heavy 22 · 1.79 % Unknown 1 · 0.08 %"
    )
    assert top.startswith(f"1 alpha 1,207 2 {HOSTILE} 2 3 session")
    assert "1–20 of 23" in pages  # noqa: RUF001 - as it is written
    answer = await ask(client, "/assess/history")
    assert [session["session_id"] in history for session in answer["sessions"]] == [True] * 20


async def test_a_session_has_its_own_page(client: Client, page: Page) -> None:
    """Its tiers, its averages and how it was judged."""
    tiles, tiers, ends = await texts(page, client, "/assessment/sessions/alpha", "tiles", "tiers", "ends")
    assert tiles == "Assessments 1,207 Tokens 3,000 Success 0.750 Frustration –"  # noqa: RUF001
    assert "Heavy 1 · 0.08 %" in tiers
    assert ends == "Success 1 Partial 0 Failure 0 Abandoned 0"


async def test_workers_are_shown_with_what_they_do_now(client: Client, page: Page) -> None:
    """Speed is of those that work; the list has all of them."""
    tiles, board, listed = await texts(page, client, "/workers", "tiles", "board", "list")
    assert tiles == "Workers 22 Active 1 Now, keys/s 200K Keys 19.8M Average, keys/s 14,348 Errors 1"
    assert board.startswith(f"1 rig 18M 2 {HOSTILE} 600K 3 worker ")
    assert "rig pc active 200K 150K 18M 2 0" in listed
    answer = await ask(client, "/api/v1/stats")
    assert (answer["workers"], answer["active_workers"], answer["keys_per_second"]) == (22, 1, 200_000)


@pytest.mark.parametrize(("name", "number"), [("daily", 7), ("monthly", 12)])
async def test_workers_are_shown_by_day_and_month(client: Client, page: Page, name: str, number: int) -> None:
    """A line for each, the idle ones too; the sums are those of the API."""
    tiles, periods = await texts(page, client, f"/workers/{name}", "tiles", "periods")
    assert tiles.startswith("Keys 19.8M Average, keys/s 14,348 Batches 23 Worked 23 min Workers 22 Errors 1")
    assert await page.run("document.querySelectorAll('#periods tbody tr').length") == number
    answer = await ask(client, f"/api/v1/{name}")
    for period in answer["days" if name == "daily" else "months"]:
        assert f"{period['total_keys_scanned']:,}" in periods
    label = await page.run("document.getElementById('chart').getAttribute('aria-label')")
    assert "keys/s" in label  # what the chart says to those who cannot see it


async def test_the_leaderboard_ranks_ten(client: Client, page: Page) -> None:
    """By keys, in whole numbers."""
    [board] = await texts(page, client, "/workers/leaderboard", "board")
    assert board.startswith(f"1 rig 18,000,000 2 {HOSTILE} 600,000 3 ")
    assert board.split()[-4:][0] == "10"


async def test_a_worker_has_its_own_page(client: Client, page: Page) -> None:
    """Lifetime, days, months and single batches, the newest first."""
    tiles, badges, speeds, history = await texts(page, client, "/worker/rig", "tiles", "badges", "speeds", "history")
    assert tiles == "Keys 18M Batches 2 Worked 2 min Average, keys/s 150K Latest, keys/s 200K Errors 0"
    assert badges == "pc active"
    assert speeds.startswith("Fastest 200K ")
    assert speeds.endswith(" Slowest 100K")
    assert history.index("12,000,000") < history.index("6,000,000")
    days = await page.run("document.getElementById('days').getAttribute('aria-label')")
    assert "12,000,000 keys, 200K keys/s" in days


@pytest.mark.parametrize("window", ["7day", "30day", "90day"])
async def test_tutors_are_shown_by_tier(client: Client, page: Page, window: str) -> None:
    """Of one window; who is at risk with the reasons, everybody with their flags."""
    tiles, risk, listed = await texts(page, client, f"/tutors?window={window}", "tiles", "risk", "list")
    assert tiles == "Tutors 2 Exemplary 0 Strong 1 Developing 0 Needs Attention 0 At Risk 1"
    assert risk == f"{HOSTILE} Rescheduled · No-shows · Engagement · Objectives met"
    sessions = 2 if window == "90day" else 1
    assert f"ann Strong {sessions} – – 0 % ▲ 0 ▲" in listed  # noqa: RUF001 - as it is written
    assert f"{HOSTILE} At Risk 5 – – 100.0 % ▼ 4 ▼ 20.0 ▼ 0 % ▼" in listed  # noqa: RUF001


async def test_a_tutor_has_three_windows_side_by_side(client: Client, page: Page) -> None:
    """Their tiers, and every metric in all of them."""
    windows, metrics = await texts(page, client, "/tutor/ann", "windows", "metrics")
    assert windows.startswith("Last 7 days Strong 1 session · 4 green flags, 0 red flags Last 30 days Strong 1 session")
    assert "Sessions 1 1 2" in metrics
    assert "Engagement 100.0 ▲ 100.0 ▲ 80.0 ▲" in metrics


async def test_projects_are_counted(client: Client, page: Page) -> None:
    """By status, priority and progress; the list says what matches."""
    tiles, statuses, priorities, listed, pages = await texts(
        page, client, "/project-overview", "tiles", "by-status", "by-priority", "list", "pages"
    )
    assert tiles == "Projects 22 Active 21 Inactive 1"
    assert statuses == f"running 21 · 95.5 % {HOSTILE} 1 · 4.55 %"
    assert priorities == "high 21 · 95.5 % low 1 · 4.55 %"
    assert "project 00 project 00 running high 5 % yes" in listed
    assert "1–20 of 22" in pages  # noqa: RUF001 - as it is written
    bins = await page.run("document.getElementById('progress').getAttribute('aria-label')")
    assert bins.startswith("0–10 %: 20, 10–20 %: 0")  # noqa: RUF001
    assert bins.endswith("90–100 %: 2")  # noqa: RUF001


async def test_projects_are_filtered_by_address_and_by_hand(client: Client, page: Page) -> None:
    """Counts and list alike; the address follows."""
    tiles, listed = await texts(page, client, "/project-overview?priority=low", "tiles", "list")
    assert tiles == "Projects 1 Active 1 Inactive 0"
    assert "last last running low 95 % yes acme" in listed
    await page.run("document.getElementById('status').value = 'running'")
    await page.run("document.getElementById('status').dispatchEvent(new Event('change'))")
    await page.until("location.search === '?priority=low&status=running'")
    await page.run("document.querySelector('#active input[value=false]').click()")
    await page.until_text("list", "No project matches.")
    assert await page.run("location.search") == "?priority=low&status=running&active=false"


async def test_projects_are_sorted_by_their_heads(client: Client, page: Page) -> None:
    """By keyboard too: a head is a button, and keeps the focus."""
    await page.open(at(client, "/project-overview"))
    await page.run(
        "[...document.querySelectorAll('#list th button')].find((each) => each.textContent === 'Progress').focus()"
    )
    await page.press("Enter")
    await page.until(f"document.querySelector('#list tbody th').textContent.startsWith({HOSTILE!r})")
    assert await page.run("document.activeElement.textContent") == "Progress"
    assert await page.run("document.querySelector('#list th[aria-sort]').getAttribute('aria-sort')") == "descending"
    await page.press("Enter")
    await page.until("document.querySelector('#list tbody th').textContent.startsWith('project 00')")


async def test_rollups_are_shown_by_day_and_week(client: Client, page: Page) -> None:
    """Of a deployment; the chart says its last value."""
    [table] = await texts(page, client, "/project-overview", "rollups-table")
    assert [number in table for number in (" 42 30 ", " 41 30 ", " 40 30 ")] == [True] * 3
    await page.run("document.querySelector('#span input[value=weekly]').click()")
    await page.until_text("rollups-table", "Mean")
    await page.until_text("rollups-note", HOSTILE)
    label = await page.run("document.getElementById('rollups').getAttribute('aria-label')")
    assert "30.0 active" in label


async def test_a_snapshot_is_published_by_a_button(client: Client, page: Page, everything: Everything) -> None:
    """It says when it is durable, or why it is not."""
    await page.open(at(client, "/project-overview"))
    owned = next(
        each
        for each in everything.worker.engine.owned.values()
        if (each.domain.name, each.partition) == ("projects", 0)
    )
    await page.run("document.getElementById('publish').focus()")
    await page.press("Enter")
    await page.until("document.getElementById('publish').ariaDisabled")
    async with asyncio.timeout(SECONDS):
        while not owned.demands.waiting:  # noqa: ASYNC110 - the question is on its way, and nothing tells
            await asyncio.sleep(0.01)
    owned.demands.answer(list(owned.demands.waiting), 1_735_787_045_000)
    await page.until_text("published", "Published, as of")
    assert await page.run("document.querySelector('#published time').title") == "2025-01-02 03:04:05 UTC"
    restore(everything.worker.engine, 0)
    await page.press("Enter")
    await page.until_text("published", "Not published: ")


async def test_lists_are_turned_over_by_keyboard(client: Client, page: Page) -> None:
    """The address knows the page; the focus stays, or goes to the other button where there is no page to go on to."""
    await page.open(at(client, "/assessment/status"))
    await page.run("[...document.querySelectorAll('#pages button')].at(-1).focus()")
    await page.press("Enter")
    await page.until_text("pages", "21–23 of 23")  # noqa: RUF001 - as it is written
    assert await page.run("location.search") == "?page=2"
    assert await page.run("document.activeElement.textContent") == "Previous"  # "Next" cannot be pressed any more
    seen = await page.open(at(client, "/assessment/status?page=2"))
    assert await page.run("document.querySelectorAll('#history tbody tr').length") == 3
    assert seen.complaints == []


async def test_the_overview_leads_to_each_domain(client: Client, page: Page) -> None:
    """With its numbers."""
    [outcomes] = await texts(page, client, "/", "outcomes")
    assert "assessments 23 sessions kept · 1,230 records consumed" in outcomes
    assert "projects 22 projects kept" in outcomes
    links = await page.run(
        "[...document.querySelectorAll('#outcomes a')].map((link) => [link.textContent, link.pathname])"
    )
    assert dict(links) == {
        "assessments": "/assessment/status",
        "players": "/players",
        "workers": "/workers",
        "tutors": "/tutors",
        "projects": "/project-overview",
        "rollups": "/project-overview",
    }
    await page.run("document.querySelector('#partitions button').click()")
    assert await page.run("document.querySelectorAll('#partitions tr.member').length") == 2


async def test_times_are_the_readers_and_say_utc(client: Client, page: Page) -> None:
    """As elements, whose title is UTC."""
    await page.open(at(client, "/worker/rig"))
    title, machine = await page.run(
        "(() => { const { title, dateTime } = document.querySelector('#history time'); return [title, dateTime]; })()"
    )
    assert title == f"{machine[:19].replace('T', ' ')} UTC"


# -- every state, of every page ----------------------------------------------------------------------------------------


async def test_hostile_names_are_text_everywhere(client: Client, page: Page) -> None:
    """No element is made of them, no script runs, the policy has nothing to refuse."""
    for path in PAGES:
        seen = await page.open(at(client, path))
        assert seen.complaints == [], path
        assert await page.run("document.querySelectorAll('main img, main script').length") == 0
        if path not in {"/", "/workers/daily", "/workers/monthly"}:  # those name nobody
            assert HOSTILE in await page.run("document.body.innerText"), path
        assert await page.run("document.title") != "1"


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_no_page_scrolls_sideways(client: Client, page: Page, theme: str) -> None:
    """Not on a small telephone, nor in a window that was made narrower; no figure is cut off."""
    if theme == "dark":
        await page.dark()
    for path in PAGES:
        layouts = await page.layout(at(client, path), *(NARROWING if theme == "light" else (WIDTH,)))
        for layout in layouts:
            assert layout["scroll"] == layout["inner"], path
            assert layout | {"scroll": 0, "inner": 0} == {
                "inner": 0,
                "scroll": 0,
                "cut": [],
                "wrapped": [],
                "wide": [],
            }, path


async def test_the_keyboard_reaches_everything(client: Client, page: Page) -> None:
    """Every link, button, field and scrolled region, in the order of reading; the way past the frame first."""
    for path in PAGES:
        await page.open(at(client, path))
        there, reached = await page.reach()
        assert reached == there, path
        assert there[0] == "Skip to content"


async def test_the_navigation_shows_where_one_is(client: Client, page: Page) -> None:
    """On a telephone too, where it is wider than the screen."""
    for path in PAGES:
        await page.layout(at(client, path), WIDTH)
        current = await page.run(
            "(() => { const link = document.querySelector('.bar nav [aria-current]').getBoundingClientRect();"
            " return link.left >= 0 && link.right <= innerWidth; })()"
        )
        assert current, path


async def test_a_page_without_events_says_so(empty: Client, page: Page) -> None:
    """Nothing waits for what will not come."""
    for path in ["/", *LISTS]:
        seen = await page.open(at(empty, path))
        assert seen.complaints == [], path
        assert seen.text("connection") == "Live", path
        text = await page.run("document.querySelector('main').innerText")
        assert any(word in text for word in ("No ", "Nobody ")), path
        assert "NaN" not in seen.dom, path
        assert not any(word in text for word in ("undefined", "null")), path


@pytest.mark.parametrize("path", ENTITIES)
async def test_an_unknown_entity_is_told_and_led_on_from(empty: Client, page: Page, path: str) -> None:
    """Instead of empty charts. The browser logs the 404s."""
    seen = await page.open(at(empty, path.format(NAME)))
    assert seen.text("connection") == "Not found"
    assert HOSTILE in seen.text("missing")
    assert await page.run("document.querySelector('#missing a').pathname") in LISTS
    assert all("404" in complaint for complaint in seen.complaints)
    assert (
        await page.run(
            "document.querySelectorAll('main > .card:not(.state), main > .tiles')[0].getClientRects().length"
        )
        == 0
    )


async def test_a_restore_is_waited_for(client: Client, everything: Everything, page: Page) -> None:
    """Every page says what it waits for, before it has any number."""
    restore(everything.worker.engine, 0, 1)
    everything.worker.totals.complete.clear()
    for path in PAGES[1:]:
        seen = await page.open(at(client, path))
        assert seen.text("connection") == "Restoring", path
        assert "restor" in seen.text("notice") or "yet" in seen.text("notice") or "still" in seen.text("notice"), path


async def test_a_defect_of_the_api_is_an_error_state(
    client: Client, everything: Everything, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In words, beside what other views still answer."""

    def defective(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(everything.worker.totals, "whole", defective)
    for path in ("/assessment/status", "/workers", "/tutors", "/project-overview"):
        seen = await page.open(at(client, path))
        assert seen.text("connection") == "Error", path
        assert seen.text("notice").startswith("This is a defect of tidemark"), path


async def test_a_worker_that_is_away_leaves_the_numbers_and_comes_back(client: Client, page: Page) -> None:
    """They grow stale and say how old they are; then the page goes on by itself."""
    for path in PAGES:
        await page.open(at(client, path))
        before = await page.run(
            "document.querySelector('h1').textContent + document.querySelectorAll('main td').length"
        )
        await page.block(*API)
        await page.run("document.dispatchEvent(new Event('visibilitychange'))")  # asks at once
        await page.until("document.getElementById('connection').dataset.state === 'offline'")
        assert "does not answer" in await page.run("document.getElementById('notice').textContent")
        after = await page.run("document.querySelector('h1').textContent + document.querySelectorAll('main td').length")
        assert after == before, path
        await page.block()
        await page.run("document.dispatchEvent(new Event('visibilitychange'))")
        await page.until("document.getElementById('connection').dataset.state === 'live'")
        assert await page.run("document.getElementById('notice').hidden"), path


async def test_numbers_grow_stale(client: Client, page: Page) -> None:
    """After some seconds without an answer they say how old they are."""
    await page.open(at(client, "/workers"))
    await page.block(*API)
    await page.run("document.dispatchEvent(new Event('visibilitychange'))")
    await page.until("document.querySelector('main').dataset.state === 'stale'")
    assert "old" in await page.run("document.getElementById('notice').textContent")
