"""Pages change when the worker tells them that something has; they ask again and again only while it does not."""

import pytest

from app.clock import now_ms
from app.web.live import Live
from tables.assessments import ASSESSMENTS
from tables.players import PLAYERS
from tables.tutors import TUTORS
from tests.web import stories
from tests.web.browser import CHROMIUM, Page
from tests.web.conftest import Serve, at, bound_port
from tests.web.everything import Everything

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="NO CHROMIUM: the dashboard is not tested in a browser; install chromium to have it"
)
QUIET_SECONDS = 4.5  # polling asks every two
STATUS = "/api/v1/status"


@pytest.fixture
def everything() -> Everything:
    """All domains, with their stories told."""
    made = Everything(bound_port())
    stories.tell(made)
    return made


def more_tutors(everything: Everything, name: str) -> None:
    """A tutor's first session."""
    everything.fold(TUTORS, [stories.lesson(name, 1, now_ms())])


async def test_a_page_changes_without_polling(serve: Serve, everything: Everything, page: Page) -> None:
    """It asks for its own views once more, when their domain has changed; and is silent before and after."""
    client = await serve(everything.worker)
    await page.open(at(client, "/tutors"))
    await page.until_quiet(QUIET_SECONDS)
    assert page.asked.count("/api/v1/live") == 1
    page.asked.clear()
    more_tutors(everything, "bob")
    await page.until_text("list", "bob")
    await page.until_quiet(QUIET_SECONDS)
    asked = [path for path in page.asked if path != STATUS]
    views = {path.partition("?")[0] for path in asked}
    assert views == {
        "/api/analytics/overview",
        "/api/analytics/at-risk-tutors",
        "/api/analytics/tutor-metrics",
    }
    assert len(asked) == len(views)


async def test_a_page_does_not_care_for_other_domains(serve: Serve, everything: Everything, page: Page) -> None:
    """What changes elsewhere makes it ask for nothing."""
    client = await serve(everything.worker)
    await page.open(at(client, "/tutors"))
    await page.until_quiet(QUIET_SECONDS)
    page.asked.clear()
    everything.fold(PLAYERS, stories.players(now_ms()))
    everything.fold(ASSESSMENTS, [stories.assessment("beta", 1, "heavy", now_ms())])
    await page.until_quiet(QUIET_SECONDS)
    assert set(page.asked) <= {STATUS}


async def test_the_overview_changes_with_every_domain(serve: Serve, everything: Everything, page: Page) -> None:
    """Without polling either."""
    client = await serve(everything.worker)
    await page.open(at(client, "/"))
    await page.until_quiet(QUIET_SECONDS)
    everything.fold(ASSESSMENTS, [stories.assessment("beta", 1, "heavy", now_ms())])
    await page.until_text("outcomes", "1,231 records consumed")
    await page.until_quiet(QUIET_SECONDS)


async def test_a_page_that_is_refused_the_stream_asks_again_and_again(
    serve: Serve, everything: Everything, page: Page
) -> None:
    """It changes all the same."""
    client = await serve(everything.worker, Live(everything.worker, listeners=0))
    seen = await page.open(at(client, "/tutors"))
    assert seen.text("connection") == "Live"
    more_tutors(everything, "bob")
    await page.until_text("list", "bob")
    await page.until(f"performance.getEntriesByType('resource').length > {len(page.asked) + 3}")


async def test_a_page_whose_stream_breaks_connects_again(serve: Serve, everything: Everything, page: Page) -> None:
    """It says which event it has got last, is told what it has missed, and stops asking by itself."""
    live = Live(everything.worker)
    client = await serve(everything.worker, live)
    await page.open(at(client, "/tutors"))
    await page.until_quiet(QUIET_SECONDS)
    await live.end(client.app)  # what becomes of all listeners when a worker stops
    await page.until_text("connection", "Live")
    live._ending = False  # it has started again
    more_tutors(everything, "bob")
    await page.until_text("list", "bob")
    await page.until_quiet(QUIET_SECONDS)
    assert page.asked.count("/api/v1/live") > 1


async def test_a_page_that_nobody_sees_gives_its_stream_up(serve: Serve, everything: Everything, page: Page) -> None:
    """Browsers allow six connections to a worker, over all tabs."""
    live = Live(everything.worker)
    client = await serve(everything.worker, live)
    await page.open(at(client, "/tutors"))
    await page.until_quiet(QUIET_SECONDS)
    assert live._listening == 1
    hidden = "Object.defineProperty(document, 'hidden', {{ value: {}, configurable: true }})"
    changed = "document.dispatchEvent(new Event('visibilitychange'))"
    await page.run(hidden.format("true"))
    await page.run(changed)
    more_tutors(everything, "bob")
    await page.until_quiet(QUIET_SECONDS)
    assert live._listening == 0
    assert "bob" not in await page.run("document.body.innerText")
    await page.run(hidden.format("false"))
    await page.run(changed)
    await page.until_text("list", "bob")
    await page.until_quiet(QUIET_SECONDS)
    assert live._listening == 1
