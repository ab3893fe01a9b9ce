"""PyTorch's own optimizers as routes: torch.optim.SparseAdam, and torch.optim.Adam in each of its implementations."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import torch
from common import Elements, Rows, main

torch.set_num_threads(2)
torch.sparse.check_sparse_tensor_invariants.enable()  # without it a row number outside the table reads and writes past its end

KEPT = {False: ("exp_avg", "exp_avg_sq"), True: ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")}
"""Whether amsgrad is on at any step -> what there is beside the parameter."""


class TorchRun:
    """An optimizer of PyTorch and its parameters by name."""

    def __init__(self, case, optimizer, **variant):
        self.params = {param.name: torch.nn.Parameter(tensor(param.value, param.dtype)) for param in case.params}
        self.dtypes = {param.name: param.dtype for param in case.params}
        self.kept = {param.name: KEPT[case.sets(param.group, "amsgrad")] for param in case.params}
        groups = [{"params": [], **hyper} for hyper in case.groups]
        for param in case.params:
            groups[param.group]["params"].append(self.params[param.name])
        # The constructor checks its arguments, not the groups: the first group's values are both.
        self.run = optimizer(groups, **case.groups[0], **variant)
        for param in case.params:
            if param.exp_avg is not None or param.step:
                self.resume(param)

    def resume(self, param):
        """Put a state in place as the optimizer keeps it: SparseAdam counts in an int, Adam in a float32 tensor."""
        mine = self.params[param.name]
        state = self.run.state[mine]
        state["step"] = torch.tensor(float(param.step)) if isinstance(self.run, torch.optim.Adam) else param.step
        for name in self.kept[param.name]:
            moment = getattr(param, name)
            state[name] = torch.zeros_like(mine) if moment is None else tensor(moment, param.dtype)

    def step(self, step):
        gradients = {name: self.gradient(name, gradient) for name, gradient in step.gradients.items()}
        for group, change in zip(self.run.param_groups, step.hyper):
            group.update(change)
        for name, param in self.params.items():
            param.grad = gradients[name]
        self.run.step()

    def gradient(self, name, gradient):
        """As autograd gives it: a table's from torch.nn.Embedding(sparse=True) is a hybrid COO tensor, not coalesced."""
        dtype = self.dtypes[name]
        if isinstance(gradient, Rows):
            return torch.sparse_coo_tensor(tensor(gradient.indices[None]), tensor(gradient.values, dtype), gradient.shape)
        if isinstance(gradient, Elements):
            return torch.sparse_coo_tensor(tensor(gradient.coords), tensor(gradient.values, dtype), gradient.shape)
        return None if gradient is None else tensor(gradient, dtype)

    def state(self):
        """Moments that the optimizer has not made yet, because no gradient came, are zero."""
        return {name: {array: self.array(param, array) for array in ("param", *self.kept[name])} for name, param in self.params.items()}

    def array(self, param, array):
        found = param if array == "param" else self.run.state.get(param, {}).get(array, torch.zeros_like(param))
        found = found.detach()
        return (found.float() if found.dtype is torch.bfloat16 else found).numpy()


def tensor(array, dtype=""):
    """A copy of an array as a tensor; bfloat16 comes as float32, and every other dtype is the array's own."""
    fresh = torch.from_numpy(np.array(array, order="C"))
    return fresh.to(torch.bfloat16) if dtype == "bfloat16" else fresh


class SparseAdam(TorchRun):
    dialects = ("torch.SparseAdam",)

    def __init__(self, case):
        super().__init__(case, torch.optim.SparseAdam)


class Adam(TorchRun):
    """torch.optim.Adam in one of its implementations."""

    dialects = ("torch.Adam",)
    variant: Mapping[str, bool]

    def __init__(self, case):
        super().__init__(case, torch.optim.Adam, **self.variant)


class Single(Adam):
    variant = MappingProxyType({"foreach": False, "fused": False})


class Foreach(Adam):
    variant = MappingProxyType({"foreach": True})


class Fused(Adam):
    variant = MappingProxyType({"fused": True})


ROUTES = {"sparse-adam": SparseAdam, "adam-single": Single, "adam-foreach": Foreach, "adam-fused": Fused}

if __name__ == "__main__":
    main(ROUTES)
