"""chainer.optimizers.Adam as a route."""

from __future__ import annotations

import chainer
import numpy as np
from peer_backend import changes, is_resumed, peer_factory
from refusals import copied, start, takes_dense

from refimpl.backends import Unsupported

MOMENTS = {"exp_avg": "m", "exp_avg_sq": "v", "max_exp_avg_sq": "vhat"}


class AdamRun:
    """One optimizer over a link; the update rule of a parameter has hyper-parameters of its own, which are those of its group."""

    dialects = ("chainer.Adam",)

    def __init__(self, case):
        takes_dense(case, "an array")
        if "amsgrad" in changes(case):
            raise Unsupported("amsgrad cannot change once the states are made")
        self.link = chainer.Link()
        with self.link.init_scope():
            for param in case.params:
                setattr(self.link, param.name, chainer.Parameter(copied(param.value)))
        self.params = {param.name: getattr(self.link, param.name) for param in case.params}
        self.optimizer = chainer.optimizers.Adam(**case.groups[0].hyper)
        self.optimizer.setup(self.link)
        self.rules = [[self.params[param.name].update_rule for param in case.params if param.group == k] for k in range(len(case.groups))]
        for group, rules in zip(case.groups[1:], self.rules[1:]):
            _set(rules, group.hyper)
        for param in case.params:
            self.params[param.name].update_rule._init_states(self.params[param.name])
        if is_resumed(case):
            self._resume(case)

    def _resume(self, case):
        self.optimizer.t = max(param.step for param in case.params)
        for param in case.params:
            rule = self.params[param.name].update_rule
            rule.t = param.step
            rule.state.update({own: start(param, array) for array, own in MOMENTS.items() if own in rule.state})

    def step(self, step):
        for rules, change in zip(self.rules, step.hyper):
            _set(rules, change)
        for name, param in self.params.items():
            gradient = step.gradients.get(name)
            param.grad = None if gradient is None else copied(gradient)
        self.optimizer.update()

    def state(self):
        return {name: {"param": np.array(param.array), **_moments(param.update_rule.state)} for name, param in self.params.items()}


def _set(rules, values):
    for rule in rules:
        for name, value in values.items():
            setattr(rule.hyperparam, name, value)


def _moments(state):
    return {array: np.array(state[own]) for array, own in MOMENTS.items() if own in state}


factory = peer_factory("chainer", {"adam": AdamRun})
