"""An arithmetic whose intermediate results are changed on purpose: rounded to a narrower format, replaced, clipped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..arithmetic import FORMATS, Arithmetic, Bound, Number
from ..arithmetic.perturbed import rounded
from ..arithmetic.scalar_bounds import ScalarBound
from ..gradients import Array

Alter = Callable[[str, Number, "Number | None"], Number]
"""The name of an intermediate result, the result, and the learning rate where there is one, to what takes its place."""

ROUND = {"to nearest": lambda x, rng: np.rint(x), "cut off": lambda x, rng: np.trunc(x)}
"""Ways to bring a number to a format, on multiples of its last place."""

_RNG = np.random.default_rng(0)  # `rounded` takes one; these ways of rounding draw nothing from it


class Altered:
    """Another arithmetic, but for what `alter` makes of named intermediate results and `root` of the square root of a tensor."""

    def __init__(self, a: Arithmetic, alter: Alter | None, root: Callable[[Number], Number] | None) -> None:
        self._a, self._root = a, root
        if alter is not None:
            self.alter = alter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._a, name)

    def sqrt(self, x: Number) -> Number:
        result = self._a.sqrt(x)
        return result if self._root is None or np.ndim(x.x if isinstance(x, Bound) else x) < 2 else self._root(result)


def clipped(x: Number, limit: Number) -> Number:
    """x, but not beyond +-limit; neither changes the result by more than it changes itself."""
    if isinstance(x, Bound):
        return Bound(np.clip(x.x, -limit.x, limit.x), np.maximum(x.e, limit.e), x.rounding)
    return np.clip(x, -limit, limit)


def to_format(x: Number, name: str, way: str = "to nearest") -> Number:
    """A number as a format holds it. Of a bound, both ends are rounded: where they meet, the result is known exactly."""
    if isinstance(x, (Bound, ScalarBound)):
        errors = np.asarray(x.e)
        middle = _array_to_format(np.asarray(x.x), name, way)
        low, high = (_array_to_format(x.x + sign * 2 * errors, name, way) for sign in (-1, 1))
        with np.errstate(invalid="ignore"):
            e = np.maximum(np.abs(low - middle), np.abs(high - middle))
        e = np.where(np.isfinite(errors), e, np.inf)
        return Bound(middle, e, x.rounding) if isinstance(x, Bound) else ScalarBound(float(middle), tuple(e.tolist()), x.rounding)
    result = _array_to_format(np.asarray(x, np.float64), name, way)
    return result if np.ndim(x) else np.float64(result)


def _array_to_format(x: Array, name: str, way: str) -> Array:
    with np.errstate(all="ignore"):
        result = rounded(np.where(np.isfinite(x), x, 0.0), FORMATS[name], ROUND[way], _RNG)
    return np.where(np.isfinite(x), result, x)
