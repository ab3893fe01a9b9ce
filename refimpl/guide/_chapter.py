"""A chapter of the guide: its text, what has been made of it, and what in it does not hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..errors import UsageError

TEXT = Path(__file__).parent / "text"
INDEX = "README"
"""The chapter that becomes index.html: its name is the one that code hosts show first."""


@dataclass(frozen=True)
class Chapter:
    """A Markdown file. name: of the file, without its suffix; needs: modules that its snippets import, beside refimpl's own."""

    name: str
    text: str
    needs: tuple[str, ...] = ()

    @property
    def page(self) -> str:
        """The name of the file that it becomes."""
        return "index.html" if self.name == INDEX else f"{self.name}.html"

    @property
    def title(self) -> str:
        """The heading of the first level, as plain text; the name of the file where there is none."""
        heading = re.search(r"^# (.+)$", self.text, re.MULTILINE)
        return heading.group(1).replace("`", "") if heading else self.name

    def wrong(self, line: int, message: str) -> str:
        """What does not hold, behind the place where it stands."""
        return f"{self.name}.md, line {line}: {message}"


class Wrong(Exception):
    """Something in a text that does not hold. line: where, if not at the start of the block."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


class Link(NamedTuple):
    """A link to a chapter, or to a section of it."""

    line: int
    chapter: str
    anchor: str


@dataclass(frozen=True)
class Built:
    """What a chapter has become: HTML, its sections (anchor to title), every anchor, its links, and what did not hold."""

    chapter: Chapter
    body: str
    sections: tuple[tuple[str, str], ...] = ()
    anchors: frozenset[str] = frozenset()
    links: tuple[Link, ...] = ()
    failures: tuple[str, ...] = ()
    left_out: bool = False
    seconds: float = 0.0


NEEDS = re.compile(r"^<!-- needs: ([\w, ]+) -->$", re.MULTILINE)


def chapters(directory: Path = TEXT) -> tuple[Chapter, ...]:
    """The chapters in a directory, the index first, then in the order of their names; UsageError where there are none."""
    read = []
    for file in sorted(directory.glob("*.md"), key=lambda file: (file.stem != INDEX, file.stem)):
        text = file.read_text(encoding="utf-8")
        needs = NEEDS.search(text)
        read.append(Chapter(file.stem, text, tuple(re.findall(r"\w+", needs.group(1))) if needs else ()))
    if not read:
        raise UsageError(f"{directory} holds no chapters (*.md)")
    return tuple(read)


def broken_links(built: tuple[Built, ...]) -> Iterator[str]:
    """Links to chapters or sections that do not exist; what a chapter that is left out would hold is not known."""
    anchors = {page.chapter.name: page.anchors for page in built}
    left_out = {page.chapter.name for page in built if page.left_out}
    for page in built:
        for link in page.links:
            if link.chapter not in anchors:
                yield page.chapter.wrong(link.line, f"there is no chapter {link.chapter}.md")
            elif link.anchor and link.anchor not in anchors[link.chapter] and link.chapter not in left_out:
                yield page.chapter.wrong(link.line, f"{link.chapter}.md has no section #{link.anchor}")
