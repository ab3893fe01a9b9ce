"""Right: the same mathematics, computed in other admissible ways."""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import coo_array, csr_array

from .dialects import ADAM, APART, DENSIFIED, LAZY, SPARSE
from .hooks import base, merged, sums
from .implementation import STATE
from .table import Row, right

BY_ROWS = (SPARSE, LAZY, DENSIFIED)
DECAYING = (ADAM, LAZY, APART, DENSIFIED)
MINDSPORE = (LAZY, APART, DENSIFIED)


# --- moving averages ---


def lerp(run, call, old, new, beta):
    return old + (new - old) * call.scalar(1 - beta)


def lerp_like_torch(run, call, old, new, beta):
    """torch.lerp starts from the new value where the weight is at least one half."""
    if 1 - beta < 0.5:
        return lerp(run, call, old, new, beta)
    return new - (new - old) * call.scalar(1 - (1 - beta))


def wider(call):
    return np.float64 if call.dtype == np.float32 else np.longdouble


def fused(x, y, z, wide):
    """x * y + z, of which only the sum is rounded, as far as a wider format shows it."""
    return np.asarray(np.asarray(x, wide) * np.asarray(y, wide) + np.asarray(z, wide)).astype(np.asarray(z).dtype)


def average_fused(run, call, old, new, beta):
    return fused(old, call.scalar(beta), new * call.scalar(1 - beta), wider(call))


def average_fused_other(run, call, old, new, beta):
    return fused(new, call.scalar(1 - beta), old * call.scalar(beta), wider(call))


def lerp_fused(run, call, old, new, beta):
    return fused(new - old, call.scalar(1 - beta), old, wider(call))


def average_of_llm_c(run, call, old, new, beta):
    """fma(beta, m, fma(-beta, g, g))"""
    b = call.scalar(beta)
    return fused(b, old, fused(-b, new, new, wider(call)), wider(call))


def average_in_place(run, call, old, new, beta):
    kept = old.copy()
    kept *= call.scalar(beta)
    kept += call.scalar(1 - beta) * new
    return kept


def average_in_tensor_scalars(run, call, old, new, beta):
    b = call.scalar(beta)
    return old * b + new * (call.scalar(1) - b)


def square_once(run, call, v, g):
    return v * call.scalar(call.s.beta2) + (g * call.scalar(1 - call.s.beta2)) * g


def square_by_power(run, call, v, g):
    return run.average(call, v, np.power(g, 2), call.s.beta2)


def square_fused(run, call, v, g):
    """addcmul with a fused multiply-add."""
    return fused(g * call.scalar(1 - call.s.beta2), g, v * call.scalar(call.s.beta2), wider(call))


# --- the change of p ---


def late_step(run, call, d, v):
    return d / run.denominator(call, v) * call.scalar(run.step_size(call))


def inverse(run, call, d, v):
    return d * (call.scalar(run.step_size(call)) / run.denominator(call, v))


def corrected_moments(run, call, d, v):
    """m_hat and v_hat, eps scaled where the dialect has it beside sqrt(v)."""
    eps = call.s.eps if run.traits.eps_beside_corrected_root else call.s.eps / np.sqrt(call.c2)
    return call.scalar(call.s.lr) * (d / call.scalar(call.c1)) / (np.sqrt(v / call.scalar(call.c2)) + call.scalar(eps))


def left_to_right(run, call, d, v):
    """lr * m / c1 / denominator, as C evaluates it."""
    if run.traits.eps_beside_corrected_root:
        return call.scalar(call.s.lr) * d / call.scalar(call.c1) / (np.sqrt(v / call.scalar(call.c2)) + call.scalar(call.s.eps))
    return call.scalar(call.s.lr) * d / call.scalar(call.c1) / ((np.sqrt(v) + call.scalar(call.s.eps)) / call.scalar(np.sqrt(call.c2)))


def lr_last(run, call, d, v):
    return (d / call.scalar(call.c1)) / run.denominator(call, v) * call.scalar(run.step_size(call) * call.c1)


def eps_hat(run, call, d, v):
    """The correction of v folded into step size and eps, for the paper's eps."""
    if not run.traits.eps_beside_corrected_root:
        return base.change(run, call, d, v)
    root2 = np.sqrt(call.c2)
    return d * call.scalar(call.s.lr * root2 / call.c1) / (np.sqrt(v) + call.scalar(call.s.eps * root2))


def negated_step(run, call, p, change):
    return p + -change


def moved_fused(run, call, p, change):
    return fused(-1.0, change, p, wider(call))


def addcdiv(run, call, old, g):
    """p + (-step) * m / denominator with the last product and the sum fused."""
    new = base.advance(run, call, old, g)
    used = new["max_exp_avg_sq"] if call.s.amsgrad else new["exp_avg_sq"]
    quotient = run.direction(call, old, new["exp_avg"], g) / run.denominator(call, used)
    step = call.scalar(run.step_size(call))
    return {**new, "param": fused(-step, quotient, old["param"], wider(call)), "change": step * quotient}


# --- scalars ---


