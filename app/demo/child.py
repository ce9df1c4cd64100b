"""A worker as a child process, which never outlives the demo: it stops when its standard input ends."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import BinaryIO

import aiohttp

from app.settings import Settings

READY_SECONDS = 60.0
STOP_SECONDS = 15.0  # a worker commits what is done and leaves its group: a second or two
LOOK_SECONDS = 0.1
LOG_TAIL_LINES = 15
# Nobody wants to watch a demo for the 30 s after which tutors are published; whoever sets it has the last word.
SOONER = {"TIDEMARK_TUTORS_STATS_SECONDS": "1"}


class ChildError(Exception):
    """The worker does not do what the demo needs of it; the message ends with its log."""


class Child:
    """A running worker."""

    def __init__(self, settings: Settings, process: asyncio.subprocess.Process, log: BinaryIO) -> None:
        self._settings = settings
        self._process = process
        self._log = log

    async def ready(self) -> None:
        """Wait until it serves all of its partitions.

        Raises:
            ChildError: it has ended, or is not ready in a minute.
        """
        token = self._settings.web_token.get_secret_value()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with aiohttp.ClientSession(headers=headers) as session:
            try:
                async with asyncio.timeout(READY_SECONDS):
                    while not await self._answers(session):
                        self.check()
                        await asyncio.sleep(LOOK_SECONDS)
            except TimeoutError:
                raise self.error(f"the worker is not ready after {READY_SECONDS:.0f} s") from None

    async def wait(self) -> None:
        """Wait for its end.

        Raises:
            ChildError: it has ended by itself.
        """
        await self._process.wait()
        self.check()

    def check(self) -> None:
        """Raise ChildError if it has ended."""
        if self._process.returncode is not None:
            raise self.error(f"the worker has ended with exit code {self._process.returncode}")

    def error(self, what: str) -> ChildError:
        """What is wrong, and the last lines of the worker's log."""
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return ChildError("\n".join([f"{what}; its log ends with:", *(f"  {line}" for line in lines)]))

    async def stop(self) -> None:
        """Ask it to stop; kill it if it does not."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _answers(self, session: aiohttp.ClientSession) -> bool:
        host = self._settings.web_host
        try:
            async with session.get(f"http://{host}:{self._settings.web_port}/health/ready") as response:
                return response.status == HTTPStatus.OK
        except aiohttp.ClientError:
            return False


@asynccontextmanager
async def worker(settings: Settings) -> AsyncIterator[Child]:
    """Run a worker with these settings, until the end of the block or of this process, however that comes."""
    environment = (
        SOONER
        | os.environ
        | {
            "KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
            "TIDEMARK_WEB_PORT": str(settings.web_port),
        }
    )
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app", "worker", "--until-eof"),
            env=environment,
            # Nothing is ever written there. The kernel closes our end when this process dies, even by SIGKILL.
            stdin=asyncio.subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for the demo, which then stops its worker in good order
        )
        child = Child(settings, process, log)
        try:
            yield child
        finally:
            await child.stop()
