"""Right ways around the formulas: sums of duplicates, where the state lies and how it is walked through, options."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array, csr_array

from .hooks import base, sums
from .implementation import STATE
from .right_formulas import fused, wider

# --- duplicates ---


def by_scipy(rows, g):
    """The sum as a product with a sparse matrix of ones."""
    distinct, slot = np.unique(rows, return_inverse=True)
    ones = csr_array((np.ones(len(rows), g.dtype), (slot.reshape(-1), np.arange(len(rows)))), shape=(len(distinct), len(rows)))
    return distinct, np.asarray(ones @ g, g.dtype).reshape(len(distinct), g.shape[1])


def by_coo(rows, g):
    """scipy.sparse adds up what stands at one place when it converts."""
    distinct, slot = np.unique(rows, return_inverse=True)
    width = g.shape[1]
    row, column = np.repeat(slot.reshape(-1), width), np.tile(np.arange(width), len(rows))
    return distinct, coo_array((g.reshape(-1), (row, column)), shape=(len(distinct), width)).toarray().astype(g.dtype)


def by_bincount(rows, g):
    distinct, slot = np.unique(rows, return_inverse=True)
    columns = [np.bincount(slot.reshape(-1), weights=g[:, k].astype(np.float64), minlength=len(distinct)) for k in range(g.shape[1])]
    return distinct, np.stack(columns, axis=1).astype(g.dtype) if columns else np.zeros((len(distinct), 0), g.dtype)


def by_reduceat(rows, g):
    order = np.argsort(rows, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(rows[order]) != 0])
    return rows[order][starts], np.add.reduceat(g[order], starts, axis=0)


def by_groups(add):
    """Row by row. add: the sum of the occurrences of a row."""

    def merge(rows, g):
        distinct = np.unique(rows)
        return distinct, np.stack([add(g[rows == row]) for row in distinct])

    return merge


def pairwise(values):
    while len(values) > 1:
        odd = values[len(values) - len(values) % 2 :]
        values = np.concatenate([values[0 : len(values) - len(odd) : 2] + values[1 : len(values) - len(odd) : 2], odd])
    return values[0]


def compensated(values):
    """Kahan's sum."""
    total, lost = np.zeros_like(values[0]), np.zeros_like(values[0])
    for value in values:
        y = value - lost
        t = total + y
        lost = (t - total) - y
        total = t
    return np.where(np.isfinite(total), total, values.sum(axis=0))


def by_size(values):
    return np.stack([column[np.argsort(np.abs(column))].cumsum()[-1] for column in values.T]) if values.shape[1] else values[0]


def plain_python(rows, g):
    found = {}
    for row, values in zip(rows.tolist(), g):
        found[row] = found[row] + values if row in found else values
    distinct = np.array(sorted(found))
    return distinct, np.stack([found[row] for row in distinct.tolist()])


def unsorted(rows, g):
    """In the order of first occurrences."""
    distinct, first = np.unique(rows, return_index=True)
    _, total = sums(rows, g)
    order = np.argsort(first)
    return distinct[order], total[order]


def sums_wide(rows, g):
    distinct, total = sums(rows, g.astype(np.float64 if g.dtype == np.float32 else np.longdouble))
    return distinct, total.astype(g.dtype)


# --- the state and its layout ---


def wide_inside(run, call, old, g):
    """The step in a wider format, rounded once when it is stored."""
    wide = wider(call)
    new = base.advance(run, WideCall(call), {array: value.astype(wide) for array, value in old.items()}, g.astype(wide))
    return {array: value.astype(call.dtype) for array, value in new.items()}


class WideCall:
    """A call whose scalars are wider than its tensors."""

    def __init__(self, call):
        self.call = call

    def __getattr__(self, name):
        return getattr(self.call, name)

    def scalar(self, value):
        return wider(self.call)(value)


def row_by_row(run, call, rows, g):
    for k in range(len(rows)):
        base.move(run, call, rows[k : k + 1], g[k : k + 1])


