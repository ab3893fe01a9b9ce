"""The adversary stays within what its class admits, and uses it."""

import operator
from typing import Any

import numpy as np
import pytest

from refimpl.arithmetic import CLASSES, FORMATS, numpy_dtype
from refimpl.arithmetic.perturbed import ROUNDINGS, Perturbed

DTYPES = list(FORMATS)


def adversary(dtype: str, numerics_class: str, seed: int = 0, unrounded: float = 0.0, lanes: int = 1) -> Perturbed:
    a = Perturbed(dtype, numerics_class, np.random.default_rng(seed), lanes)
    a.unrounded = unrounded
    return a


def in_format(x: Any, dtype: str) -> bool:
    with np.errstate(over="ignore"):
        return bool((x == x.astype(numpy_dtype(dtype)).astype(x.dtype)).all())


def numbers(dtype: str, n: int = 4000) -> Any:
    rng = np.random.default_rng(5)
    decades = rng.uniform(np.log10(FORMATS[dtype].tiny), min(np.log10(FORMATS[dtype].max), 300), (n, 1))
    return (rng.normal(size=(n, 1)) * 10**decades / 10).astype(numpy_dtype(dtype)).astype(np.float64)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_without_wide_results_the_tightest_class_is_the_hardware(dtype: str) -> None:
    a, kind = adversary(dtype, "exact-ieee"), numpy_dtype(dtype)
    x, y = numbers(dtype), numbers(dtype)[::-1].copy()
    with np.errstate(all="ignore"):
        for got, expected in [
            (a.load(x) + a.load(y), x.astype(kind) + y.astype(kind)),
            (a.load(x) * a.load(y), x.astype(kind) * y.astype(kind)),
            (a.load(x) / a.load(y), x.astype(kind) / y.astype(kind)),
            (a.sqrt(a.load(np.abs(x))), np.sqrt(np.abs(x).astype(kind))),
        ]:
            np.testing.assert_array_equal(got.x, expected.astype(np.float64))


OPERATIONS = {"product": (operator.mul, "ulps"), "quotient": (operator.truediv, "ulps_div")}


