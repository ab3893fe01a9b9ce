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
from refimpl.backends.reference import factory
from refimpl.case import MASTER, Case, Golden, Param, Step
from refimpl.cases import drafts
from refimpl.cases._storage import DIALECTS, PROFILES
from refimpl.dialects import dialect, dialects
from refimpl.gen import complete
from refimpl.judging.compare import judge
from refimpl.judging.diagnose import diagnose
from refimpl.judging.verdict import Status
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
        assert case.computed_in == "float32"
        assert {param.name: dict(param.dtypes) for param in case.params} == {
            param.name: {array: dtype for array, dtype in param.dtypes.items() if dtype != str(param.value.dtype)}
            for param in golden.case.params
        }
        assert FEATURES["mixed"](case)
        assert FEATURES["master"](case) == ("master" in case.slug)
