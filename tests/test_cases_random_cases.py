"""Random cases are cases: accepted by their dialect, of its forms and dtypes, and as varied as they claim to be."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from refimpl.case import Case, Golden
from refimpl.cases.coverage import requirements
from refimpl.cases.features import features
from refimpl.cases.random_cases import Size, mixed_case, random_case
from refimpl.dialects import dialect, dialects
from refimpl.gradients import RowGradient, is_element_gradient, occurrences


@pytest.mark.parametrize("name", dialects())
def test_a_case_is_one_that_the_dialect_accepts(name: str) -> None:
    forms, dtypes = set(), set()
    for seed in range(60):
        case = random_case(np.random.default_rng(seed), name, Size(6, 4, 3))
        dialect(name).validate(case.groups[0].hyper)
        assert set(case.groups[0].hyper) == set(dialect(name).parameters)
        assert len(case.steps) == 3
        for step in case.steps:
            gradient = step.gradients["w"]
            occurrences(gradient, (6, 4), "w")
            kind = "elements" if is_element_gradient(gradient) else "rows" if isinstance(gradient, RowGradient) else "dense"
            forms.add(kind)
        dtypes.add(case.dtype)
        values = [case.params[0].value, case.params[0].exp_avg, case.params[0].exp_avg_sq]
        assert all(np.isfinite(value.astype(np.float64)).all() for value in values if value is not None)
        assert values[2] is None or (values[2] >= 0).all()
    assert forms == set(dialect(name).gradients)
    assert dtypes == set(dialect(name).dtypes)


def test_the_same_generator_gives_the_same_case() -> None:
    first, second = (random_case(np.random.default_rng(8), "torch.SparseAdam", dtype="float32") for _ in range(2))
    assert first.groups == second.groups
    np.testing.assert_array_equal(first.params[0].value, second.params[0].value)


def test_random_cases_have_the_options_that_the_property_is_about() -> None:
    cases = [random_case(np.random.default_rng(seed), "mindspore.LazyAdam") for seed in range(80)]
    hypers: list[Mapping[str, Any]] = [case.groups[0].hyper for case in cases]
    gradients = [step.gradients["w"] for case in cases for step in case.steps if isinstance(step.gradients["w"], RowGradient)]
    assert any(hyper["use_nesterov"] for hyper in hypers)
    assert any(hyper["weight_decay"] > 0 for hyper in hypers)
    assert any(hyper["loss_scale"] != 1 for hyper in hypers)
    assert any(hyper["learning_rate"] == 0 for hyper in hypers)
    assert any(step.hyper[0] for case in cases for step in case.steps)
    assert any(case.params[0].step == 10**6 for case in cases)
    assert any(case.params[0].exp_avg is None for case in cases)
    assert any(len(np.unique(gradient.indices)) < len(gradient.indices) for gradient in gradients)
    assert any((gradient.values == 0).any() for gradient in gradients)
    sizes = np.concatenate([np.abs(gradient.values[gradient.values != 0]).ravel() for gradient in gradients])
    assert sizes.min() < 1e-35
    assert sizes.max() > 1e35
    assert any(_cancels(gradient) for gradient in gradients)


def _cancels(gradient: RowGradient) -> bool:
    total = np.zeros(gradient.shape)
    np.add.at(total, gradient.indices, gradient.values.astype(np.float64))
    return bool((total[np.unique(gradient.indices)] == 0).all(axis=1).any())


def mixed(name: str, number: int) -> list[Case]:
    return [mixed_case(np.random.default_rng([5, seed]), name, Size(4, 16, 5)) for seed in range(number)]


@pytest.mark.parametrize("name", dialects())
def test_a_mixed_case_is_one_that_the_dialect_accepts(name: str) -> None:
    for case in mixed(name, 40):
        for group in case.groups:
            dialect(name).validate(group.hyper)
            assert set(group.hyper) == set(dialect(name).parameters)
        for step in case.steps:
            assert len(step.hyper) == len(case.groups)
            for change in step.hyper:
                dialect(name).validate(change)
            for param in case.params:
                if step.gradients[param.name] is not None:
                    occurrences(step.gradients[param.name], param.value.shape, param.name)


@pytest.mark.parametrize("name", dialects())
def test_mixed_cases_have_every_feature_that_does_not_need_a_layout_or_an_expectation(name: str) -> None:
    seen = {feature for case in mixed(name, 250) for own in features(Golden(case, {})).values() for feature in own}
    assert set(requirements(name).features) - seen == {"strided", "fortran", "read-only", "eps-visible"}


def test_a_resumed_maximum_is_not_below_v() -> None:
    params = [param for case in mixed("torch.Adam", 60) for param in case.params if param.max_exp_avg_sq is not None]
    assert params
    assert all((param.max_exp_avg_sq >= param.exp_avg_sq).all() for param in params)


def test_groups_of_mindspore_share_what_is_the_optimizers() -> None:
    grouped = [case for case in mixed("mindspore.Adam", 40) if len(case.groups) > 1]
    assert grouped
    for case in grouped:
        first, second = (group.hyper for group in case.groups)
        own = {"learning_rate", "weight_decay", "grad_centralization"}
        assert {name for name in first if first[name] != second[name]} <= own
