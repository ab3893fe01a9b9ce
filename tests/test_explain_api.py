"""What is explained is what the oracle expects: to the last digit, in every class."""

import random
from dataclasses import replace

import numpy as np
import pytest

from refimpl.case import Golden
from refimpl.dialects import deviations
from refimpl.errors import UsageError
from refimpl.explain._api import against, explain, stored
from refimpl.explain._data import Explanation, Line
from refimpl.explain._selection import Numbers, case_of, find
from refimpl.gradients import row_layout

SAMPLE = 60
"""Cases of each dialect of the core suite."""


def golden_of(core: dict[str, list[Golden]], id: str) -> Golden:
    return next(golden for golden in core[id.split("/")[0]] if golden.case.id == id)


def line(explanation: Explanation, name: str) -> Line:
    return next(line for line in explanation.lines if line.name == name)


@pytest.mark.parametrize(
    "name", ["torch.SparseAdam", "torch.Adam", "mindspore.LazyAdam", "mindspore.LazyAdam.default-target", "mindspore.Adam"]
)
@pytest.mark.sampled(5)
def test_the_state_that_is_left_is_what_the_vectors_hold_to_the_last_digit(core: dict[str, list[Golden]], name: str) -> None:
    chosen = random.Random(name)
    compared = 0
    for golden in chosen.sample(core[name], SAMPLE):
        if golden.case.error or golden.case.record[-1] > 100:
            continue
        params = [param for param in golden.case.params if param.value.size]
        if not params:
            continue
        param = chosen.choice(params)
        rows, width = row_layout(param.value.shape)
        row, col, step = chosen.randrange(rows), chosen.randrange(width), chosen.choice(golden.case.record)
        explanation = explain(golden.case, param=param.name, row=row, col=col, step=step)
        assert stored(golden, explanation) is True, (golden.case.id, param.name, row, col, step)
        compared += 1
    assert compared > SAMPLE / 2


def test_an_expectation_that_is_off_by_an_ulp_is_noticed(core: dict[str, list[Golden]]) -> None:
    golden = golden_of(core, "torch.SparseAdam/duplicates/pair")
    explanation = explain(golden.case)
    expected = golden.expected["w"]["param"]
    off = replace(golden, expected={"w": {**golden.expected["w"], "param": replace(expected, value=np.nextafter(expected.value, 1.0))}})
    assert (stored(golden, explanation), stored(off, explanation)) == (True, False)


def test_the_lines_are_those_of_the_algorithm_with_their_numbers(core: dict[str, list[Golden]]) -> None:
    explanation = explain(golden_of(core, "torch.SparseAdam/basics/one-step").case)
    assert [line.name for line in explanation.lines] == ["c1", "c2", "step", "m", "v", "change", "p"]
    assert line(explanation, "m").formula == "b1*m + (1 - b1)*g"
    assert line(explanation, "v").formula == "b2*v + (1 - b2)*g^2"
    assert line(explanation, "change").formula == "step*m / (sqrt(v) + eps)"
    assert line(explanation, "c2").numbers == "1 - 0.999^1"


def test_the_paper_s_form_is_written_with_hats(core: dict[str, list[Golden]]) -> None:
    explanation = explain(golden_of(core, "torch.Adam/basics/one-step").case)
    assert line(explanation, "m_hat").formula == "m/c1"
    assert line(explanation, "change").formula == "lr*(m_hat / (sqrt(v_hat) + eps))"


def test_a_formula_gives_its_value_when_its_numbers_are_put_in() -> None:
    explanation = explain(case_of(Numbers(["1", "-0.5", "0.25"], lr=0.1, dtype="float64")))
    for line in explanation.lines:
        by_hand = eval(line.numbers.replace("^", "**"), {"sqrt": np.sqrt, "max": max})
        assert by_hand == pytest.approx(line.value.nearest, rel=1e-12)
        assert float(line.value.exact) == line.value.nearest


def test_occurrences_of_a_row_have_lines_of_their_own(core: dict[str, list[Golden]]) -> None:
    summed = explain(golden_of(core, "torch.SparseAdam/duplicates/pair").case)
    assert line(summed, "g").formula == "g[0] + g[2]"
    apart = explain(golden_of(core, "mindspore.LazyAdam.default-target/duplicates/pair").case)
    assert line(apart, "m[2]").formula == "b1*m + (1 - b1)*g[2]"
    assert [line.formula for line in apart.lines if line.name == "p"] == ["p - change[0]", "p - change[2]"]


def test_an_untouched_row_says_why_and_has_no_lines() -> None:
    explanation = explain(case_of(Numbers(["1", "empty"], dialect="torch.SparseAdam")), step=2)
    assert explanation.lines == ()
    assert any("not touched" in sentence for sentence in explanation.touched)
    assert explanation.state["param"].nearest == explain(case_of(Numbers(["1"], dialect="torch.SparseAdam"))).state["param"].nearest


def test_an_element_that_leaves_the_range_says_what_is_allowed(core: dict[str, list[Golden]]) -> None:
    golden = golden_of(core, "torch.SparseAdam/ranges/square-overflows")
    explanation = explain(golden.case, step=2, row=1, col=0)
    assert any(value.allowed not in ("", "finite") for value in explanation.state.values())
    assert stored(golden, explanation) is True


def test_what_the_dialect_refuses_is_explained_as_a_refusal(core: dict[str, list[Golden]]) -> None:
    explanation = explain(golden_of(core, "torch.Adam/refused/sparse-gradient").case)
    assert "does not support sparse gradients" in explanation.refused
    assert explanation.lines == ()


def test_a_deviation_first_differs_at_the_line_of_its_stage(core: dict[str, list[Golden]]) -> None:
    case = golden_of(core, "torch.SparseAdam/duplicates/pair").case
    mine = explain(case, step=1)
    counterpart = against(case, mine, "duplicates-last-wins")
    assert line(counterpart.explanation, "m").formula == "b1*m + (1 - b1)*g[2]"
    assert counterpart.since == 1
    assert counterpart.explanation.state["param"].nearest != mine.state["param"].nearest


def test_another_dialect_gets_the_same_numbers_under_its_own_names(core: dict[str, list[Golden]]) -> None:
    case = golden_of(core, "torch.SparseAdam/options/maximize").case
    with pytest.raises(UsageError, match="maximize"):
        against(case, explain(case), "mindspore.LazyAdam")
    case = golden_of(core, "torch.SparseAdam/duplicates/pair").case
    counterpart = against(case, explain(case), "mindspore.LazyAdam")
    assert counterpart.since is None
    assert "learning_rate" in counterpart.case.groups[0].hyper


def test_an_earlier_step_at_which_they_first_differ_is_named(core: dict[str, list[Golden]]) -> None:
    case = golden_of(core, "torch.SparseAdam/duplicates/pair").case
    assert against(case, explain(case, step=2), "mindspore.LazyAdam.default-target").since == 1


def test_a_name_that_is_nothing_is_refused_with_what_is_near(core: dict[str, list[Golden]]) -> None:
    case = golden_of(core, "torch.SparseAdam/duplicates/pair").case
    with pytest.raises(UsageError, match="did you mean duplicates-last-wins"):
        against(case, explain(case), "duplicates-last-win")


@pytest.mark.parametrize("name", sorted(deviations()))
@pytest.mark.sampled(8)
def test_every_deviation_can_be_put_beside_the_default_case(name: str) -> None:
    case = find("torch.SparseAdam/duplicates/pair", None).case
    assert against(case, explain(case), name).explanation.deviations == (name,)
