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

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from ..gradients import Array
from ._bound import Bound, holds, settled
from ._interface import FORMATS, Number
from .compensation import Pair
from .roundings import ACCELERATOR_CLASS, CLASSES, Rounding, conversion_error, conversions, leading_power, tensor_rounding
from .scalar_bounds import ScalarBound, raw_scalar, scalar_rounding

FLUSHING = CLASSES.index(ACCELERATOR_CLASS)
"""The one class in which subnormals may be flushed."""


@dataclass(frozen=True, eq=False)
class _PairCharges:
    """The rounding of c, the largest |s - p| of sums up to a size, and where that size is within the range."""

    low: Rounding
    rest: Array
    in_range: Array

    def rounded_low(self, size: Array) -> Array:
        """What a rounding to the format of c adds, at most, to a number of this size."""
        return self.low.relative * leading_power(size.copy()) + self.low.underflow


class Bounded:
    """Running error analysis over all admissible computations in a format.

    scalars: the format that the `tensor` classes compute scalars in, where it is not that of the tensors;
    classes: those that the leading axis of e has, in the order of CLASSES. A class alone has the bound that it has among the others.
    """

    def __init__(self, dtype: str, scalars: str | None = None, classes: Sequence[str] = CLASSES) -> None:
        self.format = FORMATS[dtype]
        self.scalar_format = FORMATS[scalars or dtype]
        self.picked = [CLASSES.index(name) for name in classes]
        self.tensors = tensor_rounding(self.format).of(self.picked)
        self.scalars = scalar_rounding(self.scalar_format)

    def scalar(self, value: float) -> Number:
        return raw_scalar(float(value), self.scalar_format, self.scalars)

    def power(self, base: ScalarBound, exponent: int, factor: ScalarBound | None = None) -> Number:
        return base.power(exponent) if factor is None else base.real_power(exponent, factor)

    def kept(self, scalar: ScalarBound, dtype: str) -> Number:
        return scalar.kept(FORMATS[dtype])

    def from_zero_to(self, scalar: ScalarBound) -> Number:
        return scalar.from_zero()

    def choose(self, scalar: ScalarBound, threshold: float, above: Callable[[], Number], below: Callable[[], Number]) -> Number:
        """Where the error of a class reaches over the threshold, both choices are admissible in it."""
        undecided = [abs(scalar.x - threshold) <= 2 * scalar.e[k] for k in self.picked]
        is_above = scalar.x > threshold
        chosen = above() if is_above else below()
        if not any(undecided):
            return chosen
        other = below() if is_above else above()
        e = np.where(np.reshape(undecided, (-1, 1, 1)), np.maximum(chosen.e, np.abs(other.x - chosen.x) + other.e), chosen.e)
        return Bound(chosen.x, e, chosen.rounding)

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
        errors = np.array(tuple(accumulate(e, max)))[self.picked].reshape(-1, 1, 1)
        met = settled(np.full((1, 1), x), errors, self.tensors, abs(x) + 2 * float(errors.max()) <= self.format.max)
        met.factor, met.is_one, met.is_scalar = scalar.factor(), scalar.raw == 1, True
        return met

    def load(self, array: Array) -> Number:
        x = array.astype(np.float64)
        e = np.zeros((len(self.picked), *x.shape))
        size = np.abs(x)
        small = (size < self.format.tiny) & (x != 0)
        if self.picked[-1] == FLUSHING and np.count_nonzero(small):
            e[-1][small] = size[small]
        if not np.isfinite(x).all():
            e[:, ~np.isfinite(x)] = np.inf
        return Bound(x, e, self.tensors)

    def store(self, tensor: Number, dtype: str | None = None) -> Number:
        """In a narrower dtype the conversion is one more rounding: to nearest in `exact-ieee`, else faithful."""
        if dtype is None:
            return tensor
        rounding = tensor_rounding(FORMATS[dtype]).of(self.picked)
        size = np.abs(tensor.x) + 2 * tensor.e
        in_range = size <= rounding.overflow
        e = tensor.e + np.where(tensor.x == 0, tensor.e != 0, True) * (rounding.relative * leading_power(size.copy()) + rounding.underflow)
        return settled(tensor.x, np.where(in_range, e, np.inf), tensor.rounding, bool(in_range.all()))

    def pair(self, tensor: Number, kept: Pair) -> Number:
        """A sum as p and c hold it; `compensation` derives what is charged."""
        size = np.abs(tensor.x) + 2 * tensor.e
        charges = self._pair(size, kept)
        e = tensor.e + charges.rounded_low(charges.rest) + self.tensors.relative * leading_power(size + charges.rest)
        return settled(tensor.x, np.where(charges.in_range, e, np.inf), tensor.rounding, bool(charges.in_range.all()))

    def taken_from_pair(self, tensor: Number, change: Number, kept: Pair) -> Number:
        """p + c less the change, computed in their formats; `compensation` derives what is charged."""
        taken = np.abs(change.x) + 2 * change.e
        charges = self._pair(np.abs(tensor.x) + 2 * tensor.e + taken, kept)
        low = charges.rest + taken
        first = charges.rounded_low(low) + self.tensors.relative * leading_power(low.copy())
        is_smaller = (low + first <= np.abs(tensor.x) - 2 * tensor.e - charges.rest) & (kept.high == kept.low)
        back = np.where(is_smaller, 0.0, charges.rounded_low(low + first + charges.rest))
        last = np.where(is_smaller & self._to_nearest(), 0.0, charges.rounded_low(charges.rest + back))
        e = tensor.e + change.e + first + back + last
        return settled(tensor.x - change.x, np.where(charges.in_range, e, np.inf), tensor.rounding, bool(charges.in_range.all()))

    def _to_nearest(self) -> Array:
        """Which classes round to nearest."""
        return np.array([CLASSES[k] == CLASSES[0] for k in self.picked]).reshape(-1, 1, 1)

    def _pair(self, size: Array, kept: Pair) -> _PairCharges:
        high, low = (tensor_rounding(FORMATS[dtype]).of(self.picked) for dtype in (kept.high, kept.low))
        rest = high.relative * leading_power(size.copy()) + high.underflow
        return _PairCharges(low, rest, size <= min(high.overflow, low.overflow))

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
        return settled(x, e, rounding, in_range)

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
            x, e = np.zeros((n, width)), np.zeros((len(self.picked), n, width))
            x[slot], e[:, slot] = values.x, values.e
            return Bound(x, e, rounding)
        x, magnitude, e = np.zeros((n, width)), np.zeros((n, width)), np.zeros((len(self.picked), n, width))
        np.add.at(x, slot, values.x)  # one by one, in order: the same bits with every version of NumPy
        np.add.at(magnitude, slot, np.abs(values.x))
        for k in range(len(self.picked)):
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
        return settled(x, np.where(overflow, np.inf, e), rounding, not overflow.any())

    def row_mean(self, values: Number) -> Number:
        rows, width = values.x.shape
        columns = Bound(values.x.reshape(-1, 1), values.e.reshape(len(self.picked), -1, 1), self.tensors)
        total = self.sum_rows(columns, np.repeat(np.arange(rows), width), rows)
        return total / self.meet(self.scalar(float(width)))

    def join(self, alternatives: Sequence[Number]) -> Number:
        """The value of the first alternative, with the largest bound: all are the same real number."""
        first, *others = {id(number): number for number in alternatives}.values()  # forms that make the same operations are one number
        if not others:
            return first
        e = np.maximum(first.e, others[0].e)
        for other in others[1:]:
            np.maximum(e, other.e, out=e)
        return Bound(first.x.copy(), e, first.rounding)  # a change of rows of it must not change what is remembered of the first
