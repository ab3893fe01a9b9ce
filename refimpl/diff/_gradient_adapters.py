"""Preparations of one gradient at a time: sign, decay, loss scale, centralization, merging, and its form.

Each carries out a stage of A outside the optimizer, in double precision, and returns the same transfer where there is nothing to do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..case import ARRAYS, Param
from ..dialects.stages import Centralization, Decay, Merge, Objective, Touch, Unscale, centralizes
from ..dialects.translate import Wanted
from ..gradients import Array, RowGradient, is_element_gradient, laid_out, row_layout, values_of
from ..reference.counters import is_empty
from ..reference.gradient import merge
from ._replay import DOUBLE, Call, Target, Transfer

Prepare = Callable[[Transfer, Target], Transfer]
Changed = tuple[Any, Wanted] | None
"""A gradient and what is still wanted of the optimizer; None where there is nothing to do."""


def with_calls(transfer: Transfer, calls: tuple[Call, ...]) -> Transfer:
    """The transfer with these calls; itself where every call is the one that it has."""
    same = len(calls) == len(transfer.calls) and all(new is old for new, old in zip(calls, transfer.calls))
    return transfer if same else replace(transfer, calls=calls)


def each(change: Callable[[Any, Wanted, Array], Changed]) -> Prepare:
    """A preparation out of what it does to one gradient of a parameter, whose value it is given."""

    def apply(transfer: Transfer, b: Target) -> Transfer:
        return with_calls(transfer, tuple(map(_changed, transfer.calls)))

    def _changed(call: Call) -> Call:
        present = {name: gradient for name, gradient in call.gradients.items() if gradient is not None}
        made = {name: change(gradient, call.wanted[name], call.before[name]) for name, gradient in present.items()}
        changes = {name: changed for name, changed in made.items() if changed is not None}
        if not changes:
            return call
        gradients = {name: gradient for name, (gradient, _) in changes.items()}
        wanted = {name: left for name, (_, left) in changes.items()}
        return replace(call, gradients={**call.gradients, **gradients}, wanted={**call.wanted, **wanted})

    return apply


def less(wanted: Wanted, hyper: Mapping[str, Any] | None = None, **picks: Any) -> Wanted:
    """What is left to the optimizer, with these numbers and picks changed."""
    return Wanted(replace(wanted.hyper, **hyper) if hyper else wanted.hyper, replace(wanted.picks, **picks))


def _values(gradient: Any) -> Array:
    return np.asarray(values_of(gradient), np.float64)


def _with(gradient: Any, values: Array) -> Any:
    if isinstance(gradient, RowGradient):
        return replace(gradient, values=values.reshape(gradient.values.shape))
    if is_element_gradient(gradient):
        changed = gradient.copy()
        changed.data = values
        return changed
    return values.reshape(np.shape(gradient))


def negate(g: Any, wanted: Wanted, p: Array) -> Changed:
    """-g, where the objective is maximized."""
    if wanted.picks.objective is not Objective.MAXIMIZE:
        return None
    return _with(g, -_values(g)), less(wanted, objective=Objective.MINIMIZE)


def add_decay(g: Any, wanted: Wanted, p: Array) -> Changed:
    """g + weight_decay * p, for a coupled decay."""
    pick, rate = wanted.picks.decay, wanted.hyper.weight_decay
    if pick not in (Decay.COUPLED_OCCURRENCE, Decay.COUPLED_MERGED) or is_element_gradient(g):
        return None
    if wanted.picks.unscale is Unscale.DECAY_KEPT:
        rate *= wanted.hyper.loss_scale
    if pick is Decay.COUPLED_MERGED and isinstance(g, RowGradient):
        g = _merged(g, wanted.picks.merge)
    touched = p[g.indices] if isinstance(g, RowGradient) else p
    return _with(g, _values(g) + rate * touched), less(wanted, {"weight_decay": 0.0}, decay=Decay.NONE)


def unscale(g: Any, wanted: Wanted, p: Array) -> Changed:
    """g / loss_scale."""
    if wanted.hyper.loss_scale == 1:
        return None
    return _with(g, _values(g) / wanted.hyper.loss_scale), less(wanted, {"loss_scale": 1.0})


def centralize(g: Any, wanted: Wanted, p: Array) -> Changed:
    """g minus the mean of each row, by MindSpore's rule."""
    if wanted.picks.centralization is Centralization.NONE:
        return None
    values = _values(g)
    if centralizes(values.shape):
        values = values - values.mean(axis=tuple(range(1, values.ndim)), keepdims=True)
    return _with(g, values), less(wanted, centralization=Centralization.NONE)


