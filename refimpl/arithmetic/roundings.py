"""What one rounding may change: half an ulp, a whole one or two, what is flushed, and what is known of a number beforehand.

An ulp of z is the distance between the two floats of the format around z: 2u times the power of two at or below |z|. Charging
that power and not |z| itself is what a correct rounding (half an ulp), a faithful one (less than one) and "within 1 or 2 ulp"
say, and up to twice as sharp as the relative bound u|z| (Jeannerod and Rump 2018, section 2: ufp).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..gradients import Array
from ._interface import FORMATS, Format

CLASSES = ("exact-ieee", "exact-faithful", "tensor-faithful", "tensor-approx")
"""The numerics classes, tightest first: how scalars are rounded, and how operations are."""

CPU_CLASS, ACCELERATOR_CLASS = CLASSES[2:]
"""The class that conformance requires on a CPU, and on an accelerator."""

INFLATE = 1 + 1e-12  # covers double's rounding of a bound: a step makes fewer than 1000 operations on it, each off by 2**-53

_EXPONENT_BITS = np.int64(0x7FF0000000000000)
_HAIR = np.int64(1 << 12)  # 2**-40 of a double: more than the bound of a magnitude can be off by its own rounding


@dataclass(frozen=True)
class Rounding:
    """What one operation may add, per class, as arrays that broadcast against a bound.

    relative: of + - *, relative_div: of division and root, both times the power of two of the result; underflow: of a product;
    flush: of a sum, 0 where nothing is flushed; tiny: the smallest normal number; overflow: the largest finite one.
    """

    relative: Array
    relative_div: Array
    underflow: Array
    flush: Array
    tiny: float
    overflow: float

    def of(self, picked: Sequence[int]) -> Rounding:
        """The same of some classes, by their places in CLASSES."""
        some = list(picked)
        return Rounding(self.relative[some], self.relative_div[some], self.underflow[some], self.flush[some], self.tiny, self.overflow)


def tensor_rounding(format: Format) -> Rounding:
    """Roundings of tensor operations: correct (u), faithful (1 ulp = 2u), approximate (divide and root 2 ulp, flush to zero)."""
    u = format.u
    return Rounding(
        relative=_per_class(u, 2 * u, 2 * u, 2 * u),
        relative_div=_per_class(u, 2 * u, 2 * u, 4 * u),
        underflow=_per_class(*[format.smallest] * 3, format.tiny),
        flush=_per_class(0.0, 0.0, 0.0, format.tiny),
        tiny=format.tiny,
        overflow=format.max,
    )


def _per_class(*values: float) -> Array:
    return np.array(values).reshape(-1, 1, 1)


def leading_power(size: Array) -> Array:
    """The power of two at or below each magnitude (0 below the normal doubles), written over `size`.

    A magnitude that misses the next power by less than 2**-40 counts as that power: it is itself a rounded number.
    """
    bits = size.view(np.int64)
    bits += _HAIR
    bits &= _EXPONENT_BITS
    return size


def nearest(x: float, format: Format) -> float:
    """x rounded to nearest, ties to even, in a format: the same on every platform."""
    if x == 0 or not math.isfinite(x):
        return x
    exponent = max(math.frexp(x)[1] - 1, format.min_exponent) - (format.precision - 1)
    rounded = math.ldexp(round(math.ldexp(x, -exponent)), exponent)
    return rounded if abs(rounded) <= format.max else math.copysign(math.inf, x)


def conversions(x: float, format: Format) -> tuple[float, ...]:
    """What x may become when a program converts it: half precision is often reached by way of float32."""
    direct = nearest(x, format)
    return (direct,) if format.precision >= FORMATS["float32"].precision else (direct, nearest(nearest(x, FORMATS["float32"]), format))


def conversion_error(x: float, format: Format) -> float:
    """|fl(x) - x| for the conversion that is off the most."""
    return max(abs(converted - x) for converted in conversions(x, format))


def is_power_of_two(x: float) -> bool:
    return abs(math.frexp(x)[0]) == 0.5
