"""Cases whose arrays are kept in formats of their own: what is refused, and what it is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refimpl.arithmetic import numpy_dtype
from refimpl.backends.execute import execute
from refimpl.backends.features import FEATURES
from refimpl.backends.numba import factory as numba_factory
from refimpl.backends.reference import factory
from refimpl.backends.torch import factory as torch_factory
from refimpl.case import MASTER, Case, Golden, Param, Step
from refimpl.cases import drafts
from refimpl.cases._storage import DIALECTS, PROFILES
from refimpl.dialects import dialect, dialects
from refimpl.gen import complete
from refimpl.judging.compare import judge
from refimpl.judging.diagnose import diagnose
from refimpl.judging.verdict import Status
from refimpl.oracle import expectations
from refimpl.vectors import roundtrip

PLAIN = {"torch.AdamW": {"bfloat16-wide-moments", "bfloat16-master", "float16-master", "bfloat16-moments"}}


@pytest.fixture(scope="module")
def goldens() -> list[Golden]:
    return [complete(draft) for draft in drafts(dialect("torch.AdamW"), "storage") if draft.case.slug in PLAIN["torch.AdamW"]]


class Other:
    """The reference over cases whose dtypes are changed first; what it shows has the dtypes that the case asks for."""

    name, version = "other", "1"
    dialects = factory().dialects

    def __init__(self, change: Any) -> None:
        self.change = change

    def start(self, case: Case) -> Any:
        params = tuple(replace(param, dtypes=self.change(param.dtypes)) for param in case.params)
        run = factory().start(replace(case, params=params))
        return Shown(run, {param.name: param for param in case.params})


class Shown:
    def __init__(self, run: Any, params: Mapping[str, Param]) -> None:
        self.run, self.params = run, params

    def step(self, step: Step) -> None:
        self.run.step(step)

    def state(self) -> dict[str, dict[str, np.ndarray]]:
        return {
            name: {array: np.asarray(value).astype(numpy_dtype(self.params[name].dtype_of(array))) for array, value in arrays.items()}
            for name, arrays in self.run.state().items()
        }


def judged(goldens: list[Golden], change: Any) -> tuple[dict[str, Status], list[str]]:
    outcomes = [execute(Other(change), golden) for golden in goldens]
    verdicts = [judge(golden, outcome, "tensor-faithful") for golden, outcome in zip(goldens, outcomes)]
    causes = diagnose(goldens, outcomes, verdicts)
    return {golden.case.slug: verdict.status for golden, verdict in zip(goldens, verdicts)}, [cause.name for cause in causes]


def test_the_reference_passes_in_every_format(goldens: list[Golden]) -> None:
    statuses, causes = judged(goldens, dict)
    assert set(statuses.values()) == {Status.PASSED}
    assert causes == []


def test_a_backend_without_the_master_copy_is_named_as_such(goldens: list[Golden]) -> None:
    statuses, causes = judged(goldens, lambda dtypes: {array: dtype for array, dtype in dtypes.items() if array != MASTER})
    failed = {slug for slug, status in statuses.items() if status is Status.FAILED}
    assert failed == {"bfloat16-master", "float16-master"}
    assert causes == ["master-ignored"]


def test_a_backend_whose_moments_follow_the_parameter_is_named_as_such(goldens: list[Golden]) -> None:
    statuses, causes = judged(goldens, lambda dtypes: {array: dtype for array, dtype in dtypes.items() if array == MASTER})
    failed = {slug for slug, status in statuses.items() if status is Status.FAILED}
    assert failed >= {"bfloat16-wide-moments", "bfloat16-master", "float16-master"}
    assert causes[0] == "moments-follow-parameter"


@pytest.mark.parametrize("name", dialects())
def test_only_dialects_that_have_the_formats_have_the_cases(name: str) -> None:
    slugs = {draft.case.slug for draft in drafts(dialect(name), "storage")}
    assert (slugs >= {profile[0] for profile in PROFILES}) == (name in DIALECTS)
    assert bool(slugs) == (name in DIALECTS)


def test_a_case_is_computed_in_its_widest_format_and_comes_back_from_its_file(goldens: list[Golden]) -> None:
    for golden in goldens:
        case = roundtrip(golden).case
        assert case.computed_in("w") == "float32"
        assert {param.name: dict(param.dtypes) for param in case.params} == {
            param.name: {array: dtype for array, dtype in param.dtypes.items() if dtype != str(param.value.dtype)}
            for param in golden.case.params
        }
        assert FEATURES["mixed"](case)
        assert FEATURES["master"](case) == ("master" in case.slug)


@pytest.fixture(scope="module")
def two_formats() -> Golden:
    (draft,) = (draft for draft in drafts(dialect("torch.Adam"), "storage") if draft.case.slug == "float32-beside-float64")
    return complete(draft)


@pytest.mark.parametrize("wide_first", [False, True])
def test_each_parameter_is_bounded_in_its_own_format_whatever_stands_first(two_formats: Golden, wide_first: bool) -> None:
    case = two_formats.case
    together = expectations(replace(case, params=case.params[:: -1 if wide_first else 1]))
    assert case.computing == ("float64", "float32")
    for param in case.params:
        steps = tuple(replace(step, gradients={param.name: step.gradients[param.name]}) for step in case.steps)
        alone = expectations(replace(case, params=(param,), steps=steps))
        for array, expected in alone[param.name].items():
            for numerics_class, bound in expected.bound.items():
                assert np.array_equal(together[param.name][array].bound[numerics_class], bound)


class InOneFormat:
    """The reference, with every parameter computed in float32 and given back in its own dtype."""

    name, version, dialects = "in-float32", "1", factory().dialects

    def start(self, case: Case) -> Any:
        self.dtypes = {param.name: param.value.dtype for param in case.params}
        params = tuple(replace(param, value=param.value.astype(np.float32)) for param in case.params)
        steps = tuple(self.narrow(step) for step in case.steps)
        self.run = factory().start(replace(case, params=params, steps=steps))
        return self

    def narrow(self, step: Step) -> Step:
        return replace(step, gradients={name: np.asarray(gradient, np.float32) for name, gradient in step.gradients.items()})

    def step(self, step: Step) -> None:
        self.run.step(self.narrow(step))

    def state(self) -> dict[str, dict[str, np.ndarray]]:
        return {
            name: {array: value.astype(self.dtypes[name]) for array, value in arrays.items()} for name, arrays in self.run.state().items()
        }


def test_a_backend_that_computes_a_wide_parameter_in_the_format_of_another_fails_in_that_one_alone(two_formats: Golden) -> None:
    outcome = execute(InOneFormat(), two_formats)
    verdict = judge(two_formats, outcome, "tensor-faithful")
    assert {array.param for array in verdict.arrays if array.attained is None} == {"b"}
    assert {array.param for array in verdict.arrays if array.attained == "exact-ieee"} == {"a"}


@pytest.mark.parametrize("backend", [factory, torch_factory, numba_factory])
def test_a_backend_that_computes_each_parameter_in_its_own_format_passes(two_formats: Golden, backend: Any) -> None:
    assert judge(two_formats, execute(backend(), two_formats), "exact-faithful").status is Status.PASSED