def tensor_powers(run, call, beta):
    return float(call.scalar(call.scalar(beta) ** call.scalar(call.t)))


def power_by_exp(run, call, beta):
    return math.exp(call.t * math.log(beta)) if beta else 0.0


def power_by_squares(run, call, beta):
    result, factor, t = 1.0, float(beta), int(call.t)
    while t:
        result, factor, t = result * (factor if t & 1 else 1.0), factor * factor, t >> 1
    return result


def power_by_product(run, call, beta, of=float):
    """A running product of one beta, which starts from a power where a state is loaded."""
    kept = run.__dict__.setdefault("products", {}).setdefault((call.name, beta), [call.t - 1, of(beta) ** of(call.t - 1)])
    while kept[0] < call.t:
        kept[0] += 1
        kept[1] = kept[1] * of(beta)
    return float(kept[1])


def power_by_tensor_product(run, call, beta):
    return power_by_product(run, call, beta, call.dtype.type)


def corrections_by_expm1(run, call):
    return tuple(-math.expm1(call.t * math.log(beta)) if beta else 1.0 for beta in (call.s.beta1, call.s.beta2))


def corrections_in_longdouble(run, call):
    return tuple(1 - np.longdouble(beta) ** call.t for beta in (call.s.beta1, call.s.beta2))


def step_in_tensor_scalars(run, call):
    """lr, corrections and their quotient in the format of the tensor."""
    lr, c1, c2 = call.scalar(call.s.lr), call.scalar(call.c1), call.scalar(call.c2)
    return lr / c1 if run.traits.eps_beside_corrected_root else lr * np.sqrt(c2) / c1


def root_before_lr(run, call):
    size = np.sqrt(call.c2) / call.c1 if not run.traits.eps_beside_corrected_root else 1 / call.c1
    return size * call.s.lr


def tensor_corrections(run, call):
    one = call.dtype.type
    return tuple(float(one(1) - one(beta) ** one(call.t)) for beta in (call.s.beta1, call.s.beta2))


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


def shows(*arrays):
    return {"shown": lambda run, slot: tuple(array for array in base.shown(run, slot) if array in arrays)}


LAZILY = {"slot": lazily_made, "update": made_when_needed, "state": shown_so_far}
NARROW_SCALARS = {"corrections": tensor_corrections, "step_size": step_in_tensor_scalars, "average": average_in_tensor_scalars}

