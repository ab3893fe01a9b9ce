"""ScalarBound: what `Bound` is for tensors, for the scalars of a step, in plain floats: a step computes about thirty of them."""

from __future__ import annotations

import decimal
import math
from dataclasses import dataclass
from functools import lru_cache

from ._interface import FORMATS, Format, binary_power
from .roundings import CLASSES, INFLATE, conversion_error, is_power_of_two

Errors = tuple[float, ...]

_ABOVE = 1 + 2.0**-40  # more than the bound of a magnitude can be off by its own rounding
_LARGEST = FORMATS["float64"].max


@dataclass(frozen=True)
class ScalarRounding:
    """What one operation may add, per class: relative to the power of two of the result, and where a product underflows."""

    relative: Errors
    underflow: Errors


def scalar_rounding(format: Format) -> ScalarRounding:
    """Roundings of scalar operations: those of double for `exact`, those of the format for `tensor`."""
    double, u = FORMATS["float64"], format.u
    return ScalarRounding(
        relative=(2 * double.u, 2 * double.u, 2 * u, 4 * u),
        underflow=(double.smallest, double.smallest, format.smallest, format.tiny),
    )


EXACT: Errors = (0.0,) * len(CLASSES)


class ScalarBound:
    """A scalar (x, e): |computed - exact| <= e[class], |x - exact| <= e[class].

    raw: the hyper-parameter, or the constant of the text, that this is, with no operation behind it; None for every other number.
    A program leaves out a division by such a 1; one that it has computed it divides by, as inexactly as it divides.
    """

    __slots__ = ("e", "raw", "rounding", "x")

    def __init__(self, x: float, e: Errors, rounding: ScalarRounding, raw: float | None = None) -> None:
        self.x, self.e, self.rounding, self.raw = x, e, rounding, raw

    def is_zero(self) -> bool:
        return self.x == 0 and not any(self.e)

    def factor(self) -> float | None:
        """Its size, if it is a power of two in every computation: products with it are exact."""
        return abs(self.x) if is_power_of_two(self.x) and not any(self.e) else None

    def _rounded(self, x: float, e: Errors, underflows: bool = True) -> ScalarBound:
        rounding = self.rounding
        added = rounding.underflow if underflows else EXACT
        return ScalarBound(x, tuple(map(_charged, (x,) * len(e), e, rounding.relative, added)), rounding)

    def __add__(self, other: ScalarBound) -> ScalarBound:
        return self._rounded(self.x + other.x, tuple(a + b for a, b in zip(self.e, other.e)), underflows=False)

    def __sub__(self, other: ScalarBound) -> ScalarBound:
        x = self.x - other.x
        if self.raw == 1 and other.x - 2 * max(other.e) >= 0.5 and other.x <= 1:
            return self._one_minus(other, x)
        if other.is_zero():
            return ScalarBound(x, self.e, self.rounding)
        return self._rounded(x, tuple(a + b for a, b in zip(self.e, other.e)), underflows=False)

    def _one_minus(self, other: ScalarBound, x: float) -> ScalarBound:
        """1 - s for a scalar s from 1/2 to 1: exact for every s that is a float of the format (Sterbenz's lemma).

        Only an s that was kept in double is followed by a rounding, and then s lacks its own last rounding to the format. That
        one is charged already where s is derived: it is at least as large as the one of 1 - s, which is the smaller number.
        """
        e = other.e
        if other.raw is not None and any(e):
            e = tuple(max(error, relative * _leading_power(x)) if error else 0.0 for error, relative in zip(e, self.rounding.relative))
        return ScalarBound(x, e, self.rounding)

    def __mul__(self, other: ScalarBound) -> ScalarBound:
        x = self.x * other.x
        for factor, scaled in ((self.factor(), other), (other.factor(), self)):
            if factor and abs(x) > 2 * max(scaled.e) * factor + self.rounding.underflow[-1]:
                return ScalarBound(x, tuple(error * factor for error in scaled.e), self.rounding)
        if self.is_zero() or other.is_zero():
            finite = all(map(math.isfinite, (*self.e, *other.e)))
            return ScalarBound(x, EXACT if finite else (math.inf,) * len(CLASSES), self.rounding)
        # |A'B' - AB| <= |A'||B' - B| + |B||A' - A|, with |A'| <= |a| + 2 e_a and |B| <= |b| + e_b.
        a, b = abs(self.x), abs(other.x)
        return self._rounded(x, tuple(a * e_b + b * e_a + 3 * e_a * e_b for e_a, e_b in zip(self.e, other.e)))

    def __truediv__(self, other: ScalarBound) -> ScalarBound:
        if other.raw == 1:
            return self
        if other.x == 0:
            return ScalarBound(math.nan, (math.inf,) * len(CLASSES), self.rounding)
        x = self.x / other.x
        e = tuple(map(_quotient_error, (abs(self.x),) * len(self.e), self.e, (abs(other.x),) * len(self.e), other.e))
        if self.is_zero() and all(map(math.isfinite, e)):
            return ScalarBound(x, EXACT, self.rounding)  # 0 over what cannot be 0
        return self._rounded(x, e)

    def sqrt(self) -> ScalarBound:
        if self.raw == 1:
            return self
        e = tuple(_root_error(self.x, error) for error in self.e)
        return self._rounded(math.sqrt(max(self.x, 0.0)), e, underflows=False)

    def real_power(self, exponent: int, factor: ScalarBound) -> ScalarBound:
        """b^(t f) for a constant b from 1/2 to 1: the relative errors of b and of the exponent t f, and the rounding of a pow.

        b^y changes by y/b db + ln(b) dy, relative to itself, where |ln(b)| <= 0.7. The value is that of decimal arithmetic, to
        nearest: the same on every platform, which the C library's pow is not.
        """
        y = exponent * factor.x
        x = real_power(self.x, exponent, factor.x)
        e = []
        for e_b, e_f, relative in zip(self.e, factor.e, self.rounding.relative):
            inherited = y * e_b / self.x + 0.7 * (exponent * e_f + 2 * relative * y)
            e.append(min(_grown(x, 1.01 * inherited + 2 * relative), 1.0) * INFLATE)
        return ScalarBound(x, tuple(e), self.rounding)

    def kept(self, format: Format) -> ScalarBound:
        """Rounded to a format, or not: in every class, as the format is part of what is computed."""
        size = abs(self.x) + 2 * max(self.e)
        change = 2 * format.u * _leading_power(size) + format.smallest
        return ScalarBound(self.x, tuple((error + change) * INFLATE for error in self.e), self.rounding)

    def from_zero(self) -> ScalarBound:
        """A number from 0 to this one."""
        return ScalarBound(0.0, tuple(abs(self.x) + 2 * error for error in self.e), self.rounding)

    def power(self, exponent: int) -> ScalarBound:
        """b^t by pow or by a running product: t times the relative error of b, and t roundings.

        A product that underflows is off by `underflow` at every factor, and each factor shrinks by b what there is.
        """
        if not exponent or (self.x == 0 and not any(self.e)):
            return ScalarBound(float(not exponent), EXACT, self.rounding, float(not exponent))
        x = binary_power(self.x, exponent)
        e = tuple(
            _power_error(self.x, error, x, exponent, relative, underflow)
            for error, relative, underflow in zip(self.e, self.rounding.relative, self.rounding.underflow)
        )
        return ScalarBound(x, e, self.rounding)


