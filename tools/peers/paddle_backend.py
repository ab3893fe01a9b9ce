"""paddle.optimizer.Adam as routes: dense gradients, use_multi_tensor, and gradients by rows with lazy_mode off and on."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import paddle
from paddle.base.framework import EagerParamBase
from peer_backend import changes, forms, is_resumed, peer_factory

from refimpl.backends import Unsupported
from refimpl.gradients import gradient_form

paddle.set_device("cpu")

POWERS = (("beta1_pow_acc", "beta1"), ("beta2_pow_acc", "beta2"))
MOMENTS = {"exp_avg": "moment1", "exp_avg_sq": "moment2"}
MAXIMUM = {"max_exp_avg_sq": "moment2_max"}


class AdamRun:
    """One optimizer; of several groups, each becomes a parameter group, whose learning_rate is a factor of the optimizer's."""

    dialects = ("paddle.Adam",)
    options: Mapping[str, bool] = MappingProxyType({})

    def __init__(self, case):
        self.refuse(case)
        self.params = {param.name: EagerParamBase.from_tensor(paddle.to_tensor(np.array(param.value, order="C"))) for param in case.params}
        first = case.groups[0].hyper
        if len(case.groups) == 1:
            self.optimizer = paddle.optimizer.Adam(parameters=list(self.params.values()), **_arguments(first), **self.options)
        else:
            shared = {"learning_rate": 1.0, "amsgrad": first["amsgrad"]}
            self.optimizer = paddle.optimizer.Adam(parameters=self._groups(case), **shared, **self.options)
        self.kept = {**MOMENTS, **(MAXIMUM if first["amsgrad"] else {})}
        if is_resumed(case):
            self._resume(case)

    def refuse(self, case):
        """Raise Unsupported for what there is no way to do."""
        changing = changes(case)
        if changing - {"learning_rate"}:
            raise Unsupported(f"{', '.join(sorted(changing - {'learning_rate'}))} cannot change once the optimizer is made")
        if changing and len(case.groups) > 1:
            raise Unsupported("the groups of an optimizer share one schedule: a group's learning_rate is a fixed factor")
        if "elements" in forms(case):
            raise Unsupported("a sparse gradient is a SelectedRows: single elements cannot be given")
        if any(param.value.ndim != 2 and "rows" in forms(case, param.name) for param in case.params):
            raise Unsupported("the table of an embedding has two dimensions")
        if "rows" in forms(case) and any(group.hyper["weight_decay"] for group in case.groups):
            raise Unsupported(NO_DECAY)

    def _groups(self, case):
        groups = [{**_arguments(group.hyper), "params": []} for group in case.groups]
        for param in case.params:
            groups[param.group]["params"].append(self.params[param.name])
        for group in groups:
            del group["amsgrad"]  # of the whole optimizer
        return groups

    def _resume(self, case):
        """Load a state as state_dict gives it: the accumulators hold beta to the power of the step that comes next."""
        state = {}
        for param in case.params:
            name, hyper = self.params[param.name].name, case.groups[param.group].hyper
            for array, own in self.kept.items():
                moment = getattr(param, array)
                state[f"{name}_{own}_0"] = _tensor(np.zeros_like(param.value) if moment is None else moment)
            for own, beta in POWERS:
                state[f"{name}_{own}_0"] = _tensor(np.array([hyper[beta] ** (param.step + 1)], param.value.dtype))
        self.optimizer.set_state_dict(state)

    def step(self, step):
        for change in step.hyper:
            if change:
                self.optimizer.set_lr(change["learning_rate"])
        for name, param in self.params.items():
            param.clear_gradient(False)
            _give(param, step.gradients.get(name))
        self.optimizer.step()

    def state(self):
        """Accumulators that the optimizer has not made yet, because no gradient came, are zero."""
        held = self.optimizer.state_dict()
        return {name: self._arrays(param, held) for name, param in self.params.items()}

    def _arrays(self, param, held):
        moments = {array: held.get(f"{param.name}_{own}_0") for array, own in self.kept.items()}
        zeros = np.zeros_like(param.numpy())
        return {"param": param.numpy(), **{array: zeros if one is None else one.numpy() for array, one in moments.items()}}


def _give(param, gradient):
    """Backward through an embedding or a copy, with the gradient as that of its output: param's is the same to the bit."""
    if gradient is None:
        return
    if gradient_form(gradient) == "dense":
        paddle.autograd.backward([paddle.assign(param)], [_tensor(gradient)])
        return
    looked_up = paddle.nn.functional.embedding(_tensor(gradient.indices), param, sparse=True)
    paddle.autograd.backward([looked_up], [_tensor(gradient.values)])


NO_DECAY = (
    'gradients by rows are refused with weight_decay ("Adam don\'t support weight_decay with sparse parameters"); in a parameter group '
    "nothing refuses them, and the whole table decays"
)


def _arguments(hyper):
    """The constructor's arguments. A weight_decay of 0 is None, as with gradients by rows it has to be."""
    return {**hyper, "weight_decay": hyper["weight_decay"] or None}


def _tensor(array):
    return paddle.to_tensor(np.array(array, order="C"))


class MultiTensorRun(AdamRun):
    options = MappingProxyType({"use_multi_tensor": True})

    def refuse(self, case):
        super().refuse(case)
        if case.dtype != "float32":
            raise Unsupported("use_multi_tensor takes float32 and half precision only")
        if "none" in forms(case):
            raise Unsupported("use_multi_tensor raises an error unless every parameter has a gradient")
        if "rows" in forms(case):
            raise Unsupported("use_multi_tensor takes dense gradients only")


class SparseRun(AdamRun):
    dialects = ("paddle.Adam.sparse",)


class LazyRun(AdamRun):
    dialects = ("paddle.Adam.lazy_mode",)


factory = peer_factory("paddlepaddle", {"adam": AdamRun, "multi-tensor": MultiTensorRun, "sparse": SparseRun, "lazy": LazyRun})
