"""Float: NumPy floats of one dtype, as a learner would write it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..gradients import Array
from .interface import Number, numpy_dtype


class Float:
    """IEEE arithmetic in one dtype.

    tensor_scalars: False computes scalars in double and rounds them once, where they meet a tensor (the class `exact`);
    True rounds them to the dtype first and computes in it (the class `tensor`). reverse: sum occurrences from the last.
    """

    def __init__(self, dtype: str, *, tensor_scalars: bool = False, reverse: bool = False) -> None:
        self.dtype = numpy_dtype(dtype)
        self.scalar_dtype = self.dtype if tensor_scalars else np.dtype(np.float64)
        self.reverse = reverse

    def scalar(self, value: float) -> Number:
        return self.scalar_dtype.type(value)

    def power(self, base: Number, exponent: int) -> Number:
        return self.scalar_dtype.type(base ** self.scalar_dtype.type(exponent))

    def meet(self, scalar: Number) -> Number:
        return self.dtype.type(scalar)

    def load(self, array: Array) -> Number:
        return array.astype(self.dtype)

    def store(self, tensor: Number) -> Number:
        return tensor

    def sqrt(self, x: Number) -> Number:
        return np.sqrt(x)

    def maximum(self, a: Number, b: Number) -> Number:
        return np.maximum(a, b)

    def lerp(self, old: Number, new: Number, weight: Number) -> Number:
        return old + (new - old) * weight

    def sum_rows(self, values: Number, slot: Array, n: int) -> Number:
        total = np.zeros((n, values.shape[1]), self.dtype)
        order = slice(None, None, -1) if self.reverse else slice(None)
        np.add.at(total, slot[order], values[order])
        return total

    def row_mean(self, values: Number) -> Number:
        total = np.zeros((len(values), 1), self.dtype)
        for column in range(values.shape[1]):  # left to right: np.sum would widen half precision and pair the terms
            total[:, 0] += values[:, column]
        return total / self.dtype.type(values.shape[1])

    def join(self, alternatives: Sequence[Number]) -> Number:
        (only,) = alternatives  # a float computation is one formulation
        return only
