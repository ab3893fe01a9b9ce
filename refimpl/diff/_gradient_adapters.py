"""Preparations of one gradient at a time: sign, decay, loss scale, centralization, merging, and its form.

Each carries out a stage of A outside the optimizer, in double precision, and returns the same transfer where there is nothing to do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..case import ARRAYS
from ..dialects.stages import Centralization, Decay, Merge, Objective, Touch, Unscale, centralizes
from ..dialects.translate import Wanted
from ..gradients import Array, RowGradient, is_element_gradient, laid_out, row_layout
from ..reference.gradient import merge
from ._replay import DOUBLE, Call, Target, Transfer

Prepare = Callable[[Transfer, Target], Transfer]
One = Callable[[Any, Wanted, Call, str], "tuple[Any, Wanted] | None"]


def each(change: One) -> Prepare:
    """A preparation out of what it does to one gradient of one parameter: None where it leaves it alone."""

    def apply(given: Transfer, b: Target) -> Transfer:
        calls = []
        for call in given.calls:
            gradients, wanted = dict(call.gradients), dict(call.wanted)
            for name, gradient in call.gradients.items():
                made = None if gradient is None else change(gradient, call.wanted[name], call, name)
                if made is not None:
                    gradients[name], wanted[name] = made
            changed = any(gradients[name] is not call.gradients[name] for name in gradients)
            calls.append(replace(call, gradients=gradients, wanted=wanted) if changed else call)
        return replace(given, calls=tuple(calls)) if any(new is not old for new, old in zip(calls, given.calls)) else given

    return apply


def _values(gradient: Any) -> Array:
    values = gradient.data if is_element_gradient(gradient) else gradient.values if isinstance(gradient, RowGradient) else gradient
    return np.asarray(values, np.float64)


def _with(gradient: Any, values: Array) -> Any:
    if isinstance(gradient, RowGradient):
        return replace(gradient, values=values.reshape(gradient.values.shape))
    if is_element_gradient(gradient):
        changed = gradient.copy()
        changed.data = values
        return changed
    return values.reshape(np.shape(gradient))


def negate(g: Any, wanted: Wanted, call: Call, name: str) -> tuple[Any, Wanted] | None:
    """-g, where the objective is maximized."""
    if wanted.picks.objective is not Objective.MAXIMIZE:
        return None
    return _with(g, -_values(g)), Wanted(wanted.hyper, replace(wanted.picks, objective=Objective.MINIMIZE))


def add_decay(g: Any, wanted: Wanted, call: Call, name: str) -> tuple[Any, Wanted] | None:
    """g + weight_decay * p, for a coupled decay."""
    pick, p = wanted.picks.decay, call.before[name]
    if pick not in (Decay.COUPLED_OCCURRENCE, Decay.COUPLED_MERGED) or is_element_gradient(g):
        return None
    rate = wanted.hyper.weight_decay
    if wanted.picks.unscale is Unscale.DECAY_KEPT:
        rate *= wanted.hyper.loss_scale
    if pick is Decay.COUPLED_MERGED and isinstance(g, RowGradient):
        g = _merged(g, wanted.picks.merge)
    touched = p[g.indices] if isinstance(g, RowGradient) else p
    plain = Wanted(replace(wanted.hyper, weight_decay=0.0), replace(wanted.picks, decay=Decay.NONE))
    return _with(g, _values(g) + rate * touched), plain


def unscale(g: Any, wanted: Wanted, call: Call, name: str) -> tuple[Any, Wanted] | None:
    """g / loss_scale."""
    if wanted.hyper.loss_scale == 1:
        return None
    return _with(g, _values(g) / wanted.hyper.loss_scale), Wanted(replace(wanted.hyper, loss_scale=1.0), wanted.picks)


def centralize(g: Any, wanted: Wanted, call: Call, name: str) -> tuple[Any, Wanted] | None:
    """g minus the mean of each row, by MindSpore's rule."""
    if wanted.picks.centralization is Centralization.NONE:
        return None
    done = Wanted(wanted.hyper, replace(wanted.picks, centralization=Centralization.NONE))
    values = _values(g)
    if not centralizes(values.shape):
        return _with(g, values), done
    return _with(g, values - values.mean(axis=tuple(range(1, values.ndim)), keepdims=True)), done


