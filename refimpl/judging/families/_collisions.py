"""Collisions: rows that are confused because of their numbers: narrow row numbers, and hashes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ...dialects import Dialect
from ...gradients import Array
from .._hypothesis import Hypothesis
from ._inputs import Change, Occurrences, dropping

COLLIDING_SHARE = "rows whose numbers are equal modulo {n} get the sum of all of them"
COLLIDING_LAST = "of rows whose numbers are equal modulo {n}, the last gets the sum of all of them"


def hypotheses(table: Dialect) -> Iterator[Hypothesis]:
    if "rows" not in table.gradients:
        return
    for bits in range(2, 25):
        modulo = 1 << bits
        over = _over(modulo)
        yield dropping("row-numbers-wrap", "row numbers are cut to {n} bits", bits, _cut(modulo), over)
        yield dropping("rows-collide", COLLIDING_SHARE, modulo, _shared_sum(modulo), over)
        yield dropping("rows-collide", COLLIDING_LAST, modulo, _last_gets_all(modulo), over)


def _over(modulo: int) -> Callable[[Array], bool]:
    return lambda rows: bool(rows.max() >= modulo)


def _cut(modulo: int) -> Change:
    return lambda rows, values: (rows % modulo, values)


def _shared_sum(modulo: int) -> Change:
    """Every row gets the occurrences of all rows that collide with it; where these are too many, their sum, by ascending rows."""

    def change(rows: Array, values: Array) -> Occurrences:
        distinct, slot, taken = _slots(rows, modulo)
        if int(np.bincount(taken)[slot].sum()) > MOST_SHARED:
            ascending = np.argsort(rows, kind="stable")
            return distinct, _sums(taken[ascending], values[ascending])[slot]
        order = np.argsort(taken, kind="stable")
        starts = np.searchsorted(taken[order], np.arange(taken.max() + 2))
        places = [order[starts[k] : starts[k + 1]] for k in slot]
        return np.repeat(distinct, [len(part) for part in places]), values[np.concatenate(places)]

    return _only_collisions(change, modulo)


def _last_gets_all(modulo: int) -> Change:
    """Of the rows that collide, the last gets the occurrences of all."""

    def change(rows: Array, values: Array) -> Occurrences:
        distinct, slot, taken = _slots(rows, modulo)
        last = np.zeros(taken.max() + 1, np.int64)
        np.maximum.at(last, slot, distinct)
        return last[taken], values

    return _only_collisions(change, modulo)


MOST_SHARED = 100_000
"""Up to this many occurrences over all rows are repeated; beyond, they are summed first."""


def _slots(rows: Array, modulo: int) -> tuple[Array, Array, Array]:
    """The distinct rows, the slot of each, and the slot of each occurrence."""
    distinct = np.unique(rows)
    slots, taken = np.unique(rows % modulo, return_inverse=True)
    return distinct, np.searchsorted(slots, distinct % modulo), taken.reshape(-1)


def _sums(taken: Array, values: Array) -> Array:
    total = np.zeros((taken.max() + 1, *values.shape[1:]), values.dtype)
    np.add.at(total, taken, values)
    return total


def _only_collisions(change: Change, modulo: int) -> Change:
    def changed(rows: Array, values: Array) -> Occurrences:
        distinct = np.unique(rows)
        return change(rows, values) if len(np.unique(distinct % modulo)) < len(distinct) else (rows, values)

    return changed
