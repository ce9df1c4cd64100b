"""Faust's web server serves our application, and none of its own pages."""

from collections.abc import Iterator

import pytest

from app.main import App, build
from app.settings import load
from app.web.server import Web
from tables import DOMAINS


@pytest.fixture
def app() -> Iterator[App]:
    """An app that is built and never started."""
    app = build(load(bootstrap_servers="nowhere:9092"))
    yield app
    app.consumer._thread.thread_loop.close()  # made by Faust with the consumer, closed by it only after a start


async def test_faust_serves_our_routes_and_none_of_its_own(app: App) -> None:
    """`/table` and `/router` would show everybody's rows without a token."""
    assert type(app.web) is Web
    app.web.init_server()
    paths = {resource.canonical for resource in app.web.web_app.router.resources()}
    ours = {view.path for domain in DOMAINS for view in domain.views}
    assert {"/", "/api/v1/status", "/health/live", "/api/v1/players/{entity}/trend"} <= paths
    assert not {
        path for path in paths - ours if path.startswith(("/table", "/router", "/graph", "/performance", "/stats"))
    }


async def test_what_faust_starts_is_our_runner(app: App) -> None:
    """Its own, made with its own application, would be served without a word."""
    app.web.init_server()
    await app.web._runner.setup()
    site = app.web._create_site()
    assert site._runner.app is app.web.web_app
    assert site._runner.app.router.resources()
    await app.web._runner.cleanup()
