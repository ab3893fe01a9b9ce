"""The kernel: rows of a parameter and of its moments take in their gradient, in place.

A parameter is flat here, a row being `width` elements in a run. Its scalars are those of `scalars.Scalars`, in that order.
Each row is computed by itself and by one thread, so the result has the same bits however the rows are split.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from ..gradients import Array
from .compiling import LINE, chunks, jit, launching, prefetch

AHEAD = 8
"""How many rows ahead memory is asked for: the hardware cannot guess where the next row lies. Measured: 4 to 16 do alike."""


@jit(inline="always")
def advance(p, m, v, v_max, g, s):  # type: ignore[no-untyped-def]  # typed by the compiler, for float32 and float64
    """m <- b1 m + (1-b1) g; v <- b2 v + (1-b2) g^2; p <- keep p - step (look_m m + look_g g) / (sqrt(v) + eps), one row.

    With v_max (amsgrad), it takes the place of v in the root; nan counts as the largest, as in NumPy.
    """
    beta1, rest1, beta2, rest2 = s[0], s[1], s[2], s[3]
    look_m, look_g, step, eps, keep = s[4], s[5], s[6], s[7], s[8]
    for j in range(len(g)):
        new_m = m[j] * beta1 + g[j] * rest1
        new_v = v[j] * beta2 + (g[j] * g[j]) * rest2
        m[j] = new_m
        v[j] = new_v
        if v_max is not None:
            new_v = new_v if (new_v >= v_max[j]) | (new_v != new_v) else v_max[j]
            v_max[j] = new_v
        p[j] = p[j] * keep - ((new_m * look_m + g[j] * look_g) * step) / (np.sqrt(new_v) + eps)


@jit
def prepare(g, values, p, s, centralize):  # type: ignore[no-untyped-def]  # typed by the compiler
    """g <- (sign values + wd ls p) / ls, minus its mean where rows are centralized: one occurrence, before merging."""
    sign, decay, unscale = s[9], s[10], s[11]
    for j in range(len(g)):
        g[j] = values[j] * sign
    if decay != 0:
        for j in range(len(g)):
            g[j] += p[j] * decay
    if unscale != 1:
        for j in range(len(g)):
            g[j] *= unscale
    if centralize:
        mean = g[0]
        for j in range(1, len(g)):
            mean += g[j]
        mean /= values.dtype.type(len(g))
        for j in range(len(g)):
            g[j] -= mean


@jit
def update_part(p, m, v, v_max, values, indices, first, following, s, width, centralize, apart, start, stop):  # type: ignore[no-untyped-def]  # typed by the compiler
    """Rows `start` to `stop` of what `update_rows` updates.

    A row with one occurrence that needs no preparation, the common one, goes straight from memory to memory. Any other has
    its gradient made in a buffer. Where occurrences are kept apart, each starts from the old moments, and from the old p
    as far as the decay is concerned; p takes all the changes, and the moments of the last stay.
    """
    plain = s[9] == 1 and s[10] == 0 and s[11] == 1 and s[12] == 0 and not centralize
    grouped = len(first) > 0
    listed = len(indices) > 0
    room = 0 if plain and not grouped else width
    g, other, old_p, old_m, old_v = (np.empty(room, p.dtype) for _ in range(5))
    old_max = np.empty(room, p.dtype)
    row_bytes = width * p.itemsize
    reach = row_bytes if listed and row_bytes >= LINE else 0
    p_at, m_at, v_at = p.ctypes.data, m.ctypes.data, v.ctypes.data
    for i in range(start, stop):
        if reach:
            later = min(i + AHEAD, stop - 1)
            offset = indices[first[later] if grouped else later] * row_bytes
            for line in range(offset, offset + reach, LINE):
                prefetch(p_at + line)
                prefetch(m_at + line)
                prefetch(v_at + line)
        k = first[i] if grouped else i
        at = (indices[k] if listed else k) * width
        pr, mr, vr = p[at : at + width], m[at : at + width], v[at : at + width]
        xr = None if v_max is None else v_max[at : at + width]
        if plain and not (grouped and following[k] >= 0):
            advance(pr, mr, vr, xr, values[k * width : (k + 1) * width], s)
            continue
        old_p[:] = pr
        if apart:
            old_m[:] = mr
            old_v[:] = vr
            if xr is not None:
                old_max[:] = xr
        while k >= 0:
            prepare(g, values[k * width : (k + 1) * width], old_p, s, centralize)
            k = following[k] if grouped else -1
            while k >= 0 and not apart:
                prepare(other, values[k * width : (k + 1) * width], old_p, s, centralize)
                for j in range(width):
                    g[j] += other[j]
                k = following[k]
            if s[12] != 0:
                for j in range(width):
                    g[j] += old_p[j] * s[12]
            advance(pr, mr, vr, xr, g, s)
            if apart and k >= 0:
                mr[:] = old_m
                vr[:] = old_v
                if xr is not None:
                    xr[:] = old_max
