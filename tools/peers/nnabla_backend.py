"""NNabla's Adam, AdamW and AMSGRAD as routes."""

from __future__ import annotations

from types import MappingProxyType

import nnabla
import nnabla.solvers
import numpy as np
from peer_backend import is_resumed, peer_factory
from refusals import changes_only, copied, has_one_group, start, takes_dense


class AdamRun:
    """One solver, which counts per parameter; what has no gradient since zero_grad is left out."""

    dialects = ("nnabla.Adam",)
    make = staticmethod(nnabla.solvers.Adam)
    moments = MappingProxyType({"exp_avg": "mean", "exp_avg_sq": "var"})

    def __init__(self, case):
        takes_dense(case, "an NdArray")
        has_one_group(case)
        changes_only(case, {"alpha"})
        self.params = {param.name: nnabla.Variable.from_numpy_array(copied(param.value), need_grad=True) for param in case.params}
        self.solver = self.make(**case.groups[0].hyper)
        self.solver.set_parameters(self.params)
        if is_resumed(case):
            states = self.solver.get_states()
            for param in case.params:
                states[param.name].t = param.step
                for array, own in self.moments.items():
                    states[param.name].pstate[own].d = start(param, array)
            self.solver.set_states(states)

    def step(self, step):
        for value in step.hyper[0].values() if step.hyper else ():
            self.solver.set_learning_rate(value)
        self.solver.zero_grad()
        for name, param in self.params.items():
            gradient = step.gradients.get(name)
            if gradient is not None:
                param.g = copied(gradient)
        self.solver.update()

    def state(self):
        states = self.solver.get_states()
        return {
            name: {"param": np.array(param.d), **{array: np.array(states[name].pstate[own].d) for array, own in self.moments.items()}}
            for name, param in self.params.items()
        }


class AdamWRun(AdamRun):
    dialects = ("nnabla.AdamW",)
    make = staticmethod(nnabla.solvers.AdamW)


class AMSGRADRun(AdamRun):
    dialects = ("nnabla.AMSGRAD",)
    make = staticmethod(nnabla.solvers.AMSGRAD)
    moments = MappingProxyType({"exp_avg": "m", "exp_avg_sq": "v", "max_exp_avg_sq": "v_hat"})


factory = peer_factory("nnabla", {"adam": AdamRun, "adamw": AdamWRun, "amsgrad": AMSGRADRun})
