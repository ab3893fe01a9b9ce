"""Merge the occurrences of each row into one, without a step."""

from __future__ import annotations

import numpy as np
from numba import prange

from ..gradients import Array, check_range
from .compiling import jit, launching
from .formats import FORMATS
from .planning import PARTS_PER_THREAD, chained
from .threads import threads_for


@jit
def sum_part(summed, values, first, following, start, stop):  # type: ignore[no-untyped-def]  # typed by the compiler
    """Rows `start` to `stop` of the sums, each from its first occurrence to its last."""
    for i in range(start, stop):
        k = first[i]
        total = summed[i]
        total[:] = values[k]
        k = following[k]
        while k != first[i]:
            for j in range(len(total)):
                total[j] += values[k, j]
            k = following[k]


@jit(parallel=True)
def sum_parts(summed, values, first, following, parts):  # type: ignore[no-untyped-def]  # typed by the compiler
    """`sum_part` for all rows, in parallel parts."""
    rows = len(first)
    for part in prange(parts):
        sum_part(summed, values, first, following, part * rows // parts, (part + 1) * rows // parts)


def merge(indices: Array, values: Array, n_rows: int) -> tuple[Array, Array]:
    """Each row once, with the sum of its occurrences: (rows, summed), in the order of their first occurrence.

    indices: (n,) integers in 0 <= index < n_rows; values: (n, ...). Where no row occurs twice, the given arrays themselves.
    Summed in the order of the occurrences and in the dtype of the values, half precision in float32 and rounded once, with the same
    bits for any number of threads.
    Raises InvalidGradient for an index out of range.
    """
    check_range(indices, n_rows, "values")
    first, following = chained(np.require(indices, np.int64, ["C", "A", "W"]))
    rows = len(first)
    if rows == len(indices):
        return indices, values
    summed_in = FORMATS[values.dtype].arithmetic if values.dtype in FORMATS else None
    flat = np.require(values, summed_in, ["C", "A", "W"]).reshape(len(indices), -1)
    summed = np.empty((rows, flat.shape[1]), flat.dtype)
    threads = threads_for(*flat.shape)
    if threads == 1:
        sum_part(summed, flat, first, following, 0, rows)
    else:
        with launching():
            sum_parts(summed, flat, first, following, threads * PARTS_PER_THREAD)
    with np.errstate(over="ignore"):
        return indices[first], summed.reshape(rows, *values.shape[1:]).astype(values.dtype, copy=False)
