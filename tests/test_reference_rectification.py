"""RAdam's threshold: in float32 scalars step 5 may be rectified or not, and both are admitted where such scalars are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refimpl.backends.execute import execute
from refimpl.backends.reference import factory as reference
from refimpl.case import Case, Golden, Step
from refimpl.cases import drafts
from refimpl.dialects import dialect
from refimpl.gen import complete
from refimpl.judging.compare import judge
from refimpl.judging.verdict import Status

one, two, four, five = map(np.float32, (1, 2, 4, 5))


class RAdam:
    """torch.RAdam in float32, its scalars too. power: how beta2^t becomes a float32."""

    name, version, dialects = "radam", "1", reference().dialects

    def __init__(self, power: Any) -> None:
        self.power = power

    def start(self, case: Case) -> Any:
        self.hyper: Any = case.groups[0].hyper
        self.p, self.t = case.params[0].value.copy(), 0
        self.m, self.v = np.zeros_like(self.p), np.zeros_like(self.p)
        self.rectified: list[bool] = []
        return self

    def step(self, step: Step) -> None:
        self.t += 1
        g: Any = step.gradients["w"]
        (b1, b2), lr, eps = map(np.float32, self.hyper["betas"]), np.float32(self.hyper["lr"]), np.float32(self.hyper["eps"])
        self.m = b1 * self.m + (one - b1) * g
        self.v = b2 * self.v + (one - b2) * g * g
        power = self.power(self.hyper["betas"][1], self.t)
        rho_inf = two / (one - b2) - one
        rho = rho_inf - two * np.float32(self.t) * power / (one - power)
        m_hat = self.m / (one - np.float32(self.hyper["betas"][0] ** self.t))
        self.rectified.append(bool(rho > five))
        if rho > five:
            r = np.sqrt((rho - four) * (rho - two) * rho_inf / ((rho_inf - four) * (rho_inf - two) * rho))
            self.p = self.p - lr * m_hat * r * np.sqrt(one - power) / (np.sqrt(self.v) + eps)
        else:
            self.p = self.p - lr * m_hat

    def state(self) -> dict[str, dict[str, np.ndarray]]:
        return {"w": {"param": self.p.copy(), "exp_avg": self.m.copy(), "exp_avg_sq": self.v.copy()}}


def from_double(beta2: float, t: int) -> np.float32:
    return np.float32(beta2**t)


def by_product(beta2: float, t: int) -> np.float32:
    return np.float32(np.prod(np.full(t, beta2, np.float32), dtype=np.float32))


@pytest.fixture(scope="module")
def golden() -> Golden:
    (draft,) = (draft for draft in drafts(dialect("torch.RAdam"), "basics") if draft.case.slug == "constant")
    return complete(draft)


@pytest.mark.parametrize(("power", "rectified"), [(from_double, True), (by_product, False)])
def test_float32_scalars_decide_either_way_at_step_5_and_conform(power: Any, rectified: bool, golden: Golden) -> None:
    backend = RAdam(power)
    outcome = execute(backend, golden)
    assert backend.rectified[4] is rectified
    assert backend.rectified[3] is False
    assert judge(golden, outcome, "tensor-faithful").status is Status.PASSED
    assert judge(golden, outcome, "exact-faithful").status is Status.FAILED


def test_the_exact_classes_decide_the_step_and_bound_it_far_below_its_size(golden: Golden) -> None:
    (param,) = golden.expected.values()
    change = np.abs(np.diff(param["param"].value, axis=0))[3]
    assert (param["param"].bound["exact-faithful"][4] < change / 10_000).all()
    assert (param["param"].bound["tensor-faithful"][4] > change / 2).all()
