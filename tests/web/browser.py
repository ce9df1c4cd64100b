"""The system's Chromium, headless: a page's DOM as its scripts have left it, and what it complained about."""

import asyncio
import re
import shutil
from html import unescape
from pathlib import Path
from typing import NamedTuple

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Of the page's own clock, which runs ahead while nothing is to be waited for: three answers, two seconds apart.
PAGE_MS = 5_000
SECONDS = 60.0
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
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