@pytest.mark.parametrize("numerics_class", CLASSES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_off_by_as_many_ulps_as_the_class_admits_and_no_more(name: str, numerics_class: str) -> None:
    operation, field = OPERATIONS[name]
    ulps = max(getattr(ROUNDINGS[numerics_class], field), 0.5)
    x, y = numbers("float32"), 1 + np.abs(np.sin(np.arange(4000.0)[:, None])).astype(np.float32).astype(np.float64)
    exact = operation(x, y)
    normal = np.minimum(np.abs(x), np.abs(exact)) > FORMATS["float32"].tiny
    ulp = 2.0 ** (np.frexp(exact)[1] - 24)
    worst = 0.0
    for seed in range(12):
        a = adversary("float32", numerics_class, seed)
        got = operation(a.load(x), a.load(y)).x
        assert in_format(got, "float32")
        worst = max(worst, float((np.abs(got - exact) / ulp)[normal].max()))
    assert 0.95 * ulps < worst <= ulps


def test_an_exact_sum_stays_exact_and_zero_stays_zero() -> None:
    for seed in range(8):
        a = adversary("float32", "tensor-approx", seed)
        assert (a.load(np.full((50, 1), 1.5)) + a.load(np.full((50, 1), 0.25))).x.tolist() == [[1.75]] * 50
        assert not a.sqrt(a.load(np.zeros((50, 1)))).x.any()
        assert not (a.load(np.zeros((50, 1))) / a.load(np.ones((50, 1)))).x.any()


def test_a_result_stays_wide_until_it_is_stored() -> None:
    a = adversary("float32", "exact-ieee", unrounded=2.0)
    square = a.load(np.array([[1 + 2.0**-20]])) * a.load(np.array([[1 + 2.0**-20]]))
    assert square.x[0, 0] == (1 + 2.0**-20) ** 2
    assert a.store(square).x[0, 0] == 1 + 2.0**-19


def test_some_elements_of_a_result_are_left_wide_and_others_rounded() -> None:
    x = numbers("float32")
    products = [adversary("float32", "exact-ieee", seed, unrounded=0.6) for seed in range(12)]
    shares = [float(np.mean((a.load(x) * a.load(x)).x == x * x)) for a in products]
    assert any(0.2 < share < 0.9 for share in shares)


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_stored_is_in_the_format_or_infinite(dtype: str) -> None:
    for numerics_class in CLASSES:
        a = adversary(dtype, numerics_class, unrounded=0.6)
        x = a.load(numbers(dtype))
        assert in_format(a.store(x * x + x / a.load(np.full((1, 1), 3.0))).x, dtype)
    top = a.load(np.full((1, 1), FORMATS[dtype].max))
    assert a.store(top + top).x[0, 0] == np.inf
    assert a.store(-(top + top)).x[0, 0] == -np.inf


def test_only_the_loosest_class_flushes_results_and_inputs() -> None:
    tiny = FORMATS["float32"].tiny
    x = np.full((200, 1), tiny / 4)
    for numerics_class in CLASSES:
        some = [adversary("float32", numerics_class, seed) for seed in range(9)]
        kept = np.concatenate([(a.load(x) + a.load(x)).x for a in some])
        flushed = int((kept == 0).sum())
        assert (flushed > 0) == ROUNDINGS[numerics_class].flushes
        assert flushed < kept.size
    sums = [adversary("float32", "tensor-approx", seed) for seed in range(20)]
    assert any(0 < (a.load(x) + a.load(np.full((200, 1), tiny))).x.min() == tiny for a in sums)  # an input that was taken for zero


@pytest.mark.parametrize("seed", range(10))
def test_rows_are_summed_in_some_order(seed: int) -> None:
    a = adversary("float32", "exact-ieee", seed)
    slot = np.array([2, 0, 2, 2, 0, 2, 2])
    values = np.array([[1.0], [10.0], [2.0], [4.0], [20.0], [8.0], [16.0]])
    assert a.sum_rows(a.load(values), slot, 3).x.tolist() == [[30.0], [0.0], [31.0]]


def test_the_order_of_a_sum_varies() -> None:
    values, slot = np.array([[1.0], [1e8], [-1e8], [3.0]]), np.zeros(4, np.int64)
    sums = {float(a.sum_rows(a.load(values), slot, 1).x[0, 0]) for a in (adversary("float32", "exact-ieee", seed) for seed in range(40))}
    assert {0.0, 4.0} < sums


def test_scalars_of_the_exact_classes_are_double_and_those_of_the_tensor_classes_a_mixture() -> None:
    def rest(numerics_class: str, seed: int) -> float:
        a = adversary("float32", numerics_class, seed)
        return float(a.meet(a.scalar(1.0) - a.scalar(0.999)).x[0, 0])

    once = float(np.float32(1 - 0.999))
    first = float(np.float32(1) - np.float32(0.999))
    assert {rest("exact-ieee", seed) for seed in range(40)} == {once}
    assert {once, first} <= {rest("tensor-faithful", seed) for seed in range(40)}


@pytest.mark.parametrize("numerics_class", CLASSES)
def test_a_scalar_times_a_power_of_two_is_converted_to_nearest(numerics_class: str) -> None:
    a = Perturbed("float32", numerics_class, np.random.default_rng(6), lanes=400)
    scaled = (a.scalar(0.018203747219859234) * a.scalar(4.0)).read()
    assert set(scaled.astype(np.float64)) <= {4 * 0.018203747219859234, 4 * float(np.float32(0.018203747219859234))}


def test_each_lane_has_its_own_scalar() -> None:
    a = adversary("float32", "tensor-faithful", lanes=64)
    weight = a.meet(a.scalar(1.0) - a.power(a.scalar(0.999), 7))
    assert weight.shape == (1, 64)
    assert len(np.unique(weight.x)) > 2
    assert np.allclose(weight.x, 1 - 0.999**7, rtol=1e-3)


def test_powers_of_long_exponents_are_powers() -> None:
    for exponent in (0, 1, 64, 65, 10**6):
        a = adversary("float32", "exact-ieee")
        assert float(a.meet(a.power(a.scalar(0.99999), exponent)).x[0, 0]) == pytest.approx(0.99999**exponent, rel=1e-7)


def test_formulations_are_mixed_element_by_element() -> None:
    a = adversary("float32", "exact-ieee")
    joined = a.join([a.load(np.zeros((100, 1))), a.load(np.ones((100, 1)))]).x
    assert 20 < joined.sum() < 80


def test_the_mean_of_a_row_and_the_larger_of_two() -> None:
    a = adversary("float32", "exact-ieee")
    table = a.load(np.array([[1.0, 2.0, 6.0], [4.0, 4.0, 4.0]]))
    assert a.row_mean(table).x.tolist() == [[3.0], [4.0]]
    assert a.maximum(table, a.load(np.full((2, 3), 3.0))).x.tolist() == [[3.0, 3.0, 6.0], [4.0, 4.0, 4.0]]


def test_the_same_seed_gives_the_same_computation() -> None:
    def run(seed: int) -> Any:
        a = Perturbed("float32", "tensor-approx", np.random.default_rng(seed))
        x = a.load(numbers("float32", 100))
        return a.store(a.lerp(x, x * x, a.meet(a.scalar(0.1)))).x

    np.testing.assert_array_equal(run(3), run(3))
    assert (run(3) != run(4)).any()
