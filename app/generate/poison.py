"""Records that no worker may fold: what broken producers send."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from random import Random
from typing import Any, NamedTuple

import orjson

NESTED = 5_000  # levels; every parser's limit is below


class Record(NamedTuple):
    """A record to be written. `poison`: what is wrong with it, "" where nothing is."""

    key: bytes | None
    value: bytes | None
    poison: str = ""


Accepts = Callable[[bytes], bool]
"""Whether a value is an event."""


def spoil(record: Record, kind: str, chance: Random, accepts: Accepts) -> Record:
    """A copy that no worker may fold. Where an event cannot be spoilt in this way, it is cut off, which it always can.

    Args:
        record: an event with a key and a value.
        kind: one of POISON.
        chance: picks the field and the like.
        accepts: tells whether the copy would still be an event.
    """
    key, value = record.key or b"", record.value or b""
    if kind in _KEYS:
        return Record(_KEYS[kind](key), value, kind)
    for candidate in _VALUES[kind](value, chance):
        if not accepts(candidate):
            return Record(key, candidate, kind)
    return Record(key, value[: len(value) // 2], "cut off")


def _other_fields(value: bytes, chance: Random) -> list[tuple[str, Any]]:
    """The fields of an event in a random order."""
    fields = list(orjson.loads(value).items())
    chance.shuffle(fields)
    return fields


def _without_a_field(value: bytes, chance: Random) -> Iterator[bytes]:
    fields = orjson.loads(value)
    for name, _ in _other_fields(value, chance):
        yield orjson.dumps({other: known for other, known in fields.items() if other != name})


def _of_a_wrong_type(value: bytes, chance: Random) -> Iterator[bytes]:
    fields = orjson.loads(value)
    for name, _ in _other_fields(value, chance):
        yield orjson.dumps(fields | {name: chance.choice(([], {}, [1]))})


def _without_a_number(value: bytes, chance: Random, instead: bytes) -> Iterator[bytes]:
    """JSON has no such number; many a producer writes it nevertheless."""
    fields = orjson.loads(value)
    for name, known in _other_fields(value, chance):
        if isinstance(known, (int, float)) and not isinstance(known, bool):
            marked = orjson.dumps(fields | {name: "\0"})
            yield marked.replace(b'"\\u0000"', instead, 1)


def _nested(value: bytes, _chance: Random) -> Iterator[bytes]:
    yield b'{"deep":' + b"[" * NESTED + b"]" * NESTED + b"," + value[1:]


_VALUES: dict[str, Callable[[bytes, Random], Iterable[bytes]]] = {
    "empty": lambda _value, _chance: [b""],
    "not UTF-8": lambda value, _chance: [b"\xff\xfe" + value],
    "cut off": lambda value, chance: [value[: chance.randrange(1, max(2, len(value)))]],
    "missing field": _without_a_field,
    "wrong type": _of_a_wrong_type,
    "NaN": partial(_without_a_number, instead=b"NaN"),
    "infinite": partial(_without_a_number, instead=b"1e999"),
    "nested": _nested,
}
_KEYS: dict[str, Callable[[bytes], bytes | None]] = {
    "null key": lambda _key: None,
    "wrong key": lambda key: key + b"?",
}
POISON = (*_VALUES, *_KEYS)
"""The kinds of poison."""
