"""Scaled: the numbers of double, and those beyond its range."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from refimpl.arithmetic._scaled import Doubles, Scaled, larger, smaller, where

NUMBERS = np.array([0.0, 1.0, -1.5, 3e300, -2e-300, 0.1, -7.0, 5e-324])


@pytest.mark.parametrize("operation", [operator.add, operator.sub, operator.mul])
def test_operations_within_the_range_are_those_of_double(operation: Callable[[Any, Any], Any]) -> None:
    x, y = np.meshgrid(NUMBERS[:-1], NUMBERS[:-1])
    with np.errstate(all="ignore"):
        expected = operation(x, y)
    inside = np.isfinite(expected) & ((np.abs(expected) > 1e-300) | (expected == 0)) & ~((operation is operator.mul) & (expected == 0))
    got = operation(Scaled.of(x), Scaled.of(y)).double()
    np.testing.assert_array_equal(got[inside], expected[inside])


def test_quotients_and_roots_within_the_range_are_those_of_double() -> None:
    x = np.abs(NUMBERS[1:-1])
    np.testing.assert_array_equal((Scaled.of(NUMBERS[:1]) / Scaled.of(x)).double(), 0)
    np.testing.assert_array_equal((Scaled.of(x) / Scaled.of(np.full(1, 3.0))).double(), x / 3)
    np.testing.assert_array_equal(Scaled.of(x).sqrt().double(), np.sqrt(x))


def test_what_leaves_the_range_of_double_comes_back() -> None:
    huge, tiny = Scaled.of(np.array([1e300])), Scaled.of(np.array([1e-300]))
    assert np.isposinf((huge * huge).double()[0])
    assert (huge * huge).sqrt().double()[0] == pytest.approx(1e300, rel=1e-15)
    assert (tiny * tiny).double()[0] == 0
    assert (tiny * tiny * huge * huge).double()[0] == pytest.approx(1.0, rel=1e-15)
    assert ((huge * huge + huge * huge) / (huge * huge)).double()[0] == pytest.approx(2.0, rel=1e-15)


def test_order_holds_beyond_the_range_and_for_infinity() -> None:
    huge = Scaled.of(np.array([1e300]))
    ascending = [Scaled.of(np.array([-np.inf])), -(huge * huge), Scaled.of(np.zeros(1)), huge, huge * huge, Scaled.of(np.array([np.inf]))]
    for k, lower in enumerate(ascending):
        for higher in ascending[k + 1 :]:
            assert (lower < higher)[0]
            assert not (higher < lower)[0]
            assert (smaller(lower, higher).m == lower.m).all()
            assert (larger(lower, higher).m == higher.m).all()


def test_zero_times_infinity_is_zero() -> None:
    assert (Scaled.of(np.zeros(1)) * Scaled.of(np.array([np.inf]))).double()[0] == 0


def test_a_choice_takes_mantissa_and_exponent_together() -> None:
    picked = where(np.array([True, False]), Scaled.of(np.array([1.0, 1.0])), Scaled.of(np.array([1e10, 1e10])))
    assert picked.double().tolist() == [1.0, 1e10]


@pytest.mark.parametrize("operation", [operator.add, operator.sub, operator.mul, operator.truediv, operator.lt])
def test_doubles_are_scaled_numbers_within_the_range(operation: Callable[[Any, Any], Any]) -> None:
    x, y = np.array([1.0, -1.5, 0.1, 0.0, np.inf]), np.array([3.0, 0.1, -7.0, 2.0, 4.0])
    got, expected = (operation(kind.of(x), kind.of(y)) for kind in (Doubles, Scaled))
    if operation is operator.lt:
        np.testing.assert_array_equal(got, expected)
    else:
        np.testing.assert_array_equal(got.double(), expected.double())
    assert Doubles.of(np.array([4.0])).sqrt().double().tolist() == [2.0]
    assert (Doubles.of(np.zeros(1)) * Doubles.of(np.array([np.inf]))).double().tolist() == [0.0]
    assert larger(Doubles.of(x), Doubles.of(y)).double().tolist() == np.maximum(x, y).tolist()
