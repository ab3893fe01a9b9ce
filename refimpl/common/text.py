"""Words and numbers as a report prints them. What comes from a backend is escaped: it must not steer the terminal."""

from __future__ import annotations

import math
import shlex
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from ..judging.verdict import ArrayVerdict, CaseVerdict, Mismatch, Report
from ..vectors.places import here
from .cli import printable

WIDTH = 100


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
    """Blocks of lines as a text, an empty line between them; what has no lines leaves none."""
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


def facts(mismatch: Mismatch) -> Iterator[tuple[str, str]]:
    """What a mismatch says, as (label, value): what was got, what was expected, and how far apart they are."""
    yield "got", repr(mismatch.got)
    yield "expected", repr(mismatch.expected) + (f" (allowed: {mismatch.allowed})" if mismatch.allowed else "")
    error = mismatch.got - mismatch.expected
    if math.isfinite(error):
        yield "error", f"{error:.6g}, {ratio(mismatch.ratio)} bounds of {mismatch.bound:.6g}"
    else:
        yield "error", "not a number of the kind that is expected here"


def place(mismatch: Mismatch) -> str:
    """Which element of which array, at which step."""
    return f"{mismatch.array} of {mismatch.param!r}, step {mismatch.step}, {position(mismatch.index)}"


def explaining(verdict: CaseVerdict, report: Report) -> str:
    """The command that works the first wrong element of a case through; "" where there is none."""
    if not verdict.mismatch:
        return ""
    row, *col = verdict.mismatch.index or (None,)
    words = {
        "--step": verdict.mismatch.step,
        "--param": verdict.mismatch.param,
        "--row": row,
        "--col": ",".join(map(str, col)) or None,
        "--class": None if report.required == DEFAULT_CLASS else report.required,
        "--vectors": None if report.vectors in ("", str(here())) else report.vectors,
    }
    options = [word for name, value in words.items() if value is not None for word in (name, str(value))]
    return shlex.join(["refimpl", "explain", verdict.case_id, *options])


DEFAULT_CLASS = "tensor-faithful"
"""Whose bounds `explain` shows unless it is told otherwise."""


def worst(arrays: Sequence[ArrayVerdict], name: str, numerics_class: str) -> float | None:
    """The largest |error|/bound of the arrays of this name; nan counts as the largest, None where there is none."""
    found = [one.worst[numerics_class] for one in arrays if one.array == name and numerics_class in one.worst]
    return next((value for value in found if math.isnan(value)), max(found, default=None))
