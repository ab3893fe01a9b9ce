"""The property of every bound: no admissible computation exceeds it. `refimpl fuzz --self` runs the same at scale."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import refimpl.arithmetic._bounded as bounded_module
from refimpl.arithmetic import CLASSES, Bound, Bounded, Float
from refimpl.arithmetic.roundings import Rounding, tensor_rounding
from refimpl.arithmetic.scalar_bounds import raw_scalar
from refimpl.case import ARRAYS, Case, Group, Param, Step
from refimpl.cases.random_cases import Size, mixed_case, random_case
from refimpl.dialects import dialect, dialects
from refimpl.gradients import RowGradient
from refimpl.oracle import expectations as oracle_expectations
from refimpl.oracle.bound_usage import Computation, Margin, admissible_forms, computations, lanes, margins
from refimpl.oracle.expectations import bounded
from refimpl.reference import ONE

ELEMENT_STEPS = 30_000  # per dialect
SIZES = (Size(16, 16, 4), Size(24, 16, 2), Size(6, 16, 10))


@pytest.fixture(autouse=True)
def _fresh_bounds() -> Iterator[None]:
    """What a test changes of `Bounded` is not kept for the next one, nor is what was kept before it."""
    bounded.cache_clear()
    yield
    bounded.cache_clear()


def measured(name: str, seed: int) -> list[Margin]:
    rng = np.random.default_rng([23, seed])
    case = (random_case, mixed_case)[seed % 2](rng, name, SIZES[seed % len(SIZES)])
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
    assert len(seen) == len(CLASSES) * len(ARRAYS)


def worst(name: str, cases: int) -> float:
    return max(margin.ratio for seed in range(0, 2 * cases, 2) for margin in measured(name, seed))


def halved(rounding: Rounding) -> Rounding:
    return replace(rounding, relative=rounding.relative / 2, relative_div=rounding.relative_div / 2)


def test_bounds_that_charge_half_a_rounding_are_exceeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_module, "tensor_rounding", lambda kept: halved(tensor_rounding(kept)))
    assert worst("torch.SparseAdam", 3) > 1.3


def test_bounds_without_the_order_of_a_sum_are_exceeded(monkeypatch: pytest.MonkeyPatch) -> None:
    def in_order(self: Bounded, values: Bound, slot: np.ndarray, n: int) -> Bound:
        x, e = np.zeros((n, values.shape[1])), np.zeros((4, n, values.shape[1]))
        np.add.at(x, slot, values.x)
        return Bound(x, e, self.tensors)

    monkeypatch.setattr(Bounded, "sum_rows", in_order)
    assert worst("mindspore.LazyAdam", 3) > 2


def test_bounds_that_take_tensor_scalars_for_exact_are_exceeded(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_error(*arguments: Any) -> Any:
        scalar = raw_scalar(*arguments)
        scalar.e = (0.0,) * len(CLASSES)
        return scalar

    monkeypatch.setattr(bounded_module, "raw_scalar", without_error)
    assert worst("mindspore.Adam", 3) > 2


def test_a_computation_in_half_the_digits_is_reported_with_its_place() -> None:
    case = random_case(np.random.default_rng(4), "torch.Adam", Size(4, 3, 2), "float64")
    by_array = {margin.array: margin for margin in margins(case, [Computation("float32", "tensor-approx", Float("float32"), ONE)])}
    for array in ARRAYS[:3]:
        margin = by_array[array]
        assert margin.ratio > 1e4
        assert 1 <= margin.step <= 2
        assert len(margin.index) == 2
        assert (margin.param, margin.case, margin.element_steps) == ("w", case.id, 4 * 3 * 2)


def several(touched: list[int], **hyper: Any) -> Case:
    """Two parameters in two groups, of which the second has no gradient at the second step."""
    table = dialect("torch.SparseAdam")
    shapes = {"a": (5, 2), "b": (4, 3)}
    values = {name: np.full((len(touched), shape[1]), 0.5, np.float32) for name, shape in shapes.items()}
    gradients = {name: RowGradient(np.array(touched), values[name], shape) for name, shape in shapes.items()}
    params = tuple(Param(name, np.ones(shape, np.float32), group) for group, (name, shape) in enumerate(shapes.items()))
    groups = (Group(table.defaults()), Group({**table.defaults(), **hyper}))
    steps = (Step(gradients, ({}, {})), Step({**gradients, "b": None}, ({}, {})))
    return Case("torch.SparseAdam/t/several", "", table.name, params, groups, steps, (1, 2))


def test_every_parameter_is_measured_and_what_a_step_updates_is_counted() -> None:
    case = several([3, 0, 3])
    measured = margins(case, list(computations(case, np.random.default_rng(1))))
    assert {margin.element_steps for margin in measured} == {2 * (2 * 2) + 2 * 3}
    assert all(margin.ratio <= 1 for margin in measured)
    assert {margin.param for margin in measured if margin.array == "param"} == {"a", "b"}
    assert {margin.param for margin in measured if margin.array == "max_exp_avg_sq"} == {""}  # there is none


def test_only_recorded_steps_are_counted() -> None:
    assert margins(replace(several([1]), record=(2,)), [Computation("float", CLASSES[0], Float("float32"), ONE)])[0].element_steps == 2


def test_each_column_has_scalars_of_its_own_where_all_parameters_have_as_many() -> None:
    case = several([1])
    assert lanes(case) == 1
    assert lanes(replace(case, params=case.params[:1])) == 2


def test_averages_from_the_new_value_are_drawn_where_every_beta_admits_them() -> None:
    admitted = {form for forms in admissible_forms(several([1], betas=(0.5, 0.5))) for form in forms.mean}
    assert all("FROM_NEW" not in form.name for form in admitted)  # the first group's betas are the defaults


def test_an_element_out_of_range_is_judged_by_its_kind() -> None:
    table = dialect("torch.SparseAdam")
    steps = tuple(Step({"w": RowGradient(np.array([0]), np.array([[g]], np.float32), (1, 1))}, ({},)) for g in (1e25, 1.0))
    case = Case(
        "torch.SparseAdam/t/r", "", table.name, (Param("w", np.ones((1, 1), np.float32)),), (Group(table.defaults()),), steps, (1, 2)
    )
    assert all(margin.ratio <= 1 for margin in margins(case, list(computations(case, np.random.default_rng(0), per_class=8))))
    expected = oracle_expectations(case)
    assert expected["w"]["exp_avg_sq"].allowed is not None
