"""MLX's Adam, AdamW and Adamax on the CPU as routes."""

from __future__ import annotations

import mlx.core as mx
import mlx.optimizers
import numpy as np
from peer_backend import is_resumed, peer_factory
from refusals import copied, shared_count, start, takes_dense

from refimpl.arithmetic import numpy_dtype

mx.set_default_device(mx.cpu)

MOMENTS = {"exp_avg": "m", "exp_avg_sq": "v"}


class AdamRun:
    """A MultiOptimizer: an optimizer for each group, which counts every call."""

    dialects = ("mlx.Adam",)
    make = mlx.optimizers.Adam

    def __init__(self, case):
        takes_dense(case, "an mlx.core.array")
        self.dtypes = {param.name: str(param.value.dtype) for param in case.params}
        self.params = {param.name: _array(param.value) for param in case.params}
        self.own = [self.make(**_arguments(group.hyper)) for group in case.groups]
        self.group = {param.name: param.group for param in case.params}
        filters = [lambda path, array, index=index: self.group[path] == index for index in range(len(self.own) - 1)]
        self.optimizer = mlx.optimizers.MultiOptimizer(self.own, filters)
        self.optimizer.init(self.params)
        if is_resumed(case):
            self._resume(case)

    def _resume(self, case):
        count = shared_count(case)
        for optimizer in self.own:
            optimizer.state["step"] = mx.array(count, mx.uint64)
        for param in case.params:
            held = self.own[param.group].state[param.name]
            held.update({own: _array(start(param, array)) for array, own in MOMENTS.items()})

    def step(self, step):
        for optimizer, change in zip(self.own, step.hyper):
            for name, value in change.items():
                setattr(optimizer, name, value)
        gradients = {name: _array(gradient) for name, gradient in step.gradients.items() if gradient is not None}
        self.params.update(self.optimizer.apply_gradients(gradients, self.params))
        mx.eval(self.params, self.optimizer.state)

    def state(self):
        return {name: self._arrays(name, self.own[self.group[name]].state[name]) for name in self.params}

    def _arrays(self, name, held):
        arrays = {"param": self.params[name], **{array: held[own] for array, own in MOMENTS.items()}}
        return {array: _numpy(value, self.dtypes[name]) for array, value in arrays.items()}


def _arguments(hyper):
    return {**hyper, "betas": list(hyper["betas"])}


def _array(values):
    """An array of the same dtype; bfloat16 goes by way of float32."""
    dtype = str(values.dtype)
    fresh = copied(values)
    return mx.array(fresh.astype(np.float32) if dtype == "bfloat16" else fresh, dtype=getattr(mx, dtype))


def _numpy(array, dtype):
    if dtype == "bfloat16":
        return np.array(array.astype(mx.float32)).astype(numpy_dtype("bfloat16"))
    return np.array(array)


class CorrectedAdamRun(AdamRun):
    dialects = ("mlx.Adam.bias_correction",)


class AdamWRun(AdamRun):
    dialects = ("mlx.AdamW",)
    make = mlx.optimizers.AdamW


class CorrectedAdamWRun(AdamWRun):
    dialects = ("mlx.AdamW.bias_correction",)


class AdamaxRun(AdamRun):
    dialects = ("mlx.Adamax",)
    make = mlx.optimizers.Adamax


factory = peer_factory(
    "mlx",
    {
        "adam": AdamRun,
        "adam-corrected": CorrectedAdamRun,
        "adamw": AdamWRun,
        "adamw-corrected": CorrectedAdamWRun,
        "adamax": AdamaxRun,
    },
)
