"""Random cases of every size: accepted by their dialect, the same for the same generator, and as large and as varied as they claim."""

import math

import numpy as np
import pytest

from refimpl.case import Golden
from refimpl.cases.random_sizes import KINDS, TALL, sized_case
from refimpl.dialects import dialect, dialects
from refimpl.gradients import RowGradient, check_gradient
from refimpl.reference import scheduled

DTYPES = ("float32", "float64")


def drawn(name: str, seed: int) -> Golden:
    return sized_case(np.random.default_rng((seed, 1)), name, f"seed-{seed}", DTYPES)


@pytest.mark.parametrize("name", dialects())
def test_a_case_is_one_that_the_dialect_accepts(name: str) -> None:
    for seed in range(25):
        case = drawn(name, seed).case
        for hypers in scheduled(case):
            for hyper in hypers:
                dialect(name).validate(hyper)
        assert {param.group for param in case.params} == set(range(len(case.groups)))
        for step in case.steps:
            assert len(step.hyper) == len(case.groups)
            for param in case.params:
                if step.gradients[param.name] is not None:
                    check_gradient(step.gradients[param.name], param.value.shape, param.name)


def test_the_weights_of_the_kinds_sum_to_one() -> None:
    assert math.isclose(sum(weight for weight, _ in KINDS.values()), 1.0)


def test_the_same_generator_gives_the_same_case() -> None:
    first, second = drawn("torch.SparseAdam", 4), drawn("torch.SparseAdam", 4)
    assert first.case.id == second.case.id
    assert first.case.groups == second.case.groups
    for one, other in zip(first.case.params, second.case.params):
        np.testing.assert_array_equal(one.value, other.value)


def test_every_kind_and_every_size_occurs() -> None:
    goldens = [drawn("torch.SparseAdam", seed) for seed in range(250)]
    cases = [golden.case for golden in goldens]
    gradients = [gradient for case in cases for step in case.steps for gradient in step.gradients.values()]
    rows = [gradient for gradient in gradients if isinstance(gradient, RowGradient)]
    assert {case.theme for case in cases} == set(KINDS)
    assert max(param.value.shape[0] for case in cases for param in case.params) == TALL[-1]
    assert 100 in {param.value.shape[1] for case in cases for param in case.params if param.value.ndim > 1}
    assert max(len(gradient.indices) for gradient in rows) > 1 << 15
    assert max(int(np.bincount(gradient.indices).max(initial=0)) for gradient in rows if len(gradient.indices)) > 64
    assert max(len(case.steps) for case in cases) > 300
    assert max(len(case.params) for case in cases) > 30
    assert any(len(case.groups) > 1 for case in cases)
    assert any(case.params[0].exp_avg is not None for case in cases)
    assert any(change for case in cases for step in case.steps for change in step.hyper)
    assert any(gradient is None for gradient in gradients)
    assert any(not len(gradient.indices) for gradient in rows)
    assert any(golden.layout != "contiguous" for golden in goldens)
    assert {case.dtype for case in cases} == set(DTYPES)
