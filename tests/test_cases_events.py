"""Cases with scaled gradients, skipped calls and reloads: the reference, PyTorch and mistakes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refimpl.arithmetic import Float
from refimpl.backends.execute import execute
from refimpl.backends.reference import factory as reference
from refimpl.backends.torch import factory as torch_factory
from refimpl.case import Case, Golden
from refimpl.cases import drafts
from refimpl.dialects import deviations, dialect, dialects
from refimpl.gen import complete
from refimpl.judging.compare import judge
from refimpl.judging.verdict import Status
from refimpl.reference import trajectory
from refimpl.vectors import roundtrip

TORCH = [name for name in dialects() if name.startswith("torch.")]
MISTAKES = {
    "skipped-step-counted": "skipped",
    "found-inf-ignored": "skipped",
    "found-inf-zeroes-gradient": "skipped",
    "loss-scale-ignored": "scaled",
    "loss-scale-twice": "scaled",
}


def draft(name: str, slug: str) -> Golden:
    (golden,) = [golden for golden in drafts(dialect(name), "events") if golden.case.slug == slug]
    return golden


@pytest.mark.parametrize("id", MISTAKES)
def test_a_mistake_is_caught_and_fails(id: str) -> None:
    golden = complete(draft("torch.Adam", MISTAKES[id]))
    assert id in golden.case.catches
    outcome = execute(reference(deviations=id), golden)
    assert judge(golden, outcome, "tensor-faithful").status is Status.FAILED
    assert judge(golden, execute(reference(), golden), "exact-ieee").status is Status.PASSED


@pytest.mark.parametrize("slug", ["scaled", "skipped", "reloaded"])
@pytest.mark.parametrize("name", TORCH)
def test_pytorch_with_its_scaler_and_its_own_files_conforms(name: str, slug: str) -> None:
    golden = complete(draft(name, slug))
    outcome = execute(torch_factory(), golden)
    assert judge(golden, outcome, "tensor-faithful").status is Status.PASSED


def states(case: Case) -> list[np.ndarray]:
    return [state["a"].p.copy() for state in trajectory(case, Float("float64"), dialect(case.dialect))]


def test_a_skipped_call_changes_nothing_and_leaves_no_trace() -> None:
    case = draft("torch.Adam", "skipped").case
    with_call = states(case)
    without = states(replace(case, steps=tuple(step for step in case.steps if not step.found_inf)))
    assert (with_call[1] == with_call[0]).all()
    assert all((left == right).all() for left, right in zip([with_call[0], *with_call[2:]], without))


def _divided(gradients: Any, scale: float) -> dict[str, Any]:
    return {name: value / np.float32(scale) for name, value in gradients.items()}


def test_a_scale_divides_the_gradient_and_nothing_else() -> None:
    case = draft("torch.Adam", "scaled").case
    divided = [replace(step, grad_scale=1.0, gradients=_divided(step.gradients, step.grad_scale)) for step in case.steps]
    for left, right in zip(states(case), states(replace(case, steps=tuple(divided)))):
        assert np.allclose(left, right, rtol=1e-12)


@pytest.mark.parametrize("slug", ["scale-changes", "skipped-by-turns", "reloaded-twice"])
def test_what_happens_at_a_step_comes_back_from_its_file(slug: str) -> None:
    golden = draft("torch.SparseAdam", slug)
    back = roundtrip(golden).case.steps
    assert [(step.grad_scale, step.found_inf, step.reload) for step in back] == [
        (step.grad_scale, step.found_inf, step.reload) for step in golden.case.steps
    ]


def test_the_deviations_of_skipped_calls_are_of_one_stage() -> None:
    assert {id for id, deviation in deviations().items() if "skip" in deviation.picks} == {
        id for id in MISTAKES if MISTAKES[id] == "skipped"
    }
