"""Thinc's Adam and RAdam as routes, with the clipping of gradients off."""

from __future__ import annotations

import numpy as np
from peer_backend import is_resumed, peer_factory
from refusals import changes_only, copied, has_axes, has_one_group, start, takes_dense
from thinc import optimizers
from thinc.schedules import constant

SCHEDULES = {"learn_rate": "learn_rate", "beta1": "b1", "beta2": "b2", "eps": "eps", "L2": "L2"}
MOMENTS = {"exp_avg": "mom1", "exp_avg_sq": "mom2"}


class AdamRun:
    """One optimizer, called for each parameter that has a gradient; the key of a parameter is its number and name."""

    dialects = ("thinc.Adam",)
    make = staticmethod(optimizers.Adam)

    def __init__(self, case):
        takes_dense(case, "an array")
        has_one_group(case)
        has_axes(case)
        changes_only(case, SCHEDULES)
        self.optimizer = self.make(**case.groups[0].hyper, grad_clip=0.0)
        self.params = {(number, param.name): copied(param.value) for number, param in enumerate(case.params)}
        if is_resumed(case):
            for key, param in zip(self.params, case.params):
                self.optimizer.nr_update[key] = param.step
                for array, own in MOMENTS.items():
                    getattr(self.optimizer, own)[key] = start(param, array).reshape(-1)

    def step(self, step):
        for name, value in step.hyper[0].items() if step.hyper else ():
            setattr(self.optimizer, SCHEDULES[name], constant(value))
        for key, weights in self.params.items():
            gradient = step.gradients.get(key[1])
            if gradient is not None:
                self.params[key], _ = self.optimizer(key, weights, copied(gradient))

    def state(self):
        """Moments that the optimizer has not made yet, because no gradient came, are zero."""
        return {
            key[1]: {"param": weights, **{array: self._moment(own, key, weights) for array, own in MOMENTS.items()}}
            for key, weights in self.params.items()
        }

    def _moment(self, own, key, weights):
        moment = getattr(self.optimizer, own).get(key)
        return np.zeros_like(weights) if moment is None else moment.reshape(weights.shape)


class RAdamRun(AdamRun):
    dialects = ("thinc.RAdam",)
    make = staticmethod(optimizers.RAdam)


factory = peer_factory("thinc", {"adam": AdamRun, "radam": RAdamRun})
