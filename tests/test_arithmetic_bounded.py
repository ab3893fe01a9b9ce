"""The running error analysis against exact arithmetic and against adversarial computations."""

from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refimpl.arithmetic import CLASSES, FORMATS, Bound, Bounded, numpy_dtype
from refimpl.arithmetic.balls import Ball
from refimpl.arithmetic.perturbed import Perturbed

DTYPES = list(FORMATS)


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with np.errstate(all="ignore"):  # as in a trajectory: overflow and division by zero are results
        yield


def constant(a: Any, value: float) -> Any:
    return a.load(np.array([[value]]))


# Expressions: ("name", operand, ...) over positions of leaves.
NODES: dict[str, Callable[..., Any]] = {
    "add": lambda a, x, y: x + y,
    "subtract": lambda a, x, y: x - y,
    "multiply": lambda a, x, y: x * y,
    "divide": lambda a, x, y: x / y,
    "size": lambda a, x: a.sqrt(x * x),
    "negate": lambda a, x: -x,
    "larger": lambda a, x, y: a.maximum(x, y),
    "average": lambda a, x, y: a.lerp(x, y, a.meet(a.scalar(1.0) - a.power(a.scalar(0.999), 3))),
    "scale": lambda a, x: x * a.meet(a.scalar(0.1) / a.sqrt(a.scalar(0.3))),
}
EXPRESSIONS = st.recursive(
    st.integers(0, 3),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["add", "subtract", "multiply", "divide", "larger", "average"]), inner, inner),
        st.tuples(st.sampled_from(["size", "negate", "scale"]), inner),
    ),
    max_leaves=8,
)
LEAVES = {
    "float32": st.floats(width=32, allow_nan=False, allow_infinity=False) | st.floats(-8, 8, width=32),
    "float64": st.floats(allow_nan=False, allow_infinity=False) | st.floats(-8, 8),
}


def evaluate(a: Any, expression: Any, leaves: list[float], seen: list[Any]) -> Any:
    if isinstance(expression, int):
        return constant(a, leaves[expression])
    name, *operands = expression
    result = NODES[name](a, *(evaluate(a, operand, leaves, seen) for operand in operands))
    seen.append(result)
    return result


@pytest.mark.parametrize("dtype", LEAVES)
@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_no_admissible_computation_of_an_expression_leaves_its_bound(dtype: str, data: st.DataObject) -> None:
    expression = data.draw(EXPRESSIONS)
    leaves = data.draw(st.lists(LEAVES[dtype], min_size=4, max_size=4))
    steps: list[Bound] = []
    bound = evaluate(Bounded(dtype), expression, leaves, steps)
    if not all(np.isfinite(step.x).all() and np.isfinite(step.e).all() for step in steps):
        return  # no claim is made of an expression that may overflow or divide by zero on its way
    exact = evaluate(Ball(), expression, leaves, [])[0, 0]
    for level, numerics_class in enumerate(CLASSES):
        for seed in range(3):
            rng = np.random.default_rng(seed)
            a = Perturbed(dtype, numerics_class, rng)
            got = a.store(evaluate(a, expression, leaves, [])).x[0, 0] if steps else leaves[expression]
            least = float(abs(Ball().scalar(float(got)) - exact).abs_lower())
            assert least <= bound.e[: level + 1, 0, 0].max()


@pytest.mark.parametrize("dtype", DTYPES)
def test_exact_zeros_stay_exact(dtype: str) -> None:
    a = Bounded(dtype)
    zero, x = constant(a, 0.0), constant(a, 3.0)
    for exact in (zero * x, x * zero, zero + zero, zero / x, a.sqrt(zero), x - x, a.lerp(zero, zero, a.meet(a.scalar(0.1)))):
        assert exact.x[0, 0] == 0
        assert not exact.e.any()
    for unchanged in (x + zero, zero + x, x - zero):
        assert unchanged.x[0, 0] == 3
        assert not unchanged.e.any()
    assert not a.meet(a.scalar(0.0)).e.any()


