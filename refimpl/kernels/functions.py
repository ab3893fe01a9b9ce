"""The C functions of the kernel: one per combination of formats, called by its address, so that nothing else is compiled for each."""

from __future__ import annotations

from functools import cache

import numba
import numpy as np
from numba import carray, types

from .compiling import c_function, jit
from .updating import advance_there, unless_none, update_distinct, update_elements, update_merged, update_prepared

BLOCK = 4096
"""Elements of a dense gradient that are changed together before they are used."""

pointed = unless_none(lambda array, start, stop: carray(array, stop - start))
cut = unless_none(lambda array, start, stop: array[start:stop])


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
    changed,
):  # pragma: no cover - runs as machine code
    """The C function: update the rows from `start` to `stop`, or such elements of a dense step. changed: none where the gradient is used
    unchanged; else a number, and occurrences are changed before they are used, or kept apart. The compiler leaves out the other branch.
    """
    p, m, v, values = carray(p_at, size), carray(m_at, size), carray(v_at, size), carray(values_at, values_size)
    s = rounded(carray(s_at, 13), carray(real_at, 0))
    v_max = pointed(v_max_at, 0, size)
    rows, places = carray(rows_at, n_rows), carray(places_at, n_places)
    first, following = carray(first_at, n_first), carray(following_at, n_following)
    if changed is not None:
        if flags & DENSE:
            for a in range(start, stop, BLOCK):
                b = min(a + BLOCK, stop)
                own_max = cut(v_max, a, b)
                update_prepared(p[a:b], m[a:b], v[a:b], own_max, values[a:b], rows, places, first, following, s, b - a, False, False, 0, 1)
        else:
            centralize, apart = flags & CENTRALIZE != 0, flags & APART != 0
            update_prepared(p, m, v, v_max, values, rows, places, first, following, s, width, centralize, apart, start, stop)
    elif flags & DENSE:
        at = np.uint64(start)
        advance_there(p, m, v, v_max, at, values, at, np.uint64(stop) - at, s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8])
    elif width == 1:
        update_elements(p, m, v, v_max, values, rows, places, first, following, s, start, stop)
    elif n_first > 0:
        update_merged(p, m, v, v_max, values, rows, places, first, following, s, width, start, stop)
    else:
        update_distinct(p, m, v, v_max, values, rows, s, width, start, stop)


@cache
def updater(changed: bool, p: str, m: str, v: str, v_max: str, values: str) -> int:
    """The address of the C function for arrays of these dtypes, given by their characters; none where there is no v_max."""
    kinds = [types.CPointer(numba.from_dtype(np.dtype(char))) if char else types.none for char in (p, m, v, v_max, values)]
    kinds += [types.CPointer(types.float64), types.CPointer(types.float64 if p == "d" else types.float32)]
    chains = [types.CPointer(types.int64), *[types.CPointer(types.int32)] * 3]
    address: int = c_function(
        update, types.void(*kinds, *[types.int64] * 2, *chains, *[types.int64] * 8, types.int64 if changed else types.none)
    ).address
    return address
