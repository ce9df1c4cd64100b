"""How the fuzz tests make input: valid things spoilt a little, which get further in than noise does, and noise.

`FUZZ=100` in the environment tries a hundred times as many inputs: for a night, or before a release.
"""

import json
import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

FACTOR = float(os.environ.get("FUZZ", "1"))

# Noise on purpose: JSON's own signs, what decoders trip over, and ends of ranges.
PIECES = (
    b"",
    b"\x00",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b'"',
    b"\\",
    b"\\ud800",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"NaN",
    b"-Infinity",
    b"1e400",
    b"-1",
    b"0.1e-400",
    b"null",
    b"true",
    b"9" * 400,
    b"18446744073709551616",
    b"[" * 3_000,
    b'{"a":' * 3_000,
    b"2016-12-31T23:59:60Z",
    b"0000-00-00T00:00:00Z",
    b"9999-12-31T23:59:59.999Z",
)


def examples(number: int) -> settings:
    """Settings of a test that tries so many inputs, times FUZZ."""
    return settings(
        max_examples=max(1, round(number * FACTOR)),
        deadline=None,  # two cores that others use, too
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )


def values(leaves: int = 6) -> SearchStrategy[Any]:
    """JSON values of every kind, as Python's own encoder writes them: NaN, lone surrogates and 10^400 among them."""
    scalar = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.sampled_from((2**31, 2**63, 2**64, -(2**63) - 1, 10**400, -(10**30)))
        | st.floats()
        | st.text(max_size=20)
        | st.sampled_from(("", "\ud800", "\x00", "x" * 300, "x" * 70_000, "2025-06-15T00:00:00Z", "NaN", "1", "[null]"))
    )
    return st.recursive(
        scalar,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names, inner, max_size=4),
        max_leaves=leaves,
    )


_names = st.text(max_size=6) | st.sampled_from(("type", "at", "id", "", "\ud800"))


@st.composite
def mutated(draw: st.DrawFn, content: SearchStrategy[bytes]) -> bytes:
    """Bytes with a few changes: cut out, cut off, doubled, overwritten, bits flipped, pieces put in."""
    data = bytearray(draw(content))
    for _ in range(draw(st.integers(1, 4))):
        first = draw(st.integers(0, len(data)))
        size = draw(st.integers(0, 12))
        match draw(st.integers(0, 5)):
            case 0:
                del data[first : first + size]
            case 1:
                del data[first:]
            case 2:
                data[first:first] = data[first : first + size]
            case 3:
                data[first : first + size] = draw(st.binary(max_size=12))
            case 4 if first < len(data):
                data[first] ^= 1 << draw(st.integers(0, 7))
            case _:
                data[first:first] = draw(st.sampled_from(PIECES))
    return bytes(data)


@st.composite
def spoilt(draw: st.DrawFn, events: SearchStrategy[Any]) -> bytes:
    """An event, or any JSON value, of which one part, however deep, is replaced by any value, taken away or renamed."""
    return encoded(_spoil(draw, draw(events)))


def _spoil(draw: st.DrawFn, value: Any) -> Any:
    if isinstance(value, dict) and value and draw(st.integers(0, 5)):
        name = draw(st.sampled_from(sorted(value)))
        rest = {other: part for other, part in value.items() if other != name}
        match draw(st.integers(0, 7)):
            case 0:
                return rest
            case 1:
                return rest | {draw(_names): value[name]}
            case _:
                return rest | {name: _spoil(draw, value[name])}
    if isinstance(value, list) and value and draw(st.integers(0, 3)):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], _spoil(draw, value[at]), *value[at + draw(st.integers(0, 1)) :]]
    return draw(values())


def encoded(value: Any) -> bytes:
    """JSON as a producer without manners would write it: NaN and half of a surrogate pair included."""
    return json.dumps(value).encode()


HEADERS: SearchStrategy[list[tuple[str, bytes | None]]] = st.lists(
    st.tuples(
        st.text(max_size=8)
        | st.sampled_from(
            [
                f"tidemark-{name}"
                for name in ("topic", "partition", "offset", "reason", "outcome", "resent", "truncated")
            ]
        ),
        st.none()
        | st.binary(max_size=20)
        | st.sampled_from((b"0", b"-1", b"9" * 40, b"1e3", "\u0663".encode(), b" 1 ", b"0_1")),
    ),
    max_size=8,
)
"""Headers of a record: strangers', and ours with values that we would not write."""
