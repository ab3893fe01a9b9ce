"""Ball: intervals that are proven to hold the exact real-number result (python-flint's arb, in object arrays)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np
from flint import arb, ctx

from ..errors import HarnessError
from ..gradients import Array
from ._interface import Number
from .compensation import Pair

_arb = np.frompyfunc(arb, 1, 1)
_max = np.frompyfunc(arb.max, 2, 1)
_overlaps = np.frompyfunc(arb.overlaps, 2, 1)
_finite = np.frompyfunc(arb.is_finite, 1, 1)
_double = np.frompyfunc(lambda x: float(x.mid()), 1, 1)
_radius = np.frompyfunc(lambda x: float(x.rad()), 1, 1)


class Ball:
    """Ball arithmetic: every operation encloses the exact result, whatever the platform rounds."""

    def __init__(self, precision: int = 256) -> None:
        self.precision = precision
        ctx.prec = precision  # the precision of arb is global to a process; refimpl uses no other

    def scalar(self, value: float) -> Number:
        return arb(float(value))  # exact: a double is a binary fraction

    def power(self, base: Number, exponent: int, factor: Number | None = None) -> Number:
        return base**exponent if factor is None else base ** (arb(exponent) * factor)

    def kept(self, scalar: Number, dtype: str) -> Number:
        return scalar

    def from_zero_to(self, scalar: Number) -> Number:
        return scalar.union(arb(0))

    def choose(self, scalar: Number, threshold: float, above: Callable[[], Number], below: Callable[[], Number]) -> Number:
        if scalar.is_finite() and not (scalar > threshold or scalar <= threshold):
            raise HarnessError(f"{scalar} may be above or below {threshold}")
        return above() if scalar > threshold else below()

    def meet(self, scalar: Number) -> Number:
        return scalar

    def load(self, array: Array) -> Number:
        return _arb(array.astype(np.float64)).astype(object)

    def store(self, tensor: Number, dtype: str | None = None) -> Number:
        return tensor

    def pair(self, tensor: Number, kept: Pair) -> Number:
        return tensor

    def taken_from_pair(self, tensor: Number, change: Number, kept: Pair) -> Number:
        return tensor - change

    def sqrt(self, x: Number) -> Number:
        return _root(x) if isinstance(x, arb) else _roots(x)

    def maximum(self, a: Number, b: Number) -> Number:
        return _max(a, b)

    def lerp(self, old: Number, new: Number, weight: Number) -> Number:
        return old + (new - old) * weight

    def fused_rest(self, new: Number, beta: Number, one_minus_beta: Number) -> Number:
        return new - new * beta

    def sum_rows(self, values: Number, slot: Array, n: int) -> Number:
        total = self.load(np.zeros((n, values.shape[1])))
        for k, row in enumerate(slot):
            total[row] = total[row] + values[k]
        return total

    def row_mean(self, values: Number) -> Number:
        return reduce(lambda a, b: a + b, (values[:, [k]] for k in range(values.shape[1]))) / arb(values.shape[1])

    def join(self, alternatives: Sequence[Number]) -> Number:
        """The first alternative, after proof that all of them overlap: they are the same real number."""
        first = alternatives[0]
        for other in alternatives[1:]:
            different = apart(first, other)
            if different.any():
                at = tuple(int(i) for i in np.argwhere(different)[0])
                raise HarnessError(f"two formulations are not the same real number: they part at {at}")
        return first


def _root(x: arb) -> arb:
    """The root of the part that is not negative, where a ball reaches below zero: v is a sum of squares, its ball does not know that."""
    root = x.sqrt()
    return x.nonnegative_part().sqrt() if not root.is_finite() and x.contains(0) else root


_roots = np.frompyfunc(_root, 1, 1)


def apart(first: Number, second: Number) -> Array:
    """Which of these are proven to be different real numbers."""
    disjoint: Array = ~np.asarray(_overlaps(first, second), bool)
    if not disjoint.any():
        return disjoint
    return np.asarray(disjoint & np.asarray(_finite(first), bool) & np.asarray(_finite(second), bool))


def midpoint(x: Number) -> Array:
    """The double nearest to the middle of each ball (nan where the ball is not finite)."""
    return np.asarray(_double(x), np.float64)


def radius(x: Number) -> Array:
    """An upper bound of each ball's radius, as a double."""
    return np.asarray(_radius(x), np.float64)
