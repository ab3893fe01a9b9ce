"""Row classes: rows of a large case with equal start values and gradients have the same result, so one of them is computed.

Every stage of a step works on a row by itself, except for the scalars, which the rows of a parameter share. Two rows with the
same bits in their start values, and in their occurrences in the same order at every step, therefore have the same result in every number
system and under every deviation but one: *neighbouring* occurrences (Merge.ADJACENT) are neighbours in the whole gradient.
Where every gradient is dense and no row is centralized, an element does not depend on its row either: the classes are of elements.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..case import Case, Expected, Param
from ..dialects import dialect
from ..dialects.stages import Second, centralizes
from ..gradients import Array, RowGradient, gradient_form, is_element_gradient, row_layout

SMALLEST = 256
"""The least number of elements of a parameter that is reduced: below, the search for classes costs as much as the computation."""


@dataclass(frozen=True, eq=False)
class Reduced:
    """A case with one row of each class. whole: whether nothing was left out, so that every deviation computes what it does in the case."""

    case: Case
    original: Case
    classes: Mapping[str, Array]
    whole: bool

    def expand(self, expected: Mapping[str, Mapping[str, Expected]]) -> dict[str, dict[str, Expected]]:
        """The expectations of the original case, from those of the reduced one."""
        shapes = {param.name: param.value.shape for param in self.original.params}
        return {
            name: {
                array: self._expanded(array_expected, self.classes[name], shapes[name]) if name in self.classes else array_expected
                for array, array_expected in arrays.items()
            }
            for name, arrays in expected.items()
        }

    @staticmethod
    def _expanded(expected: Expected, classes: Array, shape: tuple[int, ...]) -> Expected:
        def expand(array: Array) -> Array:
            rows = array.shape[1] if array.ndim > 1 else 1
            return array.reshape(len(array), rows, -1)[:, classes].reshape(len(array), *shape)

        bounds = {name: expand(bound) for name, bound in expected.bound.items()}
        return Expected(expand(expected.value), bounds, None if expected.allowed is None else expand(expected.allowed))


def reduced(case: Case) -> Reduced:
    """The case with one row (or element) of each class of its large parameters."""
    classes: dict[str, Array] = {}
    by_rows = dialect(case.dialect).picks.second is Second.ROW_SQUARES
    params, gradients = [], {}
    whole = True
    for param in case.params:
        of_steps = [step.gradients.get(param.name) for step in case.steps]
        layout = _layout(by_rows, param, of_steps)
        is_large = param.value.size >= SMALLEST and not (
            case.has_ranks or case.has_batches
        )  # a class of rows would have to hold on every rank
        labels = _classes(param, of_steps, layout) if layout and is_large else None
        if layout is None or labels is None or 2 * (labels.max() + 1) > len(labels):
            params.append(param)
            gradients[param.name] = of_steps
            continue
        first = np.unique(labels, return_index=True)[1]
        kept = np.sort(first)  # in the order of the rows, which a dense gradient keeps to
        classes[param.name] = np.searchsorted(kept, first)[labels]
        params.append(_param(param, kept, layout))
        gradients[param.name] = [None if gradient is None else _gradient(gradient, kept, layout, param) for gradient in of_steps]
        whole = False
    steps = tuple(replace(step, gradients={name: per_step[t] for name, per_step in gradients.items()}) for t, step in enumerate(case.steps))
    return Reduced(replace(case, params=tuple(params), steps=steps), case, classes, whole)


def restricted(case: Case, kept: Mapping[str, Array]) -> Case:
    """The case with some rows (or elements, see `rows_of`) of some parameters, ascending, and with all of the others.

    Its rows have the results that they have in the case, in every number system, if a gradient that stores rows keeps one: a gradient
    without rows is not counted in every dialect.
    """
    by_rows = dialect(case.dialect).picks.second is Second.ROW_SQUARES
    params, gradients = [], {}
    for param in case.params:
        of_steps = [step.gradients.get(param.name) for step in case.steps]
        layout = _layout(by_rows, param, of_steps) if param.name in kept else None
        if layout is None:
            params.append(param)
            gradients[param.name] = of_steps
            continue
        rows = kept[param.name]
        params.append(_param(param, rows, layout))
        gradients[param.name] = [None if gradient is None else _gradient(gradient, rows, layout, param) for gradient in of_steps]
    steps = tuple(replace(step, gradients={name: per_step[t] for name, per_step in gradients.items()}) for t, step in enumerate(case.steps))
    return replace(case, params=tuple(params), steps=steps)


@dataclass(frozen=True, eq=False)
class Rows:
    """A parameter by rows that do not depend on each other: how many, how wide, which a gradient stores at some step, and one of each.

    stored: None where a gradient is dense, and every row is stored; needed: a stored row of each gradient that has any.
    """

    count: int
    width: int
    stored: Array | None
    needed: Array


def rows_of(case: Case) -> dict[str, Rows]:
    """The parameters by rows, or by elements where a dense or an element gradient makes each a row; others are left out.

    All are left out where gradients come from several ranks or micro-batches: a row would have to be taken out of each.
    """
    if case.has_ranks or case.has_batches:
        return {}
    by_rows = dialect(case.dialect).picks.second is Second.ROW_SQUARES
    found = {}
    for param in case.params:
        of_steps = [step.gradients.get(param.name) for step in case.steps]
        layout = _layout(by_rows, param, of_steps)
        if layout is not None:
            indices = [_stored(gradient, param, layout)[0] for gradient in of_steps if gradient is not None]
            dense = any(gradient_form(gradient) == "dense" for gradient in of_steps if gradient is not None)
            needed = np.array([rows[0] for rows in indices if len(rows)], np.int64)
            stored = None if dense else np.unique(np.concatenate(indices)).astype(np.int64) if indices else np.zeros(0, np.int64)
            found[param.name] = Rows(layout.rows, layout.width, stored, np.unique(needed))
    return found


@dataclass(frozen=True)
class _Layout:
    """A parameter as rows: how many, their width, and the shape of a row of the reduced case."""

    rows: int
    width: int
    tail: tuple[int, ...]


def _layout(by_rows: bool, param: Param, gradients: Sequence[Any]) -> _Layout | None:
    """By rows; by elements where the rows do not matter; None where it is neither or has no rows."""
    shape = param.value.shape
    if not param.value.size:
        return None
    forms = {gradient_form(gradient) for gradient in gradients if gradient is not None}
    by_rows = by_rows or centralizes(shape)
    if forms <= {"dense"} or forms == {"elements"}:
        if not by_rows:
            return _Layout(math.prod(shape), 1, ())
        return _Layout(*row_layout(shape), shape[1:]) if "elements" not in forms else None
    return _Layout(*row_layout(shape), shape[1:]) if "elements" not in forms else None


def _classes(param: Param, gradients: Sequence[Any], layout: _Layout) -> Array:
    """The class of each row, numbered from 0."""
    labels = np.zeros(layout.rows, np.int64)
    for array in (param.value, param.exp_avg, param.exp_avg_sq, param.max_exp_avg_sq):
        if array is not None:
            labels = _joined(labels, _distinct(array, layout))
    for gradient in gradients:
        if gradient is not None:
            labels = _joined(labels, _given(gradient, layout, param))
    return labels


def _distinct(array: Array, layout: _Layout) -> Array:
    """A number per row of an array (n, width) that is the same for equal bits."""
    flat = np.ascontiguousarray(array).reshape(-1, layout.width)
    if not len(flat):
        return np.zeros(0, np.int64)
    return np.unique(flat.view(np.dtype((np.void, flat.itemsize * layout.width))).reshape(-1), return_inverse=True)[1].reshape(-1)


def _joined(first: Array, second: Array) -> Array:
    """A number per row that is the same where both are."""
    return np.unique(first * (second.max(initial=0) + 1) + second, return_inverse=True)[1].reshape(-1)


def _given(gradient: Any, layout: _Layout, param: Param) -> Array:
    """A number per row that is the same where a gradient stores the same bits in the same order; 0 where it stores nothing."""
    indices, values = _stored(gradient, param, layout)
    distinct = _distinct(values, layout) + 1
    labels = np.zeros(layout.rows, np.int64)
    order = np.argsort(indices, kind="stable")
    counts = np.bincount(indices, minlength=layout.rows)
    rank = np.empty(len(indices), np.int64)
    rank[order] = np.arange(len(indices)) - np.repeat(np.cumsum(counts) - counts, counts)
    for k in range(counts.max(initial=0)):
        here = np.zeros(layout.rows, np.int64)
        here[indices[rank == k]] = distinct[rank == k]
        labels = _joined(labels, here)
    return labels


def _stored(gradient: Any, param: Param, layout: _Layout) -> tuple[Array, Array]:
    """The row numbers of a gradient and its values by rows."""
    if isinstance(gradient, RowGradient):
        return np.asarray(gradient.indices), gradient.values
    if is_element_gradient(gradient):
        return np.ravel_multi_index(gradient.coords, param.value.shape), gradient.data
    return np.arange(layout.rows), gradient


def _param(param: Param, kept: Array, layout: _Layout) -> Param:
    def keep(array: Array | None) -> Array | None:
        return None if array is None else np.ascontiguousarray(array).reshape(layout.rows, layout.width)[kept].reshape(-1, *layout.tail)

    arrays: dict[str, Any] = {name: keep(getattr(param, name)) for name in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")}
    value = keep(param.value)
    assert value is not None
    return replace(param, value=value, **arrays)


def _gradient(gradient: Any, kept: Array, layout: _Layout, param: Param) -> Any:
    """A gradient with the occurrences of the kept rows alone, under their new numbers."""
    indices, values = _stored(gradient, param, layout)
    number = np.full(layout.rows, -1)
    number[kept] = np.arange(len(kept))
    mine = number[indices] >= 0
    rows = number[indices][mine]
    some = np.ascontiguousarray(values).reshape(-1, layout.width)[mine].reshape(-1, *layout.tail)
    if isinstance(gradient, RowGradient):
        return RowGradient(rows, some, (len(kept), *layout.tail))
    if is_element_gradient(gradient):
        from scipy.sparse import coo_array

        coo: Any = coo_array((np.zeros(len(rows), np.float32), (rows,)), shape=(len(kept),))
        coo.data = some  # set afterwards: scipy refuses half precision, the reference does not
        return coo
    return some
