"""The work of one launch: its rows are divided into parts, which the threads take one after another from a board."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numba import prange

from ..gradients import Array
from .compiling import call, fetch_add, jit, launching, told
from .formats import kernel_view
from .functions import APART, CENTRALIZE, DENSE, updater
from .merging import COUNTERS, ROOM, WORKING, chain, divide
from .places import Place, address, data_of

LINE_OF_ELEMENTS = 64
"""Dense parts end at multiples of it, so that no two threads write to one cache line."""

NO_ROWS = np.zeros(0, np.int64)


@jit
def work(update, frame, scalars, indices, width, flags, total, parts, division, numbers, chains):  # type: ignore[no-untyped-def]  # typed by the compiler
    """One thread's share of a step: dense elements or rows, rows that occur once, or rows that are merged. See `Work`."""
    p, m, v, v_max, values, size, values_size = frame
    chunks, low, factor, shift, skip = division
    s, n, at = data_of(scalars), np.int64(len(indices)), data_of(numbers) + WORKING
    if chunks == 0:
        rows_at = data_of(indices)
        unit = LINE_OF_ELEMENTS if flags & DENSE else 1
        block = -(-total // (parts * unit)) * unit
        part = fetch_add(at)
        while part < parts:
            start, stop = min(part * block, total), min((part + 1) * block, total)
            call(update, (p, m, v, v_max, values, s, 0, size, values_size, rows_at, 0, 0, 0, n, 0, 0, 0, width, flags, start, stop, 0))
            part = fetch_add(at)
    elif parts == 1:
        first, following = chains[:n], chains[n : 2 * n]
        distinct = chain(indices, chains[2 * n :], 0, first, following)
        occurrences = (data_of(indices), 0, data_of(first), data_of(following))
        call(update, (p, m, v, v_max, values, s, 0, size, values_size, *occurrences, n, 0, distinct, n, width, flags, 0, distinct, 0))
    else:
        counts = numbers[COUNTERS : COUNTERS + chunks * parts].reshape(chunks, parts)
        rows = numbers[COUNTERS + chunks * parts :]
        places, first, following, slots = chains[:n], chains[n : 2 * n], chains[2 * n : 3 * n], chains[3 * n :]
        divide(indices, low, factor, shift, counts, rows, places, numbers)
        ends = counts[chunks - 1]
        part = fetch_add(at)
        while part < parts:
            start, stop = ends[part - 1] if part > 0 else 0, ends[part]
            n = stop - start
            if n > 0:
                room = 2
                while room < ROOM * n:
                    room *= 2
                own_rows, own_first, own_following = rows[start:stop], first[start:stop], following[start:stop]
                own_slots = slots[2 * ROOM * start : 2 * ROOM * start + room]  # twice ROOM at most
                distinct = chain(own_rows, own_slots, skip, own_first, own_following)
                occurrences = (data_of(own_rows), data_of(places[start:stop]), data_of(own_first), data_of(own_following))
                arrays = (p, m, v, v_max, values, s, 0, size, values_size, *occurrences)
                call(update, (*arrays, n, n, distinct, n, width, flags, 0, distinct, 0))
            part = fetch_add(at)


@jit(parallel=True)
def work_together(update, frame, scalars, indices, width, flags, total, parts, division, numbers, chains, threads):  # type: ignore[no-untyped-def]  # typed by the compiler
    """`work` on every thread."""
    for _ in prange(threads):
        work(update, frame, scalars, indices, width, flags, total, parts, division, numbers, chains)


class Work(NamedTuple):
    """What a launch works on, apart from the numbers of the step, and memory for it.

    indices: the row of each occurrence, int64, or none of a dense gradient; total: elements of a dense gradient, or its rows, or those that
    are stored; parts: how many they are divided into; division: into how many chunks the occurrences are divided before, 0 where no row
    occurs twice, and low, factor, shift and skip, as `merging.divide` and `merging.chain` take them; numbers: the board, and then
    counts and rows as `divide` fills them; chains: places, first, following and slots, of a single part without places.
    """

    indices: Array
    total: int
    parts: int
    threads: int
    division: tuple[int, int, int, int, int]
    numbers: Array
    chains: Array
    is_dense: bool = False


class Target(NamedTuple):
    """What a step changes, and by which numbers, apart from the gradient.

    scalars: as `scalars.scalars` gives them; changed: whether occurrences are changed before they are
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
    place, scalars, changed, centralize, apart = target
    apart = apart and todo.division[0] > 0
    update = updater(changed or centralize or apart, *place.formats, values.format)
    frame = (*place.addresses, values.address, place.size, values.size)
    flags = (CENTRALIZE if centralize else DENSE if todo.is_dense else 0) | (APART if apart else 0)
    todo.numbers[:COUNTERS] = 0
    arguments: tuple[Any, ...] = (
        update,
        frame,
        scalars,
        todo.indices,
        width,
        flags,
        todo.total,
        todo.parts,
        todo.division,
        todo.numbers,
        todo.chains,
    )
    if todo.threads == 1:
        _ready(work, arguments)(*arguments)
        return
    arguments = (*arguments, todo.threads)
    with launching():
        _ready(work_together, arguments)(*arguments)


_READY: set[Any] = set()


def _ready(launch: Any, arguments: tuple[Any, ...]) -> Any:
    """The same; before its first call it is compiled, or read from the cache."""
    if launch not in _READY:
        with told():
            launch.compile(tuple(map(numba.typeof, arguments)))
        _READY.add(launch)
    return launch
