"""Incidents of training runs on the real torch.optim.AdamW: each is refused, and its cause is named, or placed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from refimpl.backends.execute import execute
from refimpl.case import Case, Step
from refimpl.vectors import read_vectors

torch = pytest.importorskip("torch")

from judging_runs import verdicts  # noqa: E402  # after the check that torch is there

from refimpl.backends.torch import TorchBackend, TorchRun  # noqa: E402  # as above
from refimpl.judging.diagnose import diagnose  # noqa: E402  # as above
from refimpl.judging.verdict import Status  # noqa: E402  # as above

VECTORS = Path(__file__).resolve().parent.parent / "vectors"
DIALECT = "torch.AdamW"

State = dict[str, Any]


class AlteredRun(TorchRun):
    """torch's AdamW with something changed before and after each step."""

    def step(self, step: Step) -> None:
        undo = self.before(step)
        super().step(step)
        undo()

    def before(self, step: Step) -> Callable[[], None]:
        return lambda: None

    def states(self) -> list[State]:
        return [state for state in self._optimizer.state.values() if state]


class MomentsInBfloat16(AlteredRun):
    """Moments take the parameter's dtype, bfloat16 (OpenTau 181, AReaL 1292)."""

    def before(self, step: Step) -> Callable[[], None]:
        self._round()
        return self._round

    def _round(self) -> None:
        for state in self.states():
            for name in ("exp_avg", "exp_avg_sq"):
                state[name].copy_(state[name].to(torch.bfloat16))


class CountInBfloat16(AlteredRun):
    """A count that was loaded in bfloat16 keeps that dtype, and stays at 256 (torch 2.13.0 itself)."""

    def before(self, step: Step) -> Callable[[], None]:
        for state in self.states():
            state["step"] = state["step"].to(torch.bfloat16)
        return super().before(step)


class DecayByRelativeRate(AlteredRun):
    """The decay is multiplied by lr over the first lr (NNabla 1.39.0)."""

    def before(self, step: Step) -> Callable[[], None]:
        groups = self._optimizer.param_groups
        for group, change in zip(groups, step.hyper):
            group.update(change)
        decays = [group["weight_decay"] for group in groups]
        for group, first in zip(groups, self._case.groups):
            first_lr = float(str(first.hyper["lr"]))
            rate = group["lr"] / first_lr if first_lr else float("nan")
            for name, param in self._params.items():
                if any(param is member for member in group["params"]) and step.gradients.get(name) is not None:
                    param.data.mul_(1 - rate * group["weight_decay"])
            group["weight_decay"] = 0.0

        def undo() -> None:
            for group, decay in zip(groups, decays):
                group["weight_decay"] = decay

        return undo

    def step(self, step: Step) -> None:
        undo = self.before(step)
        kept = tuple({name: value for name, value in change.items() if name != "weight_decay"} for change in step.hyper)
        TorchRun.step(self, Step(step.gradients, kept))
        undo()


class GradientsOver65536(AlteredRun):
    """Gradients are divided by a loss scale that nobody multiplied by (DeepSpeed PR 7839)."""

    def _gradient(self, name: str, gradient: Any) -> Any:
        made = super()._gradient(name, gradient)
        return None if made is None else made / 65536


class CountOfTheLastParameter(AlteredRun):
    """All parameters of a group take the count of the last one that has a gradient (DeepSpeed PR 8471)."""

    def before(self, step: Step) -> Callable[[], None]:
        own = []
        for group in self._optimizer.param_groups:
            active = [
                param
                for name, param in self._params.items()
                if step.gradients.get(name) is not None and any(param is member for member in group["params"])
            ]
            for param in active:
                state = self._optimizer.state[param]
                if not state:
                    state.update(step=torch.tensor(0.0), exp_avg=torch.zeros_like(param), exp_avg_sq=torch.zeros_like(param))
                    state.update({"max_exp_avg_sq": torch.zeros_like(param)} if group["amsgrad"] else {})
                own.append((state, state["step"].item()))
            last = self._optimizer.state[active[-1]]["step"].item() if active else 0.0
            for param in active:
                self._optimizer.state[param]["step"].fill_(last)

        def undo() -> None:
            for state, count in own:
                state["step"].fill_(count + 1)

        return undo


class StridedStaysBehind(AlteredRun):
    """A parameter that is not contiguous is never updated, its moments are (DeepSpeedCPUAdam 0.19.8 with a transposed one)."""

    def before(self, step: Step) -> Callable[[], None]:
        strided = {param.name for param in self._case.params if not param.value.flags.c_contiguous}
        old = {name: self._params[name].detach().clone() for name in strided}

        def undo() -> None:
            for name, values in old.items():
                self._params[name].data.copy_(values)

        return undo


INCIDENTS: tuple[tuple[type[AlteredRun], str, str, str], ...] = (
    (MomentsInBfloat16, "basics/growing layouts/strided basics/zero", "moments-in-bfloat16", "bfloat16"),
    (CountInBfloat16, "resumed/after-256 resumed/after-2048 basics/growing", "counter-ceiling", "bfloat16, where it stops at 256"),
    (DecayByRelativeRate, "schedules/lr basics/growing", "decay-lr-relative", "lr over the lr that the optimizer was made with"),
    (GradientsOver65536, "basics/growing basics/visible-eps basics/zero", "gradient-scaled", "1/65,536"),
    (
        CountOfTheLastParameter,
        "counters/missing-in-turn counters/late-parameter basics/growing",
        "counter-of-last-parameter",
        "last parameter that has a gradient",
    ),
    (StridedStaysBehind, "layouts/strided layouts/fortran-cube basics/growing", "params-not-updated", "not contiguous"),
)
"""What is run, on which cases, and the name and words of its cause."""


class AlteredBackend(TorchBackend):
    def __init__(self, run: type[AlteredRun]) -> None:
        super().__init__("cpu", "default")
        self.run = run

    def start(self, case: Case) -> AlteredRun:
        return self.run(case, "cpu", {})


@pytest.mark.parametrize(("run", "cases", "name", "words"), INCIDENTS, ids=[run.__name__ for run, *_ in INCIDENTS])
def test_an_incident_is_refused_and_named(run: type[AlteredRun], cases: str, name: str, words: str) -> None:
    goldens = read_vectors(VECTORS, [DIALECT], [f"{DIALECT}/{case}" for case in cases.split()]).goldens
    backend = AlteredBackend(run)
    outcomes = [execute(backend, golden) for golden in goldens]
    judged = verdicts(goldens, outcomes)
    failing = [verdict.case_id for verdict in judged if verdict.status is Status.FAILED]
    (cause,) = diagnose(goldens, outcomes, judged)
    assert cause.name == name
    assert words in cause.about
    assert list(cause.cases) == failing
