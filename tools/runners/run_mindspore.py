"""mindspore.nn.LazyAdam, mindspore.nn.Adam and its use_lazy as routes, each with its target left alone and with target = "CPU".

The runs are those of refimpl's backend `mindspore`, taken from the tree that this file lies in: of refimpl it needs only what needs
NumPy and PyYAML.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from common import Elements, Rows, Unsupported, main

from refimpl import Case, Group, Param, RowGradient, Step
from refimpl import Unsupported as Unclaimed
from refimpl.backends.mindspore import ROUTES, factory


class Run:
    """A run of the backend, from a case as the runners have it."""

    def __init__(self, name, case):
        params = tuple(
            Param(one.name, one.value, one.group, one.exp_avg, one.exp_avg_sq, one.step, one.max_exp_avg_sq) for one in case.params
        )
        steps = tuple(Step(step.gradients, step.hyper) for step in case.steps)
        given = Case(case.id, "", case.dialect, params, tuple(map(Group, case.groups)), steps, case.record)
        self.run = _unclaimed(factory(route=name).start, given)
        self.state = self.run.state

    def step(self, step):
        gradients = {name: _gradient(gradient) for name, gradient in step.gradients.items()}
        _unclaimed(self.run.step, Step(gradients, step.hyper))


def _unclaimed(call, given):
    """What the backend does not claim, in the words of the runners."""
    try:
        return call(given)
    except Unclaimed as reason:
        raise Unsupported(str(reason)) from None


def _gradient(gradient):
    if isinstance(gradient, Elements):
        raise TypeError("a gradient is a Tensor or a RowTensor; there is none of single elements")
    return RowGradient(gradient.indices, gradient.values, gradient.shape) if isinstance(gradient, Rows) else gradient


def _route(name):
    """A class of runs, as the runners want one."""
    return type(name, (Run,), {"dialects": ROUTES[name].dialects, "__init__": lambda self, case: Run.__init__(self, name, case)})


if __name__ == "__main__":
    main({name: _route(name) for name in ROUTES})