def test_zero_times_what_may_be_infinite_has_no_bound() -> None:
    a = Bounded("bfloat16")
    step = a.meet(a.scalar(0.0) / (a.scalar(1.0) - a.power(a.scalar(0.999), 3)))  # in bfloat16, 1 - 0.999^3 may be 0
    assert step.x[0, 0] == 0
    assert step.e[:, 0, 0].tolist() == [step.e[0, 0, 0], step.e[1, 0, 0], np.inf, np.inf]
    for product in (constant(a, 0.0) * step, step * constant(a, 0.0)):
        assert np.isinf(product.e[2:]).all()
        assert not product.e[:2].any()


def test_nothing_that_is_computed_from_an_infinite_element_has_a_bound_and_all_else_keeps_its_own() -> None:
    a = Bounded("float32")
    v, m = a.load(np.array([[1e30], [1.0]])), a.load(np.array([[1.0], [1.0]]))
    square = v * v
    assert np.isinf(square.e[:, 0]).all()
    for poisoned in (
        square + m,
        square * m,
        m / square,
        a.sqrt(square),
        a.maximum(m, square),
        a.lerp(m, square, a.meet(a.scalar(0.1))),
        -square,
    ):
        assert np.isinf(poisoned.e[:, 0]).all()
        assert np.isfinite(poisoned.e[:, 1]).all()
    assert not m.e.any()


def test_an_element_is_what_was_stored_last() -> None:
    a = Bounded("float32")
    v = a.load(np.zeros((3, 1)))
    v[np.array([0, 1])] = a.load(np.array([[1e30], [1.0]])) * a.load(np.array([[1e30], [1.0]]))
    v[np.array([0, 2])] = a.load(np.array([[2.0], [3.0]]))
    assert v.x.ravel().tolist() == [2.0, 1.0, 3.0]
    assert np.isfinite(v.e).all()


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_an_input_that_is_not_finite_has_no_bound(value: float) -> None:
    loaded = Bounded("float32").load(np.array([[value, 1.0]]))
    assert np.isinf(loaded.e[:, 0, 0]).all()
    assert not loaded.e[:, 0, 1].any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_dividing_by_what_may_be_zero_has_an_infinite_bound(dtype: str) -> None:
    a = Bounded(dtype)
    nearly = (constant(a, 1.0) + constant(a, 2 * FORMATS[dtype].u)) - constant(a, 1.0)
    assert np.isinf((constant(a, 1.0) / nearly).e).all()
    assert np.isinf((constant(a, 0.0) / nearly).e).all()
    assert not np.isnan((constant(a, 1.0) / constant(a, 0.0)).e).any()


def test_a_root_near_zero_is_bounded_by_the_root_of_the_error() -> None:
    a = Bounded("float32")
    v = constant(a, 1e-30) * constant(a, 1e-10)  # subnormal: no relative error bounds it
    root = a.sqrt(v)
    assert (np.sqrt(v.e) >= root.e * 0.99).all()
    assert (root.e > 0).all()
    assert np.isfinite(root.e).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_may_overflow_has_an_infinite_bound(dtype: str) -> None:
    a = Bounded(dtype)
    top = constant(a, FORMATS[dtype].max)
    for beyond in (top * constant(a, 1.0 + FORMATS[dtype].u), top * constant(a, 4.0), -top * constant(a, 4.0), top + top):
        assert np.isinf(beyond.e).all()
    assert np.isfinite((top * constant(a, 0.5)).e).all()


def test_a_partial_sum_that_may_overflow_has_an_infinite_bound() -> None:
    a = Bounded("float32")
    values = np.array([[3e38], [3e38], [-3e38], [-3e38], [1.0]])
    total = a.sum_rows(a.load(values), np.array([0, 0, 0, 0, 1]), 2)
    assert total.x.tolist() == [[0.0], [1.0]]
    assert np.isinf(total.e[:, 0]).all()
    assert not total.e[:, 1].any()


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_every_order_of_a_sum_lies_in_its_bound(dtype: str) -> None:
    kind = numpy_dtype(dtype)
    values = np.array([1000.0, 0.1, -999.0, 0.3333, 0.007, -1.1]).astype(kind)
    a = Bounded(dtype)
    bound = a.sum_rows(a.load(values[:, None]), np.zeros(len(values), np.int64), 1).e[0, 0, 0]
    exact = sum(Fraction(float(value)) for value in values)
    worst = Fraction(0)
    for order in permutations(values):
        total = order[0]
        for value in order[1:]:
            total = total + value
        worst = max(worst, abs(Fraction(float(total)) - exact))
        pairs = (order[0] + order[1]) + (order[2] + order[3]) + (order[4] + order[5])
        worst = max(worst, abs(Fraction(float(pairs)) - exact))
    assert 0 < worst <= Fraction(bound)
    assert worst > Fraction(bound) / 20  # and the bound is not much larger than needed


