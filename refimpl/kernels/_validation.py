"""Check the arguments of a kernel before anything is written."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from ..errors import UsageError
from ..gradients import Array, Gradient, check_gradient
from .formats import FORMATS

DTYPES = tuple(dtype.name for dtype in FORMATS)


def check(
    param: Array, exp_avg: Array, exp_avg_sq: Array, gradient: Gradient, name: str = "w", max_exp_avg_sq: Array | None = None
) -> None:
    """Raise, before anything is written, for what `step` cannot do.

    UsageError for a parameter or moment that cannot be updated in place; InvalidGradient, with a kind of `gradient-shape`,
    `gradient-dtype` or `index-out-of-range`, for a gradient that does not fit.
    """
    check_state(param, exp_avg, exp_avg_sq, max_exp_avg_sq, name)
    check_gradient(gradient, param.shape, name)


def check_state(param: Array, exp_avg: Array, exp_avg_sq: Array, max_exp_avg_sq: Array | None, name: str) -> None:
    """Raise UsageError for a parameter or moment that cannot be updated in place."""
    state = {"param": param, "exp_avg": exp_avg, "exp_avg_sq": exp_avg_sq, "max_exp_avg_sq": max_exp_avg_sq}
    present = {array: value for array, value in state.items() if value is not None}
    for array, value in present.items():
        _check_place(f"{array} of {name!r}", value, param)
    if max_exp_avg_sq is not None and max_exp_avg_sq.dtype != exp_avg_sq.dtype:
        hint = f"exp_avg_sq is {exp_avg_sq.dtype}; the two must have the same dtype"
        raise UsageError(f"max_exp_avg_sq of {name!r} is {max_exp_avg_sq.dtype}", hint)
    for (first, a), (second, b) in combinations(present.items(), 2):
        if np.may_share_memory(a, b):
            raise UsageError(f"{first} and {second} of {name!r} share memory", "give each an array of its own")


def _check_place(label: str, array: Array, param: Array) -> None:
    """Refuse an array that the kernels cannot write to: they need it aligned, in C order, in the parameter's shape, and a fitting dtype."""
    if not isinstance(array, np.ndarray):
        raise UsageError(f"{label} is a {type(array).__name__}", "give a NumPy array: it is updated in place")
    if array.dtype not in FORMATS:
        raise UsageError(f"{label} has dtype {array.dtype}", f"the kernels take {', '.join(DTYPES)}, in native byte order")
    alike = array.dtype == param.dtype or FORMATS[array.dtype].arithmetic == FORMATS[param.dtype].arithmetic
    if array.shape != param.shape or not alike:
        what = "shape" if array.shape != param.shape else "dtype, or both any of float32, float16 and bfloat16"
        raise UsageError(
            f"{label} is {array.dtype} of shape {array.shape}",
            f"the parameter is {param.dtype} of shape {param.shape}; the two must have the same {what}",
        )
    if not array.flags.writeable:
        hint = "open the file with mode='r+' (or 'c')" if isinstance(array, np.memmap) else "it is updated in place: give a writeable copy"
        raise UsageError(f"{label} is read-only", hint)
    if not (array.flags.c_contiguous and array.flags.aligned):
        raise UsageError(
            f"{label} is strided, in Fortran order or not aligned", "it is updated in place: give numpy.ascontiguousarray of it"
        )
