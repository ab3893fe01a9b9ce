"""Where a parameter and its moments lie: checked once, and known again as long as the arrays are the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import ref

import numpy as np

from ..gradients import Array, row_layout
from ._validation import check_state
from .compiling import jit
from .formats import FORMATS, kernel_view

Arrays = tuple[Array, Array, Array, "Array | None"]


@dataclass(frozen=True, eq=False)
class Place:
    """The arguments of a kernel that follow from p, m, v and v_max: their addresses and formats, and the layout of the parameter.

    arrays: weak references, so that a place keeps no memory; that they exist keeps NumPy from resizing the arrays.
    formats: the characters of the dtypes that a kernel takes, "" for a v_max that there is not.
    """

    arrays: tuple[Any, ...]
    addresses: tuple[int, int, int, int]
    formats: tuple[str, str, str, str]
    dtypes: tuple[Any, ...]
    arithmetic: np.dtype[Any]
    shape: tuple[int, ...]
    size: int
    layout: tuple[int, int]

    def holds(self, arrays: Arrays) -> bool:
        """Whether these are the arrays that were checked, and still as they were: NumPy lets a dtype, shape or strides be set in place."""
        for known, dtype, array in zip(self.arrays, self.dtypes, arrays):
            if array is None:
                continue
            if known() is not array or array.shape != self.shape or array.dtype is not dtype or not array.flags.carray:
                return False
        return True

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the parameter."""
        dtype: np.dtype[Any] = self.dtypes[0]
        return dtype

    def overlaps(self, start: int, stop: int) -> bool:
        """Whether memory between two addresses belongs to the parameter."""
        return start < self.addresses[0] + self.size * self.dtype.itemsize and self.addresses[0] < stop


MOST = 1024
"""How many places are remembered."""

_PLACES: dict[tuple[int, ...], Place] = {}


def placed(arrays: Arrays, name: str = "w") -> Place:
    """The place of p, m, v, and v_max or None; raises UsageError, as `check_state` does, for what a kernel cannot write to."""
    key = (id(arrays[0]), id(arrays[1]), id(arrays[2]), id(arrays[3]))
    known = _PLACES.get(key)
    if known is not None and known.holds(arrays):
        return known
    check_state(*arrays, name)
    place = unchecked(arrays)
    if len(_PLACES) >= MOST:
        _PLACES.clear()
    _PLACES[key] = place
    return place


def unchecked(arrays: Arrays) -> Place:
    """The place of arrays that are known to be fit."""
    param, maximum = arrays[0], arrays[3]
    p, m, v = (kernel_view(array).dtype.char for array in arrays[:3] if array is not None)
    return Place(
        arrays=tuple(None if array is None else ref(array) for array in arrays),
        addresses=tuple(0 if array is None else address(array) for array in arrays),  # type: ignore[arg-type]  # there are four
        formats=(p, m, v, "" if maximum is None else v),
        dtypes=tuple(None if array is None else array.dtype for array in arrays),
        arithmetic=FORMATS[param.dtype].arithmetic,
        shape=param.shape,
        size=param.size,
        layout=row_layout(param.shape),
    )


@jit
def data_of(array):  # type: ignore[no-untyped-def]  # typed by the compiler
    """The address of the first element."""
    return np.int64(array.ctypes.data)


def address(array: Array) -> int:
    """Of the first element of a contiguous array; `array.ctypes.data` takes ten times as long."""
    number: int = data_of(kernel_view(array).reshape(-1))
    return number