@pytest.mark.parametrize("base", [0.0, 0.5, 0.9, 0.999, 0.99999])
@pytest.mark.parametrize("exponent", [1, 2, 10, 1000, 10**6])
def test_powers_by_pow_and_by_running_product_lie_in_the_bound(base: float, exponent: int) -> None:
    a = Bounded("float32")
    bound = a.power(a.scalar(base), exponent)
    with localcontext() as context:
        context.prec = 60
        exact = Decimal(base) ** exponent
        computed = {
            "exact-ieee": [float(np.float64(base) ** exponent), float(np.cumprod(np.full(exponent, base))[-1])],
            "tensor-faithful": [
                float(np.float32(base) ** np.float32(exponent)),
                float(np.cumprod(np.full(exponent, base, np.float32))[-1]),
            ],
        }
        for numerics_class, results in computed.items():
            e = bound.e[CLASSES.index(numerics_class)]
            assert all(abs(Decimal(result) - exact) <= Decimal(float(e)) for result in results)
    assert max(bound.e) <= 1  # a power of a beta lies between 0 and 1, whatever is known of it


def test_a_product_that_stops_shrinking_among_subnormals_lies_in_the_bound() -> None:
    a = Bounded("float16")
    stuck = float(np.cumprod(np.full(330, 0.9, np.float16))[-1])
    assert 0 < stuck - 0.9**330 <= a.power(a.scalar(0.9), 330).e[2]
    assert stuck > FORMATS["float16"].smallest


def test_a_power_of_zero_steps_is_one_and_exact() -> None:
    power = Bounded("float32").power(Bounded("float32").scalar(0.9), 0)
    assert power.x == 1
    assert not any(power.e)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [0.999, 0.9, 0.5, 1e-3, 0.1234567890123, 1.0, 0.0])
def test_the_conversion_of_a_hyper_parameter_is_charged_exactly(dtype: str, value: float) -> None:
    a = Bounded(dtype)
    ways = [numpy_dtype(dtype).type(value)] + [np.float32(value).astype(numpy_dtype(dtype))] * (FORMATS[dtype].precision < 24)
    error = max(abs(float(converted) - value) for converted in ways)
    scalar, met = a.scalar(value), a.meet(a.scalar(value))
    assert scalar.e[:2] == (0.0, 0.0)
    assert scalar.e[2] == scalar.e[3] == error
    assert met.e.ravel().tolist() == pytest.approx([error] * 4, rel=1e-11)


def test_the_conversion_of_a_result_in_double_is_known_up_to_the_error_in_double() -> None:
    a = Bounded("float32")
    for result in (a.scalar(1.0) - a.scalar(0.999), a.scalar(1.0) - a.power(a.scalar(0.999), 17), a.scalar(1e-3) / a.scalar(0.3)):
        known = abs(float(np.float32(result.x)) - result.x)
        assert 0 < known <= a.meet(result).e[0, 0, 0] < known + 1e-13
        assert a.meet(result).e[0, 0, 0] == a.meet(result).e[1, 0, 0]


def test_one_minus_a_beta_brings_no_rounding_of_its_own() -> None:
    a = Bounded("float32")
    for beta in (0.999, 0.9, 0.75, 0.5):
        rest = a.meet(a.scalar(1.0) - a.scalar(beta))
        known = max(abs(float(np.float32(1) - np.float32(beta)) - (1 - beta)), abs(float(np.float32(1 - beta)) - (1 - beta)))
        assert rest.e[2, 0, 0] <= max(known, 2 * FORMATS["float32"].u * (1 - beta)) * (1 + 1e-9) + 1e-16
        assert rest.e[2, 0, 0] >= known * (1 - 1e-9)


