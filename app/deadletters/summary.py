"""Dead letters counted by outcome, state and reason."""

import re
from collections import Counter

import click

from app.deadletters.letter import Letter
from app.deadletters.shown import Line
from tables.printable import printable

_NUMBERS = re.compile(r"\d+")


class Summary:
    """Counts of letters by outcome, state and reason. Numbers in reasons differ from letter to letter: each is an N.

    After a reset a worker writes letters again, about the records that it had written some about before. They count
    as one: of the same origin (topic, partition, offset), and with the same bytes, for a topic that is created anew
    has other records at the same offsets.
    """

    def __init__(self) -> None:
        self._records: Counter[tuple[str, str, str]] = Counter()
        # 64 bits of each, some 70 bytes: of a million, two are the same by chance once in 30 million times.
        self._origins: dict[tuple[str, str, str], set[int]] = {}

    def add(self, letter: Letter, state: str) -> None:
        """Count a letter."""
        about = letter.outcome, state.split(" as ", 1)[0], _NUMBERS.sub("N", letter.reason)
        self._records[about] += 1
        self._origins.setdefault(about, set()).add(hash((letter.place, letter.key, letter.value)))

    def as_json(self) -> list[Line]:
        """The most first: how many letters of different origins, and how many records of the topic they are."""
        names = ("outcome", "state", "reason")
        return [
            dict(zip(names, about, strict=True)) | {"letters": letters, "records": self._records[about]}
            for about, letters in self._counts()
        ]

    def print(self) -> None:
        """For people; how many records they are where some were written again."""
        for (outcome, state, reason), letters in self._counts():
            records = self._records[outcome, state, reason]
            again = f"  ({records:,} records: some were written again)" if records != letters else ""
            click.echo(f"{letters:>9,}  {outcome:<9}  {state:<9}  {printable(reason)}{again}")

    def _counts(self) -> list[tuple[tuple[str, str, str], int]]:
        return Counter({about: len(origins) for about, origins in self._origins.items()}).most_common()
