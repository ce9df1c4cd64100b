"""The system's Chromium, headless, driven over its own protocol: what a page shows, asks for and complains about."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from aiohttp import ClientSession, ClientWebSocketResponse

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SECONDS = 60.0
SETTLE_SECONDS = 0.3  # charts follow their boxes a few frames later
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",  # it chooses one, and writes it into its profile
)


class Seen(NamedTuple):
    """What became of a page."""

    dom: str
    complaints: list[str]
    """Errors of scripts, and what the content policy refused."""

    def text(self, element: str) -> str:
        """The text of the element with an id, without its markup; blanks stand between its parts."""
        parser = _Text(element)
        parser.feed(self.dom)
        assert parser.found, f"no element {element}"
        return " ".join(parser.parts).strip()


class _Text(HTMLParser):
    """Takes in the text of the element with an id."""

    VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})

    def __init__(self, element: str) -> None:
        super().__init__()
        self._element = element
        self._depth = 0
        self.found = False
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID and (self._depth or ("id", self._element) in attrs):
            self._depth += 1
            self.found = True

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID and self._depth:
            self._depth -= 1

    def handle_data(self, data: str) -> None:
        if self._depth:
            self.parts.append(data)


async def see(url: str, profile: Path) -> Seen:
    """Open a page in a browser of its own, with an empty profile, and let it settle."""
    async with browser(profile) as page:
        return await page.open(url)


# Settled: the views have answered, what waits for a number has it. While they fail there is nothing more to wait for.
SETTLED = """
(() => {
  if (document.readyState !== "complete") return false;
  const state = document.querySelector("#connection")?.dataset.state;
  if (state === "loading") return false;
  if (["waiting", "error", "offline", "stale"].includes(state)) return true;
  const moving = [...document.querySelectorAll(".skeleton, .wait, .tiles:empty")];
  return !moving.some((each) => each.getClientRects().length);
})()
"""
# `wide` names what sticks out, so that a failure explains.
LAYOUT = """
(() => {
  const root = document.documentElement;
  const named = (element) => `${element.tagName}#${element.id}.${element.className}`;
  const inside = (element) => element.closest(".scroll, .skip, .hidden, .segments, .spark, .legend, .bar nav");
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
# What the keyboard has to get to: of radio buttons of one name, one.
FOCUSABLE = """
(() => {
  const all = [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")];
  const names = new Set();
  window.focusable = all.filter((each) => {
    if (each.disabled || !each.checkVisibility()) return false;
    if (each.type !== "radio") return true;
    return !names.has(each.name) && names.add(each.name);
  });
  return window.focusable.map((each) => each.textContent.trim() || each.id || each.name || each.className);
})()
"""
FOCUSED = """
(() => {
  const now = document.activeElement;
  // A page that hears news draws a part of itself anew: what has the focus then is in the place of what had it.
  const follows = (each) => !each.isConnected && each.tagName === now.tagName
    && each.getAttribute("href") === now.getAttribute("href") && each.textContent === now.textContent;
  return window.focusable.findIndex((each) => each === now || follows(each)
    || (each.type === "radio" && each.name === now.name));
})()
"""
KEYS = {"Tab": 9, "Enter": 13, "ArrowRight": 39}


class Page:
    """A page of a running browser.

    Attributes:
        complaints: errors of scripts, what the content policy refused, and answers that were errors.
        asked: the paths, with their queries, that have been asked for.
    """

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = count(1)
        self.complaints: list[str] = []
        self.asked: list[str] = []

    async def begin(self) -> "Page":
        """Listen to what happens in it."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self._call(f"{domain}.enable")
        return self

    async def open(self, url: str) -> Seen:
        """Go to a page and let it settle."""
        self.complaints, self.asked = [], []
        await self._call("Page.navigate", url=url)
        await self.until(SETTLED)
        return await self.seen()

    async def seen(self) -> Seen:
        """The page as it is now."""
        return Seen(await self.run("document.documentElement.outerHTML"), self.complaints)

    async def run(self, expression: str) -> Any:
        """The value of an expression in the page; None too where it is going from one page to another."""
        return (await self._call("Runtime.evaluate", expression=expression, returnByValue=True))["result"].get("value")

    async def until(self, condition: str, seconds: float = SECONDS) -> None:
        """Wait until an expression is true."""
        try:
            async with asyncio.timeout(seconds):
                while not await self.run(condition):  # noqa: ASYNC110 - a page tells nobody
                    await asyncio.sleep(0.05)
        except TimeoutError:
            text = await self.run("document.body.innerText")
            raise AssertionError(f"never came to be: {condition}\n{self.complaints}\n{text}") from None

    async def until_text(self, element: str, text: str) -> None:
        """Wait until the element with an id contains a text."""
        await self.until(f"document.getElementById({element!r})?.textContent.includes({text!r})")

    async def until_quiet(self, seconds: float) -> None:
        """Wait until nothing has been asked for during so many seconds."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(SECONDS):
            number, since = -1, loop.time()
            while loop.time() - since < seconds:
                if len(self.asked) != number:
                    number, since = len(self.asked), loop.time()
                await self.run("0")  # takes in what has happened
                await asyncio.sleep(0.1)

    async def press(self, key: str) -> None:
        """Press a key and let it go."""
        text = {"text": "\r"} if key == "Enter" else {}
        common = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
        await self._call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **common, **text)
        await self._call("Input.dispatchKeyEvent", type="keyUp", **common)

    async def reach(self) -> tuple[list[str], list[str]]:
        """What there is to be reached by keyboard, and what of it the tabulator key reaches; in their orders."""
        names = await self.run(FOCUSABLE)
        await self.run("document.activeElement.blur()")
        reached: dict[int, None] = {}
        for _ in names:
            await self.press("Tab")
            reached[await self.run(FOCUSED)] = None
        return names, [names[place] if place >= 0 else "something else" for place in reached]

    async def block(self, *patterns: str) -> None:
        """Let questions to these addresses fail, as if nobody were there; none of them ends it."""
        await self._call("Network.setBlockedURLs", urls=list(patterns))

    async def dark(self) -> None:
        """Prefer the dark theme."""
        features = [{"name": "prefers-color-scheme", "value": "dark"}]
        await self._call("Emulation.setEmulatedMedia", features=features)

    async def layout(self, url: str, *widths: int) -> list[Any]:
        """What sticks out of a page, once it stands still; at each width, as when a window is made narrower."""
        layouts: list[Any] = []
        for width in widths:
            await self._call(
                "Emulation.setDeviceMetricsOverride", width=width, height=844, deviceScaleFactor=1, mobile=False
            )
            if not layouts:
                await self.open(url)
            await asyncio.sleep(SETTLE_SECONDS)
            layouts.append(await self.run(LAYOUT))
        return layouts

    async def _call(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await self._socket.receive_json()
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self._note(message.get("method", ""), message.get("params", {}))

    def _note(self, method: str, told: Any) -> None:
        if method == "Network.requestWillBeSent":
            url = urlsplit(told["request"]["url"])
            self.asked.append(url.path + (f"?{url.query}" if url.query else ""))
        elif method == "Log.entryAdded" and told["entry"]["level"] in {"error", "warning"}:
            self.complaints.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(told["exceptionDetails"].get("exception", told["exceptionDetails"])))
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(str(told["args"]))


@asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Page]:
    """A browser with an empty profile and one page."""
    assert CHROMIUM is not None
    process = await asyncio.create_subprocess_exec(
        CHROMIUM,
        *FLAGS,
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
                yield await Page(socket).begin()
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
