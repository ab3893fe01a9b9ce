"""Duplicate rows: found with hash tables of the size of the gradient, never of the table, and summed in the order given.

Rows are first divided among parts, each with the occurrences of its rows in their order: a part is then grouped by one thread alone, in a
hash table that fits the first cache. Threads take what is to be done from a board of counters, so that one that is late leaves more to
the others, and one launch does all.
"""

from __future__ import annotations

import numpy as np
from numba import types

from .compiling import LINE, fetch_add, jit, load_acquire

GOLDEN = 0x9E3779B97F4A7C15 - 2**64
"""2^64 divided by the golden ratio, odd, as a signed integer of 64 bits: all that a launch is given has that type."""

ROOM = 2
"""The least number of slots per occurrence."""

SPINS = 1000
"""How often a thread looks whether the others are ready before it lets another program have its core."""

COUNTING, COUNTED, PLACED, PLACING, READY, WORKING = range(0, 6 * LINE, LINE)
"""Where the counters are on the board, in bytes: the chunks that are taken, and done; whether their places are known; and so on."""

COUNTERS = 6 * LINE // 8
"""The length of a board, in integers of 64 bits."""

SAMPLE = 512
"""How many occurrences tell whether ranges of rows are evenly used."""

yield_core = types.ExternalFunction("sched_yield", types.int32())


@jit
def looked_over(indices):  # type: ignore[no-untyped-def]  # typed by the compiler
    """The least and the largest index, and whether each is larger than the one before: then no row occurs twice."""
    low = high = indices[0]
    larger = True
    for k in range(1, len(indices)):
        index = indices[k]
        larger &= index > indices[k - 1]
        low, high = min(low, index), max(high, index)
    return low, high, larger


@jit
def uneven(indices, low, shift, counts):  # type: ignore[no-untyped-def]  # typed by the compiler
    """Whether a sample of the occurrences has some part of the rows four times as often as others, where parts are ranges of rows."""
    counts[:] = 0
    taken = min(SAMPLE, len(indices))
    largest = 0
    for i in range(taken):
        part = (indices[i * len(indices) // taken] - low) >> shift
        counts[part] += 1
        largest = max(largest, counts[part])
    return largest * len(counts) > 4 * taken + 8 * len(counts)


@jit
def wait_for(address, count):  # type: ignore[no-untyped-def]  # typed by the compiler
    """Wait until a counter has reached a number. What is waited for was begun by a thread that runs, so that it will."""
    spins = 0
    while load_acquire(address) < count:
        spins += 1
        if spins > SPINS:
            yield_core()


@jit
def part_of(row, low, factor, shift):  # type: ignore[no-untyped-def]  # typed by the compiler
    return np.int64((np.uint64(row - low) * np.uint64(factor)) >> np.uint64(shift))


@jit
def add_up(counts):  # type: ignore[no-untyped-def]  # typed by the compiler
    """counts <- where the occurrences of each chunk begin in each part: those of the parts before, then of the chunks before."""
    at = 0
    for part in range(counts.shape[1]):
        for chunk in range(counts.shape[0]):
            count = counts[chunk, part]
            counts[chunk, part] = at
            at += count


@jit
def divide(indices, low, factor, shift, counts, rows, places, board):  # type: ignore[no-untyped-def]  # typed by the compiler
    """Sort the occurrences by part, in their order: rows, and places, which are their numbers in the gradient. One thread's share.

    counts: (chunks, parts); at the end its last row says where each part ends.
    """
    chunks, count = len(counts), len(indices)
    at = board.ctypes.data
    chunk = fetch_add(at + COUNTING)
    while chunk < chunks:
        mine = counts[chunk]
        mine[:] = 0
        for k in range(chunk * count // chunks, (chunk + 1) * count // chunks):
            mine[part_of(indices[k], low, factor, shift)] += 1
        if fetch_add(at + COUNTED) == chunks - 1:
            add_up(counts)
            fetch_add(at + PLACED)
        chunk = fetch_add(at + COUNTING)
    wait_for(at + PLACED, 1)
    chunk = fetch_add(at + PLACING)
    while chunk < chunks:
        mine = counts[chunk]
        for k in range(chunk * count // chunks, (chunk + 1) * count // chunks):
            row = indices[k]
            part = part_of(row, low, factor, shift)
            place = mine[part]
            mine[part] = place + 1
            rows[place] = row
            places[place] = k
        fetch_add(at + READY)
        chunk = fetch_add(at + PLACING)
    wait_for(at + READY, chunks)


@jit
def chain(rows, slots, skip, first, following):  # type: ignore[no-untyped-def]  # typed by the compiler
    """Fill `first` and `following`; the number of distinct rows.

    The occurrences of a row are a ring: first[i] is where the i-th row occurs first, in the order of these, and following[q] where it
    does after q; after the last one comes the first. slots: as many as a power of two; each holds the newest occurrence of a row. Open
    addressing with linear probing, from the bits of the row times 2^64 / golden ratio behind the leading `skip`, which all rows may
    share (Knuth, The Art of Computer Programming, volume 3, 6.4).
    """
    distinct, mask = 0, len(slots) - 1
    bits = 0
    while (1 << bits) < len(slots):
        bits += 1
    slots[:] = -1
    for q in range(len(rows)):
        row = rows[q]
        slot = np.int64(((np.uint64(row) * np.uint64(GOLDEN)) << np.uint64(skip)) >> np.uint64(64 - bits))
        newest = slots[slot]
        while newest >= 0 and rows[newest] != row:
            slot = (slot + 1) & mask
            newest = slots[slot]
        slots[slot] = q
        if newest < 0:
            first[distinct] = q
            following[q] = q
            distinct += 1
        else:
            following[q] = following[newest]
            following[newest] = q
    return distinct
