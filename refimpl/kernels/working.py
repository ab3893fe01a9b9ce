"""The work of one launch: its rows are divided into parts, which the threads take one after another from a board."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from ..errors import UsageError
from ..gradients import Array
from .compiling import call, fetch_add, jit
from .merging import COUNTERS, GOLDEN, ROOM, WORKING, chain, divide, looked_over, uneven
from .threads import launching, threads_for
from .updating import APART, CENTRALIZE, DENSE, updater

State = tuple[Array, Array, Array, "Array | None"]

PARTS_PER_THREAD = 8
"""More parts than threads, so that a delayed thread leaves its remaining parts to the others."""

CHUNKS_PER_THREAD = 4
"""Of the occurrences while they are sorted by part: each has counts of its own, and fewer of them are added up sooner."""

PART = 1024
"""Occurrences of a part that are merged together: its hash table, of 8 to 16 bytes for each, should stay in the first cache."""

MOST_BITS = 9
"""Of a part's number, 512 parts. As many streams are written while the occurrences are sorted by part: more would leave the first cache."""

LINE_OF_ELEMENTS = 64
"""Dense parts end at multiples of it, so that no two threads write to one cache line."""

UNCHANGED = slice(9, 13)
"""The place of sign, decay, unscale and late_decay among the scalars."""

NONE = np.zeros(0, np.int32)
NO_ROWS = np.zeros(0, np.int64)
NO_COUNTS = np.zeros((0, 0), np.int64)


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


class Seen(NamedTuple):
    """Of indices: the least, the largest, and whether each is larger than the one before."""

    low: int
    high: int
    increasing: bool


def look_over(indices: Array) -> Seen:
    """One pass over int64 indices."""
    return Seen(*looked_over(indices)) if len(indices) else Seen(0, -1, True)


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


NO_DIVISION = (0, 1, 0, 0)
NO_SCRATCH = (NO_COUNTS, NO_ROWS, NONE, NONE, NONE, NONE)


def dense(total: int, width: int, centralize: bool) -> Work:
    """`total` rows that are all stored, or where no row is looked at by itself their elements."""
    threads = threads_for(total, width)
    return _blocks(NO_ROWS, total if centralize else total * width, threads, True)


def listed(indices: Array, width: int) -> Work:
    """The rows of int64 indices, each of which occurs once."""
    return _blocks(indices, len(indices), threads_for(len(indices), width))


def _blocks(indices: Array, total: int, threads: int, is_dense: bool = False) -> Work:
    parts = 1 if threads == 1 else min(total, threads * PARTS_PER_THREAD)
    return Work(indices, total, parts, threads, NO_DIVISION, NO_SCRATCH, np.zeros(COUNTERS, np.int64), is_dense)


def stored(indices: Array, width: int, seen: Seen) -> Work:
    """The rows of int64 indices that may occur several times."""
    if seen.increasing:
        return listed(indices, width)
    total = len(indices)
    threads = threads_for(total, width)
    bits = _bits(total, threads)
    first, following = _chains(total)
    if bits == 0:
        scratch = (NO_COUNTS, NO_ROWS, NONE, first, following, np.empty(_slots(total), np.int32))
        return Work(indices, total, 1, 1, NO_DIVISION, scratch, np.zeros(COUNTERS, np.int64))
    chunks = 1 if threads == 1 else threads * CHUNKS_PER_THREAD
    counts, slots = np.empty((chunks, 1 << bits), np.int64), np.empty(2 * ROOM * total, np.int32)
    shift = max((seen.high - seen.low).bit_length() - bits, 0)
    by_range, by_hash = (seen.low, 1, shift, 0), (seen.low, GOLDEN, 64 - bits, bits)
    division = by_hash if uneven(indices, seen.low, shift, counts[0]) else by_range
    scratch = (counts, np.empty(total, np.int64), np.empty(total, np.int32), first, following, slots)
    return Work(indices, total, 1 << bits, threads, division, scratch, np.zeros(COUNTERS, np.int64))


def chained(indices: Array) -> tuple[Array, Array]:
    """The first occurrence of each row and those that follow it, as `chain` makes them, of int64 indices."""
    first, following = _chains(len(indices))
    distinct = chain(indices, np.empty(_slots(len(indices)), np.int32), 0, first, following)
    return first[:distinct], following


def _chains(total: int) -> tuple[Array, Array]:
    if total >= 2**31:
        raise UsageError(f"a gradient of {total} occurrences", "give at most 2^31 - 1 of them in one step")
    return np.empty(total, np.int32), np.empty(total, np.int32)


def _slots(total: int) -> int:
    return 1 << max(ROOM * total - 1, 1).bit_length()


def _bits(total: int, threads: int) -> int:
    """How many bits tell the parts apart, 0 for a single one."""
    least = 0 if threads == 1 else (threads * PARTS_PER_THREAD - 1).bit_length()
    return min(max((total // PART).bit_length(), least), MOST_BITS)


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
