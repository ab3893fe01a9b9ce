"""A chapter of the guide: its text, what has been made of it, and what in it does not hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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
        found = re.search(r"^# (.+)$", self.text, re.MULTILINE)
        return found.group(1).replace("`", "") if found else self.name


@dataclass(frozen=True)
class Failure:
    """Something in the text that does not hold, and the line where it stands."""

    chapter: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.chapter}.md, line {self.line}: {self.message}"


@dataclass(frozen=True)
class Link:
    """A link from one chapter to another, or to a section of it."""

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
    failures: tuple[Failure, ...] = ()
    left_out: bool = False
    seconds: float = 0.0


NEEDS = re.compile(r"^<!-- needs: ([\w, ]+) -->$", re.MULTILINE)


def chapters(directory: Path = TEXT) -> tuple[Chapter, ...]:
    """The chapters in a directory, the index first, then in the order of their names; UsageError where there are none."""
    found = tuple(sorted(_read(directory), key=lambda one: (one.name != INDEX, one.name)))
    if not found:
        raise UsageError(f"{directory} holds no chapters (*.md)")
    return found


def _read(directory: Path) -> Iterator[Chapter]:
    for file in directory.glob("*.md"):
        text = file.read_text(encoding="utf-8")
        needs = NEEDS.search(text)
        yield Chapter(file.stem, text, tuple(name.strip() for name in needs.group(1).split(",")) if needs else ())


def broken_links(built: tuple[Built, ...]) -> Iterator[Failure]:
    """Links to chapters or sections that do not exist."""
    anchors = {one.chapter.name: one.anchors for one in built if not one.left_out}
    left_out = {one.chapter.name for one in built if one.left_out}
    for one in built:
        for link in one.links:
            if link.chapter in left_out:
                continue
            if link.chapter not in anchors:
                yield Failure(one.chapter.name, link.line, f"there is no chapter {link.chapter}.md")
            elif link.anchor and link.anchor not in anchors[link.chapter]:
                yield Failure(one.chapter.name, link.line, f"{link.chapter}.md has no section #{link.anchor}")
