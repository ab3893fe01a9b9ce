"""MindSpore's optimizers as routes: those of the backend `mindspore` of refimpl, and nn.AdamWeightDecay."""

from __future__ import annotations

import mindspore
import numpy as np
from mindspore import Tensor, nn
from peer_backend import PeerBackend

from refimpl.backends import mindspore as builtin
from refimpl.case import ARRAYS

ADAM_WEIGHT_DECAY = "mindspore.AdamWeightDecay"


class AdamWeightDecayRun(builtin.MindSporeRun):
    """Without powers of the betas, as nothing is corrected; its step count only chooses among the rates of a schedule."""

    def __init__(self, case):
        super().__init__(case, builtin.Route(nn.AdamWeightDecay, "", (ADAM_WEIGHT_DECAY,)))

    def _resume(self):
        self._optimizer.global_step.set_data(Tensor(np.array([self._case.params[0].step], np.int32)))
        by_name = {param.name: param for param in self._case.params}
        for name, moments in self._moments():
            for array, moment in moments.items():
                start = getattr(by_name[name], array)
                if start is not None:
                    moment.set_data(Tensor(np.array(start, order="C")))

    def _moments(self):
        for name, *moments in zip(self._names, self._optimizer.moments1, self._optimizer.moments2):
            yield name, dict(zip(ARRAYS[1:], moments))


def factory(route):
    if route != "adam-weight-decay":
        return builtin.factory(route=route)
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    return PeerBackend("mindspore adam-weight-decay", str(mindspore.__version__), (ADAM_WEIGHT_DECAY,), AdamWeightDecayRun)
