"""Recipes whose second side is torch, carried out with the real one: what diff says of its dialect holds of torch.optim itself."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_less

from refimpl.arithmetic import CPU_CLASS
from refimpl.case import ARRAYS, Case, Group, Param, Step
from refimpl.dialects import dialect, dialects
from refimpl.dialects.translate import Wanted
from refimpl.diff._adapters import prepared
from refimpl.diff._measured import measured
from refimpl.diff._mixtures import mixtures
from refimpl.diff._recipes import agrees, search
from refimpl.diff._replay import Target, calls_of
from refimpl.gradients import RowGradient, is_element_gradient
from refimpl.oracle import expectations

torch = pytest.importorskip("torch")
backend = pytest.importorskip("refimpl.backends.torch").factory()

NONE = ("dgl.SparseAdam",)
"""Dialects of which no mixture can be had from torch: each row counts its own steps."""

MIXED = 12
"""Mixtures of a dialect that are run, from the last, in which most features meet."""


def in_float32(gradient):
    if gradient is None:
        return None
    if isinstance(gradient, RowGradient):
        return RowGradient(gradient.indices, gradient.values.astype(np.float32), gradient.shape)
    return gradient if is_element_gradient(gradient) else np.asarray(gradient, np.float32)


def by_torch(given, target):
    """Parameter -> array -> its values at the recorded steps, by optimizers of the real torch."""
    names = [param.name for param in given.params]
    states = {}
    for some in [[name] for name in names] if given.own else [names]:
        made = calls_of(given, some, target)
        if made is None:
            start = {param.name: param for param in given.params}[some[0]]
            arrays = zip(ARRAYS, (start.value, start.exp_avg, start.exp_avg_sq, start.max_exp_avg_sq))
            states[some[0]] = {
                array: np.stack([np.zeros_like(start.value) if x is None else x] * len(given.case.record)) for array, x in arrays
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
        at = [sum(call.origin <= step for call in calls) for step in given.case.record]
        for name in some:
            states[name] = {array: np.stack([path[k][name][array] for k in at]) for array in path[0][name]}
    return states


def worst(one, states):
    """The largest |error|/bound against what A means."""
    found = 0.0
    for name, arrays in one.expected.items():
        for array, expected in arrays.items():
            got = states[name][array].reshape(expected.value.shape).astype(np.float64)
            bound = expected.bound[CPU_CLASS].astype(np.float64)
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = np.where(got == expected.value, 0.0, np.abs(got - expected.value) / bound)
            found = max(found, float(ratio.max(initial=0.0)))
    return found


@pytest.mark.parametrize("name", dialects("full"))
def test_a_recipe_for_torch_is_one_for_the_real_torch(name):
    cases = [measured(case, expectations(case)) for case in mixtures(dialect(name))[-MIXED:]]
    run = []
    for b in ("torch.SparseAdam", "torch.Adam"):
        recipe = search(cases, dialect(name), dialect(b))
        target = Target(dialect(b), recipe.settings)
        for one in cases:
            if agrees(recipe.found[one.id]):
                run.append(one.id)
                given = prepared(one.given, frozenset(recipe.preparations), target)
                assert worst(one, by_torch(given, target)) <= 1, (b, one.case.about, recipe.preparations)
    assert run or name in NONE


def late_under_decay():
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


def test_rescaling_lr_keeps_the_product_with_the_decay():
    one = late_under_decay()
    target = Target(dialect("torch.Adam"), {"decoupled_weight_decay": True})
    given = prepared(one.given, frozenset({"rescale"}), target)
    assert worst(one, by_torch(given, target)) <= 1
    (_, calls) = calls_of(given, ["a", "b"], target)
    wanted = [call.wanted["b"].hyper for call in calls[3:]]
    assert_array_less([hyper.lr for hyper in wanted], 0.1)
    np.testing.assert_allclose([hyper.lr * hyper.weight_decay for hyper in wanted], 0.01, rtol=1e-12)


def test_without_the_decay_rescaled_too_torch_is_far_off():
    one = late_under_decay()
    target = Target(dialect("torch.Adam"), {"decoupled_weight_decay": True})
    given = prepared(one.given, frozenset({"rescale"}), target)
    kept = tuple(
        replace(call, wanted={name: Wanted(replace(each.hyper, weight_decay=0.1), each.picks) for name, each in call.wanted.items()})
        for call in given.calls
    )
    assert worst(one, by_torch(replace(given, calls=kept), target)) > 100
