"""The adversary rounds in one direction, by as much as its class admits and no more."""

from typing import Any

import numpy as np
import pytest

from refimpl.arithmetic import CLASSES, FORMATS, Bounded
from refimpl.arithmetic.adversary import Adversary
from refimpl.arithmetic.perturbed import ROUNDINGS

NUMBERS = np.random.default_rng(3).normal(size=(200, 2))


def expression(a: Any, x: np.ndarray) -> Any:
    loaded = a.load(x.astype(np.float32))
    weight = a.meet(a.scalar(1.0) - a.scalar(0.9))
    square = loaded * loaded
    return (a.lerp(square, loaded, weight) * a.meet(a.scalar(1e-3))) / (a.sqrt(square) + a.meet(a.scalar(1e-8)))


def pushed(numerics_class: str, way: float) -> tuple[np.ndarray, np.ndarray]:
    """The result with every rounding in one direction, and the one without roundings."""
    first = Adversary("float32", numerics_class, lanes=2)
    exact = expression(first, NUMBERS)
    directions = first.directions([(exact.node, np.full(exact.shape, way))])
    second = Adversary("float32", numerics_class, lanes=2, directions=directions)
    return second.store(expression(second, NUMBERS)).x, exact.x


@pytest.mark.parametrize("numerics_class", CLASSES)
def test_the_adversary_uses_more_than_half_of_the_bound_and_stays_inside(numerics_class: str) -> None:
    bound = expression(Bounded("float32"), NUMBERS).e[CLASSES.index(numerics_class)]
    for way in (1.0, -1.0):
        got, exact = pushed(numerics_class, way)
        usage = (got - exact) * way / bound
        assert usage.max() > 0.5
        assert np.abs(usage).max() <= 1


@pytest.mark.parametrize("numerics_class", CLASSES)
def test_results_are_rounded_in_the_direction_that_is_asked_for(numerics_class: str) -> None:
    up, exact = pushed(numerics_class, 1.0)
    down, _ = pushed(numerics_class, -1.0)
    assert np.mean((up - exact) - (down - exact) > 0) > 0.9


def test_the_first_pass_rounds_nothing() -> None:
    a = Adversary("float32", "tensor-approx")
    x = np.array([[1 / 3]])
    assert (a.load(x) * a.load(x)).x[0, 0] == (1 / 3) ** 2


def test_directions_are_the_signs_of_derivatives() -> None:
    a = Adversary("float32", "exact-ieee")
    x, y = a.load(np.array([[2.0], [-2.0]])), a.load(np.array([[3.0], [3.0]]))
    product = x * y
    quotient = x / product
    signs = a.directions([(quotient.node, np.ones((2, 1)))])
    assert signs[product.node].ravel().tolist() == [-1, 1]  # d(x/z)/dz = -x/z^2
    assert signs[quotient.node].ravel().tolist() == [1, 1]


def test_rows_that_are_taken_and_put_back_keep_their_derivatives() -> None:
    a = Adversary("float32", "exact-ieee")
    table = a.load(np.array([[1.0], [2.0], [3.0]]))
    rows = np.array([2, 0])
    taken = table[rows]
    table[rows] = -taken
    signs = a.directions([(table.node, np.array([[1.0], [1.0], [0.0]]))])
    assert signs[taken.node].ravel().tolist() == [0, -1]


def test_an_exact_sum_is_not_changed() -> None:
    a = Adversary("float32", "tensor-faithful", directions={node: np.ones((1, 1), np.int8) for node in range(3)})
    assert (a.load(np.array([[1.5]])) + a.load(np.array([[0.25]]))).x[0, 0] == 1.75


def test_an_exact_quotient_is_changed_by_as_many_ulps_as_the_class_admits() -> None:
    for numerics_class in CLASSES:
        a = Adversary("float32", numerics_class, directions={node: np.ones((1, 1), np.int8) for node in range(8)})
        quotient = (a.load(np.array([[3.0]])) / a.load(np.array([[2.0]]))).x[0, 0]
        assert quotient == 1.5 + ROUNDINGS[numerics_class].ulps_div * 2 * FORMATS["float32"].u


def test_occurrences_are_summed_to_the_largest_partial_sums() -> None:
    a = Adversary("float32", "exact-ieee")
    values = a.load(np.array([[1.0], [-5.0], [4.0], [2.0]]))
    assert a.sum_rows(values, np.array([1, 1, 1, 0]), 2).x.tolist() == [[2.0], [0.0]]
