"""Bound: a tensor with a bound on its error, and what each operation makes of both (see `_bounded` for what the bound says)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..gradients import Array
from .roundings import INFLATE, Rounding, leading_power


class Bound:
    """A tensor (x, e): x of shape (rows, width) in double, e of shape (classes, rows, width), or (1, 1) where it was a scalar.

    factor: the size of a scalar that is a power of two in every computation; is_one: whether it is a constant 1, not a result;
    is_scalar: whether it is a scalar that met the tensors.
    made: cached results of operations on this tensor, since the forms of a stage share half of all operations; changes: how often
    rows were assigned to, which invalidates the cached results.
    """

    __slots__ = ("changes", "e", "factor", "is_one", "is_scalar", "made", "rounding", "x")

    def __init__(self, x: Array, e: Array, rounding: Rounding, factor: float | None = None, is_one: bool = False) -> None:
        self.x, self.e, self.rounding, self.factor, self.is_one = x, e, rounding, factor, is_one
        self.is_scalar = False
        self.made: dict[tuple[str, int], tuple[Bound | None, int, Bound]] = {}
        self.changes = 0

    def _once(self, operation: str, other: Bound | None, compute: Callable[[], Bound]) -> Bound:
        """The result of an operation with this tensor, and another one: computed, or remembered."""
        if self.x.size == 1:  # a scalar may live as long as the program, and its cached results would too
            return compute()
        key = operation, id(other)  # no other object gets this id: the cache holds a reference to it
        before = 0 if other is None else other.changes
        remembered = self.made.get(key)
        if remembered is None or remembered[1] != before or remembered[2].changes:
            remembered = self.made[key] = None if other is self else other, before, compute()
        return remembered[2]

    def __getitem__(self, index: Any) -> Bound:
        return Bound(self.x[index], self.e[:, index], self.rounding)

    def __setitem__(self, index: Any, value: Bound) -> None:
        self.x[index] = value.x
        self.e[:, index] = value.e
        self.made.clear()
        self.changes += 1

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.x.shape)

    def __len__(self) -> int:
        return len(self.x)

    def has_zeros(self) -> bool:
        return int(np.count_nonzero(self.x)) < self.x.size

    def is_zero(self) -> Array:
        """Elements that are zero in every computation of a class."""
        zero: Array = (self.x == 0) & (self.e == 0)
        return zero

    def __neg__(self) -> Bound:
        return Bound(-self.x, self.e, self.rounding)

    def __add__(self, other: Bound) -> Bound:
        return self._once("+", other, lambda: self._sum(other, self.x + other.x))

    def __sub__(self, other: Bound) -> Bound:
        return self._once("-", other, lambda: self._sum(other, self.x - other.x))

    def __mul__(self, other: Bound) -> Bound:
        return self._once("*", other, lambda: self._product(other))

    def __truediv__(self, other: Bound) -> Bound:
        return self if other.is_one else self._once("/", other, lambda: self._quotient(other))

    def sqrt(self) -> Bound:
        return self._once("sqrt", None, self._root)

    def _sum(self, other: Bound, x: Array) -> Bound:
        rounding = self.rounding
        e = self.e + other.e
        size = e + e
        magnitude = np.abs(x)
        size += magnitude
        in_range = holds(size <= rounding.overflow)
        smallest = magnitude - size[-1] + magnitude  # |x| - 2e in the loosest class
        added = rounding.relative * leading_power(size)
        if not holds(smallest >= rounding.flush[-1]):
            # Some computed sum may be subnormal. What is flushed is at most the smallest normal, and then off by the exact sum,
            # which is at most |x| + e. Floats of one format are multiples of its smallest: without flushing a sum never underflows.
            added = added + np.where(magnitude - 2 * e < rounding.flush, np.minimum(rounding.flush, magnitude), 0.0)
        # A scalar that the format does not hold may still be wide, and is then no multiple of the smallest.
        wide = bool(other.is_scalar and other.e.any())
        if wide and not holds(smallest >= rounding.tiny):
            added = added + np.where(magnitude - 2 * e < rounding.tiny, rounding.underflow, 0.0)
        if self.has_zeros() or other.has_zeros():  # a sum with an exact zero is exact, unless it rounds a wide scalar
            added = np.where(other.is_zero() | (self.is_zero() & (not wide)), 0.0, added)
        e += added
        return settled(x, e, rounding, in_range)

    def _product(self, other: Bound) -> Bound:
        x = self.x * other.x
        if other.factor:
            return self._scaled(x, other.factor)
        if self.factor:
            return other._scaled(x, self.factor)
        # |A'B' - AB| <= |A'||B' - B| + |B||A' - A|, with |A'| <= |a| + 2 e_a and |B| <= |b| + e_b.
        rounding = self.rounding
        e = self.e * other.e
        e *= 3.0
        e += np.abs(self.x) * other.e
        e += np.abs(other.x) * self.e
        size = e + e
        size += np.abs(x)
        in_range = holds(size <= rounding.overflow)
        e += rounding.relative * leading_power(size)
        e += rounding.underflow
        if self.has_zeros() or other.has_zeros():  # zero times anything is exactly zero, but for what may be infinite or nan
            e[(self.is_zero() & np.isfinite(other.e)) | (other.is_zero() & np.isfinite(self.e))] = 0.0
        return settled(x, e, rounding, in_range)

    def _scaled(self, x: Array, factor: float) -> Bound:
        """The product with a power of two, which rounds nothing but what it takes below the smallest normal."""
        rounding = self.rounding
        e = self.e * factor
        size = e + e
        magnitude = np.abs(x)
        size += magnitude
        in_range = holds(size <= rounding.overflow)
        if factor < 1:
            small = (magnitude - size[-1] + magnitude < rounding.tiny) & ~self.is_zero()
            if small.any():
                e = e + np.where(small, rounding.underflow, 0.0)
        return settled(x, e, rounding, in_range)

    def _quotient(self, other: Bound) -> Bound:
        rounding = self.rounding
        x = self.x / other.x
        divisor = np.abs(other.x)
        least = divisor - 2 * other.e  # no divisor, exact or computed, is smaller
        possible = least > 0
        in_range = holds(possible)
        if not in_range:
            least = np.where(possible, least, np.nan)
        # |A'/B' - A/B| <= (|A' - A| + |A/B||B' - B|) / |B'|
        quotient = (np.abs(self.x) + self.e) / (least + other.e)
        quotient *= other.e
        quotient += self.e
        e = quotient / least
        size = e + e
        size += np.abs(x)
        in_range = in_range and holds(size <= rounding.overflow)
        e += rounding.relative_div * leading_power(size)
        e += rounding.underflow
        if self.has_zeros():
            e = np.where(self.is_zero() & possible & np.isfinite(other.e), 0.0, e)
        return settled(x, e, rounding, in_range)

    def _root(self) -> Bound:
        rounding = self.rounding
        x = np.sqrt(np.maximum(self.x, 0.0))
        # |sqrt(A') - sqrt(A)| = |A' - A| / (sqrt(A') + sqrt(A)), with A >= x - e and A' >= x - 2e; and never above sqrt(|A' - A|).
        below = self.x - self.e
        roots = np.sqrt(np.maximum(below, 0.0))
        below -= self.e
        roots += np.sqrt(np.maximum(below, 0.0))
        e = np.sqrt(self.e)
        np.divide(self.e, roots, out=e, where=roots * e > self.e)
        size = e + e
        size += x
        in_range = holds(size <= rounding.overflow)
        e += rounding.relative_div * leading_power(size)
        return settled(x, e, rounding, in_range)


def holds(everywhere: Array) -> bool:
    """Whether a condition holds of every element (this is faster than `all` by half for the small arrays of a case)."""
    return int(np.count_nonzero(everywhere)) == everywhere.size


def settled(x: Array, e: Array, rounding: Rounding, in_range: bool) -> Bound:
    """The result (x, e) of an operation; in_range: no computed number, |x| + 2e, may be beyond the largest (nor is nan)."""
    if not in_range:
        with np.errstate(invalid="ignore"):
            e = np.where(np.abs(x) + 2 * e <= rounding.overflow, e, np.inf)  # it may overflow: every result is possible
    e *= INFLATE
    return Bound(x, e, rounding)
