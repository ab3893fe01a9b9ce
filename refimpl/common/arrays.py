"""Check the arrays that a caller gives before any code uses the row numbers and offsets in them.

Numba and the compiled parts of scipy do not check their arguments: a wrong row number or offset reads or writes outside the memory of
an array. So every row number and offset is checked first, in time proportional to what the gradient stores.
"""

from __future__ import annotations

from copy import copy
from functools import cache
from typing import Any

import numpy as np

from ..errors import InvalidGradient

Array = np.ndarray[Any, np.dtype[Any]]

INTEGERS = "iu"
"""The kinds of dtype that count rows; True and False do not."""


@cache  # NumPy builds the name anew each time, and a case asks for it at every step
def dtype_name(dtype: np.dtype[Any]) -> str:
    """The name of a dtype: `float32`, `bfloat16`."""
    return str(dtype)


def is_float(dtype: np.dtype[Any]) -> bool:
    """Whether this is a dtype of real floating-point numbers; bfloat16 of ml_dtypes is recognised by its name."""
    return dtype.kind == "f" or dtype.name == "bfloat16"


def floats(values: Any, label: str) -> Array:
    """A plain array of real floating-point numbers, not copied; anything else is refused."""
    array = _plain(values, label)
    if not is_float(array.dtype):
        raise InvalidGradient(f"{label} have dtype {array.dtype}", "gradient-dtype", "give floating-point numbers")
    return array


def row_numbers(indices: Any, label: str) -> Array:
    """A plain array of integers along one axis, not copied; anything else is refused."""
    array = _plain(indices, label)
    if array.dtype.kind not in INTEGERS or array.ndim != 1:
        raise InvalidGradient(
            f"{label} have dtype {array.dtype} and shape {array.shape}", "gradient-dtype", "give row numbers as one row of integers"
        )
    return array


def _plain(values: Any, label: str) -> Array:
    if isinstance(values, np.ma.MaskedArray):
        raise InvalidGradient(f"{label} are a masked array", "gradient-dtype", "a mask would be ignored: give masked.filled(0)")
    try:
        return np.asarray(values)
    except Exception as error:  # the conversion of a foreign object may raise anything
        raise InvalidGradient(
            f"{label} are a {type(values).__name__} that NumPy cannot read: {error}", "gradient-dtype", "give a NumPy array"
        ) from None


def same_shape(candidate: Any, shape: tuple[int, ...]) -> bool:
    """Whether this is the shape, as any kind of sequence."""
    try:
        return tuple(candidate) == shape
    except TypeError:
        return False


def check_range(indices: Array, rows: int, name: str) -> None:
    """Refuse row numbers outside 0 <= index < rows, naming the first."""
    if len(indices) and (
        indices.min() < 0 or indices.max() >= rows
    ):  # two quick passes; the bad index is searched for only if there is one
        at = int(np.flatnonzero((indices < 0) | (indices >= rows))[0])
        raise InvalidGradient(
            f"gradient of {name!r}: indices[{at}] = {int(indices[at])} is outside the table of {rows} rows",
            "index-out-of-range",
            f"row numbers run from 0 to {rows - 1}",
        )


def check_coordinates(gradient: Any, shape: tuple[int, ...], name: str) -> None:
    """Refuse a scipy.sparse COO array whose data or coordinates are not what this shape needs."""
    label = f"gradient of {name!r}"
    data = _stored(gradient, "data", 1, label)
    coords = coordinates(gradient)
    if not same_shape(gradient.shape, shape) or len(coords) != len(shape):
        raise InvalidGradient(
            f"{label}: element gradient of shape {gradient.shape!r} with {len(coords)} coordinates",
            "gradient-shape",
            f"the parameter has shape {shape}",
        )
    for axis, axis_coords in enumerate(coords):
        along = row_numbers(axis_coords, f"{label}: coords[{axis}]")
        if len(along) != len(data):
            raise InvalidGradient(
                f"{label}: coords[{axis}] has {len(along)} entries and data has {len(data)}", "gradient-shape", "give as many of both"
            )
        check_range(along, shape[axis], name)


def coordinates(gradient: Any) -> tuple[Any, ...]:
    """The row numbers of each axis of a COO array; those of scipy before 1.13 have two attributes for them."""
    return tuple(gradient.coords) if hasattr(gradient, "coords") else (gradient.row, gradient.col)


def checked_compressed(matrix: Any, name: str) -> Any:
    """The same CSR, CSC or BSR matrix after a full check, without unused capacity at the end of its arrays.

    scipy's own check comes last: it checks the entries only where indptr ends above 0, so an indptr of [0, 9, 0] passes it. It
    writes to the matrix, so it works on a copy that shares the caller's arrays.
    """
    label = f"gradient of {name!r}"
    own = copy(matrix)
    rows, columns = own.shape
    data = _stored(own, "data", 3 if own.format == "bsr" else 1, label)
    high, wide = data.shape[1:] if own.format == "bsr" else (1, 1)
    if min(high, wide) < 1 or rows % high or columns % wide:
        raise InvalidGradient(
            f"{label}: blocks of {(high, wide)} in a matrix of shape {own.shape}", "gradient-shape", "give blocks that divide the matrix"
        )
    for array in ("indices", "indptr"):
        numbers = row_numbers(_stored(own, array, 1, label), f"{label}: {array}")
        setattr(own, array, numbers.astype(np.int64) if numbers.dtype.kind == "u" else numbers)
    major, minor = (columns, rows) if own.format == "csc" else (rows // high, columns // wide)
    if len(own.indptr) != major + 1 or own.indptr[0] != 0 or (own.indptr[1:] < own.indptr[:-1]).any() or own.indptr[-1] > len(data):
        raise InvalidGradient(
            f"{label}: indptr of a {own.format.upper()} matrix of shape {own.shape} that stores {len(data)} entries does not fit",
            "gradient-shape",
            f"indptr must have {major + 1} entries, start with 0, never fall, and end at {len(data)} or below",
        )
    check_range(own.indices[: own.indptr[-1]], minor, name)
    try:
        own.check_format(full_check=True)
    except (ValueError, TypeError, IndexError) as error:
        raise InvalidGradient(f"{label}: scipy says of this {type(matrix).__name__}: {error}", "gradient-shape") from None
    return own


def _stored(matrix: Any, attribute: str, axes: int, label: str) -> Array:
    """An attribute of a scipy matrix that must be an array of this many axes."""
    array = getattr(matrix, attribute)
    if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray) or array.ndim != axes:
        raise InvalidGradient(
            f"{label}: {attribute} is a {type(array).__name__} of shape {getattr(array, 'shape', None)}",
            "gradient-shape",
            f"give a plain NumPy array of {axes} {'axis' if axes == 1 else 'axes'}",
        )
    return np.asarray(array)
