"""The diagnosis: it names the cause that explains most failures and none that is refuted, and says where it knows none."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from judging_runs import Core, causes, computed, deviating, failing, hypothesis, some, verdicts

from refimpl.backends import Capabilities
from refimpl.backends.execute import execute
from refimpl.backends.outcome import Outcome
from refimpl.backends.reference import factory
from refimpl.case import Case, Golden, Step
from refimpl.dialects import dialect
from refimpl.judging._evidence import prove
from refimpl.judging._hypothesis import Hypothesis, Plan, together
from refimpl.judging.diagnose import leads_of
from refimpl.reference.forms import Forms, Mean, Square


def test_nothing_is_diagnosed_where_nothing_failed(core: Core) -> None:
    goldens = some(core, "basics/one-step", "duplicates/pair")
    assert causes(goldens, [execute(factory(), golden) for golden in goldens]) == ()


def test_two_faults_in_two_places_are_told_apart(core: Core) -> None:
    goldens = some(core, "duplicates/pair", "duplicates/sorted", "options/maximize")
    outcomes = [*deviating("duplicates-averaged", goldens[:2]), *deviating("maximize-ignored", goldens[2:])]
    diagnoses = causes(goldens, outcomes)
    assert diagnoses[0].deviations == ("duplicates-averaged",)
    assert "maximize-ignored" in (*diagnoses[1].deviations, *diagnoses[1].also)
    assert diagnoses[0].unexplained == ("torch.SparseAdam/options/maximize",)
    assert diagnoses[1].unexplained == ()


def test_a_cause_that_a_passing_case_refutes_is_named_under_a_condition_or_not_at_all(core: Core) -> None:
    goldens = some(core, "duplicates/pair", "duplicates/sorted")
    outcomes = [*deviating("duplicates-averaged", goldens[:1]), *deviating("", goldens[1:])]
    assert "duplicates-averaged" in goldens[1].case.catches
    assert causes(goldens, outcomes) == ()


def test_a_cause_that_holds_in_one_layout_is_named_with_it(core: Core) -> None:
    goldens = some(core, "layouts/fortran", "layouts/strided", "layouts/read-only", "basics/five-steps")
    outcomes = [*deviating("sign-flipped", goldens[:1]), *deviating("", goldens[1:])]
    (cause,) = causes(goldens, outcomes)
    assert cause.deviations == ("sign-flipped",)
    assert "arrays in Fortran order" in cause.about


def test_causes_that_give_the_same_numbers_are_named_together(core: Core) -> None:
    goldens = some(core, "basics/one-step")  # at the first step, 2 t is t + 1
    diagnoses = causes(goldens, deviating("counter-doubled", goldens))
    assert {"counter-doubled", "counter-one-ahead"} <= {*diagnoses[0].deviations, *diagnoses[0].also}


def test_numbers_that_nothing_gives_stay_without_a_name_and_with_leads(core: Core) -> None:
    goldens = some(core, "basics/five-steps")
    outcome = execute(factory(), goldens[0])
    drift = np.float32(0.125) * np.arange(1, 6, dtype=np.float32).reshape(5, 1, 1) ** 2
    wrong = Outcome(outcome.case_id, outcome.end, {"w": {**outcome.states["w"], "param": outcome.states["w"]["param"] + drift}})
    assert causes(goldens, [wrong]) == ()
    leads = leads_of(goldens, [wrong], verdicts(goldens, [wrong]), ())
    assert leads[0] == "wrong: param; right in every failing case: exp_avg, exp_avg_sq"
    assert "wrong from step 1 on in every failing case" in leads


def test_two_faults_that_act_in_one_case_are_named_together(core: Core) -> None:
    goldens = some(core, "duplicates/pair", "duplicates/sorted", "eps/eps-large")
    diagnoses = causes(goldens, deviating("duplicates-averaged,counter-one-ahead", goldens))
    named = {tuple(sorted(cause.deviations)) for cause in diagnoses}
    assert ("counter-one-ahead", "duplicates-averaged") in named
    assert all(set(cause.deviations) <= {"counter-one-ahead", "duplicates-averaged"} for cause in diagnoses)
    assert diagnoses[-1].unexplained == ()


def test_a_factor_on_lr_is_fitted_and_stated(core: Core) -> None:
    goldens = some(core, "basics/from-zero", "basics/large-lr", "basics/five-steps-float64")
    diagnoses = causes(goldens, [_scaled(golden, 1.0001) for golden in goldens])
    assert diagnoses[0].deviations == ("lr-scaled",)
    assert diagnoses[0].about == "lr is multiplied by 1.0001"


def _scaled(golden: Any, factor: float) -> Outcome:
    """The result of a learning rate that is off by a factor, everything else right."""
    from dataclasses import replace

    from refimpl.case import Group

    case = golden.case
    hyper = dict(case.groups[0].hyper)
    other = replace(golden, case=replace(case, groups=(Group({**hyper, "lr": hyper["lr"] * factor}),)))
    return replace(execute(factory(), other), case_id=case.id)


def test_a_hypothesis_is_named_by_what_it_says_of_settings_counters_and_formats(core: Core) -> None:
    for id, words, slugs in NAMED:
        goldens = some(core, *slugs)
        wrong = hypothesis(id, words)
        diagnoses = causes(goldens, [computed(wrong, golden) for golden in goldens])
        assert diagnoses, id
        cause = diagnoses[0]
        assert id in (*cause.deviations, *cause.also), (id, cause)
        assert cause.cases == tuple(golden.case.id for golden in goldens)


NAMED = (
    ("lr-first-value", "made with", ("schedules/lr", "schedules/lr-late")),
    ("lr-first-group", "made with", ("groups/lr", "groups/lr-three")),
    ("counter-ceiling", "kept in float16", ("resumed/after-2048", "resumed/after-2048-float64")),
    ("exp-avg-in-bfloat16", "is kept in bfloat16", ("basics/five-steps", "basics/from-zero")),
    ("exp-avg-sq-not-updated", "", ("basics/five-steps", "basics/growing")),
    ("sums-in-float16", "summed in it", ("duplicates/pair", "duplicates/sorted")),
)


def test_scalars_in_float32_under_float64_tensors_are_named_however_they_are_rounded(core: Core) -> None:
    (golden,) = some(core, "basics/five-steps-float64")
    assert "scalars-in-float32" in golden.case.catches
    (cause,) = causes([golden], [execute(NarrowScalars(), golden)])
    assert "scalars-in-float32" in (*cause.deviations, *cause.also)


class NarrowScalars:
    """SparseAdam in float64 whose scalars are float32, the powers by a running product."""

    name, version = "narrow", ""
    dialects: ClassVar[dict[str, Capabilities]] = {"torch.SparseAdam": Capabilities(dtypes=("float64",))}

    def start(self, case: Case) -> NarrowRun:
        return NarrowRun(case)


class NarrowRun:
    def __init__(self, case: Case) -> None:
        (param,) = case.params
        hyper: Any = case.groups[0].hyper
        self.lr, self.eps, self.b1, self.b2 = map(np.float32, (hyper["lr"], hyper["eps"], *hyper["betas"]))
        self.p, self.m, self.v = param.value.copy(), np.zeros_like(param.value), np.zeros_like(param.value)
        self.power1 = self.power2 = np.float32(1)

    def step(self, step: Step) -> None:
        gradient: Any = step.gradients["w"]
        rows, g = gradient.indices, gradient.values
        self.power1, self.power2 = self.power1 * self.b1, self.power2 * self.b2
        size = self.lr * np.sqrt(1 - self.power2) / (1 - self.power1)
        self.m[rows] = self.b1 * self.m[rows] + (1 - self.b1) * g
        self.v[rows] = self.b2 * self.v[rows] + (1 - self.b2) * g**2
        self.p[rows] -= size * self.m[rows] / (np.sqrt(self.v[rows]) + self.eps)

    def state(self) -> dict[str, dict[str, np.ndarray]]:
        return {"w": {"param": self.p, "exp_avg": self.m, "exp_avg_sq": self.v}}


def test_a_number_that_the_cases_leave_open_is_given_as_a_range(core: Core) -> None:
    goldens = some(core, "sizes/far-apart")
    wrong = hypothesis("distant-occurrences-lost", "1,000 or more away")
    (cause,) = causes(goldens, [computed(wrong, golden) for golden in goldens])
    assert cause.about == "an occurrence of a row is lost where the one before it is 64 to 1,000 or more away"


def test_a_division_by_zero_that_is_predicted_explains_no_number(core: Core) -> None:
    """The old v of a first step is 0: without eps, dividing by its root gives no number; whoever has one did something else."""
    (golden,) = some(core, "basics/from-zero")
    plan = together(hypothesis("eps-in-float16"), hypothesis("stale-second-moment")).plan(golden.case, dialect("torch.SparseAdam"))
    assert plan is not None
    assert prove(plan, failing(golden, _scaled(golden, 1.5)), 2) is None


@pytest.mark.parametrize("mean", [Mean.LERP_FROM_NEW, Mean.NEW_MINUS_SCALED])
def test_averages_that_round_at_the_size_of_the_new_value_are_named_and_others_are_not(core: Core, mean: Mean) -> None:
    goldens = some(core, "basics/five-steps", "groups/lr", "basics/growing")
    square = Square[mean.name]
    runs = [_in_forms(golden, Forms(mean=(mean,), square=(square,))) for golden in goldens]
    failed = [run for golden, run in zip(goldens, runs) if verdicts([golden], [run])[0].is_numeric_failure]
    assert failed
    (cause,) = causes(goldens, runs)
    assert cause.deviations == ("average-from-new-value",)
    assert mean.value in cause.about
    lerp = [_in_forms(golden, Forms(mean=(Mean.LERP,), square=(Square.LERP,))) for golden in goldens]
    assert causes(goldens, lerp) == ()


def _in_forms(golden: Golden, forms: Forms) -> Outcome:
    return computed(Hypothesis("", "", "", lambda case, table: Plan(case)), golden, forms=forms)
