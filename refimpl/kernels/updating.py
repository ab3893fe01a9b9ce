"""The kernel: update rows of a parameter and of its moments in place.

A parameter is flat here, a row being `width` elements in a run, and so are the values of a gradient, an occurrence being such a
run. Each row is computed by itself and by one thread, so the result has the same bits however the rows are split.

The rows of a part are given by four arrays: rows, the row of each occurrence; places, its number in the gradient; first and following,
the occurrences of each row as `merging.chain` makes them. Empty ones mean that occurrence k is that of row k; that it is the k-th; and
that every row occurs once.

Every array has a format of its own; the arithmetic is in that of the scalars (see `formats`), and what is written is rounded once.

Places are unsigned: to Numba, an index that may be negative counts from the end, and such a loop is not vectorised.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np
from numba import carray, types
from numba.extending import overload

from .compiling import c_function, jit, prefetch, prefetch_row
from .formats import read, write

AHEAD = 8
"""How many rows ahead memory is prefetched: the hardware cannot predict the next row, and prefetching halves the time."""

ELEMENTS_AHEAD = 32
"""The same for rows of one element."""

BLOCK = 4096
"""Elements of a dense gradient that are changed together before they are used."""

BATCH = 256
"""How many elements are computed together, where they lie apart."""


def unless_none(code: Callable[..., Any]) -> Any:
    """A function of an array that there need not be: of none it is none. Numba would take `None if a is None else ...` for either type."""

    def stub(array, start, stop):  # type: ignore[no-untyped-def]  # Numba compares this signature with that of the code
        """Numba calls what is overloaded for it."""

    @overload(stub)
    def chosen(array, start, stop):  # type: ignore[no-untyped-def]  # pragma: no cover - runs in the compiler
        return (lambda array, start, stop: None) if isinstance(array, types.NoneType) else code

    return stub


pointed = unless_none(lambda array, start, stop: carray(array, stop - start))
cut = unless_none(lambda array, start, stop: array[start:stop])
room_for = unless_none(lambda array, start, stop: np.empty(stop - start, array.dtype))


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
def update_distinct(p, m, v, v_max, values, rows, s, row_width, start, stop):  # type: ignore[no-untyped-def]  # typed by the compiler
    """The rows from `start` to `stop` where the gradient is used unchanged and every row occurs once, in the order of the gradient."""
    beta1, rest1, beta2, rest2 = s[0], s[1], s[2], s[3]
    look_m, look_g, step, eps, keep = s[4], s[5], s[6], s[7], s[8]
    width = np.uint64(row_width)
    p_at, m_at, v_at = np.int64(p.ctypes.data), np.int64(m.ctypes.data), np.int64(v.ctypes.data)
    p_bytes, m_bytes, v_bytes = row_width * p.itemsize, row_width * m.itemsize, row_width * v.itemsize
    for i in range(start - AHEAD, stop):
        if i + AHEAD < stop:
            later = rows[i + AHEAD]
            prefetch_row(p_at, later, p_bytes)
            prefetch_row(m_at, later, m_bytes)
            prefetch_row(v_at, later, v_bytes)
        if i < start:
            continue
        at, k_at = np.uint64(rows[i]) * width, np.uint64(i) * width
        advance_here(p, m, v, v_max, at, values, k_at, width, beta1, rest1, beta2, rest2, look_m, look_g, step, eps, keep)


@jit
def update_merged(p, m, v, v_max, values, rows, places, first, following, s, row_width, start, stop):  # type: ignore[no-untyped-def]  # typed by the compiler
    """The rows from `start` to `stop` where the gradient is used unchanged and rows may occur several times: their sum is taken."""
    beta1, rest1, beta2, rest2 = s[0], s[1], s[2], s[3]
    look_m, look_g, step, eps, keep = s[4], s[5], s[6], s[7], s[8]
    width, none, placed = np.uint64(row_width), np.uint64(0), len(places) > 0
    total = np.empty(row_width, s.dtype)
    p_at, m_at, v_at, values_at = np.int64(p.ctypes.data), np.int64(m.ctypes.data), np.int64(v.ctypes.data), np.int64(values.ctypes.data)
    p_bytes, m_bytes, v_bytes = row_width * p.itemsize, row_width * m.itemsize, row_width * v.itemsize
    values_bytes = row_width * values.itemsize
    for i in range(start - AHEAD, stop):
        if i + AHEAD < stop:
            later = np.int64(first[i + AHEAD])
            row = rows[later]
            prefetch_row(p_at, row, p_bytes)
            prefetch_row(m_at, row, m_bytes)
            prefetch_row(v_at, row, v_bytes)
            prefetch_row(values_at, places[later] if placed else later, values_bytes)
            after = np.int64(following[later])
            if after != later:
                prefetch_row(values_at, places[after] if placed else after, values_bytes)
        if i < start:
            continue
        q = np.int64(first[i])
        k_at, at = np.uint64(places[q] if placed else q) * width, np.uint64(rows[q]) * width
        again = np.int64(following[q])
        if again == q:
            advance_here(p, m, v, v_max, at, values, k_at, width, beta1, rest1, beta2, rest2, look_m, look_g, step, eps, keep)
        else:
            add(total, values, k_at, values, np.uint64(places[again] if placed else again) * width, width)
            again = np.int64(following[again])
            while again != q:
                add(total, total, none, values, np.uint64(places[again] if placed else again) * width, width)
                again = np.int64(following[again])
            advance_there(p, m, v, v_max, at, total, none, width, beta1, rest1, beta2, rest2, look_m, look_g, step, eps, keep)


@jit
def update_elements(p, m, v, v_max, values, rows, places, first, following, s, start, stop):  # type: ignore[no-untyped-def]  # typed by the compiler
    """`update_as_given` for rows of one element: gathered into a batch, computed as one row, and put back."""
    placed, grouped = len(places) > 0, len(first) > 0
    none = np.uint64(0)
    p_at, m_at, v_at = np.int64(p.ctypes.data), np.int64(m.ctypes.data), np.int64(v.ctypes.data)
    g = np.empty(BATCH, s.dtype)
    batch_p, batch_m, batch_v = np.empty(BATCH, p.dtype), np.empty(BATCH, m.dtype), np.empty(BATCH, v.dtype)
    batch_max = room_for(v_max, 0, BATCH)
    for begin in range(start, stop, BATCH):
        end = min(begin + BATCH, stop)
        for i in range(begin, end):
            if i + ELEMENTS_AHEAD < stop:
                later = first[i + ELEMENTS_AHEAD] if grouped else i + ELEMENTS_AHEAD
                row = rows[later]
                prefetch(p_at + row * p.itemsize)
                prefetch(m_at + row * m.itemsize)
                prefetch(v_at + row * v.itemsize)
            q = first[i] if grouped else i
            total = read(values, places[q] if placed else q)
            if grouped:
                again = following[q]
                while again != q:
                    total += read(values, places[again] if placed else again)
                    again = following[again]
            row, j = rows[q], i - begin
            g[j], batch_p[j], batch_m[j], batch_v[j] = total, p[row], m[row], v[row]
            if v_max is not None:
                batch_max[j] = v_max[row]
        advance_there(
            batch_p,
            batch_m,
            batch_v,
            batch_max,
            none,
            g,
            none,
            np.uint64(end - begin),
            s[0],
            s[1],
            s[2],
            s[3],
            s[4],
            s[5],
            s[6],
            s[7],
            s[8],
        )
        for i in range(begin, end):
            row, j = rows[first[i] if grouped else i], i - begin
            p[row], m[row], v[row] = batch_p[j], batch_m[j], batch_v[j]
            if v_max is not None:
                v_max[row] = batch_max[j]


@jit
def update_prepared(p, m, v, v_max, values, rows, places, first, following, s, row_width, centralize, apart, start, stop):  # type: ignore[no-untyped-def]  # typed by the compiler
    """The rows from `start` to `stop` where occurrences are prepared, or kept apart.

    Kept apart, each occurrence starts from the old moments, and its decay from the old p; p is changed by all of them, and the
    moments of the last one are kept. The old arrays are kept as they are stored.
    """
    listed, placed, grouped = len(rows) > 0, len(places) > 0, len(first) > 0
    width, none = np.uint64(row_width), np.uint64(0)
    g, occurrence = np.empty(row_width, s.dtype), np.empty(row_width, s.dtype)
    old_p, old_m = np.empty(row_width, p.dtype), np.empty(row_width, m.dtype)
    old_v, old_max = np.empty(row_width, v.dtype), np.empty(row_width, v.dtype)
    p_at, m_at, v_at = np.int64(p.ctypes.data), np.int64(m.ctypes.data), np.int64(v.ctypes.data)
    p_bytes, m_bytes, v_bytes = row_width * p.itemsize, row_width * m.itemsize, row_width * v.itemsize
    for i in range(start, stop):
        if listed and i + AHEAD < stop:
            later = rows[first[i + AHEAD] if grouped else i + AHEAD]
            prefetch_row(p_at, later, p_bytes)
            prefetch_row(m_at, later, m_bytes)
            prefetch_row(v_at, later, v_bytes)
        head = first[i] if grouped else i
        at = np.uint64(rows[head] if listed else head) * width
        q, more = head, True
        copy(old_p, none, p, at, width)
        if apart:
            copy(old_m, none, m, at, width)
            copy(old_v, none, v, at, width)
            if v_max is not None:
                copy(old_max, none, v_max, at, width)
        while more:
            prepare(g, values, np.uint64(places[q] if placed else q) * width, old_p, width, s[9], s[10], s[11], centralize)
            q = following[q] if grouped else head
            more = q != head
            while more and not apart:
                prepare(occurrence, values, np.uint64(places[q] if placed else q) * width, old_p, width, s[9], s[10], s[11], centralize)
                add(g, g, none, occurrence, none, width)
                q = following[q]
                more = q != head
            if s[12] != 0:
                for j in range(width):
                    g[j] += read(old_p, j) * s[12]
            advance_there(p, m, v, v_max, at, g, none, width, s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8])
            if apart and more:
                copy(m, at, old_m, none, width)
                copy(v, at, old_v, none, width)
                if v_max is not None:
                    copy(v_max, at, old_max, none, width)


@jit
def rounded(numbers, like):  # type: ignore[no-untyped-def]  # typed by the compiler
    """The scalars in the format of the arithmetic, which `like` has."""
    s = np.empty(len(numbers), like.dtype)
    for j in range(len(numbers)):
        s[j] = numbers[j]
    return s


CENTRALIZE, APART, DENSE = 1, 2, 4
"""Flags: rows are centralized; occurrences are kept apart; rows do not matter, and elements are counted."""


def update(  # type: ignore[no-untyped-def]  # typed by the compiler, for every combination of formats
    p_at,
    m_at,
    v_at,
    v_max_at,
    values_at,
    s_at,
    real_at,
    size,
    values_size,
    rows_at,
    places_at,
    first_at,
    following_at,
    n_rows,
    n_places,
    n_first,
    n_following,
    width,
    flags,
    start,
    stop,
):  # pragma: no cover - runs as machine code
    """A C function: update the rows from `start` to `stop`, or such elements of a dense step, where the gradient is used unchanged."""
    p, m, v, values = carray(p_at, size), carray(m_at, size), carray(v_at, size), carray(values_at, values_size)
    s = rounded(carray(s_at, 13), carray(real_at, 0))
    v_max = pointed(v_max_at, 0, size)
    rows, places, first, following = (
        carray(rows_at, n_rows),
        carray(places_at, n_places),
        carray(first_at, n_first),
        carray(following_at, n_following),
    )
    if flags & DENSE:
        at = np.uint64(start)
        advance_there(p, m, v, v_max, at, values, at, np.uint64(stop) - at, s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8])
    elif width == 1:
        update_elements(p, m, v, v_max, values, rows, places, first, following, s, start, stop)
    elif n_first > 0:
        update_merged(p, m, v, v_max, values, rows, places, first, following, s, width, start, stop)
    else:
        update_distinct(p, m, v, v_max, values, rows, s, width, start, stop)


def update_changed(  # type: ignore[no-untyped-def]  # typed by the compiler, for every combination of formats
    p_at,
    m_at,
    v_at,
    v_max_at,
    values_at,
    s_at,
    real_at,
    size,
    values_size,
    rows_at,
    places_at,
    first_at,
    following_at,
    n_rows,
    n_places,
    n_first,
    n_following,
    width,
    flags,
    start,
    stop,
):  # pragma: no cover - runs as machine code
    """The same where occurrences are changed before they are used, or kept apart; of a dense step block by block, in the first cache."""
    p, m, v, values = carray(p_at, size), carray(m_at, size), carray(v_at, size), carray(values_at, values_size)
    s = rounded(carray(s_at, 13), carray(real_at, 0))
    v_max = pointed(v_max_at, 0, size)
    rows, places, first, following = (
        carray(rows_at, n_rows),
        carray(places_at, n_places),
        carray(first_at, n_first),
        carray(following_at, n_following),
    )
    centralize, apart = flags & CENTRALIZE != 0, flags & APART != 0
    if flags & DENSE == 0:
        update_prepared(p, m, v, v_max, values, rows, places, first, following, s, width, centralize, apart, start, stop)
        return
    for a in range(start, stop, BLOCK):
        b = min(a + BLOCK, stop)
        update_prepared(p[a:b], m[a:b], v[a:b], cut(v_max, a, b), values[a:b], rows, places, first, following, s, b - a, False, False, 0, 1)


@cache
def updater(changed: bool, p: str, m: str, v: str, v_max: str, values: str) -> int:
    """The address of the C function for arrays of these dtypes, given by their characters; none where there is no v_max."""
    kinds = [types.CPointer(numba.from_dtype(np.dtype(char))) if char else types.none for char in (p, m, v, v_max, values)]
    kinds += [types.CPointer(types.float64), types.CPointer(types.float64 if p == "d" else types.float32)]
    chains = [types.CPointer(types.int64), *[types.CPointer(types.int32)] * 3]
    address: int = c_function(
        update_changed if changed else update, types.void(*kinds, *[types.int64] * 2, *chains, *[types.int64] * 8)
    ).address
    return address
