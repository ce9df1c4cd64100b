"""Law 10: cells written by every earlier version still decode, to what they meant.

`golden/<domain>-<n>.json` holds the bytes of every kind of cell as one version of the code wrote them. A file is never
edited: whoever changes a cell (a field at its end) adds the next file, and the older ones must still be read.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.driver import NOW
from tables import DOMAINS, domain_named
from tables.domain import Domain
from tables.table import TOTALS_KEY, Table

GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(GOLDEN.glob("*.json"), key=lambda path: (path.stem.split("-")[0], int(path.stem.split("-")[1])))
Entry = dict[str, Any]


def entries(path: Path) -> list[Entry]:
    """The cells of a file: key as text, value as hexadecimal digits, and what it means."""
    found: list[Entry] = json.loads(path.read_text())
    return found


def files_of(domain: Domain) -> list[Path]:
    """The files of a domain, the newest last."""
    return [path for path in FILES if path.stem.split("-")[0] == domain.name]


def restored(path: Path) -> Table:
    """A table with the cells of a file."""
    table = Table(domain_named(path.stem.split("-")[0]), 0)
    for _ in table.load([(entry["key"].encode(), bytes.fromhex(entry["value"])) for entry in entries(path)], NOW):
        pass
    return table


def meaning(table: Table, key: str) -> Any:
    """What a cell of the table says, by field name."""
    if key.encode() == TOTALS_KEY:
        return named(table.totals)
    entity, *name = json.loads(key)
    row = table.rows[entity.encode()]
    return named(row.cells[tuple(name)] if name else row.head)


def named(value: Any) -> Any:
    """A struct as a dict, by the names of its fields, all the way down."""
    if isinstance(value, msgspec.Struct):
        return {name: named(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, dict):
        return {name: named(part) for name, part in value.items()}
    return [named(item) for item in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_cells_of_every_version_decode_to_what_they_meant(path: Path) -> None:
    """Fields that were added since have their defaults; none has moved, and none is gone."""
    table = restored(path)
    for entry in entries(path):
        found = meaning(table, entry["key"])
        assert {name: found[name] for name in entry["means"]} == entry["means"], entry["key"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_cells_of_every_version_survive_being_written_again(path: Path) -> None:
    """Old cells, written by today's code and read by it, are the same cells."""
    table = restored(path)
    again = Table(table.domain, 0)
    for _ in again.load(table.read().items(), NOW):
        pass
    assert again.read() == table.read()


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.name)
def test_todays_cells_have_the_golden_bytes(domain: Domain) -> None:
    """The newest file is what today's code writes: a change of format cannot go unnoticed."""
    assert files_of(domain), f"make one: python -m tests.tables.make_golden {domain.name}"
    newest = files_of(domain)[-1]
    cells = {entry["key"].encode(): bytes.fromhex(entry["value"]) for entry in entries(newest)}
    assert restored(newest).read() == cells


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.name)
def test_every_kind_of_cell_has_golden_bytes(domain: Domain) -> None:
    """The head, the totals and every kind that the domain declares."""
    assert files_of(domain), f"make one: python -m tests.tables.make_golden {domain.name}"
    keys = [json.loads(entry["key"]) for entry in entries(files_of(domain)[-1])]
    assert {key[1] for key in keys if len(key) > 1} == set(domain.cells)
    assert any(len(key) == 1 and key[0] is not None for key in keys)
    assert [None] in keys
