"""Paddle's Adam family as routes: Adam (dense, use_multi_tensor, gradients by rows with lazy_mode off and on), AdamW, NAdam and RAdam."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import paddle
from paddle.base.framework import EagerParamBase
from peer_backend import changes, forms, is_resumed, peer_factory

from refimpl.backends import Unsupported
from refimpl.gradients import gradient_form

paddle.set_device("cpu")

MOMENTS = {"exp_avg": "moment1", "exp_avg_sq": "moment2"}
MAXIMUM = {"max_exp_avg_sq": "moment2_max"}
OF_OPTIMIZER = ("amsgrad",)
"""Hyper-parameters that no group has of its own."""


class AdamRun:
    """One optimizer; of several groups, each becomes a parameter group, whose learning_rate is a factor of the optimizer's."""

    dialects = ("paddle.Adam",)
    make: Any = paddle.optimizer.Adam
    options: Mapping[str, bool] = MappingProxyType({})

    def __init__(self, case):
        self.refuse(case)
        self.params = {param.name: EagerParamBase.from_tensor(paddle.to_tensor(np.array(param.value, order="C"))) for param in case.params}
        first = case.groups[0].hyper
        if len(case.groups) == 1:
            self.optimizer = self.make(parameters=list(self.params.values()), **self.arguments(first), **self.options)
        else:
            shared = {"learning_rate": 1.0, **{name: first[name] for name in OF_OPTIMIZER if name in first}}
            self.optimizer = self.make(parameters=self._groups(case), **shared, **self.options)
        self.kept = {**MOMENTS, **(MAXIMUM if first.get("amsgrad") else {})}
        if is_resumed(case):
            self._resume(case)

    def refuse(self, case):
        """Raise Unsupported for what Paddle cannot do."""
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

    def arguments(self, hyper):
        """The constructor's arguments. A weight_decay of 0 is None, as with gradients by rows it has to be."""
        return {**hyper, "weight_decay": hyper["weight_decay"] or None}

    def _groups(self, case):
        groups = [{**self.arguments(group.hyper), "params": []} for group in case.groups]
        for param in case.params:
            groups[param.group]["params"].append(self.params[param.name])
        return [{name: value for name, value in group.items() if name not in OF_OPTIMIZER} for group in groups]

    def _resume(self, case):
        """Load a state as state_dict gives it."""
        state = {}
        for param in case.params:
            name, hyper = self.params[param.name].name, case.groups[param.group].hyper
            for array, own in self.kept.items():
                moment = getattr(param, array)
                state[f"{name}_{own}_0"] = _tensor(np.zeros_like(param.value) if moment is None else moment)
            for own, value in self.counted(hyper, param.step, param.value.dtype).items():
                state[f"{name}_{own}_0"] = _tensor(np.full(self.counted_shape(param), value, param.value.dtype))
        self.optimizer.set_state_dict(state)

    def counted(self, hyper, step, dtype):
        """The accumulators that stand for a step count: here beta to the power of the step that comes next."""
        return {"beta1_pow_acc": hyper["beta1"] ** (step + 1), "beta2_pow_acc": hyper["beta2"] ** (step + 1)}

    def counted_shape(self, param):
        return (1,)

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
        return {"param": param.numpy(), **{array: zeros if moment is None else moment.numpy() for array, moment in moments.items()}}


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


class DenseRun(AdamRun):
    """An optimizer for which no kernel takes gradients by rows."""

    def refuse(self, case):
        super().refuse(case)
        if "rows" in forms(case):
            raise Unsupported("a SelectedRows is read as if it were a dense tensor: an error about a nonsensical dimension, or a crash")


class AdamWRun(DenseRun):
    dialects = ("paddle.AdamW",)
    make = paddle.optimizer.AdamW

    def arguments(self, hyper):
        return dict(hyper)


class FullCountRun(DenseRun):
    """An optimizer that keeps each number that stands for the step count once per element, multiplied up call by call."""

    def counted_shape(self, param):
        return param.value.shape


class NAdamRun(FullCountRun):
    dialects = ("paddle.NAdam",)
    make = paddle.optimizer.NAdam

    def counted(self, hyper, step, dtype):
        beta1, beta2, momentum_decay = _attributes(hyper, dtype, "beta1", "beta2", "momentum_decay")
        one, half, base = map(dtype.type, (1, 0.5, 0.96))
        decay_power = power2 = product = one
        for _ in range(step):
            decay_power, power2 = decay_power * base, power2 * beta2
            product = product * (beta1 * (one - half * decay_power**momentum_decay))
        return {"momentum_decay_pow": decay_power, "beta2_pow": power2, "mu_product": product}


class RAdamRun(FullCountRun):
    dialects = ("paddle.RAdam",)
    make = paddle.optimizer.RAdam

    def counted(self, hyper, step, dtype):
        beta1, beta2 = _attributes(hyper, dtype, "beta1", "beta2")
        power1 = power2 = rho = one = dtype.type(1)
        for _ in range(step):
            power1, power2 = power1 * beta1, power2 * beta2
            rho = (rho * (beta2 - power2) + power2) / (one - power2)
        return {"beta1_pow": power1, "beta2_pow": power2, "rho": rho}


def _attributes(hyper, dtype, *names):
    """Hyper-parameters as the kernel has them: attributes in float32, whatever the tensors are."""
    return [dtype.type(np.float32(hyper[name])) for name in names]


factory = peer_factory(
    "paddlepaddle",
    {
        "adam": AdamRun,
        "multi-tensor": MultiTensorRun,
        "sparse": SparseRun,
        "lazy": LazyRun,
        "adamw": AdamWRun,
        "nadam": NAdamRun,
        "radam": RAdamRun,
    },
)
