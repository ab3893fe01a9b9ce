"""paddle.optimizer.Adam as routes: dense gradients, use_multi_tensor, and gradients by rows with lazy_mode off and on."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import paddle
from common import Elements, Rows, Unsupported, main
from paddle.base.framework import EagerParamBase

paddle.set_device("cpu")

POWERS = (("beta1_pow_acc", "beta1"), ("beta2_pow_acc", "beta2"))
MOMENTS = {"exp_avg": "moment1", "exp_avg_sq": "moment2"}
MAXIMUM = {"max_exp_avg_sq": "moment2_max"}


class AdamRun:
    """One optimizer; of several groups, each becomes a parameter group, whose learning_rate is a factor of the optimizer's."""

    dialects = ("paddle.Adam",)
    options: Mapping[str, bool] = MappingProxyType({})

    def __init__(self, case):
        self.params = {param.name: EagerParamBase.from_tensor(paddle.to_tensor(np.array(param.value, order="C"))) for param in case.params}
        first = case.groups[0]
        if len(case.groups) == 1:
            self.run = paddle.optimizer.Adam(parameters=list(self.params.values()), **_arguments(first), **self.options)
        else:
            shared = {"learning_rate": 1.0, "amsgrad": first["amsgrad"]}
            self.run = paddle.optimizer.Adam(parameters=self._groups(case), **shared, **self.options)
        self.kept = {**MOMENTS, **(MAXIMUM if first["amsgrad"] else {})}
        self.grouped = len(case.groups) > 1
        self.decays = any(group["weight_decay"] for group in case.groups)
        if any(param.step or param.exp_avg is not None for param in case.params):
            self._resume(case)

    def _groups(self, case):
        of_groups = [{**_arguments(group), "params": []} for group in case.groups]
        for param in case.params:
            of_groups[param.group]["params"].append(self.params[param.name])
        for group in of_groups:
            del group["amsgrad"]  # of the whole optimizer
        return of_groups

    def _resume(self, case):
        """Load a state as state_dict gives it: the accumulators hold beta to the power of the step that comes next."""
        state = {}
        for param in case.params:
            name, hyper = self.params[param.name].name, case.groups[param.group]
            given = {own: getattr(param, array) for array, own in self.kept.items()}
            state.update({f"{name}_{own}_0": _tensor(np.zeros_like(param.value) if one is None else one) for own, one in given.items()})
            for own, beta in POWERS:
                state[f"{name}_{own}_0"] = _tensor(np.array([hyper[beta] ** (param.step + 1)], param.value.dtype))
        self.run.set_state_dict(state)

    def step(self, step):
        for change in step.hyper:
            self._change(change)
        for name, param in self.params.items():
            param.clear_gradient(False)
            self._give(param, step.gradients[name])
        self.run.step()

    def _change(self, change):
        if set(change) - {"learning_rate"}:
            raise Unsupported(f"{', '.join(change)} cannot change once the optimizer is made")
        if change and self.grouped:
            raise Unsupported("the groups of an optimizer share one schedule: a group's learning_rate is a fixed factor")
        if change:
            self.run.set_lr(change["learning_rate"])

    def _give(self, param, gradient):
        """Backward through an embedding or a copy, with the gradient as that of its output: param's is the same to the bit."""
        if gradient is None:
            return
        if isinstance(gradient, Elements):
            raise Unsupported("a sparse gradient is a SelectedRows: single elements cannot be given")
        if not isinstance(gradient, Rows):
            paddle.autograd.backward([paddle.assign(param)], [_tensor(gradient)])
            return
        if param.ndim != 2:
            raise Unsupported("the table of an embedding has two dimensions")
        if self.decays:
            raise Unsupported(NO_DECAY)
        looked_up = paddle.nn.functional.embedding(_tensor(gradient.indices), param, sparse=True)
        paddle.autograd.backward([looked_up], [_tensor(gradient.values)])

    def state(self):
        """Accumulators that the optimizer has not made yet, because no gradient came, are zero."""
        held = self.run.state_dict()
        return {name: self._arrays(param, held) for name, param in self.params.items()}

    def _arrays(self, param, held):
        moments = {array: held.get(f"{param.name}_{own}_0") for array, own in self.kept.items()}
        zeros = np.zeros_like(param.numpy())
        return {"param": param.numpy(), **{array: zeros if one is None else one.numpy() for array, one in moments.items()}}


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

    def __init__(self, case):
        if case.dtype != "float32":
            raise Unsupported("use_multi_tensor takes float32 and half precision only")
        super().__init__(case)

    def step(self, step):
        if any(gradient is None for gradient in step.gradients.values()):
            raise Unsupported("use_multi_tensor raises an error unless every parameter has a gradient")
        super().step(step)

    def _give(self, param, gradient):
        if isinstance(gradient, Rows):
            raise Unsupported("use_multi_tensor takes dense gradients only")
        super()._give(param, gradient)


class SparseRun(AdamRun):
    dialects = ("paddle.Adam.sparse",)


class LazyRun(AdamRun):
    dialects = ("paddle.Adam.lazy_mode",)


ROUTES = {"adam": AdamRun, "multi-tensor": MultiTensorRun, "sparse": SparseRun, "lazy": LazyRun}

if __name__ == "__main__":
    main(ROUTES)
