"""Doubles with an unlimited exponent, for numbers that leave the range of double (extended precision can hold such).

`Doubles` has the same operations within the range of double, at a fraction of the cost: enough for every narrower format.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..gradients import Array

_NONE = np.int64(-(1 << 60))  # the exponent of zero: below every other


class Scaled:
    """m * 2**k, with m = 0 or 1/2 <= |m| < 1 or m infinite; each operation is rounded like one of double, relative 2**-53."""

    __slots__ = ("k", "m")

    def __init__(self, m: Array, k: Array) -> None:
        self.m, self.k = m, k

    @staticmethod
    def of(x: Any, k: Any = 0) -> Scaled:
        """x * 2**k."""
        m, exponent = np.frexp(np.asarray(x, np.float64))
        exponent = np.where(np.isfinite(m), exponent, 0).astype(np.int64)  # C leaves that of infinity open
        return Scaled(m, np.where(m == 0, _NONE, exponent + k))

    def double(self) -> Array:
        """As a double: infinite beyond the largest."""
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray(np.ldexp(self.m, np.clip(self.k, -2000, 2000).astype(np.int32)))

    def each(self, change: Callable[[Array], Array]) -> Scaled:
        """The numbers after an operation on the array, such as a copy or another shape."""
        return Scaled(change(self.m), change(self.k))

    def chosen(self, condition: Array, other: Scaled) -> Scaled:
        """These numbers where a condition holds, others elsewhere."""
        return Scaled(np.where(condition, self.m, other.m), np.where(condition, self.k, other.k))

    def __getitem__(self, index: Any) -> Scaled:
        return Scaled(self.m[index], self.k[index])

    def __setitem__(self, index: Any, value: Scaled) -> None:
        self.m[index], self.k[index] = value.m, value.k

    def __neg__(self) -> Scaled:
        return Scaled(-self.m, self.k)

    def __abs__(self) -> Scaled:
        return Scaled(np.abs(self.m), self.k)

    def __add__(self, other: Scaled) -> Scaled:
        k = np.maximum(self.k, other.k)
        near = [np.maximum(operand.k - k, -1100).astype(np.int32) for operand in (self, other)]
        return Scaled.of(np.ldexp(self.m, near[0]) + np.ldexp(other.m, near[1]), k)

    def __sub__(self, other: Scaled) -> Scaled:
        return self + -other

    def __mul__(self, other: Scaled) -> Scaled:
        """Zero times infinity is zero: an infinite endpoint stands for numbers of any size, and zero times each of them is zero."""
        with np.errstate(invalid="ignore"):
            m = self.m * other.m
        return Scaled.of(np.where(np.isnan(m), 0.0, m), self.k + other.k)

    def __truediv__(self, other: Scaled) -> Scaled:
        with np.errstate(all="ignore"):
            return Scaled.of(self.m / other.m, np.where(other.m == 0, 0, self.k - other.k))

    def sqrt(self) -> Scaled:
        odd = self.k & 1
        return Scaled.of(np.sqrt(np.ldexp(self.m, odd.astype(np.int32))), (self.k - odd) >> 1)

    def __lt__(self, other: Scaled) -> Array:
        with np.errstate(invalid="ignore"):
            return np.asarray((self - other).m < 0)


class Doubles:
    """Numbers of double: what `Scaled` does, up to the largest of them."""

    __slots__ = ("m",)

    def __init__(self, m: Array) -> None:
        self.m = m

    @staticmethod
    def of(x: Any) -> Doubles:
        return Doubles(np.array(x, np.float64))

    def double(self) -> Array:
        return self.m

    def each(self, change: Callable[[Array], Array]) -> Doubles:
        return Doubles(change(self.m))

    def chosen(self, condition: Array, other: Doubles) -> Doubles:
        return Doubles(np.where(condition, self.m, other.m))

    def __getitem__(self, index: Any) -> Doubles:
        return Doubles(self.m[index])

    def __setitem__(self, index: Any, value: Doubles) -> None:
        self.m[index] = value.m

    def __neg__(self) -> Doubles:
        return Doubles(-self.m)

    def __abs__(self) -> Doubles:
        return Doubles(np.abs(self.m))

    def __add__(self, other: Doubles) -> Doubles:
        return Doubles(self.m + other.m)

    def __sub__(self, other: Doubles) -> Doubles:
        return Doubles(self.m - other.m)

    def __mul__(self, other: Doubles) -> Doubles:
        with np.errstate(all="ignore"):
            m = self.m * other.m
        return Doubles(np.where(np.isnan(m), 0.0, m))

    def __truediv__(self, other: Doubles) -> Doubles:
        with np.errstate(all="ignore"):
            return Doubles(self.m / other.m)

    def sqrt(self) -> Doubles:
        return Doubles(np.sqrt(self.m))

    def __lt__(self, other: Doubles) -> Array:
        return np.asarray(self.m < other.m)


def smaller(a: Any, b: Any) -> Any:
    return where(b < a, b, a)


def larger(a: Any, b: Any) -> Any:
    return where(a < b, b, a)


def where(condition: Array, a: Any, b: Any) -> Any:
    return a.chosen(condition, b)