def test_a_power_is_charged_a_rounding_for_every_factor_the_first_one_too() -> None:
    a = Bounded("float32")
    once = a.power(a.scalar(0.75), 1)  # 0.75 is a float32, but pow may be off by an ulp
    assert once.e[2] >= FORMATS["float32"].u
    assert once.e[2] <= 1.01 * FORMATS["float32"].u  # an ulp of a number between 1/2 and 1
    ten = a.power(a.scalar(0.999), 10)
    known = abs(float(np.float32(0.999)) - 0.999)
    assert 10 * known + 10 * FORMATS["float32"].u <= ten.e[2] * 1.02 <= 1.04 * (10 * known + 10 * FORMATS["float32"].u)


@pytest.mark.parametrize("factor", [0.5, 1.0, 1024.0, -2.0])
def test_a_product_with_a_power_of_two_is_exact(factor: float) -> None:
    a = Bounded("float32")
    x = constant(a, 0.7) * constant(a, 0.9)
    product = x * a.meet(a.scalar(factor))
    assert product.x[0, 0] == factor * x.x[0, 0]
    assert product.e.ravel().tolist() == pytest.approx((abs(factor) * x.e).ravel().tolist(), rel=1e-9)


def test_a_product_with_a_power_of_two_may_underflow() -> None:
    a = Bounded("float32")
    x = constant(a, 1.5 * FORMATS["float32"].tiny)
    half = x * a.meet(a.scalar(0.5))
    assert half.e.ravel().tolist() == pytest.approx([FORMATS["float32"].smallest] * 3 + [FORMATS["float32"].tiny], rel=1e-9)


def test_nothing_is_divided_by_one_and_the_root_of_one_is_one() -> None:
    a = Bounded("float32")
    one_, lr = a.scalar(1.0), a.scalar(1e-3)
    assert (lr / one_).e == lr.e
    assert a.sqrt(one_).e == (0.0,) * 4
    g = constant(a, 0.3)
    assert not (g / a.meet(one_)).e.any()
    assert (g / a.meet(one_ - a.power(a.scalar(0.0), 3))).e.all()  # a program that computes a 1 divides by it


def test_a_rounding_is_charged_by_the_power_of_two_below_the_result() -> None:
    a, u = Bounded("float32"), FORMATS["float32"].u
    for x, y, power in ((1.9, 1.0, 1.0), (1.5, 1.5, 2.0), (1.0, 1.0 + 2 * u, 1.0)):
        assert (constant(a, x) * constant(a, y)).e[:3, 0, 0].tolist() == pytest.approx([u * power, 2 * u * power, 2 * u * power], rel=1e-6)


def test_a_magnitude_that_may_reach_the_next_power_of_two_is_charged_by_it() -> None:
    a, u = Bounded("float32"), FORMATS["float32"].u
    nearly = constant(a, 2 - 2 * u) * constant(a, 1.0)  # may be 2 when it is rounded up
    assert (nearly * constant(a, 1.0)).e[0, 0, 0] >= 2 * u + nearly.e[0, 0, 0]


def test_inputs_below_the_smallest_normal_may_be_flushed() -> None:
    a = Bounded("float32")
    tiny = FORMATS["float32"].tiny
    assert a.load(np.array([[tiny / 2, tiny]])).e[-1].tolist() == [[tiny / 2, 0.0]]
    assert not a.load(np.array([[tiny / 2, tiny]])).e[:-1].any()


def test_a_difference_that_some_computation_makes_subnormal_may_be_flushed() -> None:
    a = Bounded("float32")
    tiny = FORMATS["float32"].tiny
    large = constant(a, 2e8) * constant(a, tiny)  # rounded: its error alone reaches below the smallest normal
    difference = large - constant(a, 2e8 * tiny - 5 * tiny)
    assert difference.x[0, 0] > 4 * tiny
    assert difference.e[-1, 0, 0] >= large.e[-1, 0, 0] + tiny


