"""Places: where a hypothesis holds, when it does not hold everywhere: columns, rows, elements, tensors or groups from some number on.

A place is derived from the elements that the hypothesis changes: in every case, passing ones too, those that are wrong lie inside and
those that are right lie outside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..case import Case, Param
from ..gradients import Array, Gradient, gradient_form, is_element_gradient, laid_out, row_layout
from ._evidence import Judged

Coordinates = Mapping[str, Array]
"""Per coordinate, its value at each of some elements."""


@dataclass(frozen=True)
class Place:
    """A place in words, and the name of its kind."""

    id: str
    words: str


@dataclass(frozen=True, eq=False)
class Seen:
    """Elements that a hypothesis changes: their coordinates, and which of them are wrong."""

    coordinates: Coordinates
    wrong: Array


def seen(judged: Judged, changed: Mapping[str, Array]) -> Seen:
    """The elements of a case that a hypothesis changes. changed: per parameter, of its shape."""
    parts = [
        (_coordinates(judged.golden.case, index, param, changed[param.name]), judged.touched[param.name][changed[param.name]])
        for index, param in enumerate(judged.golden.case.params)
        if changed.get(param.name) is not None and changed[param.name].any()
    ]
    names = parts[0][0] if parts else ()
    coordinates = {name: np.concatenate([part[name] for part, _ in parts]) for name in names}
    return Seen(coordinates, np.concatenate([wrong for _, wrong in parts]) if parts else np.zeros(0, bool))


def _coordinates(case: Case, index: int, param: Param, elements: Array) -> dict[str, Array]:
    """Where each of these elements lies, in the layout of the gradients: an element is a row of its own where gradients are by element.

    rank: the order of its row among the distinct rows of the largest sparse gradient, -1 where there is none.
    """
    gradients = [gradient for step in case.steps if (gradient := step.gradients.get(param.name)) is not None]
    by_element = any(is_element_gradient(gradient) for gradient in gradients)
    rows, width = (param.value.size, 1) if by_element else row_layout(param.value.shape)
    flat = np.flatnonzero(elements)
    row = flat // max(width, 1)
    sparse = [gradient for gradient in gradients if gradient_form(gradient) != "dense"]
    ranks, count = _row_ranks([_rows(gradient, param, rows) for gradient in sparse], rows)
    return {
        "column": flat % max(width, 1),
        "width": np.full(len(flat), width),
        "row": row,
        "element": flat,
        "size": np.full(len(flat), param.value.size),
        "tensor": np.full(len(flat), index),
        "group": np.full(len(flat), param.group),
        "by rows": np.full(len(flat), any(gradient_form(gradient) == "rows" for gradient in gradients)),
        "rank": ranks[row],
        "rows in the gradient": np.full(len(flat), count),
    }


def _rows(gradient: Gradient, param: Param, rows: int) -> Array:
    """The distinct rows that a gradient stores, in a layout of so many rows."""
    stored = laid_out(gradient, param.value.shape)
    if stored.layout[0] == rows:
        return np.unique(stored.indices)
    width = stored.layout[1]  # rows of a parameter whose other gradients are by element
    return (np.unique(stored.indices)[:, None] * width + np.arange(width)).reshape(-1)


def _row_ranks(stored: Sequence[Array], rows: int) -> tuple[Array, int]:
    """Per row its rank, in ascending order, in the largest of these; and how many rows that has."""
    largest = max(stored, key=len, default=np.zeros(0, np.int64))
    ranks = np.full(rows, -1)
    ranks[largest] = np.arange(len(largest))
    return ranks, len(largest)


LADDERS = (
    ("later-groups", "group", "groups from number {n} on, counted from 0"),
    ("tensors-after-N", "tensor", "parameters after the first {n}"),
    ("columns-after-N", "column", "columns from {n} on"),
    ("rows-after-N", "rank", "rows after the first {n} of a gradient"),
    ("elements-after-N", "element", "elements from {n} on"),
    ("row-numbers-after-N", "row", "row numbers from {n} on"),
)
"""Places from some number on: the id, the coordinate, and the words."""

TAILS = (
    ("column-tails", "column", "width", "the last columns, where the width is no multiple of {n}"),
    ("element-tails", "element", "size", "the last elements, where their number is no multiple of {n}"),
    ("row-tails", "rank", "rows in the gradient", "the last rows of a gradient, where their number is no multiple of {n}"),
)
"""Places behind the last whole block: the id, the coordinate, the coordinate that holds the count, and the words."""

LARGEST_BLOCK = 1024


def place_of(evidence: Sequence[Seen]) -> Place | None:
    """The first place that agrees with everything that was seen; None where none does, or where no right element was seen."""
    if all(part.wrong.all() for part in evidence):
        return None
    return next(_places(evidence), None)


def _places(evidence: Sequence[Seen]) -> Iterator[Place]:
    wrong = np.concatenate([part.wrong for part in evidence])
    by_rows = np.concatenate([part.coordinates["by rows"] for part in evidence if len(part.wrong)])
    if (by_rows == wrong).all():
        yield Place("rows-alone", "parameters with gradients by rows")
    for id, name, words in LADDERS:
        where = np.concatenate([part.coordinates[name] for part in evidence if len(part.wrong)])
        first, last = where[wrong].min(), where[~wrong].max(initial=-1)
        if first > max(last, 0):
            n = f"{first:,}" if last == first - 1 else f"{last + 1:,} to {first:,}"
            yield Place(id, words.format(n=n))
    for id, name, limit, words in TAILS:
        where, total = (np.concatenate([part.coordinates[key] for part in evidence if len(part.wrong)]) for key in (name, limit))
        for narrow in (False, True):
            for block in range(2, LARGEST_BLOCK + 1):
                inside = (where >= total - total % block) & ((total > block) if narrow else True)
                if (inside == wrong).all():
                    also = f" and larger than {block}" if narrow else ""
                    yield Place(id, words.format(n=block) + also)
                    break
    for id, test, text in OTHERS:
        inside = np.concatenate([test(part.coordinates) for part in evidence if len(part.wrong)])
        if (inside == wrong).all():
            yield Place(id, text)


Test = Callable[[Coordinates], Array]

OTHERS: tuple[tuple[str, Test, str], ...] = (
    ("last-column", lambda c: c["column"] == c["width"] - 1, "the last column"),
    ("first-column", lambda c: c["column"] == 0, "the first column"),
    ("last-row", lambda c: c["rank"] == c["rows in the gradient"] - 1, "the last row of a gradient"),
    ("first-row", lambda c: c["rank"] == 0, "the first row of a gradient"),
    ("row-zero", lambda c: c["row"] == 0, "row 0"),
    ("first-element", lambda c: c["element"] == 0, "the first element"),
    ("last-element", lambda c: c["element"] == c["size"] - 1, "the last element"),
    ("first-tensor", lambda c: c["tensor"] == 0, "the first parameter"),
    ("first-group", lambda c: c["group"] == 0, "the first group"),
    ("odd-columns", lambda c: c["column"] % 2 == 1, "odd columns"),
    ("even-columns", lambda c: c["column"] % 2 == 0, "even columns"),
    ("odd-rows", lambda c: c["row"] % 2 == 1, "odd rows"),
)
