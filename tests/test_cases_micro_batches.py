"""Cases of several micro-batches: PyTorch accumulates them, a mean may run along with them, and each mistake is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refimpl.arithmetic import Float
from refimpl.backends import outside_claim
from refimpl.backends._protocol import Capabilities
from refimpl.backends.execute import execute
from refimpl.backends.numba import factory as numba_factory
from refimpl.backends.outcome import End
from refimpl.backends.reference import factory as reference
from refimpl.backends.torch import factory as torch_factory
from refimpl.case import Case, Golden, Group, Param, Step
from refimpl.cases import drafts
from refimpl.cases._storage import DIALECTS
from refimpl.dialects import Deviation, deviations, dialect, dialects
from refimpl.dialects.stages import Accumulation
from refimpl.errors import InvalidGradient
from refimpl.gen import complete
from refimpl.judging.compare import judge
from refimpl.judging.diagnose import diagnose
from refimpl.judging.verdict import Status
from refimpl.reference import trajectory
from refimpl.vectors import roundtrip

MISTAKES = [id for id in deviations() if id.startswith("micro-batches-")]


@pytest.fixture(scope="module")
def goldens() -> dict[str, list[Golden]]:
    return {name: [complete(draft) for draft in drafts(dialect(name), "batches")] for name in ("torch.SparseAdam", "torch.Adam")}


def judged(goldens: list[Golden], backend: Any) -> tuple[dict[str, Status], list[str]]:
    outcomes = [execute(backend, golden) for golden in goldens]
    verdicts = [judge(golden, outcome, "tensor-faithful") for golden, outcome in zip(goldens, outcomes)]
    return {golden.case.slug: verdict.status for golden, verdict in zip(goldens, verdicts)}, [
        cause.name for cause in diagnose(goldens, outcomes, verdicts)
    ]


@pytest.mark.parametrize("name", ["torch.SparseAdam", "torch.Adam"])
def test_pytorch_accumulates_and_does_not_claim_a_mean(name: str, goldens: dict[str, list[Golden]]) -> None:
    statuses, _ = judged(goldens[name], torch_factory())
    assert statuses.pop("averaged") is Status.UNSUPPORTED
    assert set(statuses.values()) == {Status.PASSED}


@pytest.mark.parametrize("id", MISTAKES)
@pytest.mark.parametrize("name", ["torch.SparseAdam", "torch.Adam"])
def test_each_mistake_fails_the_cases_that_claim_it_and_is_named(name: str, id: str, goldens: dict[str, list[Golden]]) -> None:
    statuses, causes = judged(goldens[name], reference(deviations=id))
    caught = {golden.case.slug for golden in goldens[name] if id in golden.case.catches}
    assert caught
    assert {slug for slug, status in statuses.items() if status is Status.FAILED} == caught
    assert causes == [id]


@pytest.mark.parametrize(
    ("pick", "accumulation", "gradient", "steps"),
    [
        (Accumulation.AS_GIVEN, "sum", 6.0, 1),
        (Accumulation.AS_GIVEN, "mean", 2.0, 1),
        (Accumulation.SUM, "mean", 6.0, 1),
        (Accumulation.MEAN, "sum", 2.0, 1),
        (Accumulation.FIRST, "sum", 1.0, 1),
        (Accumulation.LAST, "sum", 5.0, 1),
        (Accumulation.APART, "sum", 5.0, 2),
    ],
)
def test_each_way_to_accumulate_gives_the_gradient_that_it_says(pick: Any, accumulation: str, gradient: float, steps: int) -> None:
    """Micro-batches of 1, none and 5, without momentum: m is the gradient of the last step, and the count shows in the correction of v."""
    param = Param("w", np.ones((1, 1)))
    hyper = {**dialect("torch.Adam").defaults(), "betas": (0.0, 0.5)}
    batches: Any = [{"w": np.full((1, 1), 1.0)}, {"w": None}, {"w": np.full((1, 1), 5.0)}]
    case = Case(
        "torch.Adam/made/w", "made", "torch.Adam", (param,), (Group(hyper),), (Step.of_batches(batches),), (1,), accumulation=accumulation
    )
    deviating = Deviation("made", "B", "made", {"accumulation": pick}, ("made",))
    (state,) = trajectory(case, Float("float64"), dialect("torch.Adam"), (deviating,))
    assert state["w"].m.item() == gradient
    assert state["w"].v.item() == (0.5 * gradient**2 if steps == 1 else 0.5 * 0.5 * 1 + 0.5 * 25)


class Accumulating:
    """The reference over one gradient per call, which `together` makes of those of the micro-batches."""

    name, version, dialects = "accumulating", "1", reference().dialects

    def __init__(self, together: Any) -> None:
        self.together = together

    def start(self, case: Case) -> Any:
        self.run = reference().start(replace(case, steps=tuple(map(self.one, case.steps)), accumulation="sum"))
        return self

    def one(self, step: Step) -> Step:
        names = step.gradients
        given = {name: [batch[name] for batch in step.batches] for name in names}
        return replace(step, gradients={name: self.together(parts) for name, parts in given.items()}, batches=())

    def step(self, step: Step) -> None:
        self.run.step(self.one(step))

    def state(self) -> Any:
        return self.run.state()


def running_mean(parts: list[np.ndarray | None]) -> np.ndarray | None:
    """optax.MultiSteps: acc <- acc + (g - acc)/k, in float32; a missing gradient is one of zeros."""
    if all(part is None for part in parts):
        return None
    zeros = np.zeros_like(next(part for part in parts if part is not None))
    acc = zeros
    for k, part in enumerate(parts, start=1):
        acc = acc + ((zeros if part is None else part) - acc) / np.float32(k)
    return acc


@pytest.mark.parametrize("sign", [1, -1])
def test_a_running_mean_passes_even_where_its_gradients_cancel(sign: int, goldens: dict[str, list[Golden]]) -> None:
    (golden,) = (golden for golden in goldens["torch.Adam"] if golden.case.slug == "averaged")
    first: Any = golden.case.steps[0]
    scales = (1, sign * 0.999999)
    batches = [{name: np.asarray(value * scale, np.float32) for name, value in first.batches[0].items()} for scale in scales]
    case = replace(golden.case, steps=(Step.of_batches(batches, ({},)),), record=(1,))
    golden = complete(replace(golden, case=case, expected={}))
    outcome = execute(Accumulating(running_mean), golden)
    assert judge(golden, outcome, "exact-ieee").status is Status.PASSED


def test_a_backend_that_does_not_know_micro_batches_has_the_cases_reported_as_unsupported(goldens: dict[str, list[Golden]]) -> None:
    plain = {"torch.Adam": Capabilities(("float32",), ("dense",)), "torch.SparseAdam": Capabilities(("float32",), ("rows",))}
    for golden in (golden for of in goldens.values() for golden in of):
        assert outside_claim(golden.case, plain) is not None
        assert execute(numba_factory(), golden).end is End.UNSUPPORTED


@pytest.mark.parametrize("name", dialects())
def test_the_dialects_of_storage_have_the_cases_and_they_come_back_from_their_file(name: str) -> None:
    made = drafts(dialect(name), "batches")
    assert bool(made) == (name in DIALECTS)
    for golden in made:
        back = roundtrip(golden).case
        assert back.accumulation == golden.case.accumulation
        for step, before in zip(back.steps, golden.case.steps):
            assert len(step.batches) == len(before.batches)
            assert not step.ranks


def test_micro_batches_whose_gradients_have_different_forms_are_refused() -> None:
    with pytest.raises(InvalidGradient, match="between micro-batches"):
        Step.of_batches([{"w": np.zeros(2)}, {"w": np.zeros(2, np.float32)}])
