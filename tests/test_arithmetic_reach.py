"""Reach: no admissible computation is outside the set, and the set says what may happen and nothing else."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from refimpl.arithmetic import CLASSES
from refimpl.arithmetic.perturbed import Perturbed
from refimpl.arithmetic.reach import Reach, Set

INPUTS = np.array([[1.0, 0.0, 1e30, -1e30, 3e38, -np.inf, np.inf, np.nan, 1e-30, -2.0]])


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with np.errstate(all="ignore"):
        yield


def kinds_of(some: Set) -> list[str]:
    return [
        " ".join(name for name, flag in (("finite", some.finite), ("+", some.plus), ("-", some.minus), ("nan", some.nan)) if flag[0, k])
        for k in range(some.shape[1])
    ]


def single(value: float) -> Any:
    return Reach("float32").load(np.array([[value]]))


def inside(some: Set, got: np.ndarray) -> np.ndarray:
    lo, hi = some.lo.double(), some.hi.double()
    finite = np.isfinite(got) & some.finite & (got >= lo) & (got <= hi)
    return np.asarray(finite | (np.isposinf(got) & some.plus) | (np.isneginf(got) & some.minus) | (np.isnan(got) & some.nan))


EXPRESSIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "sum": lambda a, x, y: x + y,
    "difference": lambda a, x, y: x - y,
    "product": lambda a, x, y: x * y,
    "square": lambda a, x, y: x * x,
    "quotient": lambda a, x, y: x / y,
    "root": lambda a, x, y: a.sqrt(x * x),
    "larger": lambda a, x, y: a.maximum(x * x, y * y),
    "average": lambda a, x, y: a.lerp(x, y, a.meet(a.scalar(1.0) - a.scalar(0.9))),
    "average of squares": lambda a, x, y: a.lerp(x * x, y * y, a.meet(a.scalar(1.0) - a.scalar(0.999))),
    "fused": lambda a, x, y: x * a.meet(a.scalar(0.9)) + a.fused_rest(y, a.meet(a.scalar(0.9)), a.meet(a.scalar(1.0) - a.scalar(0.9))),
    "step": lambda a, x, y: (x * a.meet(a.scalar(1e-3))) / (a.sqrt(y * y) + a.meet(a.scalar(1e-8))),
}


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_no_admissible_computation_is_outside(name: str, dtype: str) -> None:
    x, y = (table.reshape(1, -1) for table in np.meshgrid(INPUTS, INPUTS))
    if dtype == "float64":
        x, y = np.where(np.isfinite(x), x**5, x), np.where(np.isfinite(y), y**5, y)
    x, y = x.astype(dtype), y.astype(dtype)
    some = EXPRESSIONS[name](Reach(dtype), Reach(dtype).load(x), Reach(dtype).load(y))
    for numerics_class in CLASSES:
        for seed in range(6):
            a = Perturbed(dtype, numerics_class, np.random.default_rng(seed))
            got = a.store(EXPRESSIONS[name](a, a.load(x), a.load(y))).x.astype(np.float64)
            stored = Reach(dtype).store(some)
            assert inside(stored, got).all(), (
                numerics_class,
                seed,
                [(x[0, k], y[0, k], got[0, k]) for k in np.flatnonzero(~inside(stored, got))],
            )


def test_a_square_that_overflows_is_infinite_or_goes_on_wide() -> None:
    square = single(1e25) * single(1e25)
    assert kinds_of(square) == ["finite +"]
    assert square.lo.double()[0, 0] == pytest.approx(1e50, rel=1e-6)
    assert kinds_of(Reach("float32").store(square)) == ["+"]
    assert kinds_of(single(1.0) / square) == ["finite"]


def test_an_increment_of_an_infinite_number_is_nan_and_a_product_keeps_it() -> None:
    a, weight = Reach("float32"), Reach("float32").meet(Reach("float32").scalar(0.1))
    assert kinds_of(a.lerp(single(np.inf), single(1.0), weight)) == ["nan"]
    assert kinds_of(single(np.inf) * weight + single(1.0) * weight) == ["+"]
    assert kinds_of(a.lerp(single(1.0), single(np.inf), weight)) == ["+"]


def test_a_fused_rest_of_an_infinite_number_is_nan() -> None:
    a = Reach("float32")
    rest = a.fused_rest(single(-np.inf), a.meet(a.scalar(0.9)), a.meet(a.scalar(0.1)))
    assert kinds_of(rest) == ["- nan"]  # -inf where beta is in double: (1 - beta)*new


def test_nothing_else_is_admitted_of_ordinary_numbers() -> None:
    for name, expression in EXPRESSIONS.items():
        a = Reach("float32")
        some = expression(a, single(1.5), single(-2.5))
        assert kinds_of(some) == ["finite"], name
        assert some.hi.double()[0, 0] - some.lo.double()[0, 0] <= 1e-5 * np.abs(some.hi.double()[0, 0])


def test_the_square_of_a_number_of_either_sign_is_not_negative() -> None:
    a = Reach("float32")
    either = a.sum_rows(a.load(np.array([[1e30], [-1e30], [1.0]])), np.zeros(3, np.int64), 1)
    assert either.lo.double()[0, 0] < 0 < either.hi.double()[0, 0]
    assert (either * either).lo.double()[0, 0] == 0


def test_a_sum_may_overflow_on_its_way() -> None:
    a = Reach("float32")
    total = a.sum_rows(a.load(np.array([[3e38], [3e38], [-3e38], [-3e38]])), np.zeros(4, np.int64), 1)
    assert kinds_of(total) == ["finite + - nan"]


def test_division_by_what_may_be_zero_may_be_any_number_of_the_sign() -> None:
    a = Reach("float32")
    nearly = a.sqrt(single(1e-30) * single(1e-30))
    assert kinds_of(single(1.0) / nearly) == ["finite +"]
    assert kinds_of(-single(1.0) / nearly) == ["finite -"]
    assert kinds_of(single(0.0) / nearly) == ["finite nan"]
