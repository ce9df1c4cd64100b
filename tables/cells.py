"""Changelog records one by one, for those who want to know about each of them; `Table.load` is for speed."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from tables.domain import Domain
from tables.named import headless, miscounted, named, of_another_version
from tables.table import MARK, TOTALS_KEY, CorruptCellError, cell_key, said

Path = tuple[str | None, ...]
"""(entity, *name); (None, name) for a mark, (None,) for the totals."""


Latest = Mapping[bytes | None, bytes] | Mapping[bytes, bytes]
"""The latest value of every key."""


class Problem(NamedTuple):
    """A changelog record that is not what it has to be; `key` is None for a record that has none."""

    key: bytes | None
    reason: str


class Cells:
    """Reads cells of a domain."""

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self._version = bytes([domain.version])
        self._kinds = {kind: msgspec.msgpack.Decoder(type_) for kind, type_ in domain.cells.items()}
        self._head = msgspec.msgpack.Decoder(domain.head)
        self._path = msgspec.json.Decoder(tuple[str | None, ...])

    def path(self, key: bytes, value: bytes) -> Path:
        """Whose cell it is.

        Raises:
            CorruptCellError: why it is none.
        """
        if not value.startswith(self._version):
            raise CorruptCellError(of_another_version(value, self.domain.version), key)
        try:
            path = self._path.decode(key)
            if key != cell_key(path[0], path[1:]):  # type: ignore[arg-type] # a null in it is found by the next line
                raise CorruptCellError(f"another spelling of {named(cell_key(path[0], path[1:]))}", key)  # type: ignore[arg-type]
            self._decode(key, path, value[1:])
        except (msgspec.MsgspecError, LookupError, TypeError, ValueError, RecursionError) as error:
            raise CorruptCellError(said(error), key) from error
        return path

    def _decode(self, key: bytes, path: Path, value: bytes) -> None:
        if key == TOTALS_KEY:
            msgspec.msgpack.decode(value, type=self.domain.totals).lengthen()
        elif key.startswith(MARK):
            msgspec.msgpack.decode(value, type=int)
        elif len(path) == 1:
            self._head.decode(value)
        else:
            self._kinds[str(path[1])].decode(value)

    def problems(self, cells: Latest) -> Iterator[Problem]:
        """Everything that is wrong with the latest values of a changelog partition: each of them, then all together."""
        heads, others = set[str](), dict[str, list[bytes]]()
        broken = False
        for key, value in cells.items():
            if key is None:
                broken = True
                yield Problem(key, "the record has no key")
                continue
            try:
                path = self.path(key, value)
            except CorruptCellError as error:
                broken = True
                yield Problem(key, str(error))
                continue
            if path[0] is None:
                continue
            if len(path) == 1:
                heads.add(path[0])
            else:
                others.setdefault(path[0], []).append(key)
        for entity, keys in others.items():
            if entity not in heads:
                yield from (Problem(key, headless(entity)) for key in keys)
        if not broken:
            yield from self._counted(cells, len(heads))

    def _counted(self, cells: Latest, rows: int) -> Iterator[Problem]:
        value = cells.get(TOTALS_KEY)
        keys = 0 if value is None else msgspec.msgpack.decode(value[1:], type=self.domain.totals).keys
        if keys != rows:
            yield Problem(TOTALS_KEY, miscounted(rows, keys))
