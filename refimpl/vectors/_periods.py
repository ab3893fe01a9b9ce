"""After how many bytes an array repeats: the distances at which DEFLATE finds it again."""

from __future__ import annotations

import math

import numpy as np

from ..gradients import Array

PROBES = (128, 1024)
"""Lengths of the parts, in bytes, that come again where an array is periodic: a short one may come again by itself among few values."""

PLACES = (1, 3, 5, 7)
"""Where they are taken from, in eighths of an array: its ends, and the parts of a stack, may be special."""


def distances(array: Array, farthest: int) -> tuple[int, ...]:
    """Distances in bytes, from 1 to `farthest`, at which a C-contiguous array may repeat; the caller tries each.

    They are an element, a row, a block of the first or second axis (of stacked bounds a class and a step), and the period.
    """
    axes = {array.ndim, array.ndim - 1, 1, 2}
    sizes = {math.prod(array.shape[axis:]) * array.itemsize for axis in axes if 0 <= axis <= array.ndim}
    sizes.add(period(array.tobytes(), array.itemsize, farthest))
    return tuple(sorted(size for size in sizes if 0 < size <= farthest)) or (1,)


def period(data: bytes, size: int, farthest: int) -> int:
    """The distance at which bytes come again, in whole elements of `size` bytes; 0 where none is found.

    A part of the data that comes again gives a candidate; of several, the one that repeats the most bytes is taken, and of equal
    ones the smallest.
    """
    if len(data) <= PROBES[0]:
        return 0
    places = [len(data) * eighth // 8 // size * size for eighth in PLACES]
    candidates = sorted({_next(data, at, length, size, farthest) for at in places for length in PROBES} - {0})
    if len(candidates) <= 1:
        return max(candidates, default=0)
    numbers = np.frombuffer(data, np.uint8)
    return max(candidates, key=lambda lag: int((numbers[lag:] == numbers[:-lag]).sum()))


def _next(data: bytes, at: int, length: int, size: int, farthest: int) -> int:
    """How far behind `at` so many bytes come again; 0 where they do not, or not after whole elements."""
    probe = data[at : at + length]
    again = data.find(probe, at + size, at + farthest + length) if len(probe) == length else -1
    return again - at if again > 0 and (again - at) % size == 0 else 0
