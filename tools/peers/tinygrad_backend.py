"""tinygrad's Adam and AdamW as routes."""

from __future__ import annotations

from peer_backend import is_resumed, peer_factory
from refusals import changes_only, copied, start, takes_dense, takes_every_gradient
from tinygrad import Context, Tensor
from tinygrad.nn import optim

from refimpl.backends import Unsupported

NAMES = {"lr": "lr", "b1": "b1", "b2": "b2", "eps": "eps", "weight_decay": "wd"}


class AdamRun:
    """An OptimizerGroup with an optimizer for each group of the case."""

    dialects = ("tinygrad.Adam",)
    make = staticmethod(optim.Adam)

    def __init__(self, case):
        takes_dense(case, "a Tensor")
        takes_every_gradient(case, "step takes a gradient of every parameter")
        changes_only(case, {"lr", "eps", "weight_decay"}, "cannot change: their powers are running products")
        if any(param.value.ndim == 0 for param in case.params):
            raise Unsupported("a parameter without axes is refused (ValueError: cannot broadcast tensor to fewer dimensions)")
        self.params = {param.name: Tensor(copied(param.value)) for param in case.params}
        self.names = [[param.name for param in case.params if param.group == index] for index in range(len(case.groups))]
        self.own = [self.make([self.params[name] for name in names], **group.hyper) for names, group in zip(self.names, case.groups)]
        self.optimizer = optim.OptimizerGroup(*self.own)
        if is_resumed(case):
            self._resume(case)

    def _resume(self, case):
        params = {param.name: param for param in case.params}
        for optimizer, names in zip(self.own, self.names):
            steps = {params[name].step for name in names}
            if len(steps) > 1:
                raise Unsupported("one step count for all parameters of an optimizer")
            (step,) = steps
            optimizer.b1_t.assign(Tensor([optimizer.b1**step])).realize()
            optimizer.b2_t.assign(Tensor([optimizer.b2**step])).realize()
            for index, name in enumerate(names):
                optimizer.m[index].assign(Tensor(start(params[name], "exp_avg"))).realize()
                optimizer.v[index].assign(Tensor(start(params[name], "exp_avg_sq"))).realize()

    def step(self, step):
        for optimizer, change in zip(self.own, step.hyper):
            for name, value in change.items():
                _set(optimizer, NAMES[name], value)
        for name, param in self.params.items():
            param.grad = Tensor(copied(step.gradients[name]))
        with Context(TRAINING=1):
            self.optimizer.step()

    def state(self):
        moments = {
            name: (optimizer.m[index], optimizer.v[index])
            for optimizer, names in zip(self.own, self.names)
            for index, name in enumerate(names)
        }
        return {
            name: {"param": param.numpy(), "exp_avg": moments[name][0].numpy(), "exp_avg_sq": moments[name][1].numpy()}
            for name, param in self.params.items()
        }


def _set(optimizer, name, value):
    """The learning rate is a tensor, the others are numbers."""
    if name == "lr":
        optimizer.lr.assign(Tensor([value])).realize()
    else:
        setattr(optimizer, name, value)


class AdamWRun(AdamRun):
    dialects = ("tinygrad.AdamW",)
    make = staticmethod(optim.AdamW)


factory = peer_factory("tinygrad", {"adam": AdamRun, "adamw": AdamWRun})
