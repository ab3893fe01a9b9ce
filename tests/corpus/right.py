"""Right: the same mathematics, computed in other admissible ways."""

from __future__ import annotations

import numpy as np

from . import right_formulas as formulas
from . import right_state as ways
from .dialects import ADAM, APART, DENSIFIED, LAZY, SPARSE
from .hooks import Hooks, base, merged
from .implementation import STATE
from .table import Row, right

BY_ROWS = (SPARSE, LAZY, DENSIFIED)
DECAYING = (ADAM, LAZY, APART, DENSIFIED)
MINDSPORE = (LAZY, APART, DENSIFIED)
REPEATED = ("duplicates/*", "elements/*", "sizes/*", "ranges/*")
EXTREME = ("ranges/*", "basics/*")
OPTIONS = ("options/*", "pairs/*")


def shows(*arrays: str) -> Hooks:
    return {"shown": lambda run, slot: tuple(array for array in base.shown(run, slot) if array in arrays)}


LAZILY: Hooks = {"slot": ways.lazily_made, "update": ways.made_when_needed, "state": ways.shown_so_far}
NARROW_SCALARS: Hooks = {
    "corrections": formulas.tensor_corrections,
    "step_size": formulas.step_in_tensor_scalars,
    "average": formulas.average_in_tensor_scalars,
}

