"""Kahan-compensated parameters: both ways to compute them pass, and what loses the compensation is refused and named."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from refimpl.arithmetic import CLASSES
from refimpl.backends._torch_tensors import array_of, tensor_of
from refimpl.backends.execute import execute
from refimpl.backends.reference import factory as reference
from refimpl.case import COMPENSATION, Case, Golden, Step
from refimpl.cases import drafts
from refimpl.cases._storage import DIALECTS
from refimpl.dialects import dialect, dialects
from refimpl.errors import VectorError
from refimpl.gen import complete
from refimpl.judging.compare import judge
from refimpl.judging.diagnose import diagnose
from refimpl.judging.verdict import CaseVerdict, Status
from refimpl.oracle.bound_usage import computations, margins
from refimpl.vectors import roundtrip


@pytest.fixture(scope="module")
def goldens() -> list[Golden]:
    return [complete(draft) for draft in drafts(dialect("torch.AdamW"), "compensated")]


class Kahan:
    """AdamW in PyTorch's own operations, with float32 moments. move: how p and c take in the change; decay: how they decay."""

    name, version, dialects = "kahan", "1", reference().dialects

    def __init__(self, move: Any, decay: Any, shows: bool = True) -> None:
        self.move, self.decay, self.shows = move, decay, shows

    def start(self, case: Case) -> Any:
        self.hyper: Any = case.groups[0].hyper
        self.p = tensor_of(case.params[0].value)
        self.c, self.t = torch.zeros_like(self.p), 0
        self.m, self.v = torch.zeros(self.p.shape), torch.zeros(self.p.shape)
        return self

    def step(self, step: Step) -> None:
        g = tensor_of(step.gradients["w"]).float()  # type: ignore[arg-type]  # dense, in these cases
        self.t += 1
        beta1, beta2 = self.hyper["betas"]
        self.decay(self.p, self.c, self.hyper["lr"] * self.hyper["weight_decay"])
        self.m.mul_(beta1).add_(g, alpha=1 - beta1)
        self.v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
        denominator = (self.v / (1 - beta2**self.t)).sqrt().add_(self.hyper["eps"])
        self.move(self.p, self.c, self.m, denominator, self.hyper["lr"] / (1 - beta1**self.t))

    def state(self) -> dict[str, dict[str, np.ndarray]]:
        shown = {"param": self.p, "exp_avg": self.m, "exp_avg_sq": self.v, **({COMPENSATION: self.c} if self.shows else {})}
        return {"w": {array: array_of(tensor) for array, tensor in shown.items()}}


def in_narrow_formats(p: Any, c: Any, m: Any, denominator: Any, size: float) -> None:
    c.addcdiv_(m, denominator, value=-size)
    before = p.clone()
    p.add_(c)
    c.add_(before.sub_(p))


def in_float32(p: Any, c: Any, m: Any, denominator: Any, size: float) -> None:
    total = p.float() + c.float() - size * (m / denominator)
    p.copy_(total)
    c.copy_(total - p.float())


def without_compensation(p: Any, c: Any, m: Any, denominator: Any, size: float) -> None:
    p.copy_(p.float() - size * (m / denominator))


def into_compensation_alone(p: Any, c: Any, m: Any, denominator: Any, size: float) -> None:
    c.addcdiv_(m, denominator, value=-size)


def decay_of_sum(p: Any, c: Any, decay: float) -> None:
    total = (p.float() + c.float()) * (1 - decay)
    p.copy_(total)
    c.copy_(total - p.float())


def decay_into_compensation(p: Any, c: Any, decay: float) -> None:
    in_narrow_formats(p, c, p.float(), torch.ones(p.shape), decay)


def no_decay(p: Any, c: Any, decay: float) -> None:
    pass


def decay_of_parameter_alone(p: Any, c: Any, decay: float) -> None:
    p.mul_(1 - decay)


def judged(goldens: list[Golden], backend: Any) -> tuple[dict[str, CaseVerdict], list[str]]:
    outcomes = [execute(backend, golden) for golden in goldens]
    verdicts = [judge(golden, outcome, "tensor-faithful") for golden, outcome in zip(goldens, outcomes)]
    return {golden.case.slug: verdict for golden, verdict in zip(goldens, verdicts)}, [
        cause.name for cause in diagnose(goldens, outcomes, verdicts)
    ]