# fmt: off
ROWS: tuple[Row, ...] = (
    right("plain", "weighted averages, scalars in double, sums in order", {}),
    # moving averages
    right("lerp", "moments by interpolation", {"average": lerp}),
    right("lerp-like-torch", "interpolation from the new value where beta is at most one half", {"average": lerp_like_torch}),
    right("lerp-for-m-only", "m by interpolation, v as a weighted sum", {"first_moment": lambda run, call, m, g: lerp(run, call, m, g, call.s.beta1)}),
    right("average-fused", "the first product of an average is fused", {"average": average_fused}),
    right("average-fused-other", "the second product of an average is fused", {"average": average_fused_other}),
    right("lerp-fused", "interpolation with a fused multiply-add", {"average": lerp_fused}),
    right("average-of-llm-c", "fma(b, m, fma(-b, g, g)), as llm.c has it", {"average": average_of_llm_c}),
    right("average-in-place", "moments are scaled in place, then added to", {"average": average_in_place}),
    right("one-minus-beta-in-tensor", "1 - beta in the format of the tensor", {"average": average_in_tensor_scalars}),
    right("square-once", "v takes ((1 - beta2) g) g", {"second_moment": square_once}),
    right("square-by-power", "the square by np.power", {"second_moment": square_by_power}),
    right("square-fused", "the square fused into v", {"second_moment": square_fused}),
    # the change of p
    right("late-step", "m / denominator, then times the step size", {"change": late_step}),
    right("inverse", "m times (step size / denominator)", {"change": inverse}),
    right("corrected-moments", "m_hat and v_hat", {"change": corrected_moments}),
    right("left-to-right", "lr * m / c1 / denominator, as C evaluates it", {"change": left_to_right}),
    right("lr-last", "m_hat / denominator, then times lr", {"change": lr_last}),
    right("eps-times-root", "the paper's eps with corrections folded into step size and eps", {"change": eps_hat}, (ADAM,)),
    right("plus-minus", "p + -change", {"moved": negated_step}),
    right("moved-fused", "p - change with the change in a wider format", {"moved": moved_fused}),
    right("addcdiv", "p + (-step) * quotient, fused", {"advance": addcdiv}, (SPARSE, ADAM, LAZY, DENSIFIED)),
    right("step-by-parts", "sqrt(c2) / c1, then times lr", {"step_size": root_before_lr}),
    # scalars
    right("powers-in-tensor", "powers of the betas in the format of the tensor", {"power": tensor_powers}),
    right("powers-by-exp", "powers by exp(t log beta), in double", {"power": power_by_exp}),
    right("powers-by-squares", "powers by repeated squares", {"power": power_by_squares}),
    right("powers-by-product", "powers by a running product, in double", {"power": power_by_product}, (LAZY, APART, DENSIFIED)),
    right("powers-by-tensor-product", "powers by a running product in float32", {"power": power_by_tensor_product}, (LAZY, APART, DENSIFIED)),
    right("expm1", "corrections by expm1", {"corrections": corrections_by_expm1}),
    right("longdouble-corrections", "corrections in extended precision", {"corrections": corrections_in_longdouble}),
    right("corrections-in-tensor", "corrections in the format of the tensor", {"corrections": tensor_corrections}),
    right("step-in-tensor", "lr, corrections and step size in the format of the tensor", {"step_size": step_in_tensor_scalars}),
    right("scalars-in-tensor", "every scalar in the format of the tensor", NARROW_SCALARS),
    # duplicates
    right("reversed-sums", "occurrences are summed from the last", merged(reversed_sums), BY_ROWS),
    right("sums-by-scipy", "sums as a product with a sparse matrix", merged(by_scipy), BY_ROWS),
    right("sums-by-coo", "sums by conversion of a COO array", merged(by_coo), BY_ROWS),
    right("sums-by-bincount", "sums by np.bincount, in double", merged(by_bincount), BY_ROWS),
    right("sums-by-reduceat", "sums of sorted occurrences by np.add.reduceat", merged(by_reduceat), BY_ROWS),
    right("sums-pairwise", "pairwise sums", merged(by_groups(pairwise)), BY_ROWS),
    right("sums-compensated", "Kahan's sums", merged(by_groups(compensated)), BY_ROWS),
    right("sums-by-size", "sums from the smallest on", merged(by_groups(by_size)), BY_ROWS),
    right("sums-wide", "sums in a wider format, rounded once", merged(sums_wide), BY_ROWS),
    right("sums-in-python", "sums in a dictionary", merged(plain_python), BY_ROWS),
    right("rows-unsorted", "rows in the order of their first occurrence", merged(unsorted), (SPARSE, LAZY)),
    # the state and its layout
    right("wide-inside", "double inside for float32, extended precision for float64", {"advance": wide_inside}),
    right("row-by-row", "one row after the other", {"move": row_by_row}),
    right("in-chunks", "seven rows at a time", {"move": in_chunks}),
    right("whole-table", "every row is computed, the touched ones are written", {"move": whole_table}),
    right("transposed", "the step on columns", {"advance": transposed}),
    right("flattened", "elements are written through flat offsets", {"store": flattened}),
    right("lazily-made", "moments exist from the first gradient on", LAZILY),
    right("moments-not-shown", "moments cannot be reached", shows("param")),
    right("maximum-not-shown", "amsgrad's maximum cannot be reached", shows(*STATE[:3]), (ADAM, DENSIFIED)),
    right("v-not-shown", "the second moment cannot be reached", shows("param", "exp_avg")),
    right("as-views", "what is shown are views with gaps", {"state": as_views}),
    right("as-copies", "what is shown are copies in Fortran order", {"state": lambda run: {name: {array: np.array(x, order="F") for array, x in of.items()} for name, of in base.state(run).items()}}),
    right("parameters-backwards", "the last parameter first", {"work": backwards}),
    # options
    right("shrink-by-difference", "p - rate * p", {"shrink": shrink_by_difference}, (ADAM,)),
    right("shrink-fused", "p - rate * p, fused", {"shrink": shrink_fused}, (ADAM,)),
    right("decay-divided-first", "g / loss_scale + weight_decay * p", {"prepare": decay_divided_first}, DECAYING),
    right("decay-fused", "the decay is added by a fused multiply-add", {"decay": decay_fused}, DECAYING),
    right("unscale-by-reciprocal", "the gradient is multiplied by 1 / loss_scale", {"unscale": unscale_by_reciprocal}, MINDSPORE),
    right("centralize-from-the-left", "the mean of a row is summed from the left", {"centralize": mean_from_the_left}, MINDSPORE),
    right("maximum-by-where", "amsgrad's maximum by comparison", {"maximum": maximum_by_where}, (ADAM, DENSIFIED)),
    right("nesterov-fused", "the look-ahead is fused", {"direction": nesterov_fused}, MINDSPORE),
    # several at once
    right("torch-like", "interpolation, a step size in double, fused quotient", {"average": lerp_like_torch, "second_moment": square_fused, "advance": addcdiv}, (SPARSE, ADAM)),
    right("cuda-like", "scalars in float32, fused averages, late step", {**NARROW_SCALARS, "average": average_fused, "change": late_step}),
    right("c-like", "llm.c's moments, corrected, from left to right, powers in float32", {"average": average_of_llm_c, "power": tensor_powers, "change": left_to_right}),
    right("ascend-like", "scalars in float32, moments corrected, decay divided first", {"corrections": tensor_corrections, "change": corrected_moments, "prepare": decay_divided_first}),
    right("cautious", "sums pairwise, lazily made moments, row by row, wide inside", {**merged(by_groups(pairwise)), **LAZILY, "move": row_by_row, "advance": wide_inside}, BY_ROWS),
)
# fmt: on
