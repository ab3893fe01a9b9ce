"""Wrong in some places only: rows, columns, elements and parameters after the n-th, tails, row numbers, layouts, one form of gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from refimpl.case import Param, Step

from .dialects import ADAM, APART, DENSIFIED, LAZY, SPARSE
from .hooks import Hooks, base, moves_rows, stores, stores_arrays
from .implementation import STATE, Arrays, Call, Implementation, Slot
from .table import Row, named, placed, within, wrong

BY_ROWS = (SPARSE, LAZY, DENSIFIED)
DENSE = (ADAM, DENSIFIED, LAZY, APART)
WIDE = ("shapes/*", "sizes/width-*", "sizes/dense-*")


def columns(call: Call) -> np.ndarray:
    return np.arange(call.shape[1])


def flat(call: Call, rows: np.ndarray) -> np.ndarray:
    """The number of each element of some rows, in C order."""
    return rows[:, None] * call.shape[1] + columns(call)


def column_tail(block: int, only_beyond: int = 0) -> Hooks:
    """Columns that no whole block of columns holds."""

    def kept(call: Call, rows: np.ndarray) -> np.ndarray:
        width = call.shape[1]
        return columns(call) < (width - width % block if width > only_beyond else width)

    return stores(kept)


def wrapped_rows(bits: int) -> Hooks:
    def occurrences(run: Implementation, call: Call, gradient: Any) -> tuple[np.ndarray, np.ndarray]:
        rows, values = base.occurrences(run, call, gradient)
        return (rows if call.form == "dense" else rows % (1 << bits)), values

    return {"occurrences": occurrences}


def wrapped_offsets(bits: int) -> Hooks:
    """The offset of a row, its number times the width, is cut."""

    def occurrences(run: Implementation, call: Call, gradient: Any) -> tuple[np.ndarray, np.ndarray]:
        rows, values = base.occurrences(run, call, gradient)
        if call.form == "dense" or not call.shape[1]:
            return rows, values
        return (rows * call.shape[1] % (1 << bits)) // call.shape[1], values

    return {"occurrences": occurrences}


def leaves_out(skipped: Callable[..., bool]) -> Hooks:
    """Parameters that a call does not update. skipped: from the run and the slot."""
    return {"work": lambda run, step: ((slot, g) for slot, g in base.work(run, step) if not skipped(run, slot))}


def without_eps_from(n: int) -> Hooks:
    return {"eps": lambda run, call: 0.0 if call.slot.place >= n else call.s.eps}


def buffer_as_contiguous(run: Implementation, array: np.ndarray) -> np.ndarray:
    """Reads the buffer of a view as if it were contiguous."""
    if array.base is None or array.flags.c_contiguous or not array.size:
        return np.array(array)
    return np.array(array.base.ravel(order="K")[: array.size].reshape(array.shape))


def transposed_square(run: Implementation, call: Call, rows: np.ndarray, new: Arrays) -> None:
    value = call.slot.param.value
    if value.ndim == 3 and len(set(value.shape)) == 1:
        whole = call.table("exp_avg_sq").copy()
        whole[rows] = new["exp_avg_sq"]
        new = {**new, "exp_avg_sq": whole.reshape(value.shape).swapaxes(1, 2).reshape(call.shape)[rows]}
    base.store(run, call, rows, new)


def shared_by_shape(*arrays: str) -> Hooks:
    """Parameters of one shape and dtype share these arrays."""

    def slot(run: Implementation, place: int, param: Param) -> Slot:
        made = base.slot(run, place, param)
        kept = run.__dict__.setdefault("by_shape", {}).setdefault((param.value.shape, param.value.dtype), made)
        made.arrays.update({array: kept.arrays[array] for array in arrays})
        return made

    return {"slot": slot}


def by_position(run: Implementation, step: Step) -> Iterator[tuple[Slot, Any]]:
    """Moments belong to the k-th gradient of a call, not to a parameter."""
    slots = list(run.slots.values())
    for k, (slot, gradient) in enumerate(base.work(run, step)):
        other = slots[k]
        if other.arrays["exp_avg"].shape == slot.arrays["exp_avg"].shape:
            kept = {array: slot.arrays[array] for array in STATE[1:]}
            slot.arrays.update({array: other.arrays[array] for array in STATE[1:]})
            yield slot, gradient
            other.arrays.update({array: slot.arrays[array] for array in STATE[1:]}) if other is not slot else None
            slot.arrays.update(kept) if other is not slot else None
        else:
            yield slot, gradient


def paper_eps_where(there: Callable[[Call], Any]) -> Hooks:
    """eps beside sqrt(v / c2) in some elements, from the call; elsewhere as the dialect has it."""

    def change(run: Implementation, call: Call, d: np.ndarray, v: np.ndarray) -> np.ndarray:
        right = base.change(run, call, d, v)
        paper = d * call.scalar(call.s.lr / call.c1) / (np.sqrt(v) / call.scalar(np.sqrt(call.c2)) + call.scalar(call.s.eps))
        return np.where(there(call), paper, right)

    return {"change": change}


def hat_eps_where(there: Callable[[Call], Any]) -> Hooks:
    def change(run: Implementation, call: Call, d: np.ndarray, v: np.ndarray) -> np.ndarray:
        hat = d * call.scalar(call.s.lr * np.sqrt(call.c2) / call.c1) / (np.sqrt(v) + call.scalar(call.s.eps))
        return np.where(there(call), hat, base.change(run, call, d, v))

    return {"change": change}


row = wrong
wide = partial(wrong, cases=WIDE)

# fmt: off
ROWS: tuple[Row, ...] = (
    *(row(f"rows-to-{n}", f"only the first {n} distinct rows of a gradient are updated", "pyg-lib PR 718, FBGEMM PR 5933",
          within("rows of a gradient after|rows after", n), moves_rows(lambda rows, n=n: slice(n)), dialects=BY_ROWS, cases=("sizes/rows-*", "large/rows-*")) for n in (20, 32, 64, 255, 1024)),
    wide("columns-to-64", "columns after 64 keep their old values", "one block", within("columns", 64), stores(lambda call, rows: columns(call) < 64), cases=("sizes/width-*",)),
    wide("columns-to-1024", "columns after 1024 keep their old values", "one block", within("columns", 1024), stores(lambda call, rows: columns(call) < 1024), cases=("sizes/width-*1024", "sizes/width-*256", "shapes/*1031")),
    wide("columns-to-2048", "columns after 2048 keep their old values", "one block", within("columns", 2048), stores(lambda call, rows: columns(call) < 2048), cases=("sizes/width-*2048", "sizes/width-*1024")),
    *(wide(f"elements-to-{n}", f"dense elements after {n} are left alone", "chunked kernels", within("elements", n),
           stores(lambda call, rows, n=n: (call.form != "dense") | (flat(call, rows) < n)), dialects=DENSE, cases=("sizes/dense-*", "large/dense-*", "large/list-*")) for n in (1000, 4096, 65536)),
    wide("tail-128", "the last column is lost where the width is 128 k + 1", "masked tails", placed("column").or_none(),
         stores(lambda call, rows: columns(call) < call.shape[1] - (call.shape[1] % 128 == 1 < call.shape[1])), cases=("sizes/width-*128", "sizes/width-*256", "sizes/width-*64")),
    *(wide(f"tail-{block}", f"columns that no whole block of {block} holds are lost", "masked tails", placed(r"last columns|column-tails"), column_tail(block, beyond), cases=("sizes/width-*", "shapes/widths-*"))
      for block, beyond in ((4, 0), (16, 16), (64, 64))),
    wide("odd-width-loses-last", "the last column is lost where the width is odd", "pairs of values", placed(r"last columns|last column|column-tails"),
         stores(lambda call, rows: columns(call) < call.shape[1] - call.shape[1] % 2), cases=("sizes/width-*9", "shapes/widths-*")),
    row("row-tail-8", "the last row of 8 k + 1 rows is lost", "batches of 8", placed(r"last rows?|row-tails").or_none(),
        moves_rows(lambda rows: slice(len(rows) - (len(rows) % 8 == 1 < len(rows)))), dialects=BY_ROWS, cases=("sizes/rows-*", "touched/*")),
    row("row-tail-32", "rows that no whole batch of 32 holds are lost, once there is one", "batches of 32", placed(r"last rows|row-tails"),
        moves_rows(lambda rows: slice(len(rows) - (len(rows) % 32 if len(rows) > 32 else 0))), dialects=BY_ROWS, cases=("sizes/rows-*", "touched/*")),
    row("last-row-lost", "the last distinct row is lost", "off by one", placed("last row"), moves_rows(lambda rows: slice(len(rows) - 1)), dialects=BY_ROWS, cases=("sizes/rows-*", "touched/*")),
    row("odd-rows-lost", "rows of odd number are not updated", "two workers", placed("odd rows|rows of odd"), moves_rows(lambda rows: rows % 2 == 0), dialects=BY_ROWS, cases=("sizes/rows-*", "touched/*")),
    *(row(f"row-numbers-in-{bits}-bits", f"row numbers are cut to {bits} bits", "index arithmetic", placed(rf"row numbers are cut to {bits} bits"),
          wrapped_rows(bits), dialects=(SPARSE, LAZY, APART, DENSIFIED), cases=("rows/*", "large/beyond-*", "large/colliding-*")) for bits in (8, 15, 16, 17)),
    row("offsets-in-20-bits", "offsets, row times width, are cut to 20 bits", "index arithmetic", placed("offsets|cut to 1[0-9] bits|cut to 20 bits").or_none(),
        wrapped_offsets(20), dialects=(SPARSE, LAZY, APART), cases=("large/offsets-*", "rows/*")),
    *(row(f"tensors-to-{n}", f"parameters after {n} are left out", "pytorch 119885", within("parameters after", n),
          leaves_out(lambda run, slot, n=n: slot.place >= n), cases=("counters/*", "sizes/tensors-*")) for n in (16, 30, 100)),
    row("no-eps-after-30", "parameters after 30 have no eps", "pytorch 119885", placed(r"eps.*(parameters|tensors)"),
        without_eps_from(30), cases=("sizes/tensors-*",)),
    row("later-groups-lost", "only the first group is updated", "one group assumed", placed("groups from number 1|later-groups"),
        leaves_out(lambda run, slot: slot.param.group > 0), cases=("groups/*", "pairs/groups*")),
    row("later-groups-other-eps", "eps stands elsewhere in later groups", "two routes", placed("eps.*(groups from number 1|later-groups)"),
        paper_eps_where(lambda call: call.group > 0), dialects=(SPARSE,), cases=("groups/*", "pairs/groups*")),
    row("second-parameter-lost", "the second parameter is never updated", "off by one", placed("parameter.*(second|number 1|lost)|lost").or_none(),
        leaves_out(lambda run, slot: slot.place == 1), cases=("counters/*", "groups/*", "sizes/tensors-*")),
    row("last-parameter-lost", "the last of several parameters is never updated", "off by one", placed("last parameter").or_none(),
        leaves_out(lambda run, slot: slot.place == len(run.slots) - 1 > 0), cases=("counters/*", "groups/*", "sizes/tensors-*")),
    row("nothing-moves", "nothing is ever updated", "a no-op passes the Ascend rule", named("nothing-moves"), stores_arrays()),
    row("params-stay", "the parameter is never updated", "DeepSpeedCPUAdam", named("params-not-updated"), stores_arrays(*STATE[1:])),
    row("exp-avg-stays", "the first moment is never stored", "state lost", named("exp-avg-not-updated"), stores_arrays("param", *STATE[2:])),
    row("exp-avg-sq-stays", "the second moment is never stored", "state lost", named("exp-avg-sq-not-updated"), stores_arrays(*STATE[:2], STATE[3])),
    row("moments-stay", "moments are used, and never stored", "state lost", named("moments-not-updated"), stores_arrays("param", "max_exp_avg_sq")),
    row("maximum-stays", "amsgrad's maximum is never stored", "state lost", named("amsgrad-lost"), stores_arrays(*STATE[:3]), dialects=(ADAM, DENSIFIED), cases=("pairs/*amsgrad*", "options/*amsgrad*")),
    row("fortran-stays", "a parameter that lies column by column is never updated", "DeepSpeedCPUAdam 0.19.8", placed("fortran|column by column").or_none(),
        leaves_out(lambda run, slot: slot.param.value.ndim > 1 and not slot.param.value.flags.c_contiguous and slot.param.value.base is None),
        cases=("layouts/*", "shapes/*")),
    row("strides-ignored", "a view is read as if it were contiguous", "bitsandbytes 1185", placed("strided|fortran|column by column").or_none(),
        {"own": buffer_as_contiguous}, cases=("layouts/*", "shapes/*")),
    row("gradient-strides-ignored", "the values of a strided gradient are read as if they were contiguous", "bitsandbytes 1185",
        placed("strided|fortran|column by column").or_none(),
        {"occurrences": lambda run, call, gradient: (
            base.occurrences(run, call, gradient)[0],
            buffer_as_contiguous(run, gradient.values if call.form == "rows" else gradient.data if call.form == "elements" else gradient).reshape(
                base.occurrences(run, call, gradient)[1].shape))}, cases=("layouts/*", "shapes/*")),
    row("cube-transposed-in-v", "the second moment of an n x n x n parameter is transposed", "axes exchanged", placed("transposed").or_none(),
        {"store": transposed_square}, cases=("shapes/*", "layouts/*cube*")),
    row("vectors-stay", "parameters of one dimension are never updated", "matrices only", placed("nothing.*(dimension|vector|1-D)").or_none(),
        leaves_out(lambda run, slot: slot.param.value.ndim == 1), cases=("shapes/*", "rows/*")),
    row("first-slice-only", "of a parameter of three dimensions only the first slice of a row is updated", "a row is a vector",
        placed("nothing.*(dimension|column|element)").or_none(),
        stores(lambda call, rows: columns(call) < (call.slot.param.value.shape[2] if call.slot.param.value.ndim == 3 else call.shape[1])), cases=WIDE),
    row("last-element-stays", "the last element of each parameter is never updated", "off by one", placed("last element"),
        stores(lambda call, rows: flat(call, rows) < call.shape[0] * call.shape[1] - 1)),
    row("elements-other-eps", "eps stands beside sqrt(v_hat) for gradients of single elements", "two routes",
        placed("eps.*by element").or_none(), paper_eps_where(lambda call: call.form == "elements"), dialects=(SPARSE,), cases=("elements/*", "sizes/elements-*", "pairs/*elements*", "eps/*")),
    row("tail-columns-other-eps", "eps stands beside sqrt(v_hat) in the tail columns", "vector loop and tail", placed("eps.*(last columns|column-tails)").or_none(),
        paper_eps_where(lambda call: columns(call) >= call.shape[1] - call.shape[1] % 4), dialects=(SPARSE, LAZY), cases=("sizes/width-*", "eps/*")),
    row("wide-rows-other-eps", "eps stands beside sqrt(v) where rows are wider than 1000", "two kernels", placed("eps.*(wide|width|only)").or_none(),
        hat_eps_where(lambda call: call.shape[1] > 1000), dialects=(ADAM,), cases=("sizes/width-*", "shapes/*1031")),
    row("state-by-shape", "parameters of one shape share their moments", "keyed by shape", named("state-shared-by-shape"),
        shared_by_shape("exp_avg", "exp_avg_sq"), cases=("counters/*", "sizes/tensors-*")),
    row("maximum-by-shape", "parameters of one shape share amsgrad's maximum", "keyed by shape", named("maximum-shared-by-shape"),
        shared_by_shape("max_exp_avg_sq"), dialects=(ADAM, DENSIFIED), cases=("pairs/*amsgrad*", "options/*amsgrad*")),
    row("state-by-position", "moments belong to the k-th gradient of a call", "tfjs 4.22.0", named("state-by-position"),
        {"work": by_position}, dialects=(SPARSE, ADAM), cases=("counters/*", "sizes/tensors-*")),
    row("untouched-moments-decay", "moments of all rows decay, only touched ones move", "dense moments",
        named("untouched-rows-moments-decay"),
        {"move": lambda run, call, rows, g: decays_untouched(run, call, rows, g)}, dialects=(SPARSE, LAZY)),
    row("untouched-exp-avg-decays", "the first moment of untouched rows decays", "dense moments", placed("untouched.*(first moment|exp.?avg)").or_none(),
        {"move": lambda run, call, rows, g: decays_untouched(run, call, rows, g, ("exp_avg",))}, dialects=(SPARSE, LAZY)),
)
# fmt: on


def decays_untouched(
    run: Implementation, call: Call, rows: np.ndarray, g: np.ndarray, arrays: tuple[str, ...] = ("exp_avg", "exp_avg_sq")
) -> None:
    rest = np.setdiff1d(np.arange(call.shape[0]), rows)
    for array, beta in (("exp_avg", call.s.beta1), ("exp_avg_sq", call.s.beta2)):
        if array in arrays:
            call.table(array)[rest] *= call.scalar(beta)
    base.move(run, call, rows, g)
