"""What is wrong with a letter, put right: another key, another value."""

import asyncio
import os
import shlex
from dataclasses import dataclass

import msgspec

from app.deadletters.letter import Letter
from tables.domain import Domain

COMMAND_SECONDS = 60.0
SAID = 300  # characters of what a command complained about


class MendingError(ValueError):
    """A letter cannot be mended as asked; the message says why."""


@dataclass(frozen=True)
class Mending:
    """What is to be different; without any of it, a letter goes as it came.

    Attributes:
        key: the new key.
        value: the new value.
        rekey: the key is to be the entity of the event, mended or not.
        command: a program and its arguments: the value on standard input, the new one from standard output.
        now: the record is to have the time of resending, not the one that it had.
    """

    key: bytes | None = None
    value: bytes | None = None
    rekey: bool = False
    command: str = ""
    now: bool = False

    async def mended(self, letter: Letter, domain: Domain) -> Letter:
        """The letter as it is to be sent.

        Raises:
            MendingError: the command fails, or the event has no entity.
        """
        value = letter.value if self.value is None else self.value
        if self.command:
            value = await _filtered(self.command, letter, value)
        key = letter.key if self.key is None else self.key
        if self.rekey:
            key = _entity(domain, value)
        return letter._replace(key=key, value=value, timestamp=None if self.now else letter.timestamp)


def _entity(domain: Domain, value: bytes | None) -> bytes:
    try:
        entity = domain.entity(msgspec.json.decode(value or b"", type=domain.event))
        return entity.encode()
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
        raise MendingError(f"its {domain.entity_name} cannot be told: {' '.join(str(error).split())}") from error


async def _filtered(command: str, letter: Letter, value: bytes | None) -> bytes:
    about = {"LETTER_ID": letter.id, "LETTER_REASON": letter.reason.replace("\0", " ")}
    try:
        process = await asyncio.create_subprocess_exec(
            *shlex.split(command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | about,
        )
    except (OSError, ValueError) as error:
        raise MendingError(f"--with {command!r} cannot be run: {error}") from error
    try:
        async with asyncio.timeout(COMMAND_SECONDS):
            made, complaint = await process.communicate(value or b"")
    except TimeoutError:
        process.kill()
        await process.wait()
        raise MendingError(f"--with {command!r} did not end within {COMMAND_SECONDS:.0f} s") from None
    if process.returncode:
        said = " ".join(complaint.decode("utf-8", "replace").split())[:SAID]
        raise MendingError(f"--with {command!r} ended with {process.returncode}: {said or 'it says nothing'}")
    return made