# fmt: off
ROWS: tuple[Row, ...] = (
    right("plain", "weighted averages, scalars in double, sums in order", {}),
    # moving averages
    right("lerp", "moments by interpolation", {"average": formulas.lerp}),
    right("lerp-like-torch", "interpolation from the new value where beta is at most one half", {"average": formulas.lerp_like_torch}, cases=EXTREME),
    right("lerp-for-m-only", "m by interpolation, v as a weighted sum", {"first_moment": lambda run, call, m, g: formulas.lerp(run, call, m, g, call.s.beta1)}),
    right("average-fused", "the first product of an average is fused", {"average": formulas.average_fused}, cases=EXTREME),
    right("average-fused-other", "the second product of an average is fused", {"average": formulas.average_fused_other}),
    right("lerp-fused", "interpolation with a fused multiply-add", {"average": formulas.lerp_fused}),
    right("average-of-llm-c", "fma(b, m, fma(-b, g, g)), as llm.c has it", {"average": formulas.average_of_llm_c}, cases=EXTREME),
    right("average-in-place", "moments are scaled in place, then added to", {"average": formulas.average_in_place}),
    right("one-minus-beta-in-tensor", "1 - beta in the format of the tensor", {"average": formulas.average_in_tensor_scalars}),
    right("square-once", "v takes ((1 - beta2) g) g", {"second_moment": formulas.square_once}, cases=EXTREME),
    right("square-by-power", "the square by np.power", {"second_moment": formulas.square_by_power}),
    right("square-fused", "the square fused into v", {"second_moment": formulas.square_fused}),
    # the change of p
    right("late-step", "m / denominator, then times the step size", {"change": formulas.late_step}),
    right("inverse", "m times (step size / denominator)", {"change": formulas.inverse}),
    right("corrected-moments", "m_hat and v_hat", {"change": formulas.corrected_moments}),
    right("left-to-right", "lr * m / c1 / denominator, as C evaluates it", {"change": formulas.left_to_right}, cases=EXTREME),
    right("lr-last", "m_hat / denominator, then times lr", {"change": formulas.lr_last}),
    right("eps-times-root", "the paper's eps with corrections folded into step size and eps", {"change": formulas.eps_hat}, (ADAM,)),
    right("plus-minus", "p + -change", {"moved": formulas.negated_step}),
    right("moved-fused", "p - change with the change in a wider format", {"moved": formulas.moved_fused}, cases=EXTREME),
    right("addcdiv", "p + (-step) * quotient, fused", {"advance": formulas.addcdiv}, (SPARSE, ADAM, LAZY, DENSIFIED)),
    right("step-by-parts", "sqrt(c2) / c1, then times lr", {"step_size": formulas.root_before_lr}),
    # scalars
    right("powers-in-tensor", "powers of the betas in the format of the tensor", {"power": formulas.tensor_powers}),
    right("powers-by-exp", "powers by exp(t log beta), in double", {"power": formulas.power_by_exp}),
    right("powers-by-squares", "powers by repeated squares", {"power": formulas.power_by_squares}),
    right("powers-by-product", "powers by a running product, in double", {"power": formulas.power_by_product}, (LAZY, APART, DENSIFIED)),
    right("powers-by-tensor-product", "powers by a running product in float32", {"power": formulas.power_by_tensor_product}, (LAZY, APART, DENSIFIED)),
    right("expm1", "corrections by expm1", {"corrections": formulas.corrections_by_expm1}),
    right("longdouble-corrections", "corrections in extended precision", {"corrections": formulas.corrections_in_longdouble}),
    right("corrections-in-tensor", "corrections in the format of the tensor", {"corrections": formulas.tensor_corrections}),
    right("step-in-tensor", "lr, corrections and step size in the format of the tensor", {"step_size": formulas.step_in_tensor_scalars}),
    right("scalars-in-tensor", "every scalar in the format of the tensor", NARROW_SCALARS),
    # duplicates
    right("reversed-sums", "occurrences are summed from the last", merged(ways.reversed_sums), BY_ROWS, REPEATED),
    right("sums-by-scipy", "sums as a product with a sparse matrix", merged(ways.by_scipy), BY_ROWS, REPEATED),
    right("sums-by-coo", "sums by conversion of a COO array", merged(ways.by_coo), BY_ROWS, REPEATED),
    right("sums-by-bincount", "sums by np.bincount, in double", merged(ways.by_bincount), BY_ROWS, REPEATED),
    right("sums-by-reduceat", "sums of sorted occurrences by np.add.reduceat", merged(ways.by_reduceat), BY_ROWS, REPEATED),
    right("sums-pairwise", "pairwise sums", merged(ways.by_groups(ways.pairwise)), BY_ROWS, REPEATED),
    right("sums-compensated", "Kahan's sums", merged(ways.by_groups(ways.compensated)), BY_ROWS, REPEATED),
    right("sums-by-size", "sums from the smallest on", merged(ways.by_groups(ways.by_size)), BY_ROWS, REPEATED),
    right("sums-wide", "sums in a wider format, rounded once", merged(ways.sums_wide), BY_ROWS, REPEATED),
    right("sums-in-python", "sums in a dictionary", merged(ways.plain_python), BY_ROWS, REPEATED),
    right("rows-unsorted", "rows in the order of their first occurrence", merged(ways.unsorted), (SPARSE, LAZY), REPEATED),
    # the state and its layout
    right("wide-inside", "double inside for float32, extended precision for float64", {"advance": ways.wide_inside}, cases=EXTREME),
    right("row-by-row", "one row after the other", {"move": ways.row_by_row}),
    right("in-chunks", "seven rows at a time", {"move": ways.in_chunks}),
    right("whole-table", "every row is computed, the touched ones are written", {"move": ways.whole_table}),
    right("transposed", "the step on columns", {"advance": ways.transposed}),
    right("flattened", "elements are written through flat offsets", {"store": ways.flattened}),
    right("lazily-made", "moments exist from the first gradient on", LAZILY),
    right("moments-not-shown", "moments cannot be reached", shows("param")),
    right("maximum-not-shown", "amsgrad's maximum cannot be reached", shows(*STATE[:3]), (ADAM, DENSIFIED)),
    right("v-not-shown", "the second moment cannot be reached", shows("param", "exp_avg")),
    right("as-views", "what is shown are views with gaps", {"state": ways.as_views}),
    right("as-copies", "what is shown are copies in Fortran order", {"state": lambda run: {name: {array: np.array(x, order="F") for array, x in arrays.items()} for name, arrays in base.state(run).items()}}),
    right("parameters-backwards", "the last parameter first", {"work": ways.backwards}),
    # options
    right("shrink-by-difference", "p - rate * p", {"shrink": ways.shrink_by_difference}, (ADAM,), OPTIONS),
    right("shrink-fused", "p - rate * p, fused", {"shrink": ways.shrink_fused}, (ADAM,), OPTIONS),
    right("decay-divided-first", "g / loss_scale + weight_decay * p", {"prepare": ways.decay_divided_first}, DECAYING, OPTIONS),
    right("decay-fused", "the decay is added by a fused multiply-add", {"decay": ways.decay_fused}, DECAYING, OPTIONS),
    right("unscale-by-reciprocal", "the gradient is multiplied by 1 / loss_scale", {"unscale": ways.unscale_by_reciprocal}, MINDSPORE, OPTIONS),
    right("centralize-from-the-left", "the mean of a row is summed from the left", {"centralize": ways.mean_from_the_left}, MINDSPORE, OPTIONS),
    right("maximum-by-where", "amsgrad's maximum by comparison", {"maximum": ways.maximum_by_where}, (ADAM, DENSIFIED), OPTIONS),
    right("nesterov-fused", "the look-ahead is fused", {"direction": ways.nesterov_fused}, MINDSPORE, OPTIONS),
    # several at once
    right("torch-like", "interpolation, a step size in double, fused quotient", {"average": formulas.lerp_like_torch, "second_moment": formulas.square_fused, "advance": formulas.addcdiv}, (SPARSE, ADAM)),
    right("cuda-like", "scalars in float32, fused averages, late step", {**NARROW_SCALARS, "average": formulas.average_fused, "change": formulas.late_step}),
    right("c-like", "llm.c's moments, corrected, from left to right, powers in float32", {"average": formulas.average_of_llm_c, "power": formulas.tensor_powers, "change": formulas.left_to_right}, cases=EXTREME),
    right("ascend-like", "scalars in float32, moments corrected, decay divided first", {"corrections": formulas.tensor_corrections, "change": formulas.corrected_moments, "prepare": ways.decay_divided_first}),
    right("cautious", "sums pairwise, lazily made moments, row by row, wide inside", {**merged(ways.by_groups(ways.pairwise)), **LAZILY, "move": ways.row_by_row, "advance": ways.wide_inside}, BY_ROWS),
)
# fmt: on
