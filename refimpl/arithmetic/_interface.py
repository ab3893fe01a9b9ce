"""The operations that the reference needs from a number system, and the floating-point formats that it has.

Numbers of a system support + - * / and negation, and indexing by rows. Two kinds meet in a step: *scalars* (the
hyper-parameters and what follows from them) and *tensors* of shape (rows, width). `meet` converts a scalar to a tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..gradients import Array

Number = Any  # each number system brings its own type; they share operators, which a Protocol cannot spell without Self-typed overloads


@dataclass(frozen=True)
class Format:
    """A binary floating-point format: unit roundoff u, smallest subnormal, smallest normal and largest finite number."""

    name: str
    precision: int
    min_exponent: int
    max_exponent: int

    @property
    def u(self) -> float:
        return 2.0**-self.precision

    @property
    def smallest(self) -> float:
        return 2.0 ** (self.min_exponent - self.precision + 1)

    @property
    def tiny(self) -> float:
        return 2.0**self.min_exponent

    @property
    def max(self) -> float:
        return (2.0 - 2.0 ** (1 - self.precision)) * 2.0**self.max_exponent


FORMATS = {
    "float64": Format("float64", 53, -1022, 1023),
    "float32": Format("float32", 24, -126, 127),
    "float16": Format("float16", 11, -14, 15),
    "bfloat16": Format("bfloat16", 8, -126, 127),
}


def numpy_dtype(name: str) -> np.dtype[Any]:
    """The NumPy dtype of a format; bfloat16 comes from ml_dtypes, which is imported only then."""
    if name == "bfloat16":
        import ml_dtypes

        name = ml_dtypes.bfloat16
    return np.dtype(name)


def binary_power(base: Number, exponent: int) -> Number:
    """base**exponent by multiplications alone: the same bits on every platform, which the C library's pow does not give."""
    result = type(base)(1.0)
    while exponent:
        if exponent & 1:
            result *= base
        base, exponent = base * base, exponent >> 1
    return result


class Arithmetic(Hashable, Protocol):
    """The operations beside + - * / that a step needs."""

    def scalar(self, value: float) -> Number:
        """A hyper-parameter as a scalar."""

    def power(self, base: Number, exponent: int, factor: Number | None = None) -> Number:
        """base**exponent of a scalar; with a factor, base**(exponent*factor)."""

    def kept(self, scalar: Number, dtype: str) -> Number:
        """A scalar that an implementation may round to a dtype, in which it keeps it until the next step."""

    def from_zero_to(self, scalar: Number) -> Number:
        """A scalar of which no more is known, or asked, than that it is not below 0 and not above this one."""

    def choose(self, scalar: Number, threshold: float, above: Callable[[], Number], below: Callable[[], Number]) -> Number:
        """The tensor that `above` computes where the scalar is larger than the threshold, else the one that `below` does."""

    def meet(self, scalar: Number) -> Number:
        """A scalar where it meets a tensor, rounded as this number system rounds it there."""

    def load(self, array: Array) -> Number:
        """An array of shape (rows, width) as a tensor."""

    def store(self, tensor: Number, dtype: str | None = None) -> Number:
        """A tensor as it is kept between steps, in a dtype where that is not the one of the number system."""

    def sqrt(self, x: Number) -> Number:
        """The square root, of a scalar or a tensor."""

    def maximum(self, a: Number, b: Number) -> Number:
        """The larger of two tensors, element by element."""

    def lerp(self, old: Number, new: Number, weight: Number) -> Number:
        """old + (new - old)*weight: one operation of the text, since both occurrences of `old` carry the same error."""

    def fused_rest(self, new: Number, beta: Number, one_minus_beta: Number) -> Number:
        """fma(-beta, new, new), new - beta*new with one rounding; exactly (1 - beta)*new."""

    def sum_rows(self, values: Number, slot: Array, n: int) -> Number:
        """out[slot[k]] += values[k], for n rows of output; the order of the sum belongs to the number system."""

    def row_mean(self, values: Number) -> Number:
        """The mean of each row, of shape (rows, 1)."""

    def join(self, alternatives: Sequence[Number]) -> Number:
        """One number for several algebraically equal ways to compute it."""
