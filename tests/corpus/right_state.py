"""Right implementations of all but the formulas: sums of duplicates, the layout of the state, the order of updates, options."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.sparse import coo_array, csr_array

from refimpl.case import Param, Step

from .hooks import base, sums
from .implementation import STATE, Arrays, Call, Implementation, Slot
from .right_formulas import fused, wider

# --- duplicates ---


def by_scipy(rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sum as a product with a sparse matrix of ones."""
    distinct, slot = np.unique(rows, return_inverse=True)
    ones = csr_array((np.ones(len(rows), g.dtype), (slot.reshape(-1), np.arange(len(rows)))), shape=(len(distinct), len(rows)))
    return distinct, np.asarray(ones @ g, g.dtype).reshape(len(distinct), g.shape[1])


def by_coo(rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """scipy.sparse sums the entries of one place when it converts."""
    distinct, slot = np.unique(rows, return_inverse=True)
    width = g.shape[1]
    row, column = np.repeat(slot.reshape(-1), width), np.tile(np.arange(width), len(rows))
    return distinct, coo_array((g.reshape(-1), (row, column)), shape=(len(distinct), width)).toarray().astype(g.dtype)


def by_bincount(rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    distinct, slot = np.unique(rows, return_inverse=True)
    columns = [np.bincount(slot.reshape(-1), weights=g[:, k].astype(np.float64), minlength=len(distinct)) for k in range(g.shape[1])]
    return distinct, np.stack(columns, axis=1).astype(g.dtype) if columns else np.zeros((len(distinct), 0), g.dtype)


def by_reduceat(rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(rows, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(rows[order]) != 0])
    return rows[order][starts], np.add.reduceat(g[order], starts, axis=0)


def by_groups(add: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Row by row. add: the sum of the occurrences of a row."""

    def merge(rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        distinct = np.unique(rows)
        return distinct, np.stack([add(g[rows == row]) for row in distinct])

    return merge


def pairwise(values: np.ndarray) -> np.ndarray:
    while len(values) > 1:
        odd = values[len(values) - len(values) % 2 :]
        values = np.concatenate([values[0 : len(values) - len(odd) : 2] + values[1 : len(values) - len(odd) : 2], odd])
    return values[0]


def compensated(values: np.ndarray) -> np.ndarray:
    """Kahan's sum."""
    total, lost = np.zeros_like(values[0]), np.zeros_like(values[0])
    for value in values:
        y = value - lost
        t = total + y
        lost = (t - total) - y
        total = t
    return np.where(np.isfinite(total), total, values.sum(axis=0))


def by_size(values: np.ndarray) -> np.ndarray:
    return np.stack([column[np.argsort(np.abs(column))].cumsum()[-1] for column in values.T]) if values.shape[1] else values[0]


def plain_python(rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    totals: dict[int, np.ndarray] = {}
    for row, values in zip(rows.tolist(), g):
        totals[row] = totals[row] + values if row in totals else values
    distinct = np.array(sorted(totals))
    return distinct, np.stack([totals[row] for row in distinct.tolist()])


def unsorted(rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """In the order of first occurrences."""
    distinct, first = np.unique(rows, return_index=True)
    _, total = sums(rows, g)
    order = np.argsort(first)
    return distinct[order], total[order]


def sums_wide(rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    distinct, total = sums(rows, g.astype(np.float64 if g.dtype == np.float32 else np.longdouble))
    return distinct, total.astype(g.dtype)


# --- the state and its layout ---


def wide_inside(run: Implementation, call: Call, old: Arrays, g: np.ndarray) -> Arrays:
    """The step in a wider format, rounded once when it is stored."""
    wide = wider(call)
    wide_call: Any = WideCall(call)
    new = base.advance(run, wide_call, {array: value.astype(wide) for array, value in old.items()}, g.astype(wide))
    return {array: value.astype(call.dtype) for array, value in new.items()}


class WideCall:
    """A call whose scalars are wider than its tensors."""

    def __init__(self, call: Call) -> None:
        self.call = call

    def __getattr__(self, name: str) -> Any:
        return getattr(self.call, name)

    def scalar(self, value: Any) -> Any:
        return wider(self.call)(value)


def row_by_row(run: Implementation, call: Call, rows: np.ndarray, g: np.ndarray) -> None:
    for k in range(len(rows)):
        base.move(run, call, rows[k : k + 1], g[k : k + 1])


def in_chunks(run: Implementation, call: Call, rows: np.ndarray, g: np.ndarray) -> None:
    for start in range(0, len(rows), 7):
        base.move(run, call, rows[start : start + 7], g[start : start + 7])


def whole_table(run: Implementation, call: Call, rows: np.ndarray, g: np.ndarray) -> None:
    """Every row is computed, the touched ones are written."""
    whole = np.zeros(call.shape, g.dtype)
    whole[rows] = g
    new = run.advance(call, {array: call.table(array).copy() for array in STATE}, whole)
    run.store(call, rows, {array: value[rows] for array, value in new.items()})


def transposed(run: Implementation, call: Call, old: Arrays, g: np.ndarray) -> Arrays:
    """The step on columns."""
    new = base.advance(run, call, {array: np.ascontiguousarray(value.T) for array, value in old.items()}, np.ascontiguousarray(g.T))
    return {array: value.T for array, value in new.items()}


def flattened(run: Implementation, call: Call, rows: np.ndarray, new: Arrays) -> None:
    """Written element by element through flat offsets."""
    places = (rows[:, None] * call.shape[1] + np.arange(call.shape[1])).reshape(-1)
    for array in STATE:
        np.put(call.slot.arrays[array], places, new[array].reshape(-1))


def lazily_made(run: Implementation, place: int, param: Param) -> Slot:
    """Moments exist from the first gradient on."""
    made = base.slot(run, place, param)
    if param.exp_avg is None:
        for array in STATE[1:]:
            del made.arrays[array]
    return made


def made_when_needed(run: Implementation, slot: Slot, gradient: Any) -> None:
    for array in STATE[1:]:
        slot.arrays.setdefault(array, np.zeros(slot.param.value.shape, slot.param.value.dtype))
    base.update(run, slot, gradient)


def shown_so_far(run: Implementation) -> dict[str, Arrays]:
    zeros = {name: np.zeros(slot.param.value.shape, slot.param.value.dtype) for name, slot in run.slots.items()}
    return {name: {array: slot.arrays.get(array, zeros[name]) for array in run.shown(slot)} for name, slot in run.slots.items()}


def as_views(run: Implementation) -> dict[str, Arrays]:
    """Each array is every second element of a larger one."""

    def view(array: np.ndarray) -> np.ndarray:
        room = np.zeros((*array.shape, 2), array.dtype)
        room[..., 0] = array
        return room[..., 0]

    return {name: {array: view(value) for array, value in arrays.items()} for name, arrays in base.state(run).items()}


def backwards(run: Implementation, step: Step) -> Iterator[tuple[Slot, Any]]:
    yield from list(base.work(run, step))[::-1]


def shrink_by_difference(run: Implementation, call: Call, rows: np.ndarray) -> None:
    p = call.table("param")
    p -= p * call.scalar(run.decay_rate(call))


def shrink_fused(run: Implementation, call: Call, rows: np.ndarray) -> None:
    p = call.table("param")
    p[...] = fused(-call.scalar(run.decay_rate(call)), p, p, wider(call))


def decay_divided_first(run: Implementation, call: Call, values: np.ndarray, p: np.ndarray) -> np.ndarray:
    """g / loss_scale + weight_decay * p"""
    g = base.unscale(run, call, values)
    g = g + p * call.scalar(call.s.weight_decay) if call.s.weight_decay and not call.s.decoupled else g
    return base.centralize(run, call, g) if call.s.centralization else g


def decay_fused(run: Implementation, call: Call, values: np.ndarray, p: np.ndarray) -> np.ndarray:
    if call.s.decoupled or not call.s.weight_decay:
        return values
    return fused(p, call.scalar(call.s.weight_decay * call.s.loss_scale), values, wider(call))


def unscale_by_reciprocal(run: Implementation, call: Call, g: np.ndarray) -> np.ndarray:
    return g * call.scalar(1 / call.s.loss_scale)


def mean_from_the_left(run: Implementation, call: Call, g: np.ndarray) -> np.ndarray:
    shape = call.slot.param.value.shape
    if len(shape) < 2 or shape[1] % 16:
        return g
    total = np.zeros((len(g), 1), g.dtype)
    for k in range(g.shape[1]):
        total[:, 0] += g[:, k]
    return g - total / call.scalar(g.shape[1])


def maximum_by_where(run: Implementation, call: Call, largest: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if not call.s.amsgrad:
        return largest, v
    largest = np.where(np.isnan(v) | (v > largest), v, largest)
    return largest, largest


def nesterov_fused(run: Implementation, call: Call, old: Arrays, m: np.ndarray, g: np.ndarray) -> np.ndarray:
    if not call.s.nesterov:
        return m
    return fused(m, call.scalar(call.s.beta1), g * call.scalar(1 - call.s.beta1), wider(call))


def reversed_sums(rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return sums(rows[::-1], g[::-1])
