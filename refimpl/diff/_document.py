"""A page in Markdown: its rows and lists, and its layout for a terminal."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence

from ..common.text import WIDTH

BLOCK = re.compile(r"```\w*\n(?P<code>.*?)\n```\s*|(?P<start>#+ |[-|] |)(?P<text>.+?)\n(?:\n|\Z)", re.DOTALL)
"""A program, or what stands between two empty lines."""


def row(*cells: object) -> str:
    """A row of a table."""
    return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", "<br>") for cell in cells) + " |"


def bullets(items: Iterable[str]) -> str:
    """A list of points."""
    return "\n".join(f"- {item}" for item in items)


def to_text(markdown: str) -> str:
    """The page for a terminal."""
    lines: list[str] = []
    for block in BLOCK.finditer(markdown):
        if block["code"] is not None:
            lines += ["", *(f"    {line}".rstrip() for line in block["code"].splitlines()), ""]
        else:
            lines += LAYOUTS[block["start"]](block["start"] + block["text"])
    return "\n".join(lines).replace("`", "") + "\n"


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False)


def _items(text: str) -> list[str]:
    return [line for item in text.split("\n") for line in _wrapped(item.removeprefix("- "), "  - ", "    ")]


def cells_of(table: str) -> list[list[str]]:
    """The cells of a table's rows, its head first."""
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.split("\n")]
    head, _, *body = [[cell.strip().replace("\\|", "|").replace("<br>", "\n") for cell in row] for row in cells]
    return [head, *body]


def _table(text: str) -> list[str]:
    """Columns of even width, the last one wrapped; a table that would be too wide is printed row by row."""
    head, *body = cells_of(text.replace("`", ""))
    widths = [max(len(row[k]) for row in (head, *body)) for k in range(len(head) - 1)]
    indent = sum(widths) + 2 * len(widths) + 2
    if indent > WIDTH - 30:
        return [line for row in body for line in _row(head, row)]
    lines: list[str] = []
    for row in (head, *body):
        start = "  " + "".join(f"{cell:<{width}}  " for cell, width in zip(row, widths))
        lines += _wrapped(row[-1], start, " " * indent) or [start.rstrip()]
    return lines


def _row(head: Sequence[str], row: Sequence[str]) -> Iterator[str]:
    yield from _wrapped(row[0], "  ", "    ")
    for name, cell in zip(head[1:], row[1:]):
        yield from _wrapped(f"{name}: {cell}", "      ", "        ")


LAYOUTS: dict[str, Callable[[str], list[str]]] = {
    "# ": lambda title: [title[2:], "=" * len(title[2:])],
    "## ": lambda title: ["", title[3:], "-" * len(title[3:])],
    "- ": _items,
    "| ": _table,
    "": lambda text: _wrapped(text, "  ", "  "),
}
"""The start of a block to its layout."""