def _merged(g: RowGradient, pick: Merge) -> RowGradient:
    width = row_layout(g.shape)[1]
    made = merge(DOUBLE, g.indices, np.asarray(g.values, np.float64).reshape(len(g.indices), width), pick)
    return RowGradient(made.rows, np.asarray(made.g).reshape(len(made.rows), *g.shape[1:]), g.shape)


def merge_rows(g: Any, wanted: Wanted, call: Call, name: str) -> tuple[Any, Wanted] | None:
    """One occurrence per row, as A merges them."""
    if wanted.picks.merge not in (Merge.SUM, Merge.MEAN, Merge.FIRST, Merge.LAST) or not isinstance(g, RowGradient):
        return None
    return None if len(np.unique(g.indices)) == len(g.indices) else (_merged(g, wanted.picks.merge), wanted)


def _dense(g: RowGradient) -> Array:
    whole = np.zeros(g.shape)
    np.add.at(whole, g.indices, g.values)
    return whole


def densify(g: Any, wanted: Wanted, call: Call, name: str) -> tuple[Any, Wanted] | None:
    """A gradient by rows as a dense array."""
    return (_dense(g), wanted) if isinstance(g, RowGradient) else None


def store_every_row(given: Transfer, b: Target) -> Transfer:
    """A gradient by rows that stores them all, where A moves them all; a dense one too, where B refuses dense ones."""
    return each(_stored if "dense" in b.dialect.gradients else _stored_or_dense)(given, b)


def _stored(g: Any, wanted: Wanted, call: Call, name: str) -> tuple[Any, Wanted] | None:
    if not isinstance(g, RowGradient) or wanted.picks.touch is not Touch.ALL:
        return None
    return _every_row(_dense(g), wanted)


def _stored_or_dense(g: Any, wanted: Wanted, call: Call, name: str) -> tuple[Any, Wanted] | None:
    if isinstance(g, RowGradient):
        return _stored(g, wanted, call, name)
    return None if is_element_gradient(g) or np.ndim(g) == 0 else _every_row(np.asarray(g, np.float64), wanted)


def _every_row(whole: Array, wanted: Wanted) -> tuple[RowGradient, Wanted]:
    return RowGradient(np.arange(len(whole)), whole, whole.shape), Wanted(wanted.hyper, replace(wanted.picks, touch=Touch.STORED))


def elements_as_rows(given: Transfer, b: Target) -> Transfer:
    """A parameter with element gradients as a table of one column."""
    names = {name for call in given.calls for name, one in call.gradients.items() if is_element_gradient(one)}
    if not names:
        return given
    params = tuple(replace(param, **_as_column(param)) if param.name in names else param for param in given.params)
    shapes = {param.name: param.value.shape for param in given.params}
    calls = []
    for call in given.calls:
        gradients = {name: _as_rows(one, shapes[name]) if name in names else one for name, one in call.gradients.items()}
        before = {name: one.reshape(-1, 1) if name in names else one for name, one in call.before.items()}
        calls.append(replace(call, gradients=gradients, before=before))
    return replace(given, params=params, calls=tuple(calls))


def _as_column(param: Any) -> dict[str, Any]:
    arrays = {name: getattr(param, name) for name in ("value", *ARRAYS[1:])}
    return {name: None if array is None else array.reshape(-1, 1) for name, array in arrays.items()}


def _as_rows(gradient: Any, shape: tuple[int, ...]) -> Any:
    if gradient is None:
        return None
    seen = laid_out(gradient, shape)
    size = math.prod(shape)
    width = size // seen.layout[0] if seen.layout[0] else 1
    flat = (np.asarray(seen.indices)[:, None] * width + np.arange(width)).reshape(-1)
    return RowGradient(flat, np.asarray(seen.values, np.float64).reshape(-1, 1), (size, 1))
