"""Recipes whose second side is torch, carried out with the real one: what diff says of its dialect holds of torch.optim itself."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_less

from refimpl.arithmetic import CPU_CLASS
from refimpl.case import ARRAYS, Case, Group, Param, Step
from refimpl.dialects import Dialect, dialect, dialects
from refimpl.dialects.stages import Decay, Direction, Rectification, Second
from refimpl.dialects.translate import Wanted
from refimpl.diff._adapters import prepared
from refimpl.diff._measured import Measured, measured
from refimpl.diff._mixtures import mixtures
from refimpl.diff._recipes import search
from refimpl.diff._replay import Target, Transfer, calls_of
from refimpl.gradients import RowGradient, is_element_gradient
from refimpl.oracle import expectations

torch = pytest.importorskip("torch")
backend = pytest.importorskip("refimpl.backends.torch").factory()

NONE = ("dgl.SparseAdam", "fbgemm.PARTIAL_ROWWISE_ADAM", "keras.Adamax", "keras.Nadam", "mlx.Adamax", "river.AdaMax", "river.Nadam")
"""Dialects whose mixtures torch cannot reproduce: rows count their own steps, or have one second moment; eps or the look-ahead differs; in
keras.Nadam a missing gradient counts, and all of its mixtures miss some."""


def targets(table: Dialect) -> tuple[str, ...]:
    """The optimizers of torch that are nearest to a dialect."""
    if table.picks.second is Second.INFINITY:
        return ("torch.Adamax",)
    if table.picks.rectification is not Rectification.NONE:
        return ("torch.RAdam",)
    if table.picks.direction is Direction.NADAM_SCHEDULED:
        return ("torch.NAdam",)
    return ("torch.SparseAdam", "torch.AdamW" if table.picks.decay is Decay.DECOUPLED_ALL else "torch.Adam")


def tells_no_product(table: Dialect, case: Case) -> bool:
    """Whether the product of momenta that NAdam resumes from is not in the case: beta1 changes before the first gradient comes."""
    return table.picks.direction is Direction.NADAM_SCHEDULED and all(
        word in case.about for word in ("resume", "late", "schedule of beta1")
    )


MIXED = 12
"""Mixtures of a dialect that are run, from the last, in which most features meet."""


def in_float32(gradient: Any) -> Any:
    if gradient is None:
        return None
    if isinstance(gradient, RowGradient):
        return RowGradient(gradient.indices, gradient.values.astype(np.float32), gradient.shape)
    return gradient if is_element_gradient(gradient) else np.asarray(gradient, np.float32)


def by_torch(transfer: Transfer, target: Any) -> dict[str, dict[str, np.ndarray]]:
    """Parameter -> array -> its values at the recorded steps, by optimizers of the real torch."""
    names = [param.name for param in transfer.params]
    states = {}
    for some in [[name] for name in names] if transfer.own else [names]:
        made = calls_of(transfer, some, target)
        if made is None:
            start = {param.name: param for param in transfer.params}[some[0]]
            arrays = zip(ARRAYS, (start.value, start.exp_avg, start.exp_avg_sq, start.max_exp_avg_sq))
            states[some[0]] = {
                array: np.stack([np.zeros_like(start.value) if x is None else x] * len(transfer.case.record)) for array, x in arrays
            }
            continue
        case, calls = made
        run = backend.start(case)
        path = [run.state()]
        for step, call in zip(case.steps, calls):
            with torch.no_grad():
                for name in call.shrink.keys() & run._params.keys():
                    param = run._params[name]
                    param.copy_(param.double() * torch.tensor(np.array(call.shrink[name]).reshape(param.shape)))
            run.step(Step({name: in_float32(gradient) for name, gradient in step.gradients.items()}, step.hyper))
            path.append(run.state())
        at = [sum(call.origin <= step for call in calls) for step in transfer.case.record]
        for name in some:
            states[name] = {array: np.stack([path[k][name][array] for k in at]) for array in path[0][name]}
    return states


def worst(case: Measured, states: Any) -> float:
    """The largest |error|/bound against the exact result of dialect A."""
    largest = 0.0
    for name, arrays in case.expected.items():
        for array, expected in arrays.items():
            got = states[name][array].reshape(expected.value.shape).astype(np.float64)
            bound = expected.bound[CPU_CLASS].astype(np.float64)
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = np.where(got == expected.value, 0.0, np.abs(got - expected.value) / bound)
            largest = max(largest, float(ratio.max(initial=0.0)))
    return largest


@pytest.mark.parametrize("name", dialects("full"))
@pytest.mark.sampled(6)
def test_a_recipe_for_torch_is_one_for_the_real_torch(name: str) -> None:
    drawn = [case for case in mixtures(dialect(name)) if not tells_no_product(dialect(name), case)]
    cases = [measured(case, expectations(case)) for case in drawn[-MIXED:]]
    run = []
    for b in targets(dialect(name)):
        recipe = search(cases, dialect(name), dialect(b))
        target = Target(dialect(b), recipe.settings)
        for case in cases:
            if recipe.outcomes[case.id].agrees:
                run.append(case.id)
                transfer = prepared(case.calls, frozenset(recipe.preparations), target)
                assert worst(case, by_torch(transfer, target)) <= 1, (b, case.case.about, recipe.preparations)
    assert run or name in NONE


def late_under_decay() -> Measured:
    """keras.Adam with decoupled decay, and a parameter whose first gradient comes at the fourth call."""
    rng = np.random.default_rng(3)
    params = tuple(Param(name, rng.normal(size=(3, 2)).astype(np.float32)) for name in "ab")
    steps = tuple(
        Step({"a": rng.normal(size=(3, 2)).astype(np.float32), "b": None if t < 4 else np.ones((3, 2), np.float32)}) for t in range(1, 7)
    )
    keras = dialect("keras.Adam")
    groups = (Group({**keras.defaults(), "learning_rate": 0.1, "weight_decay": 0.1}),)
    case = Case("keras.Adam/recipe/late-under-decay", "", "keras.Adam", params, groups, steps, tuple(range(1, 7)))
    return measured(case, expectations(case))


def test_rescaling_lr_keeps_the_product_with_the_decay() -> None:
    case = late_under_decay()
    target = Target(dialect("torch.Adam"), {"decoupled_weight_decay": True})
    transfer = prepared(case.calls, frozenset({"rescale"}), target)
    assert worst(case, by_torch(transfer, target)) <= 1
    replayed = calls_of(transfer, ["a", "b"], target)
    assert replayed is not None
    _, calls = replayed
    wanted = [call.wanted["b"].hyper for call in calls[3:]]
    assert_array_less([hyper.lr for hyper in wanted], 0.1)
    np.testing.assert_allclose([hyper.lr * hyper.weight_decay for hyper in wanted], 0.01, rtol=1e-12)


def test_without_the_decay_rescaled_too_torch_is_far_off() -> None:
    case = late_under_decay()
    target = Target(dialect("torch.Adam"), {"decoupled_weight_decay": True})
    transfer = prepared(case.calls, frozenset({"rescale"}), target)
    kept = tuple(
        replace(call, wanted={name: Wanted(replace(each.hyper, weight_decay=0.1), each.picks) for name, each in call.wanted.items()})
        for call in transfer.calls
    )
    assert worst(case, by_torch(replace(transfer, calls=kept), target)) > 100
