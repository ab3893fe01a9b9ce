"""refimpl.judging.families._scalars: scalars in float32 under float64 tensors, each of its own, as frameworks hold them."""

from collections.abc import Callable

import numpy as np
import pytest

from refimpl.arithmetic import Float
from refimpl.backends.outcome import End, Outcome
from refimpl.case import Case, Golden
from refimpl.cases import drafts
from refimpl.dialects import dialect
from refimpl.gen import complete
from refimpl.judging._hypothesis import Plan, predict
from refimpl.judging.compare import judge
from refimpl.judging.diagnose import diagnose
from refimpl.judging.families._scalars import SITES, hypotheses
from refimpl.judging.verdict import Diagnosis
from refimpl.reference import FIELDS

KERAS = "lr and the betas of the bias corrections are rounded to float32"
MXNET = "the betas of the moments, the step size and eps are rounded to float32"
ONNX = "the betas of the moments, 1 less the betas of the moments, the betas of the bias corrections and eps are rounded to float32"


@pytest.fixture(scope="module")
def goldens() -> list[Golden]:
    table = dialect("torch.Adam")
    doubles = [draft for theme in ("basics", "betas", "eps") for draft in drafts(table, theme) if draft.case.dtype == "float64"]
    tells = [draft for draft in doubles if "beta1-0p3" in draft.case.id]  # 1 - beta is exact in float32 from beta = 0.5 on
    return [complete(draft) for draft in (*doubles[:24:2], *tells)]


def outcome(golden: Golden, plan: Plan) -> Outcome:
    case = golden.case
    states: dict[str, dict[str, list[np.ndarray]]] = {param.name: {} for param in case.params}
    for number, state in enumerate(predict(plan, Float("float64")), start=1):
        if number in case.record:
            for param in case.params:
                for array in golden.expected[param.name]:
                    values = np.array(getattr(state[param.name], FIELDS[array])).reshape(param.value.shape)
                    states[param.name].setdefault(array, []).append(values)
    stacked = {name: {array: np.stack(values) for array, values in arrays.items()} for name, arrays in states.items()}
    return Outcome(case.id, End.STATES, states=stacked)


def causes(goldens: list[Golden], plan_of: Callable[[Case], Plan]) -> tuple[list[str], tuple[Diagnosis, ...]]:
    outcomes = [outcome(golden, plan_of(golden.case)) for golden in goldens]
    verdicts = [judge(golden, made, "tensor-faithful") for golden, made in zip(goldens, outcomes)]
    failing = [verdict.case_id for verdict in verdicts if verdict.is_numeric_failure]
    return failing, diagnose(goldens, outcomes, verdicts)


@pytest.mark.parametrize("about", [KERAS, MXNET, ONNX])
@pytest.mark.sampled(3)
def test_the_scalars_that_are_narrow_are_named(goldens: list[Golden], about: str) -> None:
    table = dialect("torch.Adam")
    (hypothesis,) = (candidate for candidate in hypotheses(table) if candidate.about == about)

    def plan_of(case: Case) -> Plan:
        plan = hypothesis.plan(case, table)
        assert plan is not None
        return plan

    failing, (cause,) = causes(goldens, plan_of)
    assert cause.deviations == ("scalars-in-float32",)
    assert cause.about == about
    assert set(cause.cases) == set(failing)


def test_every_choice_of_scalars_is_a_hypothesis_of_its_own() -> None:
    table = dialect("torch.Adam")
    sentences = [candidate.about for candidate in hypotheses(table)]
    singles = 4  # lr, the step size, eps and weight_decay alone are in the family `formats`
    of_moments = 3  # nothing, the betas, or 1 less these too
    assert len(sentences) == len(set(sentences)) == of_moments * 2 ** (len(SITES) - 2) - 1 - singles


def test_float32_tensors_are_not_concerned() -> None:
    table = dialect("torch.Adam")
    case = next(draft.case for draft in drafts(table, "basics") if draft.case.dtype == "float32")
    assert all(candidate.plan(case, table) is None for candidate in hypotheses(table))
