"""An array of any length is read element by element, and whatever is wrong with it is named with its place."""

import gzip
import json
import random
import zlib
from collections.abc import Iterable
from typing import TypeVar

import pytest

from app.ingest import array
from app.ingest.array import elements
from app.ingest.source import CHUNK_BYTES, InputError, Source
from tests.ingest.conftest import Write

Item = TypeVar("Item")

SOME = [{"a": 1}, {"name": "Zoë 😀", "nested": [{"b": [1.5, None, True]}]}, {}]


def _read(path: str) -> list[tuple[int, object]]:
    with Source(path) as source:
        return list(elements(source))


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_plain_and_gzip_are_told_apart_by_content(write: Write, indent: int | None, pack: type[bytes]) -> None:
    """A gzip file needs no name that says so; space between elements means nothing."""
    body = json.dumps(SOME, indent=indent).encode()
    assert _read(write(pack(body))) == list(enumerate(SOME))


def test_a_byte_order_mark_is_no_content(write: Write) -> None:
    """Windows tools write one."""
    assert _read(write(b"\xef\xbb\xbf[{}]")) == [(0, {})]


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64])
def test_elements_do_not_depend_on_where_chunks_end(write: Write, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    """A chunk may end within a number, an escape or a character of four bytes."""
    monkeypatch.setattr("app.ingest.source.CHUNK_BYTES", chunk)
    body = '[{"n": -12.5e-3, "t": true, "s": "\\ud83d\\ude00 \\u00e9"},\n{"s": "😀é"}]'
    assert [value for _, value in _read(write(body.encode()))] == json.loads(body)


def test_memory_is_bounded_by_chunks(write: Write) -> None:
    """Reading the first element of a long array reads a chunk, not the array."""
    body = json.dumps([{"n": n, "pad": "x" * 1000} for n in range(2_000)]).encode()
    with Source(write(body)) as source:
        next(elements(source))
        assert source.done <= 2 * CHUNK_BYTES < len(body)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"  ", "byte 2: it ends here: a JSON array should begin"),
        (b'{"a": 1}', "byte 0: a JSON array should begin"),
        (b"[", "byte 1: it ends here: element 0 should be an object"),
        (b'[{"a": 1', "byte 8: it ends here: element 0 is cut off"),
        (b'[{"a": "b', "byte 9: it ends here: element 0 is cut off"),
        (b'[{"a": 1}', "byte 9: it ends here: `,` or `]` should follow element 0"),
        (b'[{"a": 1},', "byte 10: it ends here: element 1 should be an object"),
        (b'[{"a": 1},]', "byte 10: element 1 should be an object"),
        (b'[{"a": 1} {}]', "byte 10: `,` or `]` should follow element 0"),
        ('[{"é": 1}, 5]'.encode(), "byte 12: element 1 should be an object"),
        (b"[{}, {'a': 1, 'bcdefghijklmnopqrstuvw': 2}]", "byte 6: element 1: Expecting property name"),
        (b'[{"a": NaN}]', "byte 1: element 0: NaN is not JSON"),
        (b"[{}] {}", "byte 5: something follows the end"),
        (b'[{"a": "\xff"}]', "byte 8 is not UTF-8"),
        (b'[{"a": "\xc3', "byte 8 is not UTF-8"),
        (gzip.compress(b"[{}]", mtime=0)[:-9], "the gzip file is truncated or damaged after byte 4"),
        (gzip.compress(b"[{}]", mtime=0)[:10], "the gzip file is truncated or damaged after byte 0"),
        (b"\x1f\x8bnot gzip", "the gzip file is truncated or damaged"),
        (b'[{"a":' + b"[" * 200_000, "byte 1: element 0: "),
        (b'[{"a":' + b"9" * 5_000 + b"}]", "byte 1: element 0: "),
    ],
)
def test_what_is_wrong_is_named_with_its_place(write: Write, content: bytes, message: str) -> None:
    """Truncated, mistyped or no JSON at all: the byte (of the unpacked content) and the element."""
    with pytest.raises(InputError, match="^" + message.replace("[", r"\[")):
        _read(write(content))


def test_an_element_without_end_is_refused_before_memory_is_full(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """What never ends is not read to its end."""
    monkeypatch.setattr(array, "ELEMENT_LIMIT", 1_000_000)
    path = write(b'[{"a": "' + b"x" * 4_000_000)
    with Source(path) as source, pytest.raises(InputError, match="element 0 is longer than 1000000"):
        list(elements(source))


def test_elements_before_the_wrong_place_are_read(write: Write) -> None:
    """They are ingested; the second run, of the whole file, completes them."""
    with Source(write(b'[{"a": 1}, {"a": 2}, {"a"')) as source:
        found = elements(source)
        assert [next(found), next(found)] == [(0, {"a": 1}), (1, {"a": 2})]
        with pytest.raises(InputError):
            next(found)


def _until_error(items: Iterable[Item]) -> tuple[list[Item], InputError | None]:
    found: list[Item] = []
    try:
        for item in items:
            found.append(item)  # noqa: PERF402 -- `extend` would forget them all
    except InputError as error:
        return found, error
    return found, None


@pytest.mark.parametrize("damage", ["cut", "spoilt"])
def test_whatever_is_readable_of_a_damaged_gzip_file_is_read(write: Write, damage: str) -> None:
    """All that comes before the damage: a download that broke off loses its end, and nothing else."""
    body = json.dumps([{"n": n, "pad": random.Random(n).randbytes(200).hex()} for n in range(1_000)]).encode()
    packed = gzip.compress(body, mtime=0)
    half = len(packed) // 2
    broken = packed[:half] if damage == "cut" else packed[:-8] + bytes(8)
    readable = zlib.decompressobj(wbits=31).decompress(packed[:half]) if damage == "cut" else body
    with Source(write(broken)) as source:
        found, error = _until_error(elements(source))
    assert f"after byte {len(readable)} of its content" in str(error)
    assert [number for number, _ in found] == list(range(readable.count(b'"}')))


def test_lines_before_the_damage_of_a_gzip_file_are_read(write: Write) -> None:
    """Whole ones; the last, of which a part is missing, is not."""
    lines = [random.Random(n).randbytes(200).hex().encode() for n in range(1_000)]
    packed = gzip.compress(b"\n".join(lines))[:-50_000]
    readable = zlib.decompressobj(wbits=31).decompress(packed)
    with Source(write(packed)) as source:
        found, error = _until_error(source.lines(1_000))
    assert "truncated or damaged" in str(error)
    assert found == lines[: readable.count(b"\n")]
    assert found
