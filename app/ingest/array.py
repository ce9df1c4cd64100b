"""The elements of a JSON array of objects, one at a time, however long the array is.

The standard library's decoder finds the end of an object by itself, and says of half an object that it is one: read
on, try again. So a file of 100 MB costs the memory of a chunk, at the speed of `json.load`.
"""

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from app.ingest.source import InputError, Source

ELEMENT_LIMIT = 4 * 1024 * 1024  # characters; the longest of telemetry, all players at a match's end, are 0.1 million
# An element that ends with what was read so far fails at most so far from there (a cut `\ud83d\ude00`); a string
# fails at its beginning. Whatever fails elsewhere is wrong for good: there is no use in reading on.
CUT_CHARACTERS = 16
_SPACE = re.compile(r"[ \t\r\n]*")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_decode = json.JSONDecoder(parse_constant=_refuse).raw_decode


def elements(source: Source) -> Iterator[tuple[int, dict[str, Any]]]:
    """The index and the value of each element.

    Raises:
        InputError: at the place where the input stops to be an array of objects, or stops altogether.
    """
    text = _Text(source)
    if text.peek() != "[":
        raise text.error("a JSON array should begin here")
    text.at += 1
    index = 0
    while text.peek() != "]":
        if index:
            if text.peek() != ",":
                raise text.error(f"`,` or `]` should follow element {index - 1}")
            text.at += 1
        if text.peek() != "{":
            raise text.error(f"element {index} should be an object")
        yield index, _object(text, index)
        index += 1
    text.at += 1
    if text.peek():
        raise text.error("something follows the end of the array")


def _object(text: "_Text", index: int) -> dict[str, Any]:
    while True:
        try:
            value, text.at = _decode(text.rest, text.at)
        except json.JSONDecodeError as error:
            cut = error.pos >= len(text.rest) - CUT_CHARACTERS or error.msg.startswith("Unterminated string")
            if not cut:
                raise text.error(f"element {index}: {error.msg}", error.pos) from error
            if len(text.rest) - text.at > ELEMENT_LIMIT:
                raise text.error(f"element {index} is longer than {ELEMENT_LIMIT} characters") from error
            if not text.more():
                raise text.error(f"element {index} is cut off", len(text.rest)) from error
        except (ValueError, RecursionError) as error:
            raise text.error(f"element {index}: {error}") from error
        else:
            return value  # type: ignore[no-any-return] # what begins with a brace is a dict


class _Text:
    """Characters read and not yet used: `rest` from `at` on."""

    def __init__(self, source: Source) -> None:
        self._chunks = source.chunks()
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._fed = 0
        self.rest, self.at = "", 0

    def peek(self) -> str:
        """The next character that is not space; "" at the end."""
        while True:
            self.at = _SPACE.match(self.rest, self.at).end()  # type: ignore[union-attr] # it matches nothing, too
            if self.at < len(self.rest):
                return self.rest[self.at]
            if not self.more():
                return ""

    def more(self) -> bool:
        """Read on; False at the end."""
        chunk = next(self._chunks, b"")
        before = self._fed - self._pending()
        try:
            text = self._decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            where = before + error.start
            raise InputError(f"byte {where} is not UTF-8 ({error.reason})") from error
        self._fed += len(chunk)
        self.rest, self.at = self.rest[self.at :] + text, 0
        return bool(chunk)

    def error(self, what: str, at: int | None = None) -> InputError:
        """An error at a character of `rest`, by default the next one."""
        at = self.at if at is None else at
        position = self._fed - self._pending() - len(self.rest[at:].encode("utf-8", "surrogatepass"))
        if not self._fed:
            return InputError("it is empty")
        return InputError(f"byte {position}: {'it ends here: ' if at >= len(self.rest) else ''}{what}")

    def _pending(self) -> int:
        return len(self._decoder.getstate()[0])
