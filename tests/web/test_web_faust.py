"""Faust's web server serves our application, and none of its own pages."""

from app.main import build
from app.settings import load
from app.web.server import Web


async def test_faust_serves_our_routes_and_none_of_its_own() -> None:
    """`/table` and `/router` would show everybody's rows without a token."""
    app = build(load(bootstrap_servers="nowhere:9092"))
    assert type(app.web) is Web
    app.web.init_server()
    paths = {resource.canonical for resource in app.web.web_app.router.resources()}
    assert {"/", "/api/v1/status", "/health/live", "/api/v1/players/{entity}/trend"} <= paths
    assert not {path for path in paths if path.startswith(("/table", "/router", "/graph", "/performance", "/stats"))}
    app.consumer._thread.thread_loop.close()  # made by Faust with the consumer, closed by it only after a start
