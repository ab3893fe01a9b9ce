"""Real powers, scalars kept in a format, choices by a scalar, and tensors stored in another dtype, in every number system."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refimpl.arithmetic import CLASSES, Bounded, Float, numpy_dtype
from refimpl.arithmetic.balls import Ball, midpoint
from refimpl.arithmetic.perturbed import Perturbed
from refimpl.arithmetic.reach import Reach

EXACT, TENSOR = 0, CLASSES.index("tensor-faithful")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 5000), st.floats(1e-4, 2.0), st.sampled_from(["float32", "float64"]), st.integers(0, 9))
def test_a_real_power_lies_within_its_bound(exponent: int, factor: float, dtype: str, seed: int) -> None:
    def powered(a: Any) -> Any:
        return a.power(a.scalar(0.96), exponent, a.scalar(factor))

    bound, exact = powered(Bounded(dtype)), float(powered(Ball()).mid())
    assert abs(bound.x - exact) <= bound.e[EXACT] + 1e-320
    assert abs(float(powered(Float(dtype))) - exact) <= bound.e[EXACT] + 1e-320
    assert abs(float(powered(Float(dtype, tensor_scalars=True))) - exact) <= bound.e[TENSOR] + np.finfo(dtype).tiny
    for class_number, name in enumerate(CLASSES):
        samples = powered(Perturbed(dtype, name, np.random.default_rng(seed), lanes=4)).x
        assert (np.abs(samples - exact) <= bound.e[class_number] + np.finfo(dtype).tiny).all()


@settings(max_examples=60, deadline=None)
@given(st.floats(1e-30, 1.0), st.integers(0, 9))
def test_a_scalar_that_is_kept_in_float32_lies_within_its_bound_in_every_class(value: float, seed: int) -> None:
    def kept(a: Any) -> Any:
        return a.kept(a.scalar(value) * a.scalar(0.7), "float32")

    bound, exact = kept(Bounded("float64")), float(kept(Ball()).mid())
    assert abs(float(np.float32(exact)) - exact) <= bound.e[EXACT]
    assert bound.e[EXACT] <= 4 * 2.0**-24 * exact + 2.0**-148
    assert float(kept(Float("float64"))) == float(np.float32(value * 0.7))
    for class_number, name in enumerate(CLASSES):
        samples = kept(Perturbed("float64", name, np.random.default_rng(seed), lanes=4)).x
        assert (np.abs(samples - exact) <= bound.e[class_number]).all()


def test_a_scalar_from_zero_to_another_covers_both_ends() -> None:
    a = Bounded("float32")
    between = a.from_zero_to(a.scalar(0.25))
    assert between.x - between.e[EXACT] <= 0 <= 0.25 <= between.x + between.e[EXACT]
    ball = Ball()
    interval = ball.from_zero_to(ball.scalar(0.25))
    assert interval.contains(0)
    assert interval.contains(0.25)


def chosen(a: Any, scalar: float, margin: int = 0) -> Any:
    """1 where the scalar is above 5, else 2; margin: additions of 0 to it, which a bound charges for."""
    x = a.scalar(scalar)
    for _ in range(margin):
        x = x * a.scalar(1 / 3) / a.scalar(1 / 3)
    return a.choose(x, 5.0, lambda: a.load(np.full((1, 1), 1.0)), lambda: a.load(np.full((1, 1), 2.0)))


@pytest.mark.parametrize(("scalar", "value"), [(5.5, 1.0), (5.0, 2.0), (4.5, 2.0), (float("nan"), 2.0)])
def test_a_choice_is_that_of_the_side_on_which_a_scalar_lies(scalar: float, value: float) -> None:
    assert chosen(Float("float32"), scalar).item() == value
    assert chosen(Perturbed("float32", CLASSES[0], np.random.default_rng(0)), scalar).x.item() == value
    if not np.isnan(scalar):
        assert midpoint(chosen(Ball(), scalar)).item() == value


def test_a_choice_that_only_a_class_leaves_open_is_open_in_that_class_alone() -> None:
    close = 5.0 + 2.0**-21  # more than doubles are off by, less than float32 is
    bound = chosen(Bounded("float32"), close, margin=3)
    assert bound.x.item() == 1.0
    assert bound.e[EXACT].item() == 0.0
    assert bound.e[TENSOR].item() == 1.0
    reached = chosen(Reach("float32"), close, margin=3)
    assert (reached.lo.double().item(), reached.hi.double().item()) == (1.0, 2.0)


@settings(max_examples=60, deadline=None)
@given(st.floats(-60000, 60000), st.sampled_from(["float16", "bfloat16"]), st.integers(0, 9))
def test_a_tensor_that_is_stored_in_half_precision_lies_within_its_bound(value: float, dtype: str, seed: int) -> None:
    array = np.full((1, 1), np.float32(value))

    def stored(a: Any) -> Any:
        return a.store(a.load(array), dtype)

    bound, exact = stored(Bounded("float32")), float(array.item())
    assert float(stored(Float("float32")).item()) == float(numpy_dtype(dtype).type(array.item()))
    assert abs(float(stored(Float("float32")).item()) - exact) <= bound.e[EXACT].item()
    for class_number, name in enumerate(CLASSES):
        sample = stored(Perturbed("float32", name, np.random.default_rng(seed))).x.item()
        assert abs(sample - exact) <= bound.e[class_number].item()
    reached = stored(Reach("float32"))
    assert reached.lo.double().item() <= stored(Float("float32")).item() <= reached.hi.double().item()


def test_what_is_beyond_the_range_of_the_stored_dtype_has_no_bound() -> None:
    a = Bounded("float32")
    assert np.isinf(a.store(a.load(np.full((1, 1), 1e5)), "float16").e).all()
    reach = Reach("float32")
    assert reach.store(reach.load(np.full((1, 1), 1e5)), "float16").plus.item()
