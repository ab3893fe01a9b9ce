from typing import Any

import numpy as np
import pytest

from refimpl.errors import InvalidHyper, UsageError
from refimpl.explain._api import explain
from refimpl.explain._selection import Numbers, case_of


def test_numbers_become_the_update_that_a_learner_would_write() -> None:
    explanation = explain(case_of(Numbers(["1", "0", "0.5"], lr=0.1, dtype="float64")))
    p, m, v = 1.0, 0.0, 0.0
    for t, g in enumerate([1.0, 0.0, 0.5], start=1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        p -= 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    assert explanation.state["param"].nearest == pytest.approx(p, rel=1e-13)


def test_occurrences_and_untouched_rows_are_written_with_commas_and_words() -> None:
    case = case_of(Numbers(["1,2", "empty", "none"], dialect="torch.SparseAdam"))
    assert case.steps[0].gradients["w"].values.tolist() == [[1.0], [2.0]]
    assert len(case.steps[1].gradients["w"].indices) == 0
    assert case.steps[2].gradients["w"] is None


def test_a_state_can_be_resumed() -> None:
    (param,) = case_of(Numbers(["1"], p=2.0, m=0.5, t=7)).params
    assert (param.value.item(), param.exp_avg.item(), param.exp_avg_sq.item(), param.step) == (2.0, 0.5, 0.0, 7)


def test_settings_have_the_names_of_the_dialect() -> None:
    case = case_of(Numbers(["1"], dialect="mindspore.LazyAdam", lr=0.2, settings=["beta1=0.5", "use_nesterov=true"]))
    assert (case.groups[0].hyper["learning_rate"], case.groups[0].hyper["beta1"], case.groups[0].hyper["use_nesterov"]) == (0.2, 0.5, True)
    case = case_of(Numbers(["1"], settings=["betas=0.5,0.9"]))
    assert case.groups[0].hyper["betas"] == (0.5, 0.9)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"grads": []}, "without a gradient"),
        ({"grads": ["one"]}, "'one' is not a number"),
        ({"grads": ["1,2"]}, "dense gradients only"),
        ({"grads": ["1"], "dtype": "int8"}, "does not take it"),
        ({"grads": ["1"], "settings": ["gamma=1"]}, "it has lr, betas"),
        ({"grads": ["1"], "settings": ["eps"]}, "not NAME=VALUE"),
        ({"grads": ["1"], "settings": ["eps=tiny"]}, "'tiny' is not a number"),
        ({"grads": ["1"], "dialect": "torch.Adom"}, "no dialect"),
    ],
)
def test_what_does_not_fit_is_refused(numbers: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        case_of(Numbers(**numbers))
    assert message in str(refused.value)


def test_what_the_dialect_refuses_is_refused() -> None:
    with pytest.raises(InvalidHyper, match="lr"):
        case_of(Numbers(["1"], lr=-1.0))
