"""Kahan-compensated parameters: p is kept as two numbers of narrow formats, and what counts is their sum p + c.

A step takes the change d from the sum. Two ways are in use (Kahan 1965; Zamirai et al. 2020, Revisiting BFloat16 Training):

    in a wide format:     s <- (p + c) - d;   p' <- fl(s);       c' <- fl(s - p')
    in the narrow ones:   c1 <- fl(c - d);    p' <- fl(p + c1);  c' <- fl(c1 + fl(p - p'))

A number of a step is the sum p + c. `pair` is the first way's storing, `taken_from_pair` the second way. What they may add to the error of
the sum, with u_p, u_c and u the largest roundings of the formats of p, c and of the computation, h = u_p |s| >= |s - p'| and thus
|c| <= h (every size is taken from what |s|, |s'| and |d| can be at most; u x stands for the last place, u times the power of two below x):

    pair:             u_c h for c', and u (|s| + h) for the sum p + c at the next step
    taken_from_pair:  u_c (h + |d|) for c1, and u (h + |d|) where c - d is computed before it is rounded; r = u_c (|c1| + h) for p - p';
                      and u_c (h + r) for c', since p + c1 - p' is at most h.

Where p and c have one format and |c1| <= |p|, the difference p - p' is a number of the format, if p' is one of the two neighbours of
p + c1, and then r is zero (Boldo, Graillat and Muller 2017, On the robustness of the 2Sum and Fast2Sum algorithms: in any faithful
rounding; an adder gives an exact result where there is one). In round to nearest c' is exact, too (Dekker 1971).
"""

from __future__ import annotations

from dataclasses import dataclass

from ._interface import Arithmetic, Number


@dataclass(frozen=True)
class Pair:
    """The dtypes in which a parameter (high) and its compensation (low) are kept."""

    high: str
    low: str


def pair(a: Arithmetic, tensor: Number, kept: Pair) -> Number:
    """A sum as it is kept in two numbers: the nearest of the format of p, and what it lacks."""
    own = getattr(a, "pair", None)
    if own is not None:
        return own(tensor, kept)
    high = a.store(tensor, kept.high)
    return high + a.store(tensor - high, kept.low)


def taken_from_pair(a: Arithmetic, tensor: Number, change: Number, kept: Pair) -> Number:
    """The sum less the change, computed in the formats of p and c."""
    own = getattr(a, "taken_from_pair", None)
    if own is not None:
        return own(tensor, change, kept)
    high = a.store(tensor, kept.high)
    low = a.store((tensor - high) - change, kept.low)
    moved = a.store(high + low, kept.high)
    return moved + a.store(low + a.store(high - moved, kept.low), kept.low)
