"""The work of one launch: its rows are divided into parts, which the threads take one after another from a board."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from ..gradients import Array
from .compiling import call, fetch_add, jit, launching
from .merging import ROOM, WORKING, chain, divide
from .updating import APART, CENTRALIZE, DENSE, updater

State = tuple[Array, Array, Array, "Array | None"]

LINE_OF_ELEMENTS = 64
"""Dense parts end at multiples of it, so that no two threads write to one cache line."""

UNCHANGED = slice(9, 13)
"""The place of sign, decay, unscale and late_decay among the scalars."""

NONE = np.zeros(0, np.int32)
NO_ROWS = np.zeros(0, np.int64)
NO_COUNTS = np.zeros((0, 0), np.int64)


NO_DIVISION = (0, 1, 0, 0)
NO_SCRATCH = (NO_COUNTS, NO_ROWS, NONE, NONE, NONE, NONE)


@jit
def work(update, frame, indices, width, flags, total, parts, division, scratch, board):  # type: ignore[no-untyped-def]  # typed by the compiler
    """One thread's share of a step: dense elements or rows, rows that occur once, or rows that are merged. See `Work`."""
    counts, rows, places, first, following, slots = scratch
    p, m, v, v_max, values, s, size, values_size = frame
    at = board.ctypes.data + WORKING
    n = np.int64(len(indices))
    part = fetch_add(at)
    if len(slots) == 0:
        while part < parts:
            block = -(-total // parts) if flags & DENSE == 0 else -(-total // (parts * LINE_OF_ELEMENTS)) * LINE_OF_ELEMENTS
            start, stop = min(part * block, total), min((part + 1) * block, total)
            call(update, (p, m, v, v_max, values, s, size, values_size, address(indices), 0, 0, 0, n, 0, 0, 0, width, flags, start, stop))
            part = fetch_add(at)
    elif parts == 1:
        distinct = chain(indices, slots, 0, first, following)
        call(update, (p, m, v, v_max, values, s, size, values_size, address(indices), 0, address(first), address(following), n, 0, distinct, n, width, flags, 0, distinct))
    else:
        low, factor, shift, skip = division
        divide(indices, low, factor, shift, counts, rows, places, board)
        ends = counts[len(counts) - 1]
        while part < parts:
            start, stop = ends[part - 1] if part > 0 else 0, ends[part]
            n = stop - start
            if n > 0:
                room = 2
                while room < ROOM * n:
                    room *= 2
                own_slots = slots[2 * ROOM * start : 2 * ROOM * start + room]
                own_rows, own_first, own_following = rows[start:stop], first[start:stop], following[start:stop]
                distinct = chain(own_rows, own_slots, skip, own_first, own_following)
                call(update, (p, m, v, v_max, values, s, size, values_size, address(own_rows), address(places[start:stop]), address(own_first), address(own_following), n, n, distinct, n, width, flags, 0, distinct))
            part = fetch_add(at)


@jit
def address(array):  # type: ignore[no-untyped-def]  # typed by the compiler
    return np.int64(array.ctypes.data)


@jit(parallel=True)
def work_together(update, frame, indices, width, flags, total, parts, division, scratch, board, threads):  # type: ignore[no-untyped-def]  # typed by the compiler
    """`work` on every thread."""
    for _ in prange(threads):
        work(update, frame, indices, width, flags, total, parts, division, scratch, board)


class Work(NamedTuple):
    """What a launch works on, apart from the numbers of the step.

    total: elements of a dense gradient, or its rows, or those that are stored; parts: how many they are divided into; division: low, factor,
    shift and skip (see `merging`); scratch: counts, rows, places, first, following and slots; the last is empty where every row occurs once.
    """

    indices: Array
    total: int
    parts: int
    threads: int
    division: tuple[int, int, int, int]
    scratch: tuple[Array, ...]
    board: Array
    is_dense: bool = False


def run(state: State, values: Array, scalars: Array, width: int, todo: Work, centralize: bool = False, apart: bool = False) -> None:
    """Update the rows of a flat state (p, m, v, and v_max or None) in place.

    Each array as `formats.kernel_view` gives it, v_max in the format of v; scalars: as `scalars.Scalars` orders them, in the format
    of the arithmetic. values: flat, occurrence k being the k-th run of `width`; apart: every occurrence starts from the old state.
    """
    p, m, v, v_max = state
    changed = centralize or (apart and len(todo.scratch[-1]) > 0) or tuple(scalars[UNCHANGED].tolist()) != (1, 0, 1, 0)
    maximum = "" if v_max is None else v_max.dtype.char
    update = updater(changed, p.dtype.char, m.dtype.char, v.dtype.char, maximum, values.dtype.char, scalars.dtype.char)
    frame = (_address(p), _address(m), _address(v), 0 if v_max is None else _address(v_max), _address(values), _address(scalars), len(p), len(values))
    flags = (CENTRALIZE if centralize else DENSE if todo.is_dense else 0) | (APART if apart else 0)
    todo.board.fill(0)
    arguments = (update, frame, todo.indices, width, flags, todo.total, todo.parts, todo.division, todo.scratch, todo.board)
    if todo.threads == 1:
        work(*arguments)
        return
    with launching():
        work_together(*arguments, todo.threads)


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
