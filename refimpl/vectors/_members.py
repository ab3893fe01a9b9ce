"""The arrays of a file of vectors: their names, the dtypes in which they are stored, and reading them one by one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ..arithmetic import numpy_dtype
from ..errors import VectorError
from ..gradients import Array, dtype_name

FORMAT = 2
"""The version of the format that is written and read."""

STORED = {"float16": "float16", "bfloat16": "float32", "float32": "float32", "float64": "float64"}
"""The dtype of a tensor to that of its member: NPY has no bfloat16, and float32 holds every one of them exactly."""

INDEX_DTYPES = ("int32", "int64")

STATE_KEYS = {"moments": ("exp_avg", "exp_avg_sq"), "maximum": ("max_exp_avg_sq",)}
"""The keys of a parameter's entry that announce a state to start from, with its arrays."""

GRADIENT_MEMBERS = {"rows": ("indices", "values"), "elements": ("coords", "values"), "dense": ("dense",), "none": ()}
"""The form of a gradient to the members that hold it."""

PARTS = {"ranks": "rank", "batches": "batch"}
"""What may stand in the place of the gradients of a step, a list, and how the members of each of its entries begin."""


def store(array: Array) -> Array:
    """A tensor as its member holds it."""
    return array.astype(STORED[dtype_name(array.dtype)])


def restore(array: Array, dtype: str) -> Array:
    """A member as the tensor that it holds. Raises ImportError where the dtype needs ml_dtypes and that is missing."""
    return array.astype(numpy_dtype(dtype), copy=False)


class Members:
    """The arrays of a file; each is taken with the dtype and shape that the YAML gives it, and none may be left over."""

    def __init__(self, file: object, arrays: Mapping[str, Array]) -> None:
        self.file = file
        self._arrays = arrays
        self._taken: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def take(self, name: str, dtypes: Iterable[str], shape: tuple[int | None, ...]) -> Array:
        """An array by name. shape: None for an axis of any length. Raises VectorError where it is missing or does not fit."""
        if name not in self._arrays:
            raise VectorError(self.file, name, "is missing")
        array = self._arrays[name]
        if dtype_name(array.dtype) not in tuple(dtypes):
            raise VectorError(self.file, name, f"has dtype {array.dtype} and must have {' or '.join(dtypes)}")
        if array.ndim != len(shape) or any(wanted not in (None, n) for n, wanted in zip(array.shape, shape)):
            wanted = ", ".join("n" if length is None else str(length) for length in shape)
            raise VectorError(self.file, name, f"has shape {array.shape} and must have ({wanted})")
        self._taken.add(name)
        return array

    def take_tensor(self, name: str, dtype: str, shape: tuple[int | None, ...]) -> Array:
        """A tensor by name. Raises VectorError, too, where it holds a number that its dtype does not have."""
        member = self.take(name, (STORED[dtype],), shape)
        tensor = restore(member, dtype)
        if STORED[dtype] != dtype and ((store(tensor) != member) & ~np.isnan(member)).any():
            raise VectorError(self.file, name, f"holds a number that {dtype} does not have")
        return tensor

    def refuse_untaken(self, untouched: Iterable[str] = ()) -> None:
        """Raise VectorError if an array was not taken. untouched: slugs of cases whose arrays were not asked for."""
        skipped = set(untouched)
        for name in self._arrays:
            if name not in self._taken and name.split("/")[0] not in skipped:
                raise VectorError(self.file, name, "belongs to no case", "a member is SLUG/param.NAME and so on, see README.md")


def same_bits(left: Array, right: Array) -> bool:
    """Whether two arrays have the same dtype, shape and bytes."""
    return (
        left.dtype == right.dtype
        and left.shape == right.shape
        and np.ascontiguousarray(left).tobytes() == np.ascontiguousarray(right).tobytes()
    )