@pytest.mark.parametrize("decay", [decay_of_sum, decay_into_compensation])
@pytest.mark.parametrize("move", [in_narrow_formats, in_float32])
def test_both_ways_to_compensate_pass_in_the_class_of_plain_additions(move: Any, decay: Any, goldens: list[Golden]) -> None:
    verdicts, causes = judged(goldens, Kahan(move, decay))
    assert {verdict.status for verdict in verdicts.values()} == {Status.PASSED}
    assert causes == []
    assert all(array.worst["exact-faithful"] <= 1 for verdict in verdicts.values() for array in verdict.arrays)


def test_a_backend_that_does_not_use_its_compensation_is_named_as_such(goldens: list[Golden]) -> None:
    plain = [golden for golden in goldens if golden.case.slug != "decay"]
    verdicts, causes = judged(plain, Kahan(without_compensation, decay_of_sum))
    assert {verdict.status for verdict in verdicts.values()} == {Status.FAILED}
    assert causes == ["compensation-ignored"]


def test_a_decay_of_the_parameter_alone_fails_where_there_is_a_decay_and_there_alone(goldens: list[Golden]) -> None:
    verdicts, _ = judged(goldens, Kahan(in_narrow_formats, decay_of_parameter_alone))
    assert {slug: verdict.status for slug, verdict in verdicts.items()} == {
        "float16": Status.PASSED,
        "bfloat16": Status.PASSED,
        "decay": Status.FAILED,
    }


def test_a_parameter_that_stays_where_it_is_fails_although_the_sum_is_near(goldens: list[Golden]) -> None:
    (golden,) = (golden for golden in goldens if golden.case.slug == "bfloat16")
    verdict = judge(golden, execute(Kahan(into_compensation_alone, no_decay), golden), "tensor-faithful")
    assert verdict.status is Status.FAILED
    assert next(array for array in verdict.arrays if array.array == "param").attained is None


def test_a_backend_that_does_not_show_its_compensation_is_judged_by_the_parameter_and_said_not_to(goldens: list[Golden]) -> None:
    verdicts, _ = judged(goldens, Kahan(in_narrow_formats, decay_of_sum, shows=False))
    assert all(verdict.status is Status.PASSED and verdict.not_shown == (COMPENSATION,) for verdict in verdicts.values())


@pytest.mark.parametrize("name", DIALECTS)
def test_no_admissible_computation_leaves_the_bound_of_the_sum(name: str) -> None:
    rng = np.random.default_rng(0)
    for draft in drafts(dialect(name), "compensated"):
        golden = complete(draft)
        for margin in margins(golden.case, list(computations(golden.case, rng, per_class=4))):
            assert margin.ratio <= 1, margin
        sums = golden.expected["w"][COMPENSATION]
        assert np.array_equal(sums.value[0] == golden.case.params[0].value, golden.expected["w"]["exp_avg"].value[0] == 0)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("start", [0.0, 1e-2, 1.0])
def test_a_change_of_any_size_beside_the_parameter_is_within_the_bound(start: float, scale: float, goldens: list[Golden]) -> None:
    golden = goldens[1]
    param = replace(golden.case.params[0], value=(golden.case.params[0].value * start).astype(golden.case.params[0].value.dtype))
    group = replace(golden.case.groups[0], hyper={**golden.case.groups[0].hyper, "lr": 0.01 * scale})
    made = complete(replace(golden, case=replace(golden.case, params=(param,), groups=(group,)), expected={}))
    for move in (in_narrow_formats, in_float32):
        assert judge(made, execute(Kahan(move, decay_of_sum), made), "exact-faithful").status is Status.PASSED


@pytest.mark.parametrize("name", dialects())
def test_the_dialects_of_storage_have_the_cases_and_they_come_back_from_their_file(name: str) -> None:
    made = drafts(dialect(name), "compensated")
    assert bool(made) == (name in DIALECTS)
    for golden in made:
        param = roundtrip(golden).case.params[0]
        assert param.dtypes[COMPENSATION] == str(param.value.dtype)


def test_a_compensation_without_a_wide_format_is_refused(goldens: list[Golden]) -> None:
    param = replace(goldens[0].case.params[0], dtypes={COMPENSATION: "float16"})
    with pytest.raises(VectorError, match="no array in float32"):
        roundtrip(replace(goldens[0], case=replace(goldens[0].case, params=(param,)), expected={}))


def test_the_classes_of_the_sum_are_in_order(goldens: list[Golden]) -> None:
    for golden in goldens:
        bounds = [golden.expected["w"][COMPENSATION].bound[numerics_class] for numerics_class in CLASSES]
        assert all((tight <= loose).all() for tight, loose in pairwise(bounds))
