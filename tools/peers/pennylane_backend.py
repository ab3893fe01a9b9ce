"""pennylane.AdamOptimizer as a route: apply_grad, which step calls with the gradients of an objective."""

from __future__ import annotations

import numpy as np
import pennylane as qml
from peer_backend import is_resumed, peer_factory
from refusals import copied, has_one_group, start, takes_dense

from refimpl.backends import Unsupported


class AdamRun:
    """One optimizer. An argument without a gradient is one that is not trained in this call."""

    dialects = ("pennylane.AdamOptimizer",)

    def __init__(self, case):
        takes_dense(case, "an array")
        has_one_group(case)
        if case.dtype != "float64":
            raise Unsupported("an argument comes back in float64: the step size is a numpy.float64, which widens what it multiplies")
        self.params = {param.name: copied(param.value) for param in case.params}
        self.optimizer = qml.AdamOptimizer(**case.groups[0].hyper)
        self.optimizer.accumulation = {"fm": [0] * len(self.params), "sm": [0] * len(self.params), "t": 0}
        if is_resumed(case):
            self._resume(case)

    def _resume(self, case):
        steps = {param.step for param in case.params}
        if len(steps) > 1:
            raise Unsupported("one step count for all arguments")
        moments = {own: [start(param, array) for param in case.params] for own, array in (("fm", "exp_avg"), ("sm", "exp_avg_sq"))}
        self.optimizer.accumulation = {**moments, "t": steps.pop()}

    def step(self, step):
        for name, value in step.hyper[0].items() if step.hyper else ():
            setattr(self.optimizer, name, value)
        given = [step.gradients.get(name) is not None for name in self.params]
        arguments = [qml.numpy.array(value, requires_grad=trained) for value, trained in zip(self.params.values(), given)]
        gradients = tuple(copied(step.gradients[name]) for name, trained in zip(self.params, given) if trained)
        self.params = dict(zip(self.params, map(np.asarray, self.optimizer.apply_grad(gradients, arguments))))

    def state(self):
        """The moments of an argument are the number 0 until it has a gradient."""
        moments = zip(self.optimizer.fm, self.optimizer.sm)
        return {
            name: {"param": value, "exp_avg": _like(m, value), "exp_avg_sq": _like(v, value)}
            for (name, value), (m, v) in zip(self.params.items(), moments)
        }


def _like(moment, value):
    return np.zeros_like(value) if isinstance(moment, int) else np.asarray(moment)


factory = peer_factory("pennylane", {"adam": AdamRun})