def real_power(base: float, exponent: int, factor: float) -> float:
    """base**(exponent*factor), rounded to nearest."""
    with decimal.localcontext() as context:
        context.prec = DIGITS
        return float(_decimal_power(base, factor) ** exponent)


DIGITS = 60
"""Of decimal arithmetic: a power of a million multiplies a relative error by that, and leaves three times the digits of a double."""


@lru_cache(maxsize=256)  # a real power takes fifty times as long as a whole one, and a schedule takes whole ones of a few of them
def _decimal_power(base: float, factor: float) -> decimal.Decimal:
    with decimal.localcontext() as context:
        context.prec = DIGITS
        return decimal.Decimal(base) ** decimal.Decimal(factor)


def raw_scalar(value: float, format: Format, rounding: ScalarRounding) -> ScalarBound:
    """A hyper-parameter: a double, which `tensor` converts to the format first. What that changes is known."""
    error = conversion_error(value, format)
    flushed = abs(value) if abs(value) < format.tiny else 0.0
    return ScalarBound(value, (0.0, 0.0, error, max(error, flushed)), rounding, value)


def _leading_power(size: float) -> float:
    """The power of two at or below a magnitude; see `roundings.leading_power`."""
    return math.ldexp(0.5, math.frexp(size * _ABOVE)[1]) if size else 0.0


def _charged(x: float, e: float, relative: float, underflow: float) -> float:
    """The error of a result that was inherited, and its own rounding."""
    size = abs(x) + 2 * e
    if not size <= _LARGEST:
        return math.inf
    return (e + relative * _leading_power(size) + underflow) * INFLATE


def _quotient_error(a: float, e_a: float, b: float, e_b: float) -> float:
    """|A'/B' - A/B| <= (|A' - A| + |A/B||B' - B|) / |B'|, with |B'| >= |b| - 2 e_b."""
    least = b - 2 * e_b
    if not least > 0:
        return math.inf
    return ((a + e_a) / (least + e_b) * e_b + e_a) / least


def _root_error(x: float, e: float) -> float:
    """|sqrt(A') - sqrt(A)| = |A' - A| / (sqrt(A') + sqrt(A)), with A >= x - e and A' >= x - 2e; and never above sqrt(|A' - A|)."""
    roots = math.sqrt(max(x - e, 0.0)) + math.sqrt(max(x - 2 * e, 0.0)) if math.isfinite(e) else 0.0
    return min(math.sqrt(e), e / roots) if roots else math.sqrt(e)


def _power_error(b: float, e_b: float, power: float, t: int, relative: float, underflow: float) -> float:
    inherited = t * (e_b / abs(b)) if b else math.inf
    rounded = _grown(power, inherited + t * relative)
    # Where every factor of the product lies in [1/2, 1), a rounding is relative to 1/2, whatever the factor.
    least = power - 2 * rounded
    if least >= 0.5:
        rounded = _grown(power, inherited + t * relative * (0.5 / least))
    lasting = 1 / max(1 - abs(b) - 2 * e_b, 1 / t)  # factors that an error outlasts
    return min(rounded + lasting * underflow, 1.0) * INFLATE


def _grown(power: float, relative: float) -> float:
    """|x| times the relative error of a product whose factors' relative errors sum to this (Higham, lemma 3.1)."""
    return abs(power) * relative / (1 - relative) if relative < 0.5 else 1.0
