"""Attribution: the deviation that explains most wins, a refuted one does not, and what nothing explains is said."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from refimpl.backends import Capabilities
from refimpl.backends.execute import execute
from refimpl.backends.outcome import Outcome
from refimpl.backends.reference import factory
from refimpl.case import Case, Golden, Step
from refimpl.dialects import deviations
from refimpl.judging.compare import judge
from refimpl.judging.diagnose import diagnose, explains
from refimpl.judging.verdict import Diagnosis


def causes(goldens: list[Golden], outcomes: list[Outcome]) -> tuple[Diagnosis, ...]:
    return diagnose(goldens, outcomes, [judge(golden, outcome, "tensor-faithful") for golden, outcome in zip(goldens, outcomes)])


def some(core: dict[str, list[Golden]], *slugs: str) -> list[Golden]:
    return [golden for golden in core["torch.SparseAdam"] if golden.case.id.split("/", 1)[1] in slugs]


def test_nothing_is_diagnosed_where_nothing_failed(core: dict[str, list[Golden]]) -> None:
    goldens = some(core, "basics/one-step", "duplicates/pair")
    assert causes(goldens, [execute(factory(), golden) for golden in goldens]) == ()


def test_two_faults_in_two_places_are_told_apart(core: dict[str, list[Golden]]) -> None:
    goldens = some(core, "duplicates/pair", "duplicates/sorted", "options/maximize")
    backends = {"duplicates": factory(deviations="duplicates-averaged"), "options": factory(deviations="maximize-ignored")}
    found = causes(goldens, [execute(backends[golden.case.theme], golden) for golden in goldens])
    assert [cause.deviations for cause in found] == [("duplicates-averaged",), ("maximize-ignored",)]
    assert found[0].unexplained == ("torch.SparseAdam/options/maximize",)
    assert found[1].unexplained == ()


def test_a_deviation_that_a_passing_case_refutes_is_not_named(core: dict[str, list[Golden]]) -> None:
    goldens = some(core, "duplicates/pair", "duplicates/sorted")
    wrong, right = factory(deviations="duplicates-averaged"), factory()
    outcomes = [execute(wrong, goldens[0]), execute(right, goldens[1])]
    assert "duplicates-averaged" in goldens[1].case.catches
    assert causes(goldens, outcomes) == ()


def test_deviations_that_give_the_same_numbers_are_named_together(core: dict[str, list[Golden]]) -> None:
    goldens = some(core, "basics/one-step")  # at the first step, 2 t is t + 1
    found = causes(goldens, [execute(factory(deviations="counter-doubled"), golden) for golden in goldens])
    assert {"counter-doubled", "counter-one-ahead"} <= {*found[0].deviations, *found[0].also}


def test_numbers_that_no_deviation_gives_stay_without_a_name(core: dict[str, list[Golden]]) -> None:
    goldens = some(core, "basics/five-steps")
    outcome = execute(factory(), goldens[0])
    states = {"w": {array: values + np.float32(0.125) for array, values in outcome.states["w"].items()}}
    assert causes(goldens, [Outcome(outcome.case_id, outcome.end, states)]) == ()


def test_an_explanation_must_fit_every_recorded_step(core: dict[str, list[Golden]]) -> None:
    golden = some(core, "duplicates/multiplicity-changes")[0]
    averaged = execute(factory(deviations="duplicates-averaged"), golden)
    assert explains((deviations()["duplicates-averaged"],), golden, averaged)
    right = execute(factory(), golden)
    good = right.states["w"]
    mixed = {"w": {array: np.concatenate([bad[:2], good[array][2:]]) for array, bad in averaged.states["w"].items()}}
    assert not explains((deviations()["duplicates-averaged"],), golden, Outcome(averaged.case_id, averaged.end, mixed))


def test_two_faults_that_act_in_one_case_are_named_together(core: dict[str, list[Golden]]) -> None:
    goldens = some(core, "duplicates/pair", "duplicates/sorted", "eps/eps-large")
    wrong = factory(deviations="duplicates-averaged,counter-one-ahead")
    found = causes(goldens, [execute(wrong, golden) for golden in goldens])
    assert [cause.deviations for cause in found] == [("counter-one-ahead",), ("duplicates-averaged", "counter-one-ahead")]
    assert found[1].about == "duplicates averaged, and beta powers advanced before use, so t + 1"
    assert found[1].unexplained == ()


def test_scalars_in_float32_under_float64_tensors_are_named_however_they_are_rounded(core: dict[str, list[Golden]]) -> None:
    (golden,) = some(core, "basics/five-steps-float64")
    assert "scalars-in-float32" in golden.case.catches
    found = causes([golden], [execute(NarrowScalars(), golden)])
    assert [cause.deviations for cause in found] == [("scalars-in-float32",)]


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


def test_numbers_that_no_two_deviations_give_are_named_by_none_of_the_thousand_pairs(core: dict[str, list[Golden]]) -> None:
    golden = some(core, "duplicates/pair")[0]
    outcome = execute(factory(deviations="duplicates-averaged"), golden)
    states = {"w": {array: values * np.float32(1.5) for array, values in outcome.states["w"].items()}}
    assert causes([golden], [Outcome(outcome.case_id, outcome.end, states)]) == ()
