"""Bounded: a value with a bound on the error that any implementation in a format can have made so far.

Running error analysis (Wilkinson; Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., ch. 3). A number is
(x, e) with |computed - exact| <= e for every admissible computation, for each numerics class at once: e has a leading axis
over CLASSES. x is the double computed by the same formula; double is at least as precise as the format, so x itself is an
admissible computation and |x - exact| <= e. Hence |exact| <= |x| + e and |computed| <= |x| + 2e, which is what the
roundings below are charged for; nothing is left to an inflation factor but the rounding of e itself.

e is infinite where some computation may leave the range of the format, and stays so in all that is computed from it, through
divisions too: nothing is claimed there, and nothing else is touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from ..gradients import Array
from .interface import FORMATS, Number
from .roundings import CLASSES, INFLATE, Rounding, conversion_error, conversions, leading_power, tensor_rounding
from .scalar_bounds import ScalarBound, raw_scalar, scalar_rounding


class Bound:
    """A tensor (x, e): x of shape (rows, width) in double, e of shape (classes, rows, width), or (1, 1) where it was a scalar.

    factor: the size of a scalar that is a power of two in every computation; is_one: whether it is a 1 that no operation lies behind.
    """

    __slots__ = ("e", "factor", "is_one", "rounding", "x")

    def __init__(self, x: Array, e: Array, rounding: Rounding, factor: float | None = None, is_one: bool = False) -> None:
        self.x, self.e, self.rounding, self.factor, self.is_one = x, e, rounding, factor, is_one

    def __getitem__(self, index: Any) -> Bound:
        return Bound(self.x[index], self.e[:, index], self.rounding)

    def __setitem__(self, index: Any, value: Bound) -> None:
        self.x[index] = value.x
        self.e[:, index] = value.e

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
        return self._sum(other, self.x + other.x)

    def __sub__(self, other: Bound) -> Bound:
        return self._sum(other, self.x - other.x)

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
        if self.has_zeros() or other.has_zeros():
            added = np.where(self.is_zero() | other.is_zero(), 0.0, added)  # a sum with an exact zero is exact
        e += added
        return _settled(x, e, rounding, in_range)

    def __mul__(self, other: Bound) -> Bound:
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
        return _settled(x, e, rounding, in_range)

    def _scaled(self, x: Array, factor: float) -> Bound:
        """The product with a power of two, which rounds nothing but what it takes below the smallest normal."""
        rounding = self.rounding
        e = self.e * factor
        size = e + e
        magnitude = np.abs(x)
        size += magnitude
        in_range = holds(size <= rounding.overflow)
        if factor < 1:
            # The flush of the loosest class is its smallest normal; where there is none (scalars), so is its underflow.
            small = (magnitude - size[-1] + magnitude < rounding.underflow[-1]) & ~self.is_zero()
            if small.any():
                e = e + np.where(small, rounding.underflow, 0.0)
        return _settled(x, e, rounding, in_range)

    def __truediv__(self, other: Bound) -> Bound:
        if other.is_one:
            return self
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
        return _settled(x, e, rounding, in_range)

    def sqrt(self) -> Bound:
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
        return _settled(x, e, rounding, in_range)


def holds(everywhere: Array) -> bool:
    """Whether a condition holds of every element (this is faster than `all` by half for the small arrays of a case)."""
    return int(np.count_nonzero(everywhere)) == everywhere.size


def _settled(x: Array, e: Array, rounding: Rounding, in_range: bool) -> Bound:
    """The result (x, e) of an operation; in_range: no computed number, |x| + 2e, may be beyond the largest (nor is nan)."""
    if not in_range:
        with np.errstate(invalid="ignore"):
            e = np.where(np.abs(x) + 2 * e <= rounding.overflow, e, np.inf)  # may or may not overflow: anything goes
    e *= INFLATE
    return Bound(x, e, rounding)


class Bounded:
    """Running error analysis over all admissible computations in a format.

    scalars: the format that the `tensor` classes compute scalars in, where it is not that of the tensors.
    """

    def __init__(self, dtype: str, scalars: str | None = None) -> None:
        self.format = FORMATS[dtype]
        self.scalar_format = FORMATS[scalars or dtype]
        self.tensors = tensor_rounding(self.format)
        self.scalars = scalar_rounding(self.scalar_format)

    def scalar(self, value: float) -> Number:
        return raw_scalar(float(value), self.scalar_format, self.scalars)

    def power(self, base: ScalarBound, exponent: int) -> Number:
        return base.power(exponent)

    def meet(self, scalar: ScalarBound) -> Number:
        """A scalar converted to the format, to nearest, or left as it is; `tensor` never less than `exact`.

        A hyper-parameter: what the conversion changes is known. A result, in `exact`: it is known to lie within 2e of x, and
        rounding is monotonic, so that the ends decide. In `tensor`, or where the format is double: one that was computed in
        the format stays as it is, and for any other the conversion takes the place of the last rounding, which is charged.
        """
        x, e = scalar.x, scalar.e
        if scalar.raw is not None:
            error = conversion_error(x, self.format)
            flushed = max(error, abs(x)) if abs(x) < self.format.tiny else error
            e = tuple(map(max, e, (error, error, error, flushed)))
        elif self.format.name != "float64" and e[0] < np.inf:
            known = e[0] + max(abs(end - x) for edge in (x - 2 * e[0], x + 2 * e[0]) for end in conversions(edge, self.format))
            e = (known, known, *e[2:])
        errors = np.array(tuple(accumulate(e, max))).reshape(-1, 1, 1)
        met = _settled(np.full((1, 1), x), errors, self.tensors, abs(x) + 2 * max(e) <= self.format.max)
        met.factor, met.is_one = scalar.factor(), scalar.raw == 1
        return met

    def load(self, array: Array) -> Number:
        x = array.astype(np.float64)
        e = np.zeros((len(CLASSES), *x.shape))
        size = np.abs(x)
        small = (size < self.format.tiny) & (x != 0)
        if np.count_nonzero(small):
            e[-1][small] = size[small]
        if not np.isfinite(x).all():
            e[:, ~np.isfinite(x)] = np.inf
        return Bound(x, e, self.tensors)

    def store(self, tensor: Number) -> Number:
        return tensor

    def sqrt(self, x: Number) -> Number:
        return x.sqrt()

    def maximum(self, a: Number, b: Number) -> Number:
        return Bound(np.maximum(a.x, b.x), np.maximum(a.e, b.e), a.rounding)

    def lerp(self, old: Number, new: Number, weight: Number) -> Number:
        """Three roundings; the error that old brings is scaled by 1 - weight, not by 1 + weight as the operations alone suggest.

        old'(1-w') + new'w' - (old(1-w) + new w) = (old'-old)(1-w') + (new'-new)w' + (new-old)(w'-w).
        Charging both occurrences of old apart would let the bound of m grow by 1.1 at every step.
        """
        rounding = self.tensors
        change = new.x - old.x
        x = old.x + change * weight.x
        apart = old.e + new.e
        apart += np.abs(change)  # |new - old| at most
        weight_error = 2 * weight.e
        weight_size = np.abs(weight.x) + weight_error
        e = (np.abs(1 - weight.x) + weight_error) * old.e
        e += weight_size * new.e
        e += apart * weight.e
        apart += old.e + new.e
        subtracted = rounding.relative * leading_power(apart.copy())
        subtracted += rounding.flush
        multiplied = (apart + subtracted) * weight_size
        in_range = holds(multiplied <= rounding.overflow) and holds(apart <= rounding.overflow)
        multiplied = rounding.relative * leading_power(multiplied)
        multiplied += rounding.underflow
        old_zero = old.is_zero() if old.has_zeros() else None
        new_zero = new.is_zero() if new.has_zeros() else None
        if old_zero is not None or new_zero is not None:
            either = False if old_zero is None else old_zero
            either = either if new_zero is None else either | new_zero
            subtracted = np.where(either, 0.0, subtracted)  # new - 0 and 0 - old are exact
            multiplied = multiplied if old_zero is None or new_zero is None else np.where(old_zero & new_zero, 0.0, multiplied)
        subtracted *= weight_size
        e += subtracted
        e += multiplied
        size = e + e
        size += np.abs(x)
        in_range = in_range and holds(size <= rounding.overflow)
        added = rounding.relative * leading_power(size)
        added += rounding.flush
        e += added if old_zero is None else np.where(old_zero, 0.0, added)
        if not in_range:
            e = np.where(apart * np.maximum(weight_size, 1.0) <= rounding.overflow, e, np.inf)
        return _settled(x, e, rounding, in_range)

    def fused_rest(self, new: Number, beta: Number, one_minus_beta: Number) -> Number:
        """new - beta*new with one rounding. Where beta is the tensor's, its error is that of 1 - beta; nothing else differs."""
        return new * one_minus_beta

    def sum_rows(self, values: Number, slot: Array, n: int) -> Number:
        """Any order of summation of the occurrences of a row: one addition less than there are occurrences.

        A partial sum is at most the sum of all |g|, grown by the roundings before it; the last one is the result.
        """
        width, rounding = values.x.shape[1], self.tensors
        counts = np.bincount(slot, minlength=n)
        if counts.max(initial=0) <= 1:
            x, e = np.zeros((n, width)), np.zeros((len(CLASSES), n, width))
            x[slot], e[:, slot] = values.x, values.e
            return Bound(x, e, rounding)
        x, magnitude, e = np.zeros((n, width)), np.zeros((n, width)), np.zeros((len(CLASSES), n, width))
        np.add.at(x, slot, values.x)  # one by one, in order: the same bits with every version of NumPy
        np.add.at(magnitude, slot, np.abs(values.x))
        for k in range(len(CLASSES)):
            np.add.at(e[k], slot, values.e[k])
        additions = np.maximum(counts - 1, 0)[:, None]
        # (1 + 2u)^k by multiplication after multiplication: the same bits everywhere, which a power is not
        growth = np.multiply.accumulate(np.full(int(counts.max()), float(1 + rounding.relative.max())))[np.maximum(counts - 1, 0)][:, None]
        partial = (magnitude + 2 * e) * growth
        overflow = ~(partial <= rounding.overflow)  # in some order a partial sum may overflow although the whole does not
        earlier = np.maximum(additions - 1, 0) * (rounding.relative * leading_power(partial) + rounding.flush)
        e = e + earlier
        total = np.abs(x) + 2 * e
        e = e + np.minimum(additions, 1) * (rounding.relative * leading_power(total) + rounding.flush)
        return _settled(x, np.where(overflow, np.inf, e), rounding, not overflow.any())

    def row_mean(self, values: Number) -> Number:
        rows, width = values.x.shape
        columns = Bound(values.x.reshape(-1, 1), values.e.reshape(len(CLASSES), -1, 1), self.tensors)
        total = self.sum_rows(columns, np.repeat(np.arange(rows), width), rows)
        return total / self.meet(self.scalar(float(width)))

    def join(self, alternatives: Sequence[Number]) -> Number:
        """The value of the first alternative, with the largest bound: all are the same real number."""
        first = alternatives[0]
        if len(alternatives) == 1:
            return first
        e = np.maximum(first.e, alternatives[1].e)
        for other in alternatives[2:]:
            np.maximum(e, other.e, out=e)
        return Bound(first.x, e, first.rounding)
