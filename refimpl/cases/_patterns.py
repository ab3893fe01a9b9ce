"""Arrays of any size out of few bit patterns: files compress, the oracle computes few rows, and every shift of a row or column shows."""

from __future__ import annotations

import numpy as np

from ..gradients import Array
from .build import Source

PERIOD = 61
"""A prime: rows that lie a power of two apart, or a block of any usual size, differ."""

ROW_SHIFT = 7
"""By how much a row's pattern is shifted against that of the row before it."""


def patterned(source: Source, shape: tuple[int, ...], scale: float = 1.0, dtype: str = "float32", after: int = 0) -> Array:
    """An array of PERIOD different numbers: element (row, column) has number (ROW_SHIFT row + column) mod PERIOD.

    after: rows that come before the first, for arrays that must not start alike.
    """
    numbers = source.normal((PERIOD,), scale, dtype)
    rows = np.arange(after, after + shape[0])[:, None]
    columns = np.arange(int(np.prod(shape[1:], dtype=np.int64)))
    values: Array = numbers[(ROW_SHIFT * rows + columns) % PERIOD].reshape(shape)
    return values


def patterned_by_row(source: Source, rows: Array, width: int = 1, scale: float = 1.0, after: int = 0) -> Array:
    """The values of a gradient by rows, (n, width): a row has the numbers that `patterned` gives it, wherever it stands."""
    numbers = source.normal((PERIOD,), scale)
    values: Array = numbers[(ROW_SHIFT * (rows + after)[:, None] + np.arange(width)) % PERIOD]
    return values


def scattered(n: int, among: int, start: int = 0) -> Array:
    """n different numbers below `among`, unsorted and without adjacent neighbours: a stride that shares no factor with `among`."""
    stride = next(candidate for candidate in range(int(among * 0.618) | 1, 2 * among + 2, 2) if np.gcd(candidate, among) == 1)
    numbers: Array = (start + stride * np.arange(n, dtype=np.int64)) % among
    return numbers


def spread(n: int, among: int, start: int = 0) -> Array:
    """As `scattered`, for many numbers: pairs are exchanged in a descending run, which compresses."""
    run: Array = (start - np.arange(n, dtype=np.int64)) % among
    pairs = n // 2 * 2
    run[:pairs] = run[:pairs].reshape(-1, 2)[:, ::-1].reshape(-1)
    return run
