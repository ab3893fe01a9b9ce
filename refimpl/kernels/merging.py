"""Duplicate rows: found with a hash table of the size of the gradient, never of the table, and summed in the order given."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange

from ..errors import UsageError
from ..gradients import Array, check_range
from .compiling import chunks, jit, launching, prefetch
from .formats import FORMATS

NONE = np.zeros(0, np.int32)

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio, odd."""

AHEAD = 16
"""How many indices ahead a slot is prefetched: the hardware cannot predict its address."""

ROOM = 4
"""The least number of slots per occurrence. Half as many take 1.5 times as long: more probes and more mispredicted branches."""


class Groups(NamedTuple):
    """The occurrences of each row as a chain: first[i] is where the i-th row occurs first, following[k] where it does after k, or -1.

    Rows stand in the order of their first occurrence. Both are empty where every row occurs once: then occurrence i is row i.
    """

    rows: int
    first: Array
    following: Array


@jit
def increasing(indices):  # type: ignore[no-untyped-def]  # typed by the compiler
    """Whether each index is larger than the one before: then no row occurs twice, at the cost of one pass."""
    larger = True
    for k in range(1, len(indices)):
        larger &= indices[k] > indices[k - 1]
    return larger


@jit
def chain(indices, slots, shift, first, following, last):  # type: ignore[no-untyped-def]  # typed by the compiler
    """Fill `first` and `following`; the number of distinct rows.

    slots: a power of two of -1; each holds the first occurrence of a row. Open addressing with linear probing, from the leading
    bits of the row times 2^64 / golden ratio (Knuth, The Art of Computer Programming, volume 3, 6.4). last[k] is the newest
    occurrence of the row that occurs first at k.
    """
    rows = 0
    mask = len(slots) - 1
    slots_at = slots.ctypes.data
    for k in range(len(indices)):
        later = np.uint64(indices[min(k + AHEAD, len(indices) - 1)]) * GOLDEN
        prefetch(slots_at + np.int64(later >> np.uint64(shift)) * slots.itemsize)
        row = indices[k]
        slot = np.int64((np.uint64(row) * GOLDEN) >> np.uint64(shift))
        head = slots[slot]
        while head >= 0 and indices[head] != row:
            slot = (slot + 1) & mask
            head = slots[slot]
        following[k] = -1
        if head < 0:
            slots[slot] = k
            first[rows] = k
            last[k] = k
            rows += 1
        else:
            following[last[head]] = k
            last[head] = k
    return rows


def group(indices: Array) -> Groups:
    """Find the rows that occur more than once among int64 indices, all of them in range."""
    count = len(indices)
    if count >= 2**31:
        raise UsageError(f"a gradient of {count} occurrences", "give at most 2^31 - 1 of them in one step")
    if increasing(indices):
        return Groups(count, NONE, NONE)
    bits = (ROOM * count - 1).bit_length()
    slots = np.full(1 << bits, -1, np.int32)
    first, following, last = (np.empty(count, np.int32) for _ in range(3))
    rows = int(chain(indices, slots, 64 - bits, first, following, last))
    return Groups(rows, first[:rows], following) if rows < count else Groups(count, NONE, NONE)


@jit
def sum_part(summed, values, first, following, start, stop):  # type: ignore[no-untyped-def]  # typed by the compiler
    """Rows `start` to `stop` of the sums, each from its first occurrence to its last."""
    for i in range(start, stop):
        k = first[i]
        total = summed[i]
        total[:] = values[k]
        k = following[k]
        while k >= 0:
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
    groups = group(np.require(indices, np.int64, ["C", "W"]))
    if not len(groups.first):
        return indices, values
    summed_in = FORMATS[values.dtype].arithmetic if values.dtype in FORMATS else None
    flat = np.require(values, summed_in, ["C", "A", "W"]).reshape(len(indices), -1)
    summed = np.empty((groups.rows, flat.shape[1]), flat.dtype)
    parts = chunks(groups.rows, flat.size)
    if parts == 1:
        sum_part(summed, flat, groups.first, groups.following, 0, groups.rows)
    else:
        with launching():
            sum_parts(summed, flat, groups.first, groups.following, parts)
    with np.errstate(over="ignore"):
        return indices[groups.first], summed.reshape(groups.rows, *values.shape[1:]).astype(values.dtype, copy=False)
