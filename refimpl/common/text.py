"""Words and numbers as every command prints them. Text of a backend is escaped, so that it cannot send codes to the terminal."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence

WIDTH = 100
"""Columns of a line of text."""


def printable(text: str) -> str:
    """The text with every character that is not printable written as an escape; line ends and spaces stay."""
    return "".join(char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode("ascii") for char in text)


def paragraph(text: str, indent: str = "", hanging: str | None = None) -> list[str]:
    """The text in lines of at most WIDTH columns, each line of it on lines of its own; long words (ids, paths) stay whole."""
    lines: list[str] = []
    first = indent
    rest = indent if hanging is None else hanging
    for line in printable(text).split("\n"):
        lines += textwrap.wrap(line, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False)
        first = rest
    return lines


def joined(blocks: Iterable[Iterable[str]]) -> str:
    """Blocks of lines as a text, with an empty line between them; empty blocks are left out."""
    return "\n\n".join("\n".join(lines) for lines in map(list, blocks) if lines) + "\n"


def counted(number: int, noun: str) -> str:
    """A number with its noun: 1 case, 2 cases."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listed(names: Sequence[str]) -> str:
    """Names as a sentence lists them: a, b and c."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def first_few(names: Sequence[str], limit: int = 5) -> str:
    """The first names, and how many there are beyond them."""
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")


def ratio(value: float) -> str:
    """A number of bounds, to three digits: 0.42, 3.1e+06, inf, nan."""
    if value == 0 or 0.01 <= value < 1000:
        return f"{value:.2f}"
    return f"{value:.1e}" if math.isfinite(value) else f"{value}"


def position(index: Sequence[int]) -> str:
    """Where in a parameter: a row, and the column behind it."""
    if not index:
        return "its only element"
    row, *rest = index
    if not rest:
        return f"row {row}"
    return f"row {row}, column {rest[0] if len(rest) == 1 else tuple(rest)}"
