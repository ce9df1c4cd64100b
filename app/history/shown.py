"""A record as people and scripts read it."""

from typing import Any

import msgspec
import orjson

from tables.domain import Domain
from tables.event import LAST_MS, iso
from tables.table import TOTALS_KEY

Line = dict[str, Any]
"""partition, offset, time (ISO 8601, of the record), key (text, or None), value (JSON), and where they say something
`text` (a value that is no JSON) and `headers`."""


def line(record: Any, partition: int, domain: Domain | None) -> Line:
    """A consumed record.

    Args:
        record: as the Kafka client's parser makes it.
        partition: where it was.
        domain: for a changelog, whose cells are to be decoded; None for JSON.
    """
    shown: Line = {
        "partition": partition,
        "offset": record.offset,
        "time": iso(record.timestamp) if 0 <= record.timestamp <= LAST_MS else None,
        "key": text(record.key),
        "value": None,
    }
    if record.value is not None:
        try:
            shown["value"] = orjson.loads(record.value) if domain is None else cell(domain, record.key, record.value)
        except (ValueError, TypeError, LookupError, RecursionError, msgspec.MsgspecError):
            shown["text"] = text(record.value)
    for name, header in record.headers:  # the first of a name counts: a dead letter's own come before the original's
        shown.setdefault("headers", {}).setdefault(name, text(header))
    return shown


def text(value: bytes | None) -> str | None:
    """Bytes as text; what is not UTF-8 is shown by its number."""
    return None if value is None else bytes(value).decode("utf-8", "backslashreplace")


def cell(domain: Domain, key: bytes, value: bytes) -> Any:
    """A changelog value: the cell's fields by name.

    Raises:
        ValueError, LookupError, MsgspecError: it is no cell of the domain in its present format.
    """
    if value[:1] != bytes([domain.version]):
        raise ValueError(f"format {value[:1].hex()}")
    if key == TOTALS_KEY:
        return named(msgspec.msgpack.decode(value[1:], type=domain.totals))
    entity, *name = orjson.loads(key)
    if entity is None:
        return msgspec.msgpack.decode(value[1:], type=int)
    type_ = domain.cells[name[0]] if name else domain.head
    return named(msgspec.msgpack.decode(value[1:], type=type_))


def named(value: Any) -> Any:
    """A cell, or what is in one, with its fields by name: cells are encoded as arrays, which nobody can read."""
    if isinstance(value, msgspec.Struct):
        return {name: named(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, (list, tuple)):
        return [named(item) for item in value]
    if isinstance(value, dict):
        return {str(key): named(item) for key, item in value.items()}
    return text(value) if isinstance(value, bytes) else value


def entity_of(key: bytes | None) -> Any:
    """The entity that a changelog key is about; None for the partition's own and for what is no such key."""
    try:
        return orjson.loads(key or b"")[0]
    except (ValueError, TypeError, LookupError):
        return None
