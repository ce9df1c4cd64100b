"""The pages of the documentation and what stands in them: code, links, headings, derived blocks."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from textwrap import dedent
from typing import Any

ROOT = Path(__file__).parents[2]

_BLOCK = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n)(?P<body>.*?)(<!-- end -->)", re.DOTALL)
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<body>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path

    @property
    def name(self) -> str:
        """Its path in the repository."""
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def text(self) -> str:
        """All of it."""
        return self.path.read_text("utf-8")

    @cached_property
    def fences(self) -> list[tuple[str, str]]:
        """(language, content) of the fenced blocks."""
        return [(found["language"], dedent(found["body"])) for found in _FENCE.finditer(self.text)]

    @cached_property
    def examples(self) -> list[list[Any]]:
        """Of each block of JSON, what its lines say."""
        return [
            [json.loads(line) for line in body.splitlines()] for language, body in self.fences if language == "json"
        ]

    @cached_property
    def prose(self) -> str:
        """What is outside of fenced blocks."""
        return _FENCE.sub("", self.text)

    @cached_property
    def code(self) -> list[str]:
        """Every line of fenced blocks and every inline code."""
        lines = [line for _, body in self.fences for line in body.splitlines()]
        return [*lines, *_SPAN.findall(self.prose)]

    @cached_property
    def links(self) -> list[str]:
        """The targets of links and pictures."""
        return _LINK.findall(self.prose)

    @cached_property
    def headings(self) -> list[tuple[int, str]]:
        """(level, text) of the headings, in order."""
        return [(len(found[1]), found[2]) for found in _HEADING.finditer(self.prose)]

    @cached_property
    def anchors(self) -> set[str]:
        """What a link may name behind `#`."""
        return {anchor(text) for _, text in self.headings}

    @cached_property
    def blocks(self) -> dict[str, str]:
        """The derived blocks."""
        return {found["name"]: found["body"] for found in _BLOCK.finditer(self.text)}

    def section(self, heading: str) -> str:
        """What stands under a heading, up to the next one of the same level or above."""
        level = next(level for level, text in self.headings if text == heading)
        _, _, rest = self.text.partition(f"\n{'#' * level} {heading}\n")
        return re.split(rf"^#{{1,{level}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def page(name: str) -> Page:
    """A page by its path in the repository."""
    return Page(ROOT / name)


def pages() -> list[Page]:
    """README.md and everything in docs/."""
    return [page("README.md"), *map(Page, sorted((ROOT / "docs").rglob("*.md")))]


def anchor(heading: str) -> str:
    """The anchor that a heading gets."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def with_blocks(text: str, blocks: Mapping[str, str]) -> str:
    """A page's text with its derived blocks made anew."""
    return _BLOCK.sub(lambda found: f"{found[1]}{blocks[found['name']]}{found[4]}", text)
