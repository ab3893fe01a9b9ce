"""Ball arithmetic against exact rational and decimal arithmetic of the standard library."""

from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from flint import arb
from hypothesis import given
from hypothesis import strategies as st

from refimpl.arithmetic.balls import Ball, midpoint, radius
from refimpl.errors import HarnessError

DOUBLES = st.floats(allow_nan=False, allow_infinity=False)
OPERATIONS = {
    "sum": lambda a, b: a + b,
    "difference": lambda a, b: a - b,
    "product": lambda a, b: a * b,
    "quotient": lambda a, b: a / b,
}


def holds(ball: arb, exact: Fraction) -> bool:
    return abs(_fraction(ball.mid()) - exact) <= _fraction(ball.rad())


def _fraction(x: arb) -> Fraction:
    mantissa, exponent = (int(part) for part in x.man_exp())
    return Fraction(mantissa) * Fraction(2) ** exponent


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float64).reshape(-1, 1)


@pytest.mark.parametrize("name", OPERATIONS)
@given(a=DOUBLES, b=DOUBLES)
def test_an_operation_encloses_the_rational_result(name: str, a: float, b: float) -> None:
    if name == "quotient" and b == 0:
        b = 1.0
    ball = Ball()
    result = OPERATIONS[name](ball.load(column(a)), ball.load(column(b)))[0, 0]
    assert holds(result, OPERATIONS[name](Fraction(a), Fraction(b)))


@given(st.floats(min_value=0, allow_infinity=False))
def test_a_root_encloses_the_root(x: float) -> None:
    root = Ball().sqrt(Ball().load(column(x)))[0, 0]
    assert holds(root * root, Fraction(x))


@pytest.mark.parametrize("base", [0.0, 0.1, 0.9, 0.999, 0.9999999])
@pytest.mark.parametrize("exponent", [0, 1, 7, 1000, 10**6])
def test_a_power_encloses_the_decimal_power(base: float, exponent: int) -> None:
    with localcontext() as context:
        context.prec = 120
        exact = Decimal(base) ** exponent if base or exponent else Decimal(1)
        ball = Ball().power(Ball().scalar(base), exponent)
        assert abs(ball - arb(str(exact))) <= abs(ball) * arb("1e-60")


def test_a_power_is_exact_for_a_small_exponent() -> None:
    assert holds(Ball().power(Ball().scalar(0.999), 9), Fraction(0.999) ** 9)


def test_rows_are_summed_exactly() -> None:
    total = Ball().sum_rows(Ball().load(column(1e20, 1.0, 3.0, -1e20)), np.array([1, 1, 0, 1]), 2)
    assert holds(total[0, 0], Fraction(3))
    assert holds(total[1, 0], Fraction(1))


def test_a_row_mean_encloses_the_mean() -> None:
    mean = Ball().row_mean(Ball().load(np.array([[1.0, 2.0, 4.0]])))
    assert mean.shape == (1, 1)
    assert holds(mean[0, 0], Fraction(7, 3))


def test_lerp_and_maximum_enclose_the_exact_result() -> None:
    ball = Ball()
    between = ball.lerp(ball.load(column(0.1)), ball.load(column(0.7)), ball.scalar(0.3))
    assert holds(between[0, 0], Fraction(0.1) + (Fraction(0.7) - Fraction(0.1)) * Fraction(0.3))
    assert holds(ball.maximum(ball.load(column(-2.0)), ball.load(column(0.5)))[0, 0], Fraction(0.5))


def test_joining_numbers_that_are_not_the_same_is_refused() -> None:
    ball = Ball()
    first, second = ball.load(column(1.0, 1.0)), ball.load(column(1.0, 1.0 + 2.0**-52))
    with pytest.raises(HarnessError, match=r"they part at \(1, 0\)"):
        ball.join([first, second])


def test_joining_keeps_the_first_alternative_and_does_not_compare_what_is_not_finite() -> None:
    ball = Ball()
    third = ball.load(column(1.0, 1.0)) / ball.load(column(3.0, 0.0))
    joined = ball.join([third, ball.load(column(1.0, 5.0)) / ball.load(column(3.0, 1.0))])
    assert joined is third


def test_a_ball_lies_within_its_radius_of_its_midpoint() -> None:
    third = Ball().load(column(1.0)) / Ball().load(column(3.0))
    assert midpoint(third)[0, 0] == 1 / 3
    assert 0 < radius(third)[0, 0] < 1e-60
    assert np.isnan(midpoint(Ball().load(column(1.0)) / Ball().load(column(0.0)))[0, 0])


def test_the_root_of_a_ball_around_zero_is_that_of_its_nonnegative_part() -> None:
    a = Ball()
    third = a.load(np.full((1, 3), 1.0)) / a.load(np.full((1, 1), 3.0))
    nothing = third[:, [0]] + third[:, [1]] + third[:, [2]] - a.load(np.ones((1, 1)))  # a ball around 0
    root = a.sqrt(nothing * nothing)[0, 0]
    assert root.is_finite()
    assert root.contains(0)
    assert not a.sqrt(a.load(np.full((1, 1), -4.0)))[0, 0].is_finite()
