"""How a step is divided among threads: its parts, and the memory that its launch needs, which is taken before anything is written."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import UsageError
from ..gradients import Array
from .merging import COUNTERS, GOLDEN, ROOM, chain, looked_over, uneven
from .threads import threads_for
from .working import NO_ROWS, Work

UNDIVIDED, ONE_PART = (0, 0, 1, 0, 0), (1, 0, 1, 0, 0)
NO_CHAINS = np.empty(0, np.int32)

PARTS_PER_THREAD = 4
"""More parts than threads, so that a delayed thread leaves its remaining parts to the others."""

CHUNKS_PER_THREAD = 4
"""Of the occurrences while they are sorted by part: each has counts of its own, and fewer of them are added up sooner."""

PART = 1024
"""Occurrences of a part that are merged together: its hash table, of 8 to 16 bytes for each, should stay in the first cache."""

MOST_BITS = 9
"""Of a part's number, 512 parts. As many streams are written while the occurrences are sorted by part: more would leave the first cache."""


class Seen(NamedTuple):
    """Of indices: the least, the largest, and whether each is larger than the one before."""

    low: int
    high: int
    increasing: bool


def look_over(indices: Array) -> Seen:
    """One pass over int64 indices."""
    return Seen(*looked_over(indices)) if len(indices) else Seen(0, -1, True)


def dense(total: int, width: int, centralize: bool) -> Work:
    """`total` rows that are all stored, or where no row is looked at by itself their elements."""
    threads = threads_for(total, width)
    return _blocks(NO_ROWS, total if centralize else total * width, threads, True)


def listed(indices: Array, width: int) -> Work:
    """The rows of int64 indices, each of which occurs once."""
    return _blocks(indices, len(indices), threads_for(len(indices), width))


def _blocks(indices: Array, total: int, threads: int, is_dense: bool = False) -> Work:
    parts = 1 if threads == 1 else min(total, threads * PARTS_PER_THREAD)
    return Work(indices, total, parts, threads, UNDIVIDED, np.empty(COUNTERS, np.int64), NO_CHAINS, is_dense)


def stored(indices: Array, width: int, seen: Seen) -> Work:
    """The rows of int64 indices that may occur several times."""
    if seen.increasing:
        return listed(indices, width)
    total = len(indices)
    if total >= 2**31:
        raise UsageError(f"a gradient of {total} occurrences", "give at most 2^31 - 1 of them in one step")
    threads = threads_for(total, width)
    bits = _bits(total, threads)
    if bits == 0:
        return Work(indices, total, 1, 1, ONE_PART, np.empty(COUNTERS, np.int64), np.empty(2 * total + _slots(total), np.int32))
    chunks, parts = 1 if threads == 1 else threads * CHUNKS_PER_THREAD, 1 << bits
    numbers, chains = np.empty(COUNTERS + chunks * parts + total, np.int64), np.empty((3 + 2 * ROOM) * total, np.int32)
    shift = max((seen.high - seen.low).bit_length() - bits, 0)
    by_range, by_hash = (chunks, seen.low, 1, shift, 0), (chunks, seen.low, GOLDEN, 64 - bits, bits)
    division = by_hash if uneven(indices, seen.low, shift, numbers[:parts]) else by_range
    return Work(indices, total, parts, threads, division, numbers, chains)


def chained(indices: Array) -> tuple[Array, Array]:
    """The first occurrence of each row and those that follow it, as `chain` makes them, of int64 indices."""
    first, following = np.empty(len(indices), np.int32), np.empty(len(indices), np.int32)
    distinct = chain(indices, np.empty(_slots(len(indices)), np.int32), 0, first, following)
    return first[:distinct], following


def _slots(total: int) -> int:
    return 1 << max(ROOM * total - 1, 1).bit_length()


def _bits(total: int, threads: int) -> int:
    """How many bits tell the parts apart, 0 for a single one."""
    least = 0 if threads == 1 else (threads * PARTS_PER_THREAD - 1).bit_length()
    return min(max((total // PART).bit_length(), least), MOST_BITS)
