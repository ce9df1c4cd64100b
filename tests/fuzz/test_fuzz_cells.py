"""Cells of every domain as somebody else may have written them, read by the restore."""

import time
import tracemalloc
from itertools import count

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from agents.driver import NOW, Sent
from agents.emit import take
from agents.restore import Restore
from agents.task import Task
from tables.domain import Domain
from tables.table import CorruptCellError, Table
from tests.fuzz.inputs import examples, mutated, values
from tests.laws.strategies import every_domain
from tests.tables.test_golden import entries, files_of

Cells = dict[bytes | None, bytes]
SECONDS = 5.0  # for a few cells, which take milliseconds
BYTES = 16 * 1024 * 1024  # for a few hundred bytes of cells
# Heads of MessagePack that promise more than follows: 2^32 elements, pairs and bytes, and nesting.
PROMISES = (
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\x91" * 5_000,
    b"\x81\xa0" * 5_000,
    b"\xcf" + b"\xff" * 8,
    b"\xd3\x80" + bytes(7),
    b"\xcb\x7f\xf8" + bytes(6),
)


def golden(domain: Domain) -> Cells:
    """Cells that are right, of the newest file."""
    return {entry["key"].encode(): bytes.fromhex(entry["value"]) for entry in entries(files_of(domain)[-1])}


def restored(domain: Domain, cells: Cells) -> Task:
    """A task with these cells, as a worker restores them."""
    table = Table(domain, 0)
    task = Task(domain, 0, table, f"{domain.name}-events", lambda _: 0)
    restore, offsets = Restore(), count()
    restore.read(Sent(next(offsets), key, value, [], NOW) for key, value in cells.items())
    for _ in restore.finish(task, NOW):
        pass
    return task


def packed(version: int) -> SearchStrategy[bytes]:
    """A cell's value: any MessagePack under the right version or any other."""
    told = values().map(_packed) | st.binary(max_size=30) | st.sampled_from(PROMISES)
    return st.builds(lambda first, rest: bytes([first]) + rest, st.just(version) | st.integers(0, 255), told)


def _packed(value: object) -> bytes:
    try:
        return msgspec.msgpack.encode(value)
    except (UnicodeEncodeError, OverflowError):
        return b"\xc0"


@every_domain
@examples(40)
@given(data=st.data())
def test_a_cell_is_decoded_or_called_corrupt(data: st.DataObject, domain: Domain) -> None:
    """Nothing else is raised, nothing hangs, no promise of a length is believed; what is decoded can be written."""
    cells = golden(domain)
    key = data.draw(st.sampled_from(sorted(cells, key=bytes)))  # type: ignore[arg-type] # no key of these is null
    value = cells.pop(key)
    new_key = data.draw(st.just(key) | st.just(key) | mutated(st.just(key or b"")) | st.none() | st.binary(max_size=12))
    cells[new_key] = data.draw(
        (mutated(st.just(value)) | packed(domain.version))
        if new_key == key
        else st.just(value) | packed(domain.version)
    )
    assert_read_or_refused(domain, cells)


def assert_read_or_refused(domain: Domain, cells: Cells) -> None:
    """Restore them, within bounds; what is taken is written again as a worker would, and then it is the same."""
    began = time.monotonic()
    tracemalloc.start()
    try:
        task = restored(domain, cells)
    except CorruptCellError:
        return
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert time.monotonic() - began < SECONDS
        assert peak < BYTES
    task.table.read()
    task.table.totals_changed = True
    take(task, NOW)
