"""The memory layouts of the arrays that a backend gets."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..gradients import Array


def lay_out(array: Array, layout: str) -> Array:
    """A copy of an array in a layout (see case.LAYOUTS)."""
    return _LAY_OUT[layout](array)


def _strided(array: Array) -> Array:
    """Every second element along the last axis of a larger array. Between them lies nan (0 in integers), for code that ignores strides."""
    if array.ndim == 0:
        return array.copy()
    gap = 0 if array.dtype.kind in "iu" else np.nan
    base = np.full((*array.shape[:-1], 2 * array.shape[-1]), gap, array.dtype)
    view = base[..., ::2]
    view[...] = array
    return view


def _read_only(array: Array) -> Array:
    copy = np.array(array, order="C")
    copy.flags.writeable = False
    return copy


_LAY_OUT: dict[str, Callable[[Array], Array]] = {
    "contiguous": lambda array: np.array(array, order="C"),
    "strided": _strided,
    "read-only": _read_only,
    "fortran": lambda array: np.array(array, order="F"),
}