def test_formulations_are_joined_by_the_larger_bound() -> None:
    a = Bounded("float32")
    x = constant(a, 1.0)
    rounded = x * constant(a, 1.0)
    joined = a.join([x, rounded])
    assert joined.x[0, 0] == 1
    np.testing.assert_array_equal(joined.e, rounded.e)


def test_formulations_of_which_one_is_infinite_have_no_bound() -> None:
    a = Bounded("float32")
    finite, infinite = constant(a, 1.0), constant(a, 1e38) * constant(a, 1e38)
    for joined in (a.join([finite, infinite]), a.join([infinite, finite])):
        assert np.isinf(joined.e).all()


def test_an_overflow_in_one_formulation_alone_is_detected() -> None:
    a = Bounded("float32")
    v, correction, m = constant(a, 3e38), constant(a, 1e-3), constant(a, 1e18)
    folded = m / (a.sqrt(v) / a.sqrt(correction))
    hidden = m / a.sqrt(v / correction)  # v / correction is infinite, and m by infinity would be 0, exactly so
    assert np.isfinite(folded.e).all()
    assert np.isinf(hidden.e).all()
    assert np.isinf(a.join([folded, hidden]).e).all()


def test_the_sum_of_so_many_numbers_that_their_roundings_grow_is_charged_for_that() -> None:
    a, n = Bounded("bfloat16"), 400
    values = np.ones((n, 1))
    total = a.sum_rows(a.load(values), np.zeros(n, np.int64), 1)
    chain = np.zeros(1, numpy_dtype("bfloat16"))
    for value in values.astype(numpy_dtype("bfloat16")):
        chain = chain + value
    assert float(chain[0]) == 256  # where it stops
    assert total.e[0, 0, 0] > n - 256


def test_the_error_of_a_moving_average_decays() -> None:
    a = Bounded("float32")
    m, weight = constant(a, 0.7), a.meet(a.scalar(1.0) - a.scalar(0.9))
    for _ in range(2000):
        m = a.lerp(m, constant(a, 0.7), weight)
    assert m.e[0, 0, 0] < 40 * FORMATS["float32"].u


def test_cached_results_of_a_tensor_are_dropped_when_it_changes() -> None:
    a = Bounded("float32")
    x, y = a.load(np.array([[1.0, 2.0]])), a.load(np.array([[3.0, 5.0]]))
    assert (x * y) is (x * y)
    assert (x * y).x.tolist() == [[3.0, 10.0]]
    x[np.array([0])] = a.load(np.array([[7.0, 2.0]]))
    assert (x * y).x.tolist() == [[21.0, 10.0]]
    y[np.array([0])] = a.load(np.array([[0.5, 5.0]]))
    assert (x * y).x.tolist() == [[3.5, 10.0]]
    product = x * y
    product[np.array([0])] = a.load(np.array([[0.0, 0.0]]))
    assert (x * y).x.tolist() == [[3.5, 10.0]]


def test_a_change_of_joined_alternatives_leaves_the_cached_results_of_the_first() -> None:
    a = Bounded("float32")
    x, y, z = (a.load(np.array([[number, 2.0]])) for number in (3.0, 5.0, 15.0))
    joined = a.join([x * y, z * constant(a, 1.0)])
    joined[np.array([0])] = a.load(np.array([[0.0, 0.0]]))
    assert (x * y).x.tolist() == [[15.0, 4.0]]


def test_a_sum_of_a_subnormal_and_a_scalar_that_the_format_does_not_hold_may_go_to_either_neighbour() -> None:
    a, smallest, eps = Bounded("float16"), FORMATS["float16"].smallest, 133.8 * FORMATS["float16"].smallest
    total = a.load(np.array([[smallest]])) + a.meet(a.scalar(eps))
    for k, numerics_class in enumerate(CLASSES):
        neighbours = (135 * smallest,) if numerics_class == "exact-ieee" else (134 * smallest, 135 * smallest)
        assert all(abs(neighbour - (smallest + eps)) <= total.e[k, 0, 0] for neighbour in neighbours)
