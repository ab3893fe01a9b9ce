"""Cases run on wrong backends, for the tests of the diagnosis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from refimpl.backends.execute import execute
from refimpl.backends.outcome import Outcome
from refimpl.backends.reference import factory
from refimpl.case import Case, Golden
from refimpl.dialects import dialect
from refimpl.judging._evidence import Judged
from refimpl.judging._hypothesis import Hypothesis, predict
from refimpl.judging.compare import judge
from refimpl.judging.diagnose import diagnose, judged_cases
from refimpl.judging.families import library
from refimpl.judging.verdict import CaseVerdict, Diagnosis
from refimpl.reference import FIELDS, ONE, Forms, kept_arrays

Core = Mapping[str, list[Golden]]


def some(core: Core, *slugs: str, name: str = "torch.SparseAdam") -> list[Golden]:
    """Cases by THEME/SLUG, in the order in which they are asked for."""
    by_id = {golden.case.id: golden for golden in core[name]}
    return [by_id[f"{name}/{slug}"] for slug in slugs]


def verdicts(goldens: Sequence[Golden], outcomes: Sequence[Outcome]) -> list[CaseVerdict]:
    return [judge(golden, outcome, "tensor-faithful") for golden, outcome in zip(goldens, outcomes)]


def causes(goldens: Sequence[Golden], outcomes: Sequence[Outcome]) -> tuple[Diagnosis, ...]:
    return diagnose(goldens, outcomes, verdicts(goldens, outcomes))


def failing(golden: Golden, outcome: Outcome) -> Judged:
    """A failing case in the form that the diagnosis takes."""
    (judged,), _ = judged_cases([golden], [outcome], verdicts([golden], [outcome]), "tensor-faithful")
    return judged


def deviating(deviations: str, goldens: Sequence[Golden]) -> list[Outcome]:
    backend = factory(deviations=deviations)
    return [execute(backend, golden) for golden in goldens]


def hypothesis(id: str, words: str = "", name: str = "torch.SparseAdam") -> Hypothesis:
    """The first hypothesis of this name, or the one whose words hold these."""
    return next(candidate for candidate in library(name) if candidate.id == id and words in candidate.about)


def computed(wrong: Hypothesis, golden: Golden, change: Callable[[dict[str, Any]], None] | None = None, forms: Forms = ONE) -> Outcome:
    """The outcome of a backend that does what a hypothesis says, computed in the case's own format."""
    from refimpl.arithmetic import Float
    from refimpl.backends.outcome import End

    case: Case = golden.case
    plan = wrong.plan(case, dialect(case.dialect))
    assert plan is not None
    shapes = {param.name: param.value.shape for param in case.params}
    kept: dict[str, dict[str, list[np.ndarray]]] = {name: {array: [] for array in arrays} for name, arrays in kept_arrays(case).items()}
    for number, states in enumerate(predict(plan, Float(case.dtype), forms), start=1):
        if number in case.record:
            for name, arrays in kept.items():
                for array, values in arrays.items():
                    values.append(np.array(getattr(states[name], FIELDS[array]), case.dtype).reshape(shapes[name]))
    outcome: dict[str, Any] = {name: {array: np.stack(values) for array, values in arrays.items()} for name, arrays in kept.items()}
    if change:
        change(outcome)
    return Outcome(case.id, End.STATES, outcome)
