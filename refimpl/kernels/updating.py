"""The kernel: update rows of a parameter and of its moments in place.

A parameter is flat here, a row being `width` elements in a run, and so are the values of a gradient, an occurrence being such a
run. Each row is computed by itself and by one thread, so the result has the same bits however the rows are split.

Every array has a format of its own; the arithmetic is in that of the scalars (see `formats`), and what is written is rounded once.

Places are unsigned: to Numba, an index that may be negative counts from the end, and such a loop is not vectorised.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from ..gradients import Array
from .compiling import LINE, chunks, jit, launching, prefetch
from .formats import read, write

AHEAD = 8
"""How many rows ahead memory is prefetched: the hardware cannot predict the next row, and prefetching halves the time."""


def advance(p, m, v, v_max, at, g, g_at, width, beta1, rest1, beta2, rest2, look_m, look_g, step, eps, keep):  # type: ignore[no-untyped-def]  # typed by the compiler, for every combination of formats  # pragma: no cover - runs as machine code
    """m <- b1 m + (1-b1) g; v <- b2 v + (1-b2) g^2; p <- keep p - step (look_m m + look_g g) / (sqrt(v) + eps), one row.

    With v_max (amsgrad), it takes the place of v in the root; nan counts as the largest, as in NumPy.
    """
    for j in range(width):
        gradient = read(g, g_at + j)
        new_m = read(m, at + j) * beta1 + gradient * rest1
        new_v = read(v, at + j) * beta2 + (gradient * gradient) * rest2
        write(m, at + j, new_m)
        write(v, at + j, new_v)
        if v_max is not None:
            largest = read(v_max, at + j)
            new_v = new_v if (new_v >= largest) | (new_v != new_v) else largest
            write(v_max, at + j, new_v)
        write(p, at + j, read(p, at + j) * keep - ((new_m * look_m + gradient * look_g) * step) / (np.sqrt(new_v) + eps))


advance_here, advance_there = jit(advance, inline="always"), jit(advance)
"""The same function compiled twice: inlined in the loop that most rows take, where a call would add a quarter; called elsewhere."""


@jit
def prepare(g, values, values_at, old_p, width, sign, decay, unscale, centralize):  # type: ignore[no-untyped-def]  # typed by the compiler
    """g <- (sign values + wd ls p) / ls, minus its mean where rows are centralized: one occurrence, before merging."""
    for j in range(width):
        g[j] = read(values, values_at + j) * sign
    if decay != 0:
        for j in range(width):
            g[j] += read(old_p, j) * decay
    if unscale != 1:
        for j in range(width):
            g[j] *= unscale
    if centralize:
        mean = g[0]
        for j in range(np.uint64(1), width):
            mean += g[j]
        mean /= g.dtype.type(width)
        for j in range(width):
            g[j] -= mean


@jit
def copy(into, into_at, source, source_at, width):  # type: ignore[no-untyped-def]  # typed by the compiler
    """into <- source, one row of each, in the same format."""
    for j in range(width):
        into[into_at + j] = source[source_at + j]


@jit
def add(into, a, a_at, b, b_at, width):  # type: ignore[no-untyped-def]  # typed by the compiler
    """into <- a + b, one row of each."""
    for j in range(width):
        into[j] = read(a, a_at + j) + read(b, b_at + j)


@jit
def prefetch_row(array_at, row, row_bytes):  # type: ignore[no-untyped-def]  # typed by the compiler
    """Prefetch a row of an array, given the address of the array. Narrow rows too: rows that lie far apart share no cache line."""
    for place in range(row * row_bytes, (row + 1) * row_bytes, LINE):
        prefetch(array_at + place)


@jit
def update_as_given(p, m, v, v_max, values, indices, first, following, s, row_width, start, stop):  # type: ignore[no-untyped-def]  # typed by the compiler
    """The rows from `start` to `stop` where the gradient is used unchanged, duplicates summed: the common and fastest case."""
    beta1, rest1, beta2, rest2 = s[0], s[1], s[2], s[3]
    look_m, look_g, step, eps, keep = s[4], s[5], s[6], s[7], s[8]
    listed, grouped = len(indices) > 0, len(first) > 0
    width, none = np.uint64(row_width), np.uint64(0)
    total = np.empty(row_width if grouped else 0, s.dtype)
    p_at, m_at, v_at, values_at = p.ctypes.data, m.ctypes.data, v.ctypes.data, values.ctypes.data
    p_bytes, m_bytes, v_bytes = row_width * p.itemsize, row_width * m.itemsize, row_width * v.itemsize
    values_bytes = row_width * values.itemsize
    for i in range(start, stop):
        if listed:
            later = min(i + AHEAD, stop - 1)
            later = first[later] if grouped else later
            prefetch_row(p_at, indices[later], p_bytes)
            prefetch_row(m_at, indices[later], m_bytes)
            prefetch_row(v_at, indices[later], v_bytes)
            if grouped:
                prefetch_row(values_at, later, values_bytes)
                if following[later] >= 0:
                    prefetch_row(values_at, following[later], values_bytes)
        k = first[i] if grouped else i
        k_at = np.uint64(k) * width
        at = np.uint64(indices[k] if listed else k) * width
        again = following[k] if grouped else -1
        if again < 0:
            advance_here(p, m, v, v_max, at, values, k_at, width, beta1, rest1, beta2, rest2, look_m, look_g, step, eps, keep)
        else:
            add(total, values, k_at, values, np.uint64(again) * width, width)
            again = following[again]
            while again >= 0:
                add(total, total, none, values, np.uint64(again) * width, width)
                again = following[again]
            advance_there(p, m, v, v_max, at, total, none, width, beta1, rest1, beta2, rest2, look_m, look_g, step, eps, keep)


@jit
def update_prepared(p, m, v, v_max, values, indices, first, following, s, row_width, centralize, apart, start, stop):  # type: ignore[no-untyped-def]  # typed by the compiler
    """The rows from `start` to `stop` where occurrences are prepared, or kept apart.

    Kept apart, each occurrence starts from the old moments, and its decay from the old p; p is changed by all of them, and the
    moments of the last one are kept. The old arrays are kept as they are stored.
    """
    listed, grouped = len(indices) > 0, len(first) > 0
    width, none = np.uint64(row_width), np.uint64(0)
    g, occurrence = np.empty(row_width, s.dtype), np.empty(row_width, s.dtype)
    old_p, old_m = np.empty(row_width, p.dtype), np.empty(row_width, m.dtype)
    old_v, old_max = np.empty(row_width, v.dtype), np.empty(row_width, v.dtype)
    p_at, m_at, v_at = p.ctypes.data, m.ctypes.data, v.ctypes.data
    p_bytes, m_bytes, v_bytes = row_width * p.itemsize, row_width * m.itemsize, row_width * v.itemsize
    for i in range(start, stop):
        if listed:
            later = min(i + AHEAD, stop - 1)
            later = indices[first[later] if grouped else later]
            prefetch_row(p_at, later, p_bytes)
            prefetch_row(m_at, later, m_bytes)
            prefetch_row(v_at, later, v_bytes)
        k = first[i] if grouped else i
        at = np.uint64(indices[k] if listed else k) * width
        copy(old_p, none, p, at, width)
        if apart:
            copy(old_m, none, m, at, width)
            copy(old_v, none, v, at, width)
            if v_max is not None:
                copy(old_max, none, v_max, at, width)
        while k >= 0:
            prepare(g, values, np.uint64(k) * width, old_p, width, s[9], s[10], s[11], centralize)
            k = following[k] if grouped else -1
            while k >= 0 and not apart:
                prepare(occurrence, values, np.uint64(k) * width, old_p, width, s[9], s[10], s[11], centralize)
                add(g, g, none, occurrence, none, width)
                k = following[k]
            if s[12] != 0:
                for j in range(width):
                    g[j] += read(old_p, j) * s[12]
            advance_there(p, m, v, v_max, at, g, none, width, s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8])
            if apart and k >= 0:
                copy(m, at, old_m, none, width)
                copy(v, at, old_v, none, width)
                if v_max is not None:
                    copy(v_max, at, old_max, none, width)


@jit
def update_part(p, m, v, v_max, values, indices, first, following, s, width, centralize, apart, start, stop):  # type: ignore[no-untyped-def]  # typed by the compiler
    """The rows from `start` to `stop`, by the function that the picks need."""
    prepared = s[9] != 1 or s[10] != 0 or s[11] != 1 or s[12] != 0 or centralize
    if prepared or (apart and len(first) > 0):
        update_prepared(p, m, v, v_max, values, indices, first, following, s, width, centralize, apart, start, stop)
    else:
        update_as_given(p, m, v, v_max, values, indices, first, following, s, width, start, stop)


@jit(parallel=True)
def update_parts(p, m, v, v_max, values, indices, first, following, s, width, centralize, apart, rows, parts):  # type: ignore[no-untyped-def]  # typed by the compiler
    """All rows, in parallel parts."""
    for part in prange(parts):
        start, stop = part * rows // parts, (part + 1) * rows // parts
        update_part(p, m, v, v_max, values, indices, first, following, s, width, centralize, apart, start, stop)


def update_rows(
    state: tuple[Array, Array, Array, Array | None],
    values: Array,
    indices: Array,
    first: Array,
    following: Array,
    scalars: Array,
    width: int,
    rows: int,
    centralize: bool = False,
    apart: bool = False,
) -> None:
    """Update `rows` rows of a flat state (p, m, v, and v_max or None) in place.

    Each array as `formats.kernel_view` gives it, v_max in the format of v; scalars: as `scalars.Scalars` orders them, in the format
    of the arithmetic. values: flat, occurrence k being the k-th run of `width`; indices: the row of each occurrence, int64, or empty
    where occurrence k is that of row k; first, following: the occurrences of each row as `merging.group` chains them, int32, or
    empty where every row occurs once; apart: every occurrence starts from the old state.
    """
    arguments: tuple[Any, ...] = (*state, values, indices, first, following, scalars, width, centralize, apart)
    parts = chunks(rows, rows * width)
    if parts == 1:
        update_part(*arguments, 0, rows)
        return
    with launching():
        update_parts(*arguments, rows, parts)
