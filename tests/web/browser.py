"""The system's Chromium, headless: a page's DOM as its scripts have left it, and what it complained about."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import ClientSession, ClientWebSocketResponse

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Of the page's own clock, which runs ahead while nothing is to be waited for: three answers, two seconds apart.
PAGE_MS = 5_000
SECONDS = 60.0
SETTLE_SECONDS = 0.3  # charts follow their boxes a few frames later
COMMON = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
FLAGS = (
    *COMMON,
    "--enable-logging=stderr",
    f"--virtual-time-budget={PAGE_MS}",
    "--dump-dom",
)


class Seen(NamedTuple):
    """What became of a page."""

    dom: str
    complaints: list[str]
    """Errors of scripts, and what the content policy refused."""

    def text(self, element: str) -> str:
        """The text of the element with an id, without its markup."""
        found = re.search(rf'<(\w+)[^>]*\bid="{element}"[^>]*>(.*?)</\1>', self.dom, re.DOTALL)
        assert found is not None, f"no element {element}"
        return unescape(re.sub(r"<[^>]*>", " ", found[2])).strip()


async def see(url: str, profile: Path) -> Seen:
    """Open a page with an empty profile, let its scripts run, read its DOM."""
    assert CHROMIUM is not None
    process = await asyncio.create_subprocess_exec(
        CHROMIUM,
        *FLAGS,
        f"--user-data-dir={profile}",
        url,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        dom, said = await asyncio.wait_for(process.communicate(), SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    complaints = [line for line in said.decode(errors="replace").splitlines() if "CONSOLE" in line]
    return Seen(dom.decode(), complaints)


# Settled: the views have answered, what moves stands still. `wide` names what sticks out, so that a failure explains.
LAYOUT = """
(() => {
  const moving = [...document.querySelectorAll(".skeleton, .wait, #connection[data-state=loading]")];
  if (document.readyState !== "complete" || moving.some((each) => each.getClientRects().length)) return null;
  const root = document.documentElement;
  const named = (element) => `${element.tagName}#${element.id}.${element.className}`;
  const inside = (element) => element.closest(".scroll, .skip, .hidden, .segments, .spark, .legend");
  const lines = (element) => element.getBoundingClientRect().height / parseFloat(getComputedStyle(element).lineHeight);
  return {
    inner: innerWidth,
    scroll: root.scrollWidth,
    cut: [...document.querySelectorAll(".tile")].filter((each) => each.scrollWidth > each.clientWidth).map(named),
    wrapped: [...document.querySelectorAll(".bars b")].filter((each) => lines(each) > 1.5).map(named),
    wide: [...document.querySelectorAll("body *")]
      .filter((each) => !inside(each) && each.getBoundingClientRect().right > innerWidth + 1).map(named),
  };
})()
"""


class Page:
    """A page of a running browser, driven over its own protocol."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = count(1)

    async def _call(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await self._socket.receive_json()
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    async def layout(self, url: str, *widths: int) -> list[Any]:
        """What sticks out of a page, once it stands still; at each width, as when a window is made narrower."""
        layouts: list[Any] = []
        for width in widths:
            await self._call(
                "Emulation.setDeviceMetricsOverride", width=width, height=844, deviceScaleFactor=1, mobile=False
            )
            if not layouts:
                await self._call("Page.navigate", url=url)
            await asyncio.sleep(SETTLE_SECONDS)
            layouts.append(await self._settled())
        return layouts

    async def _settled(self) -> Any:
        async with asyncio.timeout(SECONDS):
            while True:
                answer = await self._call("Runtime.evaluate", expression=LAYOUT, returnByValue=True)
                if (layout := answer["result"].get("value")) is not None:
                    return layout
                await asyncio.sleep(0.05)


@asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Page]:
    """A browser with an empty profile and one page."""
    assert CHROMIUM is not None
    process = await asyncio.create_subprocess_exec(
        CHROMIUM,
        *COMMON,
        "--hide-scrollbars",
        "--remote-debugging-port=0",  # it chooses one, and writes it into its profile
        f"--user-data-dir={profile}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with ClientSession() as session:
            origin = f"http://127.0.0.1:{await _port(profile / 'DevToolsActivePort')}"
            async with session.get(f"{origin}/json/list") as answer:
                [target] = [each for each in await answer.json() if each["type"] == "page"]
            async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                yield Page(socket)
    finally:
        process.terminate()
        await process.wait()


async def _port(written: Path) -> int:
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                return int((await asyncio.to_thread(written.read_text, "ascii")).splitlines()[0])
            except (OSError, IndexError, ValueError):
                await asyncio.sleep(0.05)
