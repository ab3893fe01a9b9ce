"""A page as data: sections of paragraphs, lists, tables and code, and the two ways to print them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass

WIDTH = 110


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Items:
    """A list of points."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A head and rows of as many cells."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Code:
    """A program, or a part of one."""

    text: str
    language: str = "python"


Block = Text | Items | Table | Code


@dataclass(frozen=True)
class Section:
    """A title and what stands under it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    """A title, and sections in order; blocks are plain text, in which `...` marks code."""

    title: str
    sections: tuple[Section, ...]


def to_markdown(page: Page) -> str:
    """The page in Markdown."""
    parts = [f"# {page.title}"]
    for section in page.sections:
        parts.append(f"## {section.title}")
        parts += [MARKDOWN[type(block)](block) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", "<br>")


def _table_md(block: Table) -> str:
    rows = [block.head, tuple("---" for _ in block.head), *block.rows]
    return "\n".join("| " + " | ".join(_escaped(cell) for cell in row) + " |" for row in rows)


MARKDOWN: dict[type, Callable[..., str]] = {
    Text: lambda block: block.text,
    Items: lambda block: "\n".join(f"- {item}" for item in block.items),
    Table: _table_md,
    Code: lambda block: f"```{block.language}\n{block.text.rstrip()}\n```",
}


def to_text(page: Page) -> str:
    """The page for a terminal."""
    parts = [page.title, "=" * len(page.title)]
    for section in page.sections:
        parts += ["", section.title, "-" * len(section.title)]
        for block in section.blocks:
            parts += TEXT[type(block)](block)
    return "\n".join(parts).replace("`", "") + "\n"


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False)


def _table_text(block: Table) -> list[str]:
    """Columns of even width, the last one wrapped; a table that would be too wide is printed row by row."""
    rows = [tuple(cell.replace("`", "") for cell in row) for row in (block.head, *block.rows)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(block.head) - 1)]
    indent = sum(widths) + 2 * len(widths) + 2
    if indent > WIDTH - 30:
        return [line for row in rows[1:] for line in _row_text(block.head, row)]
    lines: list[str] = []
    for row in rows:
        start = "  " + "".join(f"{cell:<{width}}  " for cell, width in zip(row, widths))
        lines += _wrapped(row[-1], start, " " * indent) or [start.rstrip()]
    return lines


def _row_text(head: tuple[str, ...], row: tuple[str, ...]) -> Iterator[str]:
    yield from _wrapped(row[0], "  ", "    ")
    for name, cell in zip(head[1:], row[1:]):
        yield from _wrapped(f"{name}: {cell}", "      ", "        ")


TEXT: dict[type, Callable[..., list[str]]] = {
    Text: lambda block: _wrapped(block.text, "  ", "  "),
    Items: lambda block: [line for item in block.items for line in _wrapped(item, "  - ", "    ")],
    Table: _table_text,
    Code: lambda block: ["", *(f"    {line}".rstrip() for line in block.text.rstrip().splitlines()), ""],
}
