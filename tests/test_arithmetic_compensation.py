"""Compensated sums: what their bound relies on, tried for every pair of numbers of a small format, and held against both ways."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest

from refimpl.arithmetic import Float
from refimpl.arithmetic._bounded import Bounded
from refimpl.arithmetic.compensation import Pair, pair, taken_from_pair

PRECISION = 4


def is_number(x: int) -> bool:
    return x == 0 or abs(x) >> max(0, abs(x).bit_length() - PRECISION) << max(0, abs(x).bit_length() - PRECISION) == abs(x)


def neighbours(x: int) -> set[int]:
    """The numbers of the format around x, x alone where it is one."""
    down, up = x, x
    while not is_number(down):
        down -= 1
    while not is_number(up):
        up += 1
    return {down, up}


def test_what_a_faithful_sum_takes_from_the_larger_number_is_a_number_of_the_format() -> None:
    numbers = [x for x in range(-(1 << 9), (1 << 9) + 1) if is_number(x)]
    for a, b in product(numbers, repeat=2):
        if abs(a) >= abs(b):
            for s in neighbours(a + b):
                assert is_number(s - a)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("scale", [1e-4, 1e-2, 1.0, 30.0])
def test_both_ways_are_within_the_bound_of_one_step(dtype: str, scale: float) -> None:
    rng = np.random.default_rng(1)
    kept = Pair(dtype, dtype)
    double, bounds = Float("float64"), Bounded("float32")
    start = pair(double, double.load(rng.normal(size=(200, 4))), kept)
    change = (rng.normal(size=start.shape) * scale).astype(np.float32)
    ways: list[Any] = [lambda a, p, d: p - d, lambda a, p, d: taken_from_pair(a, p, d, kept)]
    for way in ways:
        bound = pair(bounds, way(bounds, bounds.load(start), bounds.load(change)), kept)
        got = pair(double, way(double, start, double.load(change)), kept)
        for p, c, x, e in zip(start.flat, change.flat, got.flat, bound.e[0].flat):
            assert abs(Fraction(float(x)) - (Fraction(float(p)) - Fraction(float(c)))) <= Fraction(float(e))