def in_chunks(run, call, rows, g):
    for start in range(0, len(rows), 7):
        base.move(run, call, rows[start : start + 7], g[start : start + 7])


def whole_table(run, call, rows, g):
    """Every row is computed, the touched ones are written."""
    whole = np.zeros(call.shape, g.dtype)
    whole[rows] = g
    new = run.advance(call, {array: call.table(array).copy() for array in STATE}, whole)
    run.store(call, rows, {array: value[rows] for array, value in new.items()})


def transposed(run, call, old, g):
    """The step on columns."""
    new = base.advance(run, call, {array: np.ascontiguousarray(value.T) for array, value in old.items()}, np.ascontiguousarray(g.T))
    return {array: value.T for array, value in new.items()}


def flattened(run, call, rows, new):
    """Written element by element through flat offsets."""
    places = (rows[:, None] * call.shape[1] + np.arange(call.shape[1])).reshape(-1)
    for array in STATE:
        np.put(call.slot.arrays[array], places, new[array].reshape(-1))


def lazily_made(run, place, param):
    """Moments exist from the first gradient on."""
    made = base.slot(run, place, param)
    if param.exp_avg is None:
        for array in STATE[1:]:
            del made.arrays[array]
    return made


def made_when_needed(run, slot, gradient):
    for array in STATE[1:]:
        slot.arrays.setdefault(array, np.zeros(slot.param.value.shape, slot.param.value.dtype))
    base.update(run, slot, gradient)


def shown_so_far(run):
    zeros = {name: np.zeros(slot.param.value.shape, slot.param.value.dtype) for name, slot in run.slots.items()}
    return {name: {array: slot.arrays.get(array, zeros[name]) for array in run.shown(slot)} for name, slot in run.slots.items()}


def as_views(run):
    """Each array is every second element of a larger one."""

    def view(array):
        room = np.zeros((*array.shape, 2), array.dtype)
        room[..., 0] = array
        return room[..., 0]

    return {name: {array: view(value) for array, value in arrays.items()} for name, arrays in base.state(run).items()}


def backwards(run, step):
    yield from list(base.work(run, step))[::-1]


def shrink_by_difference(run, call, rows):
    p = call.table("param")
    p -= p * call.scalar(run.decay_rate(call))


def shrink_fused(run, call, rows):
    p = call.table("param")
    p[...] = fused(-call.scalar(run.decay_rate(call)), p, p, wider(call))


def decay_divided_first(run, call, values, p):
    """g / loss_scale + weight_decay * p"""
    g = base.unscale(run, call, values)
    g = g + p * call.scalar(call.s.weight_decay) if call.s.weight_decay and not call.s.decoupled else g
    return base.centralize(run, call, g) if call.s.centralization else g


def decay_fused(run, call, values, p):
    if call.s.decoupled or not call.s.weight_decay:
        return values
    return fused(p, call.scalar(call.s.weight_decay * call.s.loss_scale), values, wider(call))


def unscale_by_reciprocal(run, call, g):
    return g * call.scalar(1 / call.s.loss_scale)


def mean_from_the_left(run, call, g):
    shape = call.slot.param.value.shape
    if len(shape) < 2 or shape[1] % 16:
        return g
    total = np.zeros((len(g), 1), g.dtype)
    for k in range(g.shape[1]):
        total[:, 0] += g[:, k]
    return g - total / call.scalar(g.shape[1])


def maximum_by_where(run, call, largest, v):
    if not call.s.amsgrad:
        return largest, v
    largest = np.where(np.isnan(v) | (v > largest), v, largest)
    return largest, largest


def nesterov_fused(run, call, old, m, g):
    if not call.s.nesterov:
        return m
    return fused(m, call.scalar(call.s.beta1), g * call.scalar(1 - call.s.beta1), wider(call))


def reversed_sums(rows, g):
    return sums(rows[::-1], g[::-1])
