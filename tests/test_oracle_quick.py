"""The quick expectations admit what balls admit and hardly more; a screen lets through only what they admit; rows stand alone."""

from typing import Any

import numpy as np
import pytest

from refimpl.arithmetic import CLASSES, Bounded, Float
from refimpl.case import Case, ratios
from refimpl.cases.random_cases import Size, mixed_case, random_case
from refimpl.dialects import dialect
from refimpl.oracle import expectations, quick_expectations, restricted, rows_of, screen
from refimpl.oracle.expectations import bounded, recorded
from refimpl.reference import ALL, ONE, ByFormat, trajectory

NAMES = ("torch.SparseAdam", "mindspore.LazyAdam", "torch.AdamW", "torch.NAdam")


def drawn(name: str, seed: int, dtype: str = "float32", draw: Any = random_case) -> Case:
    made: Case = draw(np.random.default_rng(seed), name, Size(4, 3, 2), dtype)
    return made


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [1, 2])
def test_what_the_bound_about_the_exact_result_admits_the_quick_one_admits_and_hardly_more(name: str, seed: int) -> None:
    case = drawn(name, seed)
    exact, quick = expectations(case), quick_expectations(case)
    for param, arrays in exact.items():
        for array, expected in arrays.items():
            wider = quick[param][array]
            for numerics_class in CLASSES:
                bound, more = (each.bound[numerics_class].astype(np.float64) for each in (expected, wider))
                inside = np.isfinite(bound) & np.isfinite(expected.value)
                apart = np.abs(np.where(inside, wider.value - expected.value, 0.0))
                assert (np.where(inside, bound + apart, 0) <= np.where(inside, more, 0) * (1 + 1e-15)).all()
                assert (np.where(inside, more, 0) <= np.where(inside, bound, 0) * (1 + 1e-5) + 1e-44).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_the_screen_lets_through_is_within_the_bound(name: str, dtype: str) -> None:
    """Numbers at, within and outside the bound: none outside is let through, and what a float computation gives mostly is."""
    rng, passed, total = np.random.default_rng(9), 0, 0
    for seed in range(3):
        case = drawn(name, seed, dtype)
        expected = expectations(case) if dtype == "float64" else quick_expectations(case)
        run = recorded(case, ByFormat(Float), dialect(name), (), ONE)
        for scale in (0.0, 0.9, 1.2, 3.0):
            states: dict[str, dict[str, np.ndarray]] = {}
            for param, arrays in expected.items():
                for array, each in arrays.items():
                    with np.errstate(all="ignore"):
                        away = rng.choice([-scale, scale], each.value.shape) * each.bound["tensor-faithful"]
                        got = run[param, array] if not scale else (each.value + away).astype(dtype)
                    states.setdefault(param, {})[array] = got
            for param, array, ratio in screen(case, states, "tensor-faithful"):
                truly = ratios(states[param][array], expected[param][array], "tensor-faithful")
                assert not ((ratio <= 1) & (truly > 1)).any()
                passed, total = passed + int((ratio <= 1).sum()) * (not scale), total + ratio.size * (not scale)
    assert passed > 0.5 * total


@pytest.mark.parametrize("numerics_class", CLASSES)
def test_a_class_alone_has_the_bound_that_it_has_among_all(numerics_class: str) -> None:
    for name in NAMES[:3]:
        case = drawn(name, 3)
        alone = trajectory(case, Bounded("float32", None, (numerics_class,)), dialect(name), (), ALL)
        for some, every in zip(alone, trajectory(case, bounded("float32"), dialect(name), (), ALL)):
            for field in ("p", "m", "v"):
                left, right = getattr(some["w"], field), getattr(every["w"], field)
                np.testing.assert_array_equal(left.x, right.x)
                assert (left.e[0] <= right.e[CLASSES.index(numerics_class)]).all()
                np.testing.assert_allclose(left.e[0], right.e[CLASSES.index(numerics_class)], rtol=1e-6)


@pytest.mark.parametrize("draw", [random_case, mixed_case])
@pytest.mark.parametrize("name", NAMES)
def test_some_rows_have_the_results_that_they_have_among_all(name: str, draw: Any) -> None:
    for seed in range(3):
        case = drawn(name, seed, draw=draw)
        layouts = rows_of(case)
        kept = {key: np.union1d(layout.needed, [layout.count - 1]).astype(np.int64) for key, layout in layouts.items()}
        some = recorded(restricted(case, kept), Float("float32"), dialect(name))
        for (param, array), every in recorded(case, Float("float32"), dialect(name)).items():
            if param in kept:
                width = layouts[param].width
                wanted = every.reshape(len(every), -1, width)[:, kept[param]]
                np.testing.assert_array_equal(some[param, array].reshape(wanted.shape), wanted)
