"""Truth and bound of a case, elements that leave the range of their format, and what a case is proven to catch."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from refimpl import oracle
from refimpl.arithmetic import CLASSES, Float
from refimpl.arithmetic.wide import Wide
from refimpl.case import KINDS, Case, Expected, Group, Param, Step, ratios
from refimpl.dialects import deviations, dialect
from refimpl.errors import HarnessError
from refimpl.gradients import Array, RowGradient
from refimpl.oracle._catches import CATCH_DISTANCE
from refimpl.oracle.expectations import round_up
from refimpl.reference import ONE, each


def one_row(gradients: list[float], dtype: str = "float32", start: float = 0.5, **hyper: object) -> Case:
    table = dialect("torch.SparseAdam")
    steps = tuple(Step({"w": RowGradient(np.array([1]), np.array([[g]], dtype), (3, 1))}, ({},)) for g in gradients)
    value = np.full((3, 1), start, dtype)
    groups = (Group({**table.defaults(), **hyper}),)
    return Case("torch.SparseAdam/t/c", "a case", table.name, (Param("w", value),), groups, steps, tuple(range(1, len(steps) + 1)))


def test_the_moments_are_the_exact_rational_numbers_rounded_to_double() -> None:
    case = one_row([0.25, -0.75])
    b1, b2 = Fraction(0.9), Fraction(0.999)
    m = b1 * (1 - b1) * Fraction(0.25) + (1 - b1) * Fraction(-0.75)
    v = b2 * (1 - b2) * Fraction(0.25) ** 2 + (1 - b2) * Fraction(-0.75) ** 2
    expected = oracle.expectations(case)["w"]
    assert expected["exp_avg"].value[1, 1, 0] == float(m)
    assert expected["exp_avg_sq"].value[1, 1, 0] == float(v)


def test_the_first_step_is_lr_long_up_to_eps() -> None:
    case = one_row([4.0], eps=1e-30, lr=0.125)
    assert oracle.expectations(case)["w"]["param"].value[0, 1, 0] == pytest.approx(0.375, rel=1e-15)


def test_rows_that_are_not_stored_must_stay_as_they_are_to_the_bit() -> None:
    expected = oracle.expectations(one_row([1.0, 2.0]))["w"]
    for name in CLASSES:
        assert (expected["exp_avg"].bound[name][:, [0, 2]] == 0).all()
        # the value is a double already; half an ulp of double is all that its rounding can be
        assert (expected["param"].bound[name][:, [0, 2]] <= 0.5 * 2.0**-52).all()


def test_bounds_grow_from_class_to_class() -> None:
    expected = oracle.expectations(one_row([1.0, -3.0, 1e-3]))["w"]
    for array in expected.values():
        for tight, loose in itertools.pairwise(CLASSES):
            assert (array.bound[tight] <= array.bound[loose]).all()


def test_a_square_that_overflows_lists_every_kind_that_some_formulation_gives() -> None:
    expected = oracle.expectations(one_row([1e25, 1.0]))["w"]
    assert expected["exp_avg_sq"].allowed is not None
    assert expected["exp_avg_sq"].allowed[0, 1, 0] == KINDS["+inf"] | KINDS["nan"]  # nan: llm.c's fma(b, v, fma(-b, inf, inf))
    assert expected["exp_avg_sq"].allowed[1, 1, 0] == KINDS["+inf"] | KINDS["nan"]
    assert expected["exp_avg_sq"].allowed[1, 0, 0] == KINDS["finite"]
    # v is infinite, so p stays; with double inside it moves by lr. Both are inside the bound, two steps are not.
    p, bound = expected["param"].value[0, 1, 0], expected["param"].bound["exact-ieee"][0, 1, 0]
    assert abs(0.5 - p) <= bound
    assert abs(0.499 - p) <= bound
    assert abs(0.498 - p) > bound


def test_a_square_that_overflows_leaves_the_proven_bound_to_the_first_moment() -> None:
    expected = oracle.expectations(one_row([1.0, 1e25, 1.0]))["w"]
    assert expected["exp_avg"].allowed is None
    assert all((bound[:, 1, 0] < 1e-6 * 1e24).all() for bound in expected["exp_avg"].bound.values())
    assert expected["param"].allowed is not None
    assert expected["param"].allowed[0, 1, 0] == KINDS["finite"]
    assert expected["param"].bound["tensor-approx"][0, 1, 0] < 1e-6


NEARLY_CANCELLED = [-1.357e31, -1.259e21, 1.357e31, 31198.77]


def occurrences_of_one_row(values: list[float]) -> Case:
    case = one_row([1.0])
    gradient = RowGradient(np.ones(len(values), np.int64), np.array(values, np.float32)[:, None], (3, 1))
    return replace(case, steps=(Step({"w": gradient}, ({},)),))


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_an_element_out_of_range_admits_every_order_of_its_sum(order: tuple[int, ...]) -> None:
    expected = oracle.expectations(occurrences_of_one_row(NEARLY_CANCELLED))["w"]
    case = occurrences_of_one_row([NEARLY_CANCELLED[k] for k in order])
    for tensor_scalars in (False, True):
        for wide, numerics_class in ((Float, CLASSES[2 * tensor_scalars]), (Wide, CLASSES[2 * tensor_scalars])):
            with np.errstate(all="ignore"):
                run = oracle.recorded(case, wide("float32", tensor_scalars=tensor_scalars), dialect(case.dialect))
            for array, truth in expected.items():
                assert ratios(run["w", array], truth, numerics_class).max() <= 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("gradients", [[1.0, 1e25, 1.0], [1.0, np.inf, 1.0], [-np.inf], [np.nan, 1.0], [1e160, 1.0, 3.0], [5.8e20, 1.0]])
def test_every_formulation_is_within_what_is_expected_out_of_range(gradients: list[float], dtype: str) -> None:
    with np.errstate(over="ignore"):
        case = one_row(gradients, dtype)
    expected = oracle.expectations(case)["w"]
    for forms in each(0.9, 0.999):
        if (forms.unscaling, forms.shrink) == (ONE.unscaling, ONE.shrink):
            for arithmetic, numerics_class in (
                (Float(dtype), "exact-ieee"),
                (Float(dtype, tensor_scalars=True), "tensor-faithful"),
                (Wide(dtype), "exact-ieee"),
                (Wide(dtype, tensor_scalars=True), "tensor-faithful"),
            ):
                run = oracle.recorded(case, arithmetic, dialect(case.dialect), (), forms)
                for array, truth in expected.items():
                    assert ratios(run["w", array], truth, numerics_class).max() <= 1, (forms, arithmetic)


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="this platform has no extended precision")
def test_extended_precision_inside_float64_is_within_what_is_expected() -> None:
    case = one_row([1.0, 1e160, 1.0, 1e153], "float64")
    expected = oracle.expectations(case)["w"]
    p, m, v = (np.longdouble(x) for x in (0.5, 0.0, 0.0))
    for t, step in enumerate(case.steps, start=1):
        g = np.longdouble(step.gradients["w"].values[0, 0])
        m = m * np.longdouble(0.9) + g * np.longdouble(1 - 0.9)
        v = v * np.longdouble(0.999) + g * g * np.longdouble(1 - 0.999)
        size = np.longdouble(1e-3 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t))
        p = p - m * size / (np.sqrt(v) + np.longdouble(1e-8))
        for array, computed in (("param", p), ("exp_avg", m), ("exp_avg_sq", v)):
            got = np.full((len(case.steps), 3, 1), 0.5)
            got[t - 1, 1, 0] = np.float64(computed)
            assert ratios(got, expected[array], "exact-ieee")[t - 1, 1, 0] <= 1
        p, m, v = (np.longdouble(np.float64(x)) for x in (p, m, v))


def test_faults_out_of_range_are_detected() -> None:
    expected = oracle.expectations(one_row([1.0, 1e25, 1.0]))["w"]
    for array, wrong in (
        ("exp_avg_sq", 3e38),
        ("exp_avg_sq", -np.inf),
        ("param", 0.49),
        ("param", np.inf),
        ("exp_avg", np.inf),
        ("exp_avg", np.nan),
    ):
        got = expected[array].value.copy()
        got[1, 1, 0] = wrong
        assert ratios(got, expected[array], CLASSES[-1])[1, 1, 0] > 1, (array, wrong)
    for array in expected:  # a neighbour that is not out of range admits nothing else
        got = expected[array].value.copy()
        got[1, 0, 0] = np.nan
        assert ratios(got, expected[array], CLASSES[-1])[1, 0, 0] > 1


def test_a_nan_in_the_input_is_expected_where_it_stands() -> None:
    expected = oracle.expectations(one_row([float("nan")]))["w"]
    assert expected["param"].allowed is not None
    assert expected["param"].allowed[0].reshape(-1).tolist() == [KINDS["finite"], KINDS["nan"], KINDS["finite"]]


def test_a_formulation_that_is_another_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from refimpl.reference import forms

    wrong = {**forms.MEAN, forms.Mean.LERP: lambda a, old, new, b, one_minus_b: a.lerp(old, new, b)}
    monkeypatch.setattr("refimpl.reference._update.MEAN", wrong)
    with pytest.raises(HarnessError, match="not the same real number"):
        oracle.expectations(one_row([1.0, 2.0]))


def test_two_dialects_separate_on_a_case_that_claims_it() -> None:
    case = one_row([1e-8])
    caught = oracle.catches(case, oracle.expectations(case), deviations().values())
    assert {"eps-beside-sqrt-v-hat", "eps-dropped", "no-bias-correction", "counter-one-ahead"} <= set(caught)
    assert "eps-beside-sqrt-v" not in caught


def test_a_deviation_within_ten_bounds_is_not_claimed() -> None:
    case = one_row([1.0], eps=1e-12)  # eps is far below the rounding of sqrt(v)
    assert "eps-subtracted" not in oracle.catches(case, oracle.expectations(case), deviations().values())


def test_a_claim_holds_for_floats_too() -> None:
    case = one_row([0.5, 0.25])
    expected = oracle.expectations(case)
    for id in oracle.catches(case, expected, deviations().values()):
        run = oracle.recorded(case, Float("float64"), dialect(case.dialect), (deviations()[id],))
        distance = max(_distance(run["w", array], truth) for array, truth in expected["w"].items())
        assert distance > CATCH_DISTANCE


def _distance(got: Array, truth: Expected) -> float:
    """The largest distance in bounds of the loosest class; infinite where a number is not finite."""
    with np.errstate(invalid="ignore"):
        bounds = np.abs(got - truth.value) / np.maximum(truth.bound[CLASSES[-1]], 1e-300)
    return float(np.where(np.isfinite(got), bounds, np.inf).max())


def test_rounding_up_never_goes_below() -> None:
    e = np.array([0.0, 1e-60, 1e-45, 0.1, 1.0, 1e38, 1e300])
    up = round_up(e)
    assert up.dtype == np.float32
    assert (up.astype(np.float64) >= e).all()
    assert up[4] == 1.0


def test_only_recorded_steps_are_kept() -> None:
    case = replace(one_row([1.0, 2.0, 3.0]), record=(1, 3))
    whole = oracle.expectations(one_row([1.0, 2.0, 3.0]))["w"]["param"].value
    assert np.array_equal(oracle.expectations(case)["w"]["param"].value, whole[[0, 2]])
