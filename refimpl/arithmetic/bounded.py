"""Bounded: a value with a bound on the error that any implementation in a format can have made so far.

Running error analysis (Wilkinson; Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., ch. 3). A number is
(x, e) with |computed - exact| <= e for every admissible computation, for each numerics class at once: e has a leading axis
over CLASSES. x is the double computed by the same formula; double is at least as precise as the format, so x itself is an
admissible computation and |x - exact| <= e. Hence |exact| <= |x| + e and |computed| <= |x| + 2e, which is what the
roundings below are charged for; nothing is left to an inflation factor but the rounding of e itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..gradients import Array
from .interface import FORMATS, Format, Number, binary_power

CLASSES = ("exact-ieee", "exact-faithful", "tensor-faithful", "tensor-approx")
"""The numerics classes, tightest first: how scalars are rounded, and how operations are."""

_INFLATE = 1 + 1e-12  # covers double's rounding of e: a step makes fewer than 1000 operations on it, each off by 2**-53


@dataclass(frozen=True)
class Rounding:
    """What one operation may add, per class: relative (add, multiply), relative (divide, root), underflow, flush of a sum."""

    relative: Array
    relative_div: Array
    underflow: Array
    flush: Array
    overflow: float


def tensor_rounding(format: Format) -> Rounding:
    """Roundings of tensor operations: correct (u), faithful (1 ulp = 2u), approximate (divide and root 2 ulp, flush to zero)."""
    u = format.u
    return Rounding(
        relative=np.array([u, 2 * u, 2 * u, 2 * u]),
        relative_div=np.array([u, 2 * u, 2 * u, 4 * u]),
        underflow=np.array([format.smallest] * 3 + [format.tiny]),
        flush=np.array([0.0, 0.0, 0.0, format.tiny]),
        overflow=format.max,
    )


def scalar_rounding(format: Format) -> Rounding:
    """Roundings of scalar operations: those of double for `exact`, those of the format for `tensor`."""
    double, u = FORMATS["float64"], format.u
    relative = np.array([2 * double.u, 2 * double.u, 2 * u, 4 * u])
    underflow = np.array([double.smallest, double.smallest, format.smallest, format.tiny])
    return Rounding(relative, relative, underflow, np.zeros(4), double.max)


class Bound:
    """A number (x, e): x of shape S in double, e of shape (classes, *S)."""

    __slots__ = ("e", "rounding", "x")

    def __init__(self, x: Array, e: Array, rounding: Rounding) -> None:
        self.x, self.e, self.rounding = x, e, rounding

    def __getitem__(self, index: Any) -> Bound:
        return Bound(self.x[index], self.e[:, index], self.rounding)

    def __setitem__(self, index: Any, value: Bound) -> None:
        # An element that has left the range once has no bound again: a later occurrence of the row may overwrite the infinite v
        # that has already moved p, and leave no other trace of it.
        kept = np.isfinite(self.x[index]) & np.isfinite(self.e[:, index]).all(axis=0)
        self.e[:, index] = np.where(kept, value.e, np.inf)
        self.x[index] = value.x

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.x.shape)

    def __len__(self) -> int:
        return len(self.x)

    def _per_class(self, value: Array) -> Array:
        return value.reshape(-1, *(1,) * (self.e.ndim - 1))

    def _is_zero(self) -> Array:
        zero: Array = (self.x == 0) & (self.e == 0)
        return zero

    def __neg__(self) -> Bound:
        return Bound(-self.x, self.e, self.rounding)

    def __add__(self, other: Bound) -> Bound:
        return self._sum(other, self.x + other.x)

    def __sub__(self, other: Bound) -> Bound:
        return self._sum(other, self.x - other.x)

    def _sum(self, other: Bound, x: Array) -> Bound:
        e = self.e + other.e
        # A sum with an exact zero is exact, and a sum never underflows: floats of one format are multiples of its smallest.
        exact = self._is_zero() | other._is_zero()
        small = np.abs(x) - 2 * e < self._per_class(self.rounding.flush)  # some computed sum may be subnormal
        added = np.where(exact, 0.0, self._per_class(self.rounding.relative) * (np.abs(x) + 2 * e))
        # What is flushed is at most the smallest normal, and then off by the exact sum, which is at most |x| + e.
        flushed = np.where(small, np.minimum(self._per_class(self.rounding.flush), np.abs(x)), 0.0)
        return self._rounded(x, e + added + flushed)

    def __mul__(self, other: Bound) -> Bound:
        x = self.x * other.x
        # |A'B' - AB| <= |A'||B' - B| + |B||A' - A|, with |A'| <= |a| + 2 e_a and |B| <= |b| + e_b.
        e = np.abs(self.x) * other.e + np.abs(other.x) * self.e + 3 * self.e * other.e
        added = self._per_class(self.rounding.relative) * (np.abs(x) + 2 * e) + self._per_class(self.rounding.underflow)
        # Zero times anything is exactly zero, but for what may be infinite or nan.
        known = (self._is_zero() & np.isfinite(other.e)) | (other._is_zero() & np.isfinite(self.e))
        return self._rounded(x, np.where(known, 0.0, e + added))

    def __truediv__(self, other: Bound) -> Bound:
        x = self.x / other.x
        least = np.abs(other.x) - 2 * other.e  # no divisor, exact or computed, is smaller
        divisor = np.where(least > 0, least, 1.0)
        # |A'/B' - A/B| <= (|A' - A| + |A/B||B' - B|) / |B'|
        quotient = (np.abs(self.x) + self.e) / (divisor + np.where(least > 0, other.e, 0.0))
        e = np.where(least > 0, (self.e + quotient * other.e) / divisor, np.inf)
        added = self._per_class(self.rounding.relative_div) * (np.abs(x) + 2 * e) + self._per_class(self.rounding.underflow)
        # 0/b and a/inf are exact zeros
        known = (self._is_zero() & (least > 0)) | (np.isinf(other.x) & np.isfinite(self.x) & np.isfinite(self.e))
        return self._rounded(x, np.where(known, 0.0, e + added))

    def sqrt(self) -> Bound:
        x = np.sqrt(self.x)
        # |sqrt(A') - sqrt(A)| = |A' - A| / (sqrt(A') + sqrt(A)), with A >= x - e and A' >= x - 2e; and never above sqrt(|A' - A|).
        roots = np.sqrt(np.maximum(self.x - self.e, 0)) + np.sqrt(np.maximum(self.x - 2 * self.e, 0))
        e = np.minimum(np.sqrt(self.e), self.e / np.where(roots > 0, roots, 1.0) + np.where(roots > 0, 0.0, np.inf))
        added = self._per_class(self.rounding.relative_div) * (x + 2 * e)
        return self._rounded(x, e + added)

    def _rounded(self, x: Array, e: Array) -> Bound:
        top = self.rounding.overflow
        gone = np.abs(x) > top
        if gone.any():
            x = np.where(gone, np.copysign(np.inf, x), x)
        e = np.where(np.isnan(e) | (np.abs(x) + 2 * e > top), np.inf, e * _INFLATE)  # may or may not overflow: anything goes
        finite = np.isfinite(x)
        return Bound(x, e if finite.all() else np.where(finite, e, 0.0), self.rounding)


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
        # Each hyper-parameter is a double; `tensor` rounds it to the format first.
        rounding = np.array([0.0, 0.0, self.scalar_format.u, self.scalar_format.u])
        least = np.array([0.0, 0.0, self.scalar_format.smallest, self.scalar_format.tiny])
        x = np.float64(value)
        unrounded = x == 0 or (x == 1)
        e = np.zeros(4) if unrounded else np.where(abs(x) < self.scalar_format.tiny, least, 0.0) + rounding * abs(x)
        return Bound(np.asarray(x), e, self.scalars)

    def power(self, base: Number, exponent: int) -> Number:
        """b^t by pow or by a running product: relative error of t (that of b, and a rounding for each factor).

        A product that underflows is off by `underflow` at every factor, and each factor shrinks by b what there is.
        """
        if not exponent or (base.x == 0 and not base.e.any()):
            return Bound(np.asarray(float(not exponent)), np.zeros(4), self.scalars)
        x = binary_power(float(base.x), exponent)
        with np.errstate(all="ignore"):
            relative = exponent * (base.e / np.abs(base.x) + self.scalars.relative)
            lasting = 1 / np.maximum(1 - np.abs(base.x) - 2 * base.e, 1 / exponent)  # factors that an error outlasts
        growth = np.where(relative < 0.5, relative / (1 - np.minimum(relative, 0.5)), np.inf)
        e = np.minimum(np.abs(x) * growth + lasting * self.scalars.underflow, 1.0)
        return Bound(np.asarray(x), np.where(np.isnan(e), 1.0, e) * _INFLATE, self.scalars)

    def meet(self, scalar: Number) -> Number:
        """One rounding where the scalar meets the tensor: half an ulp, or a whole one; `tensor` never less than `exact`."""
        x, e = np.asarray(scalar.x).reshape(1, 1), scalar.e
        if scalar.x != 0 or e.any():
            least = np.where(abs(scalar.x) < self.format.tiny, self.tensors.underflow, 0.0)
            once = e + self.format.u * (np.abs(scalar.x) + 2 * e) + least
            e = np.maximum.accumulate(once * np.array([1.0, 2.0, 1.0, 1.0]))
        return Bound(x, e.reshape(4, 1, 1), self.tensors)._rounded(x, e.reshape(4, 1, 1))

    def load(self, array: Array) -> Number:
        x = array.astype(np.float64)
        small = (np.abs(x) < self.format.tiny) & (x != 0)
        e = np.where(small, self.tensors.flush.reshape(-1, 1, 1), 0.0)
        return Bound(x, np.array(np.broadcast_to(e, (4, *x.shape))), self.tensors)

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
        change = (new - old) * weight
        result = old + change
        apart = np.abs(new.x - old.x) + new.e + old.e
        kept = np.abs(1 - weight.x) + 2 * weight.e
        inherited = kept * old.e + (np.abs(weight.x) + 2 * weight.e) * new.e + apart * weight.e
        relative = self.tensors.relative.reshape(-1, 1, 1)
        # |computed| <= |exact| + error; the errors of both differences are below those that the operations carry.
        subtracted = relative * (np.abs(new.x - old.x) + 3 * (new.e + old.e)) + self.tensors.flush.reshape(-1, 1, 1)
        multiplied = relative * (np.abs(change.x) + 2 * change.e) + self.tensors.underflow.reshape(-1, 1, 1)
        rounded = (np.abs(weight.x) + 2 * weight.e) * subtracted + multiplied
        added = relative * (np.abs(result.x) + 2 * (inherited + rounded)) + self.tensors.flush.reshape(-1, 1, 1)
        exact = (old.x == 0) & (new.x == 0) & (old.e == 0) & (new.e == 0)
        e = np.where(exact, 0.0, np.minimum(inherited + rounded + added, result.e))
        return result._rounded(result.x, np.where(np.isfinite(result.x), e, 0.0))

    def sum_rows(self, values: Number, slot: Array, n: int) -> Number:
        """Any order of summation: every partial sum is at most the sum of |g|, and n occurrences take n - 1 additions."""
        width = values.x.shape[1]
        x, magnitude, e = np.zeros((n, width)), np.zeros((n, width)), np.zeros((4, n, width))
        np.add.at(x, slot, values.x)  # one by one, in order: the same bits with every version of NumPy
        np.add.at(magnitude, slot, np.abs(values.x))
        for k in range(4):
            np.add.at(e[k], slot, values.e[k])
        additions = np.maximum(np.bincount(slot, minlength=n) - 1, 0)[:, None]
        per_class = self.tensors.relative.reshape(-1, 1, 1)
        e = e + additions * (per_class * (magnitude + 2 * e) + self.tensors.flush.reshape(-1, 1, 1))
        # In some order a partial sum may overflow although the whole does not.
        e = np.where(magnitude + 2 * e > self.tensors.overflow, np.inf, e)
        return Bound(x, e, self.tensors)._rounded(x, e)

    def row_mean(self, values: Number) -> Number:
        rows, width = values.x.shape
        columns = Bound(values.x.reshape(-1, 1), values.e.reshape(4, -1, 1), self.tensors)
        total = self.sum_rows(columns, np.repeat(np.arange(rows), width), rows)
        return total / self.meet(self.scalar(float(width)))

    def join(self, alternatives: Sequence[Number]) -> Number:
        """The value of the first alternative that is finite, with the largest bound; infinite where only some are finite.

        Also infinite where two values are farther apart than their bounds allow: an intermediate result of one has overflowed
        and left no trace, as in d / (v / correction2).
        """
        x, e = alternatives[0].x, alternatives[0].e
        for other in alternatives[1:]:
            here, there = np.isfinite(x), np.isfinite(other.x)
            together = np.abs(x - other.x) <= e + other.e
            e = np.where((here & there & together) | (~here & ~there), np.maximum(e, other.e), np.inf)
            x = np.where(here | (~there & ~np.isnan(x)), x, other.x)
        return Bound(x, e, alternatives[0].rounding)
