"""Float: NumPy floats of one dtype, as a learner would write it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..gradients import Array
from ._interface import Number, numpy_dtype


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

    def power(self, base: Number, exponent: int, factor: Number | None = None) -> Number:
        whole = self.scalar_dtype.type(exponent)
        return self.scalar_dtype.type(base ** (whole if factor is None else whole * factor))

    def kept(self, scalar: Number, dtype: str) -> Number:
        return self.scalar_dtype.type(numpy_dtype(dtype).type(scalar))

    def from_zero_to(self, scalar: Number) -> Number:
        return scalar * 0

    def choose(self, scalar: Number, threshold: float, above: Callable[[], Number], below: Callable[[], Number]) -> Number:
        return above() if scalar > threshold else below()

    def meet(self, scalar: Number) -> Number:
        return self.dtype.type(scalar)

    def load(self, array: Array) -> Number:
        return array.astype(self.dtype)

    def store(self, tensor: Number, dtype: str | None = None) -> Number:
        return tensor if dtype is None else tensor.astype(numpy_dtype(dtype)).astype(self.dtype)

    def sqrt(self, x: Number) -> Number:
        return np.sqrt(x)

    def maximum(self, a: Number, b: Number) -> Number:
        return np.maximum(a, b)

    def lerp(self, old: Number, new: Number, weight: Number) -> Number:
        return old + (new - old) * weight

    def fused_rest(self, new: Number, beta: Number, one_minus_beta: Number) -> Number:
        """new - beta*new, its product exact: in double where it fits, else as a sum of two (Veltkamp and Dekker's product).

        With scalars in double a beta of the tensor's dtype is none of theirs: there this is (1 - beta)*new.
        """
        if self.scalar_dtype != self.dtype:
            return new * one_minus_beta
        if self.dtype.itemsize < 8:
            return (new.astype(np.float64) - new.astype(np.float64) * np.float64(beta)).astype(self.dtype)
        product = new * beta
        error = _product_error(new, beta, product)
        return (new - product) - np.where(np.isfinite(error), error, self.dtype.type(0))

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


def _product_error(a: Number, b: Number, product: Number) -> Number:
    """a*b - product exactly, where nothing underflows: Dekker (1971), with the halves of Veltkamp's splitting."""
    kind = np.finfo(a.dtype)
    split = a.dtype.type(2 ** (kind.nmant // 2 + 1) + 1)
    shrunk = np.where(np.abs(a) > kind.max / split / 2, 1 / split, 1).astype(a.dtype)  # so that splitting does not overflow
    shrunk = np.ldexp(np.ones_like(shrunk), np.frexp(shrunk)[1])
    a, product = a * shrunk, product * shrunk
    high_a, high_b = (split * x - (split * x - x) for x in (a, b))
    low_a, low_b = a - high_a, b - high_b
    return (((high_a * high_b - product) + high_a * low_b + low_a * high_b) + low_a * low_b) / shrunk
