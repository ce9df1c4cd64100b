"""Changelog records in the words of a message. Their keys and values may be anything: nothing of them is shown raw."""

from tables.printable import printable


def named(key: bytes | None) -> str:
    """A record by its key as text; what does not print, or is no UTF-8, is shown by its number."""
    if not key:
        return "a record without a key" if key is None else "a record with an empty key"
    return printable(bytes(key).decode("utf-8", "backslashreplace"))


def of_another_version(value: bytes, version: int) -> str:
    """Why a value is no cell that this version knows, from its first byte on: that is the version of the format."""
    found = f"its first byte is 0x{value[0]:02x}, not 0x{version:02x}" if value else "its value is empty"
    return f"not a cell of this version: {found}"


def headless(entity: str) -> str:
    """What is wrong with cells whose row has lost the cell that they belong to."""
    return f"the head of {entity!r} is gone, and other cells of its row are there"


def miscounted(rows: int, keys: int) -> str:
    """What is wrong with so many rows, where the totals know of another number of keys."""
    gone = f": the head of {'one' if keys - rows == 1 else f'{keys - rows:,}'} is gone" if keys > rows else ""
    return f"{rows} row{'s' * (rows != 1)}, but the totals know of {keys}{gone}"
