"""The property that every bound rests on: no admissible computation leaves it. tools/campaign.py runs the same at scale."""

from typing import Any

import numpy as np
import pytest

import refimpl.arithmetic.bounded as bounded_module
from refimpl.arithmetic import CLASSES, Bound, Bounded, Float
from refimpl.arithmetic.bounded import Rounding
from refimpl.cases.random_cases import Size, random_case
from refimpl.dialects import dialects
from refimpl.oracle.bound_usage import Computation, Margin, computations, margins
from refimpl.reference import ONE

ELEMENT_STEPS = 220_000  # per dialect: more than a million in all
SIZES = (Size(32, 32, 4), Size(64, 16, 2), Size(8, 32, 20))


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with np.errstate(all="ignore"):
        yield


def measured(name: str, seed: int) -> list[Margin]:
    rng = np.random.default_rng([23, seed])
    case = random_case(rng, name, SIZES[seed % len(SIZES)])
    return margins(case, list(computations(case, rng)))


@pytest.mark.parametrize("name", dialects())
def test_no_admissible_computation_leaves_its_bound(name: str) -> None:
    done, seed, seen = 0, 0, set()
    while done < ELEMENT_STEPS:
        for margin in measured(name, seed):
            assert margin.ratio <= 1, f"seed {seed}: {margin}"
            done += margin.element_steps if margin.array == "param" else 0
            seen.add((margin.numerics_class, margin.array))
        seed += 1
    assert len(seen) == len(CLASSES) * 3


def worst(name: str, cases: int) -> float:
    return max(margin.ratio for seed in range(cases) for margin in measured(name, seed))


def halved(rounding: Rounding) -> Rounding:
    return Rounding(rounding.relative / 2, rounding.relative_div / 2, rounding.underflow, rounding.flush, rounding.overflow)


def test_bounds_that_charge_half_a_rounding_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    of_tensors = bounded_module.tensor_rounding
    monkeypatch.setattr(bounded_module, "tensor_rounding", lambda of: halved(of_tensors(of)))
    assert worst("torch.SparseAdam", 3) > 1.3


def test_bounds_that_forget_the_order_of_a_sum_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def in_order(self: Bounded, values: Bound, slot: np.ndarray, n: int) -> Bound:
        x, e = np.zeros((n, values.shape[1])), np.zeros((4, n, values.shape[1]))
        np.add.at(x, slot, values.x)
        return Bound(x, e, self.tensors)

    monkeypatch.setattr(Bounded, "sum_rows", in_order)
    assert worst("mindspore.LazyAdam", 3) > 2


def test_bounds_that_take_tensor_scalars_for_exact_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = Bounded.scalar

    def without_error(self: Bounded, value: float) -> Bound:
        scalar = exact(self, value)
        return Bound(scalar.x, np.zeros(4), scalar.rounding)

    monkeypatch.setattr(Bounded, "scalar", without_error)
    assert worst("mindspore.Adam", 3) > 2


def test_a_computation_in_half_the_digits_is_told_with_its_place() -> None:
    case = random_case(np.random.default_rng(4), "torch.Adam", Size(4, 3, 2), "float64")
    found = margins(case, [Computation("float32", "tensor-approx", Float("float32"), ONE)])
    own, coarse = found[:3], found[3:]
    assert [margin.array for margin in own] == ["param", "exp_avg", "exp_avg_sq"]
    assert all(margin.ratio <= 1 for margin in own)
    assert all(margin.ratio > 1e4 for margin in coarse)
    assert all(1 <= margin.step <= 2 and len(margin.index) == 2 for margin in coarse)
    assert {margin.element_steps for margin in found} == {4 * 3 * 2}
    assert {margin.case for margin in found} == {case.id}


def test_elements_that_a_step_does_not_touch_are_not_counted() -> None:
    case = random_case(np.random.default_rng(9), "torch.SparseAdam", Size(30, 2, 1), "float32")
    touched = np.zeros((30, 2), bool)
    touched[case.steps[0].gradients["w"].coords] = True
    assert 0 < touched.sum() < 60
    assert margins(case, [])[0].element_steps == touched.sum()
