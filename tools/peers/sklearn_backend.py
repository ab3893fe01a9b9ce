"""scikit-learn's AdamOptimizer as a route."""

from __future__ import annotations

from peer_backend import is_resumed, peer_factory
from refusals import copied, has_one_group, shared_count, start, takes_dense, takes_every_gradient
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer


class AdamRun:
    dialects = ("sklearn.Adam",)

    def __init__(self, case):
        takes_dense(case, "a NumPy array")
        takes_every_gradient(case, "update_params takes a gradient for every parameter")
        has_one_group(case)
        self.params = {param.name: copied(param.value) for param in case.params}
        self.optimizer = AdamOptimizer(list(self.params.values()), **case.groups[0].hyper)
        if is_resumed(case):
            self._resume(case)

    def _resume(self, case):
        self.optimizer.t = shared_count(case)
        self.optimizer.ms = [start(param, "exp_avg") for param in case.params]
        self.optimizer.vs = [start(param, "exp_avg_sq") for param in case.params]

    def step(self, step):
        for name, value in step.hyper[0].items() if step.hyper else ():
            setattr(self.optimizer, name, value)
        self.optimizer.update_params(list(self.params.values()), [copied(step.gradients[name]) for name in self.params])

    def state(self):
        moments = zip(self.optimizer.ms, self.optimizer.vs)
        return {name: {"param": value, "exp_avg": m, "exp_avg_sq": v} for (name, value), (m, v) in zip(self.params.items(), moments)}


factory = peer_factory("scikit-learn", {"adam": AdamRun})
