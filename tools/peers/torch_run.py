"""What optimizers built on torch.optim.Optimizer have in common, for the backends of several peers."""

from __future__ import annotations

import numpy as np
import torch
from peer_backend import is_resumed
from refusals import copied

from refimpl.arithmetic import numpy_dtype
from refimpl.gradients import gradient_form

torch.set_num_threads(1)

NAMES = {"exp_avg": "exp_avg", "exp_avg_sq": "exp_avg_sq", "max_exp_avg_sq": "max_exp_avg_sq"}


class TorchRun:
    """One optimizer with a parameter group for each group. names: what an optimizer calls each array of its state."""

    names = NAMES
    amsgrad = "amsgrad"

    def __init__(self, case):
        self.refuse(case)
        self.dtypes = {param.name: param.value.dtype for param in case.params}
        self.params = {param.name: torch.nn.Parameter(tensor(param.value)) for param in case.params}
        groups = [{"params": [], **group.hyper} for group in case.groups]
        for param in case.params:
            groups[param.group]["params"].append(self.params[param.name])
        self.kept = dict(list(self.names.items())[: 3 if any(group.hyper.get(self.amsgrad) for group in case.groups) else 2])
        self.optimizer = self.made(groups, case.groups[0].hyper)
        if is_resumed(case):
            for param in case.params:
                self.resume(param)

    def refuse(self, case):
        """Raise Unsupported for what the framework cannot do."""

    def made(self, groups, first):
        """The optimizer. The constructor checks its arguments, not the groups: the first group's values are both."""
        raise NotImplementedError

    def count(self, step):
        """The step count as the state has it."""
        return step

    def resume(self, param):
        own = self.params[param.name]
        moments = {name: getattr(param, array) for array, name in self.kept.items()}
        held = {name: torch.zeros_like(own) if moment is None else tensor(moment) for name, moment in moments.items()}
        self.optimizer.state[own] = {"step": self.count(param.step), **held}

    def step(self, step):
        for group, change in zip(self.optimizer.param_groups, step.hyper):
            self.change(group, change)
        for name, param in self.params.items():
            param.grad = as_gradient(step.gradients.get(name))
        self.optimizer.step()

    def change(self, group, values):
        group.update(values)

    def state(self):
        """Moments that the optimizer has not made yet, because no gradient came, are zero."""
        return {name: self._arrays(name, self.optimizer.state.get(param, {})) for name, param in self.params.items()}

    def _arrays(self, name, state):
        param = self.params[name]
        moments = {array: state.get(own, torch.zeros_like(param)) for array, own in self.kept.items()}
        return {array: as_array(value, self.dtypes[name]) for array, value in {"param": param, **moments}.items()}


def tensor(array):
    """A copy of an array; bfloat16, which torch.from_numpy does not know, goes by its bits."""
    fresh = copied(array)
    if str(fresh.dtype) == "bfloat16":
        return torch.from_numpy(fresh.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(fresh)


def as_array(value, dtype):
    there = value.detach().contiguous()
    if str(dtype) == "bfloat16":
        return np.array(there.view(torch.int16).numpy().view(numpy_dtype("bfloat16")))
    return np.array(there.numpy())


def as_gradient(gradient):
    if gradient is None:
        return None
    form = gradient_form(gradient)
    if form == "dense":
        return tensor(gradient)
    indices, values = (gradient.indices[None, :], gradient.values) if form == "rows" else (np.stack(gradient.coords), gradient.data)
    return torch.sparse_coo_tensor(tensor(indices), tensor(values), tuple(gradient.shape))
