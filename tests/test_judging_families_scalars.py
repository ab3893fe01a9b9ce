"""refimpl.judging.families._scalars: scalars in float32 under float64 tensors, each of its own, as frameworks hold them."""

import numpy as np
import pytest

from refimpl.arithmetic import Float
from refimpl.backends.outcome import End, Outcome
from refimpl.cases import drafts
from refimpl.dialects import dialect
from refimpl.gen import complete
from refimpl.judging._hypothesis import predict
from refimpl.judging.compare import judge
from refimpl.judging.diagnose import diagnose
from refimpl.judging.families._scalars import SITES, hypotheses
from refimpl.reference import FIELDS

KERAS = "lr and the betas of the bias corrections are rounded to float32"
MXNET = "the betas of the moments, the step size and eps are rounded to float32"
ONNX = "the betas of the moments, 1 less the betas of the moments, the betas of the bias corrections and eps are rounded to float32"


@pytest.fixture(scope="module")
def goldens():
    one = dialect("torch.Adam")
    found = [draft for theme in ("basics", "betas", "eps") for draft in drafts(one, theme) if draft.case.dtype == "float64"]
    tells = [draft for draft in found if "beta1-0p3" in draft.case.id]  # 1 - beta is exact in float32 from beta = 0.5 on
    return [complete(draft) for draft in (*found[:24:2], *tells)]


def outcome(golden, plan):
    case = golden.case
    states = {param.name: {} for param in case.params}
    for number, state in enumerate(predict(plan, Float("float64")), start=1):
        if number in case.record:
            for param in case.params:
                for array in golden.expected[param.name]:
                    values = np.array(getattr(state[param.name], FIELDS[array])).reshape(param.value.shape)
                    states[param.name].setdefault(array, []).append(values)
    stacked = {name: {array: np.stack(values) for array, values in arrays.items()} for name, arrays in states.items()}
    return Outcome(case.id, End.STATES, states=stacked)


def causes(goldens, plan_of):
    outcomes = [outcome(golden, plan_of(golden.case)) for golden in goldens]
    verdicts = [judge(golden, made, "tensor-faithful") for golden, made in zip(goldens, outcomes)]
    failing = [verdict.case_id for verdict in verdicts if verdict.is_numeric_failure]
    return failing, diagnose(goldens, outcomes, verdicts)


@pytest.mark.parametrize("about", [KERAS, MXNET, ONNX])
def test_the_scalars_that_are_narrow_are_named(goldens, about):
    table = dialect("torch.Adam")
    (hypothesis,) = (one for one in hypotheses(table) if one.about == about)
    failing, (cause,) = causes(goldens, lambda case: hypothesis.plan(case, table))
    assert cause.deviations == ("scalars-in-float32",)
    assert cause.about == about
    assert set(cause.cases) == set(failing)


def test_every_choice_of_scalars_is_a_hypothesis_of_its_own():
    table = dialect("torch.Adam")
    found = [one.about for one in hypotheses(table)]
    singles = 4  # lr, the step size, eps and weight_decay alone are in the family `formats`
    of_moments = 3  # nothing, the betas, or 1 less these too
    assert len(found) == len(set(found)) == of_moments * 2 ** (len(SITES) - 2) - 1 - singles


def test_float32_tensors_are_not_concerned():
    table = dialect("torch.Adam")
    case = next(draft.case for draft in drafts(table, "basics") if draft.case.dtype == "float32")
    assert all(one.plan(case, table) is None for one in hypotheses(table))
