"""Which dead letters a partition has folded after all: the memory that a resent one is recognised by.

A resent dead letter names its original: the record that could not be folded. Its event is older than what its source
has sent since, so the last sequence of the source says nothing about it; only the original does. A partition notes
the originals that it has folded as bits, 64 consecutive offsets of a source partition to a *page*, and a page is a
number that the partition notes for itself (`Table.mark`): changelog key ``[null,"resent/<partition>/<page>"]``.

The bound: `PAGES` pages, so at the least the last 10,000 originals, and 640,000 where all records of a stretch were
dead letters. Beyond it the oldest page of the source partition that has the most is forgotten, and with it everything
below: ``[null,"resent/<partition>"]`` is the first offset that is not forgotten. What is forgotten is not counted any
more, whether it was folded or not (LATE): nothing counts twice, however many are resent how often.
"""

import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from sortedcontainers import SortedSet

from tables.event import Outcome

if TYPE_CHECKING:
    from tables.table import Table

PAGE = 64  # offsets: the bits of the greatest integer that MessagePack has
PAGES = 10_000  # 10,000 x some 250 bytes in memory = 2.5 MB, and 0.6 MB on the changelog
_NAME = "resent"
_PARTS = 2


class Original(NamedTuple):
    """The place of a record that became a dead letter, in the domain's source topic."""

    partition: int
    offset: int


def mark_of(partition: int, page: int | None = None) -> str:
    """The name of a page; without one, that of the first offset of a source partition that is not forgotten."""
    return f"{_NAME}/{partition}" if page is None else f"{_NAME}/{partition}/{page}"


def recognised(marks: Mapping[str, int], original: Original) -> Outcome | None:
    """DUPLICATE for an original that was folded, LATE for one that is forgotten, None for one that is neither."""
    partition, offset = original
    if offset < marks.get(mark_of(partition), 0):
        return Outcome.LATE
    page, bit = divmod(offset, PAGE)
    return Outcome.DUPLICATE if marks.get(mark_of(partition, page), 0) >> bit & 1 else None


class Originals:
    """The originals that a table's partition has folded. What it knows is in the table's marks, and durable there."""

    def __init__(self, table: "Table", limit: int = PAGES) -> None:
        self._table: Table = weakref.proxy(table)  # which refers to this
        self.limit = limit
        self._pages: dict[int, SortedSet[int]] = {}
        self._count = 0

    def recognised(self, original: Original) -> Outcome | None:
        """As the function of that name."""
        return recognised(self._table.marks, original)

    def remember(self, original: Original) -> None:
        """Note an original as folded. The caller has asked `recognised`."""
        page, bit = divmod(original.offset, PAGE)
        name = mark_of(original.partition, page)
        bits = self._table.marks.get(name, 0)
        if not bits:
            self._add(original.partition, page)
        self._table.mark(name, bits | 1 << bit)
        self.lower()

    def adopt(self, name: str, value: int) -> None:
        """Take in one of the table's marks, as it is restored; most are about something else.

        Raises:
            ValueError: it should be a page, and is none.
        """
        first, *numbers = name.split("/")
        if first != _NAME:
            return
        if not all(map(_is_number, numbers)) or not 0 < len(numbers) <= _PARTS or not 0 < value < 1 << PAGE:
            raise ValueError(f"{value} is no page of resent originals")
        if len(numbers) == _PARTS:
            self._add(int(numbers[0]), int(numbers[1]))

    def lower(self) -> None:
        """Forget what is beyond the limit: an earlier release may have kept more."""
        while self._count > self.limit:
            self._forget()

    def _add(self, partition: int, page: int) -> None:
        pages = self._pages.setdefault(partition, SortedSet())
        self._count += page not in pages
        pages.add(page)

    def _forget(self) -> None:
        partition, pages = max(self._pages.items(), key=lambda item: (len(item[1]), -item[0]))
        page: int = pages.pop(0)
        self._count -= 1
        self._table.unmark(mark_of(partition, page))
        self._table.mark(mark_of(partition), (page + 1) * PAGE)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and (text == "0" or text[0] != "0")
