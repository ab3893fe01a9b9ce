"""Scalars with their bounds: every admissible way to compute them lies inside, and an exact scalar has the bound 0."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from refimpl.arithmetic import FORMATS, Bounded

BETAS = [0.0, 0.3, 0.5, 0.9, 0.97, 0.999, 0.9999]


def ways(beta: float) -> list[float]:
    """1 - beta as float32 programs compute it."""
    return [
        1 - beta,
        float(np.float32(1 - beta)),
        float(np.float32(1) - np.float32(beta)),
        1 - float(np.float32(beta)),
        float(np.float32(1 - float(np.float32(beta)))),
    ]


@pytest.mark.parametrize("beta", BETAS)
def test_every_way_to_compute_one_minus_beta_lies_inside(beta: float) -> None:
    a = Bounded("float32")
    rest = a.scalar(1.0) - a.scalar(beta)
    exact = 1 - Fraction(beta)
    for computed in ways(beta):
        assert abs(Fraction(computed) - exact) <= Fraction(rest.e[2])
        assert abs(Fraction(float(np.float32(computed))) - exact) <= Fraction(float(a.meet(rest).e[2, 0, 0]))


@pytest.mark.parametrize(("beta", "t"), list(itertools.product([0.3, 0.5, 0.9, 0.999], [1, 2, 9, 100])))
def test_every_way_to_compute_a_correction_lies_inside(beta: float, t: int) -> None:
    a = Bounded("float32")
    correction = a.scalar(1.0) - a.power(a.scalar(beta), t)
    exact = 1 - Fraction(beta) ** t
    narrow = np.float32(beta)
    powers = [beta**t, float(narrow) ** t, float(narrow ** np.float32(t)), float(np.multiply.accumulate(np.full(t, narrow))[-1])]
    powers += [float(np.exp(np.float32(t) * np.log(narrow)))]
    for power in powers:
        for computed in (1 - power, float(np.float32(1 - power)), float(np.float32(1) - np.float32(power))):
            assert abs(Fraction(computed) - exact) <= Fraction(correction.e[2])


def test_products_and_quotients_of_scalars_lie_inside() -> None:
    a, f = Bounded("float32"), np.float32
    for x, y in itertools.product([1e-3, 0.1, 0.7, 3.0], [0.3, 0.999, 1024.0, 1.0]):
        for got, exact, bound in [
            (f(x) * f(y), Fraction(x) * Fraction(y), a.scalar(x) * a.scalar(y)),
            (f(x) / f(y), Fraction(x) / Fraction(y), a.scalar(x) / a.scalar(y)),
        ]:
            assert abs(Fraction(float(got)) - exact) <= Fraction(bound.e[2])


def test_zero_times_a_scalar_is_zero_and_is_subtracted_without_a_rounding() -> None:
    a = Bounded("float32")
    nothing = a.scalar(0.0) * a.scalar(0.1)
    assert (nothing.x, nothing.e) == (0.0, (0.0,) * 4)
    assert (a.scalar(1.0) - nothing).e == (0.0,) * 4


def test_zero_over_a_scalar_is_zero_unless_that_may_be_zero_too() -> None:
    a = Bounded("bfloat16")
    assert (a.scalar(0.0) / a.scalar(0.1)).e == (0.0,) * 4
    correction = a.scalar(1.0) - a.power(a.scalar(0.999), 3)  # in bfloat16, 0.999^3 may be 1
    assert np.isinf((a.scalar(0.0) / correction).e[2:]).all()


def test_a_power_of_two_times_a_scalar_is_exact() -> None:
    a = Bounded("float32")
    decay = a.scalar(0.01)
    assert (decay * a.scalar(1024.0)).e == tuple(1024 * e for e in decay.e)


def test_dividing_by_what_may_be_zero_has_no_bound() -> None:
    a = Bounded("bfloat16")
    correction = a.scalar(1.0) - a.power(a.scalar(0.999), 3)  # in bfloat16, 0.999^3 may be 1
    step = a.scalar(0.1) / correction
    assert np.isfinite(step.e[:2]).all()
    assert np.isinf(step.e[2:]).all()
    assert np.isinf(a.meet(step).e[2:]).all()


def test_a_conversion_that_the_bound_of_the_double_leaves_open_is_charged_both_ways() -> None:
    a, u = Bounded("float32"), FORMATS["float32"].u
    middle = a.scalar(1.0 + 3 * u) / a.scalar(3.0) * a.scalar(3.0)  # about the middle of two floats
    assert a.meet(middle).e[0, 0, 0] >= u
