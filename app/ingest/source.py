"""The bytes of an input: a file or standard input, plain or gzip."""

import gzip
import sys
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

if TYPE_CHECKING:
    from io import RawIOBase

STDIN = "-"
GZIP_MAGIC = b"\x1f\x8b"
CHUNK_BYTES = 256 * 1024  # some hundred elements: few calls, and a producer that is never kept waiting for long


class InputError(Exception):
    """The input is not what it should be; the message says where and what to do."""


class Source:
    """An input that is read once, from the beginning.

    Attributes:
        name: what messages call it.
        size: its bytes in all, None where that cannot be known.
    """

    def __init__(self, path: str) -> None:
        self.name = "standard input" if path == STDIN else path
        self.size = None if path == STDIN else Path(path).stat().st_size
        self._path = path
        self._open = ExitStack()

    def __enter__(self) -> Self:
        if self._path == STDIN:
            stdin = cast("RawIOBase", sys.stdin.buffer)  # wrapped: it may be a stand-in that cannot `peek`
            self._raw: BufferedReader[Any] = BufferedReader(stdin)
            self._open.callback(self._raw.detach)
        else:
            self._raw = self._open.enter_context(Path(self._path).open("rb"))
        # By its content and not by its name: downloads keep neither `.gz` nor its absence.
        packed = self._raw.peek(len(GZIP_MAGIC))[: len(GZIP_MAGIC)] == GZIP_MAGIC
        self._stream = gzip.GzipFile(fileobj=self._raw) if packed else self._raw
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._open.close()

    @property
    def done(self) -> int:
        """How many of `size` bytes have been read; 0 where that cannot be known."""
        return 0 if self.size is None else self._raw.tell()

    def chunks(self) -> Iterator[bytes]:
        """The content, unpacked.

        Raises:
            InputError: the gzip file is truncated or damaged.
        """
        unpacked = 0
        while chunk := self._read(unpacked):
            unpacked += len(chunk)
            yield chunk

    def lines(self, limit: int) -> Iterator[bytes]:
        """The lines without their ends; one longer than `limit` comes cut, one byte longer than it."""
        rest = b""
        for chunk in self.chunks():
            *whole, rest = (rest + chunk).split(b"\n")
            yield from (line[: limit + 1] for line in whole)
            rest = rest[: limit + 1]
        if rest:
            yield rest

    def _read(self, unpacked: int) -> bytes:
        try:
            # Not `read`: it gathers a whole chunk, and what it has gathered is lost where the file turns out damaged.
            return self._stream.read1(CHUNK_BYTES)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InputError(
                f"the gzip file is truncated or damaged after byte {unpacked} of its content ({error})"
            ) from error