def merge_rows(g: Any, wanted: Wanted, p: Array) -> Changed:
    """One occurrence per row, as A merges them."""
    if wanted.picks.merge not in (Merge.SUM, Merge.MEAN, Merge.FIRST, Merge.LAST) or not isinstance(g, RowGradient):
        return None
    return None if len(np.unique(g.indices)) == len(g.indices) else (_merged(g, wanted.picks.merge), wanted)


def _merged(g: RowGradient, pick: Merge) -> RowGradient:
    merged = merge(DOUBLE, g.indices, _values(g).reshape(len(g.indices), row_layout(g.shape)[1]), pick)
    return RowGradient(merged.rows, np.asarray(merged.g).reshape(len(merged.rows), *g.shape[1:]), g.shape)


def densify(g: Any, wanted: Wanted, p: Array) -> Changed:
    """A gradient by rows as a dense array."""
    return (_dense(g), wanted) if isinstance(g, RowGradient) else None


def drop_empty(g: Any, wanted: Wanted, p: Array) -> Changed:
    """No gradient where it is empty."""
    return (None, wanted) if is_empty(g) else None


def store_every_row(transfer: Transfer, b: Target) -> Transfer:
    """A gradient by rows that stores them all, where A moves them all; a dense one too, where B refuses dense ones."""
    takes_dense = "dense" in b.dialect.gradients

    def stored(g: Any, wanted: Wanted, p: Array) -> Changed:
        if isinstance(g, RowGradient):
            whole = _dense(g) if wanted.picks.touch is Touch.ALL else None
        else:
            whole = None if takes_dense or is_element_gradient(g) or np.ndim(g) == 0 else _values(g)
        if whole is None:
            return None
        return RowGradient(np.arange(len(whole)), whole, whole.shape), less(wanted, touch=Touch.STORED)

    return each(stored)(transfer, b)


def _dense(g: RowGradient) -> Array:
    whole = np.zeros(g.shape)
    np.add.at(whole, g.indices, g.values)
    return whole


def elements_as_rows(transfer: Transfer, b: Target) -> Transfer:
    """A parameter with element gradients as a table of one column."""
    names = {name for call in transfer.calls for name, gradient in call.gradients.items() if is_element_gradient(gradient)}
    if not names:
        return transfer
    params = tuple(_as_column(param) if param.name in names else param for param in transfer.params)
    calls = tuple(
        replace(
            call,
            gradients={**call.gradients, **{name: _as_rows(call.gradients[name], call.before[name].shape) for name in names}},
            before={**call.before, **{name: call.before[name].reshape(-1, 1) for name in names}},
        )
        for call in transfer.calls
    )
    return replace(transfer, params=params, calls=calls)


def _as_column(param: Param) -> Param:
    arrays = {name: getattr(param, name) for name in ("value", *ARRAYS[1:])}
    return replace(param, **{name: array.reshape(-1, 1) for name, array in arrays.items() if array is not None})


def _as_rows(gradient: Any, shape: tuple[int, ...]) -> RowGradient | None:
    if gradient is None:
        return None
    rows = laid_out(gradient, shape)
    places = np.asarray(rows.indices)[:, None] * rows.layout[1] + np.arange(rows.layout[1])
    return RowGradient(places.reshape(-1), np.asarray(rows.values, np.float64).reshape(-1, 1), (math.prod(shape), 1))
