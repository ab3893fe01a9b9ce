"""The work of one launch: its rows are divided into parts, which the threads take one after another from a board."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from ..gradients import Array
from .compiling import call, fetch_add, jit, launching
from .formats import kernel_view
from .merging import ROOM, WORKING, chain, divide
from .places import Place, address
from .updating import APART, CENTRALIZE, DENSE, updater

LINE_OF_ELEMENTS = 64
"""Dense parts end at multiples of it, so that no two threads write to one cache line."""

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
            call(update, (p, m, v, v_max, values, s, size, values_size, data_of(indices), 0, 0, 0, n, 0, 0, 0, width, flags, start, stop))
            part = fetch_add(at)
    elif parts == 1:
        distinct = chain(indices, slots, 0, first, following)
        call(update, (p, m, v, v_max, values, s, size, values_size, data_of(indices), 0, data_of(first), data_of(following), n, 0, distinct, n, width, flags, 0, distinct))
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
                call(update, (p, m, v, v_max, values, s, size, values_size, data_of(own_rows), data_of(places[start:stop]), data_of(own_first), data_of(own_following), n, n, distinct, n, width, flags, 0, distinct))
            part = fetch_add(at)


@jit
def data_of(array):  # type: ignore[no-untyped-def]  # typed by the compiler
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


class Target(NamedTuple):
    """What a step changes, and by which numbers, apart from the gradient.

    scalars: as `scalars.Scalars` orders them, in the format of the arithmetic; changed: whether occurrences are changed before they are
    used; apart: every one starts from the old state; centralize: a row's mean is subtracted from it.
    """

    place: Place
    scalars: Array
    changed: bool = False
    centralize: bool = False
    apart: bool = False


class Values(NamedTuple):
    """The values of a gradient as a kernel takes them; the array is kept so that its memory is."""

    array: Array
    format: str
    address: int
    size: int

    @classmethod
    def of(cls, array: Array) -> Values:
        """A contiguous, aligned array."""
        return cls(array, kernel_view(array).dtype.char, address(array), array.size)


def run(target: Target, values: Values, width: int, todo: Work) -> None:
    """Update rows of a parameter and of its moments. values: flat, occurrence k being the k-th run of `width`."""
    place, numbers, changed, centralize, apart = target
    apart = apart and len(todo.scratch[-1]) > 0
    update = updater(changed or centralize or apart, *place.formats, values.format, numbers.dtype.char)
    frame = (*place.addresses, values.address, address(numbers), place.size, values.size)
    flags = (CENTRALIZE if centralize else DENSE if todo.is_dense else 0) | (APART if apart else 0)
    todo.board.fill(0)
    if todo.threads == 1:
        work(update, frame, todo.indices, width, flags, todo.total, todo.parts, todo.division, todo.scratch, todo.board)
        return
    with launching():
        work_together(update, frame, todo.indices, width, flags, todo.total, todo.parts, todo.division, todo.scratch, todo.board, todo.threads)
