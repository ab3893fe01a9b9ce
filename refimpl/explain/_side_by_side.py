"""Two explanations of the same element side by side, with the line where they part marked."""

from __future__ import annotations

import difflib
import math
import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from ..common.text import WIDTH, joined, paragraph, ratio
from ._api import Counterpart
from ._data import Explanation, Line
from ._labels import HYPER
from ._text import heading

MARK = ">"


def beside(one: Explanation, found: Counterpart, numerics_class: str) -> str:
    """Both in columns: each line's formula and its exact value; MARK stands where they part."""
    rows = list(_rows(one, found.explanation))
    first = parting(rows)
    blocks = [heading(one), _table((title(one),), (title(found.explanation),), rows, first), _apart(one, found, first, numerics_class)]
    return joined(blocks)


def title(one: Explanation) -> str:
    """The dialect, with the deviations that it was computed with."""
    return " with ".join([one.dialect, *one.deviations])


Side = tuple[str, ...]
Row = tuple[str, Side, Side]
"""A name, and the texts of both sides."""

NOTHING: Side = ("-",)
"""The side that has no such line."""


def _rows(one: Explanation, other: Explanation) -> Iterator[Row]:
    if one.refused or other.refused:
        yield "", (one.refused or "takes it",), (other.refused or "takes it",)
        return
    yield "touched", one.touched, other.touched
    yield "t", (f"{one.t}" if one.t is not None else "none",), (f"{other.t}" if other.t is not None else "none",)
    for left, right in _paired(_known(one), _known(other)):
        names = [line.name for line in (left, right) if line is not None]
        name = names[0] if len(set(names)) == 1 else (left or right or one.lines[0]).base
        yield name, _texts(left, name), _texts(right, name)


def _known(one: Explanation) -> list[Line]:
    """All lines, with the hyper-parameters first and then what else is given."""
    return sorted(one.given, key=lambda line: line.name not in HYPER) + list(one.lines)


def _paired(left: list[Line], right: list[Line]) -> Iterator[tuple[Line | None, Line | None]]:
    """Lines of the same name, occurrences of a row among them by their order; what one side alone has stands by itself."""
    matcher = difflib.SequenceMatcher(None, _keys(left, right), _keys(right, left), autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            yield from zip(left[i1:i2], right[j1:j2])
        else:
            yield from ((line, None) for line in left[i1:i2])
            yield from ((None, line) for line in right[j1:j2])


def _keys(lines: list[Line], others: list[Line]) -> list[tuple[str, str, int]]:
    """What each line is paired by: its name where the other side has it too, else the name without the place of an occurrence."""
    exact, theirs = _numbered([line.name for line in lines]), _numbered([line.name for line in others])
    by_base = _numbered([line.base for line in lines])
    return [("name", *name) if name in theirs else ("base", *base) for name, base in zip(exact, by_base)]


def _numbered(names: list[str]) -> list[tuple[str, int]]:
    """Each name, with how often it stands before."""
    return [(name, names[:k].count(name)) for k, name in enumerate(names)]


def _texts(line: Line | None, name: str) -> Side:
    if line is None:
        return NOTHING
    own = "" if line.name == name else f"{line.name} = "
    return (f"{own}{line.formula}", f"  {line.value.exact}") if line.formula else (f"{own}{line.value.exact}",)


def _table(left_title: Side, right_title: Side, rows: Sequence[Row], first: Row | None) -> Iterator[str]:
    label = max(len(name) for name, _, _ in rows) + len(MARK) + 2
    yield from _row("", left_title, right_title, label)
    for row in rows:
        name, left, right = row
        yield from _row(f"{MARK if row is first else ' '} {name}", left, right, label)


def parting(rows: Sequence[Row]) -> Row | None:
    """The first row in which both sides say something else; what one side alone has is another way to write it, unless it is all."""
    different = [row for row in rows if row[1] != row[2]]
    return next((row for row in different if NOTHING not in row), next(iter(different), None))


def _row(name: str, left: Side, right: Side, label: int) -> Iterator[str]:
    half = (WIDTH - label - 2) // 2
    columns = [[row for text in side for row in _wrapped(text, half)] for side in (left, right)]
    for k, (a, b) in enumerate(zip_longest(*columns, fillvalue="")):
        yield f"{name if k == 0 else '':<{label}}{a:<{half}}  {b}".rstrip()


def _wrapped(text: str, width: int) -> list[str]:
    indent = text[: len(text) - len(text.lstrip())]
    return textwrap.wrap(text.strip(), width, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False)


def _apart(one: Explanation, found: Counterpart, first: Row | None, numerics_class: str) -> Iterator[str]:
    """How far apart they end, in each array."""
    other = found.explanation
    if first is None:
        yield "They are the same, line by line."
        return
    if one.refused or other.refused:
        return
    if found.since is not None and found.since < one.step:
        yield from paragraph(f"They parted before, at step {found.since}: --step {found.since} shows where. After this step:")
    else:
        yield from paragraph(f"They part at {first[0]!r} (marked {MARK}). After the step:")
    for name, (array, mine) in zip(("p", "m", "v"), one.state.items()):
        distance = abs(other.state[array].nearest - mine.nearest)
        bound = mine.bound[numerics_class]
        bounds = distance / bound if bound else math.inf if distance else 0.0
        yield f"  {name}: {distance:.6g} apart, {ratio(bounds)} bounds ({numerics_class})" if distance else f"  {name}: the same"
