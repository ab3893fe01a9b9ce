"""Reach: everything that some admissible computation may hold, beyond the range of the format too.

Where the running error analysis ends, because an element may overflow, formulations part ways: an increment turns an infinite
square into nan, a product keeps it, an implementation with double (or extended precision) inside does not overflow at all.
A number here is the set of what all of them may hold: an interval of finite numbers, of any size, and whether +inf, -inf and
nan are among them. Every operation gives the results of all combinations, rounded in every admissible way or not at all, so
that nothing that an admissible computation holds is ever outside. The roundings are those of the loosest class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np

from ..gradients import Array
from ._bounded import Bounded
from ._interface import Number
from ._scaled import Doubles, Scaled, larger, smaller, where
from .roundings import INFLATE
from .scalar_bounds import ScalarBound

Ends = Any  # Scaled or Doubles


@dataclass(eq=False)
class Set:
    """Finite numbers from lo to hi where `finite` holds, and each of the others where its flag does; shape (rows, width)."""

    lo: Ends
    hi: Ends
    finite: Array
    plus: Array
    minus: Array
    nan: Array
    system: Reach

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.finite.shape)

    def __len__(self) -> int:
        return len(self.finite)

    def _with(self, lo: Ends, hi: Ends, flags: Iterable[Array]) -> Set:
        """Another set of the same system; flags: finite, plus, minus and nan."""
        finite, plus, minus, nan = flags
        return Set(lo, hi, finite, plus, minus, nan, self.system)

    def flags(self) -> tuple[Array, Array, Array, Array]:
        return self.finite, self.plus, self.minus, self.nan

    def __getitem__(self, index: Any) -> Set:
        return self._with(self.lo[index], self.hi[index], (flag[index] for flag in self.flags()))

    def __setitem__(self, index: Any, value: Set) -> None:
        self.lo[index], self.hi[index] = value.lo, value.hi
        for flag, new in zip(self.flags(), value.flags()):
            flag[index] = new

    def copy(self) -> Set:
        lo, hi = (end.each(np.copy) for end in (self.lo, self.hi))
        return self._with(lo, hi, (flag.copy() for flag in self.flags()))

    def as_column(self) -> Set:
        """Its elements, row by row, each in a row of its own."""
        lo, hi = (end.each(lambda part: part.reshape(-1, 1)) for end in (self.lo, self.hi))
        return self._with(lo, hi, (flag.reshape(-1, 1) for flag in self.flags()))

    def only(self, condition: Array) -> Set:
        """The set where a condition holds, and nothing elsewhere."""
        return self._with(self.lo, self.hi, (flag & condition for flag in self.flags()))

    def finite_part(self) -> Set:
        none = np.zeros_like(self.nan)
        return self._with(self.lo, self.hi, (self.finite, none, none, none))

    def united(self, other: Set) -> Set:
        both = self.finite & other.finite
        lo = where(both, smaller(self.lo, other.lo), where(self.finite, self.lo, other.lo))
        hi = where(both, larger(self.hi, other.hi), where(self.finite, self.hi, other.hi))
        return self._with(lo, hi, (mine | theirs for mine, theirs in zip(self.flags(), other.flags())))

    def parts(self) -> tuple[Array, ...]:
        """lo and hi in double, then the flags finite, plus, minus and nan."""
        return (self.lo.double(), self.hi.double(), *self.flags())

    def has_zero(self) -> Array:
        return np.asarray(self.finite & ~(self.lo.m > 0) & ~(self.hi.m < 0))

    def may_be_positive(self) -> Array:
        return np.asarray(self.plus | (self.finite & (self.hi.m > 0)))

    def may_be_negative(self) -> Array:
        return np.asarray(self.minus | (self.finite & (self.lo.m < 0)))

    def __neg__(self) -> Set:
        return Set(-self.hi, -self.lo, self.finite, self.minus, self.plus, self.nan, self.system)

    def __add__(self, other: Set) -> Set:
        nan = self.nan | other.nan | (self.plus & other.minus) | (self.minus & other.plus)
        plus = (self.plus & (other.finite | other.plus)) | (other.plus & self.finite)
        minus = (self.minus & (other.finite | other.minus)) | (other.minus & self.finite)
        exact = self.is_zero() | other.is_zero()
        finite = self.finite & other.finite
        return self.system.rounded(self.lo + other.lo, self.hi + other.hi, finite, plus, minus, nan, exact)

    def is_zero(self) -> Array:
        return np.asarray(self.finite & (self.lo.m == 0) & (self.hi.m == 0))

    def __sub__(self, other: Set) -> Set:
        return self + -other

    def __mul__(self, other: Set) -> Set:
        infinite = self.plus | self.minus, other.plus | other.minus
        nan = self.nan | other.nan | (infinite[0] & other.has_zero()) | (infinite[1] & self.has_zero())
        signs = [(operand.may_be_positive(), operand.may_be_negative()) for operand in (self, other)]
        plus = _either(self.plus & signs[1][0], self.minus & signs[1][1], other.plus & signs[0][0], other.minus & signs[0][1])
        minus = _either(self.plus & signs[1][1], self.minus & signs[1][0], other.plus & signs[0][1], other.minus & signs[0][0])
        if self is other:  # a square is not negative
            ends = [self.lo * self.lo, self.hi * self.hi]
            ends.append(where(self.has_zero(), self.system.numbers.of(np.zeros(self.shape)), ends[0]))
            minus = np.zeros_like(minus)
        else:
            ends = [a * b for a in (self.lo, self.hi) for b in (other.lo, other.hi)]
        finite = self.finite & other.finite
        exact = self.is_zero() | other.is_zero()
        return self.system.rounded(reduce(smaller, ends), reduce(larger, ends), finite, plus, minus, nan, exact)

    def __truediv__(self, other: Set) -> Set:
        by_zero = other.has_zero()
        infinite = self.plus | self.minus, other.plus | other.minus
        nan = self.nan | other.nan | (infinite[0] & infinite[1]) | (by_zero & self.has_zero())
        # The zero of a divisor has the sign of what underflowed to it; one that is never negative has no negative zero.
        positive = other.finite & ((other.hi.m > 0) | by_zero)
        negative = other.finite & (other.lo.m < 0)
        up = _either(self.may_be_positive() & positive, self.may_be_negative() & negative)
        down = _either(self.may_be_negative() & positive, self.may_be_positive() & negative)
        plus = _either(self.plus & positive, self.minus & negative, by_zero & up)
        minus = _either(self.minus & positive, self.plus & negative, by_zero & down)
        # An end that is zero gives no finite quotient; those of the other end are the smallest in magnitude.
        ones = self.system.numbers.of(np.ones(other.shape))
        nonzero = [where(end.m == 0, opposite, end) for end, opposite in ((other.lo, other.hi), (other.hi, other.lo))]
        safe = [where(end.m == 0, ones, end) for end in nonzero]
        ends = [a / b for a in (self.lo, self.hi) for b in safe]
        lo, hi = reduce(smaller, ends), reduce(larger, ends)
        unbounded = self.system.numbers.of(np.full(np.broadcast_shapes(self.shape, other.shape), np.inf))
        lo, hi = where(by_zero & down, -unbounded, lo), where(by_zero & up, unbounded, hi)
        # a finite number divided by infinity is zero
        vanishes = self.finite & infinite[1]
        zero = self.system.numbers.of(np.zeros(1))
        finite = self.finite & other.finite
        lo, hi = where(vanishes, where(finite & (lo < zero), lo, zero), lo), where(vanishes, where(finite & (zero < hi), hi, zero), hi)
        return self.system.rounded(lo, hi, finite | vanishes, plus, minus, nan, self.is_zero() & ~by_zero, divides=True)

    def sqrt(self) -> Set:
        """No admissible computation takes the root of a negative number; where the interval reaches below zero it is too wide."""
        zero = self.system.numbers.of(np.zeros(1))
        lo, hi = larger(self.lo, zero).sqrt(), larger(self.hi, zero).sqrt()
        none = np.zeros_like(self.minus)
        return self.system.rounded(lo, hi, self.finite, self.plus, none, self.nan | self.minus, self.is_zero(), divides=True)


def _either(*conditions: Array) -> Array:
    return np.asarray(np.logical_or.reduce(np.broadcast_arrays(*conditions)))


class Reach:
    """Sets of what the admissible computations in a format may hold; scalars are bounded as `Bounded` bounds them."""

    def __init__(self, dtype: str) -> None:
        self._bounded = Bounded(dtype)
        self.format = self._bounded.format
        tensors = self._bounded.tensors
        self.relative, self.relative_div = (float(bound.reshape(-1)[-1]) * INFLATE for bound in (tensors.relative, tensors.relative_div))
        self.numbers = _numbers(dtype)
        self.smallest = self.numbers.of(np.full(1, float(tensors.underflow.reshape(-1)[-1])))
        self.top = self.numbers.of(np.full(1, self.format.max))
        self.beyond: Ends = self.top * self.numbers.of(
            np.full(1, 1 + self.relative)
        )  # what is nearer to the largest number may round to it

    def rounded(
        self, lo: Ends, hi: Ends, finite: Array, plus: Array, minus: Array, nan: Array, exact: Array, *, divides: bool = False
    ) -> Set:
        """The results [lo, hi] of an operation rounded in every admissible way: a rounding keeps the sign, and may overflow."""
        relative = self.numbers.of(np.full(1, self.relative_div if divides else self.relative))
        one_ulp = self.smallest
        zero = self.numbers.of(np.zeros(1))
        wider_lo, wider_hi = lo - abs(lo) * relative - one_ulp, hi + abs(hi) * relative + one_ulp
        wider_lo = where((lo.m >= 0) & (wider_lo.m < 0), zero, wider_lo)
        wider_hi = where((hi.m <= 0) & (wider_hi.m > 0), zero, wider_hi)
        lo, hi = where(exact, lo, wider_lo), where(exact, hi, wider_hi)
        shape = np.broadcast_shapes(lo.m.shape, finite.shape, nan.shape)
        plus, minus = plus | (finite & (self.top < hi)), minus | (finite & (lo < -self.top))
        finite, plus, minus, nan = (np.array(np.broadcast_to(flag, shape)) for flag in (finite, plus, minus, nan))
        lo, hi = (end.each(lambda part: np.array(np.broadcast_to(part, shape))) for end in (lo, hi))
        return Set(lo, hi, finite, plus, minus, nan, self)

    def scalar(self, value: float) -> Number:
        return self._bounded.scalar(value)

    def power(self, base: ScalarBound, exponent: int, factor: ScalarBound | None = None) -> Number:
        return self._bounded.power(base, exponent, factor)

    def kept(self, scalar: ScalarBound, dtype: str) -> Number:
        return self._bounded.kept(scalar, dtype)

    def from_zero_to(self, scalar: ScalarBound) -> Number:
        return self._bounded.from_zero_to(scalar)

    def choose(self, scalar: ScalarBound, threshold: float, above: Callable[[], Set], below: Callable[[], Set]) -> Number:
        if abs(scalar.x - threshold) <= 2 * max(scalar.e):
            return above().united(below())
        return above() if scalar.x > threshold else below()

    def meet(self, scalar: ScalarBound) -> Number:
        """Every value of every class; nothing is known of one that may be infinite."""
        met = self._bounded.meet(scalar)
        x, reach = met.x, 2 * met.e[-1]
        known = np.isfinite(reach) & np.isfinite(x)
        lo, hi = self.numbers.of(np.where(known, x - reach, -np.inf)), self.numbers.of(np.where(known, x + reach, np.inf))
        return Set(lo, hi, np.ones_like(known), ~known, ~known, ~known, self)

    def load(self, array: Array) -> Number:
        x = array.astype(np.float64)
        finite = np.isfinite(x)
        small = (np.abs(x) < self.format.tiny) & (x != 0)  # may be flushed
        value = np.where(finite, x, 0.0)
        lo, hi = (self.numbers.of(np.where(small, end(value, 0.0), value)) for end in (np.minimum, np.maximum))
        return Set(lo, hi, finite, np.isposinf(x), np.isneginf(x), np.isnan(x), self)

    def store(self, tensor: Set, dtype: str | None = None) -> Number:
        """In the format: what is beyond its largest number becomes infinite, and is flagged so where it was computed."""
        if dtype is not None:
            narrow = Reach(dtype)
            narrow.numbers = self.numbers
            converted = narrow.rounded(tensor.lo, tensor.hi, *tensor.flags(), tensor.is_zero())
            return replace(narrow.store(converted), system=self)
        top = self.top
        finite = tensor.finite & ~(self.beyond < tensor.lo) & ~(tensor.hi < -self.beyond)
        return Set(larger(tensor.lo, -top), smaller(tensor.hi, top), finite, tensor.plus, tensor.minus, tensor.nan, self)

    def sqrt(self, x: Number) -> Number:
        return x.sqrt()

    def maximum(self, a: Set, b: Set) -> Number:
        """nan wins, as in NumPy, or loses, as in C's fmax."""
        return reduce(Set.united, [self._larger(a, b), a.only(b.nan), b.only(a.nan)])

    def _larger(self, a: Set, b: Set) -> Set:
        both = a.finite & b.finite
        lo = where(both, larger(a.lo, b.lo), where(a.finite, a.lo, b.lo))
        hi = where(both, larger(a.hi, b.hi), where(a.finite, a.hi, b.hi))
        finite = both | (a.finite & b.minus) | (b.finite & a.minus)
        return Set(lo, hi, finite, a.plus | b.plus, a.minus & b.minus, a.nan | b.nan, self)

    def lerp(self, old: Set, new: Set, weight: Set) -> Number:
        """old + (new - old)*w, both occurrences of old being the same number."""
        finite = old.finite & new.finite
        none = np.zeros_like(weight.nan)
        unit = self.numbers.of(np.ones(1))
        kept = Set(unit - weight.hi, unit - weight.lo, weight.finite, none, none, none, self)  # 1 - w, as real numbers
        spread = larger(abs(new.lo - old.hi), abs(new.hi - old.lo))
        rounding = spread * larger(abs(weight.lo), abs(weight.hi)) * self.numbers.of(np.full(1, 4 * self.relative)) + self.smallest
        total = old.finite_part() * kept + new.finite_part() * weight
        # infinity - infinity: at once, or in the sum
        nan = _either(old.nan | new.nan | old.plus | old.minus, weight.nan)
        overflow = finite & (self.top < spread)
        plus = _either(new.plus & old.finite, overflow & (old.lo < new.hi), weight.plus)
        minus = _either(new.minus & old.finite, overflow & (new.lo < old.hi), weight.minus)
        return self.rounded(total.lo - rounding, total.hi + rounding, finite, plus, minus, nan, old.is_zero() & new.is_zero())

    def fused_rest(self, new: Set, beta: Set, one_minus_beta: Set) -> Number:
        """new - beta*new with one rounding is inf - inf where new is infinite; with beta in double it is (1 - beta)*new, as elsewhere."""
        rest = new * one_minus_beta
        return replace(rest, nan=_either(rest.nan, new.plus | new.minus))

    def sum_rows(self, values: Set, slot: Array, n: int) -> Number:
        """Any order: the finite occurrences sum to within their roundings, and may overflow on the way."""
        width = values.shape[1]
        counts = np.bincount(slot, minlength=n)
        flags = [np.zeros((n, width), bool) for _ in range(4)]
        finite, plus, minus, nan = flags
        finite[:] = True
        np.logical_and.at(finite, slot, values.finite)
        for flag, occurrences in ((plus, values.plus), (minus, values.minus), (nan, values.nan)):
            np.logical_or.at(flag, slot, occurrences)
        nan |= plus & minus
        lo, hi, size = (self.numbers.of(np.zeros((n, width))) for _ in range(3))
        order = np.argsort(slot, kind="stable")
        rank = np.arange(len(slot)) - np.searchsorted(slot[order], slot[order])
        for k in range(int(counts.max(initial=0))):  # the k-th occurrence of each row
            at, row = order[rank == k], slot[order[rank == k]]
            lo[row], hi[row] = lo[row] + values.lo[at], hi[row] + values.hi[at]
            size[row] = size[row] + larger(abs(values.lo[at]), abs(values.hi[at]))
        growth = np.multiply.accumulate(np.full(max(int(counts.max(initial=1)), 1), 1 + self.relative))[np.maximum(counts - 1, 0)][:, None]
        error = size * self.numbers.of(growth - 1) + self.smallest * self.numbers.of(np.maximum(counts - 1, 0)[:, None].astype(float))
        error = where((counts <= 1)[:, None], self.numbers.of(np.zeros(1)), error)
        overflow = finite & (self.top < size * self.numbers.of(growth)) & (counts > 1)[:, None]
        plus, minus, nan = plus | overflow, minus | overflow, nan | overflow
        return Set(lo - error, hi + error, finite, plus, minus, nan, self)

    def row_mean(self, values: Set) -> Number:
        rows, width = values.shape
        row = np.repeat(np.arange(rows), width)
        return self.sum_rows(values.as_column(), row, rows) / self.meet(self.scalar(float(width)))

    def join(self, alternatives: Sequence[Set]) -> Number:
        return reduce(Set.united, alternatives)


def _numbers(dtype: str) -> Any:
    """What the ends of intervals are: beyond double only extended precision goes, which only float64 may have inside."""
    return Scaled if dtype == "float64" else Doubles
