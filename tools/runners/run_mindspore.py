"""mindspore.nn.LazyAdam, mindspore.nn.Adam and its use_lazy as routes, each with its target left alone and with target = "CPU".

Every call is compiled as one graph, as TrainOneStepCell does it: only there a gradient by rows (a RowTensor) reaches an optimizer.
The RowTensor is made of the case's own indices and values. EmbeddingLookup's backward in a TrainOneStepCell hands over the same:
both were seen to give the same bits on all routes of mindspore 2.10.0, also with weight decay, loss scale and Nesterov.
"""

from __future__ import annotations

import os
import tempfile

SCRATCH = tempfile.TemporaryDirectory(prefix="mindspore-")
os.environ.setdefault("GLOG_v", "3")  # warnings about deprecation, once per case, would bury what matters
os.environ.setdefault("MS_OM_PATH", SCRATCH.name)  # a graph that does not compile is dumped, else into the working directory

import mindspore
import numpy as np
from common import Elements, Rows, Unsupported, main
from mindspore import Parameter, Tensor, nn
from mindspore.common.sparse_tensor import RowTensorInner

mindspore.set_context(mode=mindspore.GRAPH_MODE)

OF_GROUPS = {"learning_rate": "lr", "weight_decay": "weight_decay", "grad_centralization": "grad_centralization"}
"""What a group may have of its own, with the name that it has there; the rest is the optimizer's."""


class Call(nn.Cell):
    """One call of an optimizer; forms: per parameter whether its gradient comes by rows."""

    def __init__(self, optimizer, forms, shapes):
        super().__init__()
        self.optimizer, self.forms, self.shapes = optimizer, forms, shapes

    def construct(self, *given):
        gradients = ()
        for i in range(len(self.forms)):
            if self.forms[i]:
                gradients += (RowTensorInner(given[2 * i], given[2 * i + 1], self.shapes[i]),)
            else:
                gradients += (given[2 * i + 1],)
        return self.optimizer(gradients)


class Decay(nn.Cell):
    """A weight decay that changes from step to step."""

    def __init__(self, values):
        super().__init__()
        self.values = Tensor(np.array(values, np.float32))

    def construct(self, global_step):
        return self.values[global_step]


class MindSporeRun:
    """One optimizer, its parameters in its own order, and a compiled call per form of the gradients."""

    optimizer, options = nn.LazyAdam, {}
    dialects = ("mindspore.LazyAdam", "mindspore.LazyAdam.default-target")
    target = ""

    def __init__(self, case):
        if any(param.value.size == 0 for param in case.params):
            raise Unsupported("a parameter without elements cannot be given moments: an initializer's shape must be positive")
        self.params = {param.name: Parameter(_tensor(param.value), name=param.name) for param in case.params}
        self.case = case
        self.run = self.optimizer(self._parameters(), **self._arguments(), **self.options)
        if self.target:
            self.run.target = self.target
        self.names = [param.name for param in self.run.parameters]
        self.calls = {}
        if any(param.step for param in case.params):
            self._resume()

    def _parameters(self):
        decays = any("weight_decay" in change for step in self.case.steps for change in step.hyper)
        if len(self.case.groups) == 1 and not self.case.groups[0].get("grad_centralization") and not decays:
            return list(self.params.values())  # LazyAdam takes a decay that changes in groups only
        groups = []
        for index, group in enumerate(self.case.groups):
            own = {key: self._over_steps(index, name) for name, key in OF_GROUPS.items() if name in group}
            groups.append({"params": [self.params[param.name] for param in self.case.params if param.group == index], **own})
        return [group for group in groups if group["params"]]

    def _arguments(self):
        shared = [{name: value for name, value in group.items() if name not in OF_GROUPS} for group in self.case.groups]
        if any(group != shared[0] for group in shared):
            raise Unsupported("groups share betas, eps, loss_scale and switches")
        changing = {name for step in self.case.steps for change in step.hyper for name in change} - OF_GROUPS.keys()
        if changing or any("grad_centralization" in change for step in self.case.steps for change in step.hyper):
            raise Unsupported(f"{', '.join(sorted(changing)) or 'grad_centralization'} cannot change once the optimizer is made")
        return {**shared[0], "learning_rate": self._over_steps(0, "learning_rate"), "weight_decay": self.case.groups[0]["weight_decay"]}

    def _over_steps(self, index, name):
        """A number, or what it is at each step where it changes: a list of rates, a Cell for the decay."""
        value = self.case.groups[index][name]
        if not any(step.hyper and name in step.hyper[index] for step in self.case.steps):
            return value
        values = [value] * self._taken()
        for step in self.case.steps:
            value = step.hyper[index].get(name, value) if step.hyper else value
            values.append(value)
        return Decay(values) if name == "weight_decay" else values

    def _taken(self):
        return self.case.params[0].step

    def _resume(self):
        steps = {param.step for param in self.case.params}
        if len(steps) > 1:
            raise Unsupported("one step count for all parameters")
        (taken,) = steps
        self.run.global_step.set_data(Tensor(np.array([taken], np.int32)))
        for power, beta in ((self.run.beta1_power, "beta1"), (self.run.beta2_power, "beta2")):
            reached = np.float32(1)
            for _ in range(taken):
                reached = reached * np.float32(self.case.groups[0][beta])  # as it multiplies them up, call by call
            power.set_data(Tensor(reached))
        by_name = {param.name: param for param in self.case.params}
        for name, m, v in zip(self.names, self.run.moment1, self.run.moment2):
            for moment, given in ((m, by_name[name].exp_avg), (v, by_name[name].exp_avg_sq)):
                if given is not None:
                    moment.set_data(_tensor(given))

    def step(self, step):
        given = [self._given(name, step.gradients[name]) for name in self.names]
        forms = tuple(by_rows for by_rows, _, _ in given)
        if forms not in self.calls:
            shapes = tuple(tuple(self.params[name].shape) for name in self.names)
            self.calls[forms] = Call(self.run, forms, shapes)
        try:
            self.calls[forms](*(tensor for _, indices, values in given for tensor in (indices, values)))
            mindspore.common.api._pynative_executor.sync()
        except Exception as error:
            if any(group.get("grad_centralization") for group in self.case.groups):
                raise Unsupported(f"grad_centralization does not run on the CPU: {_first_words(error)}") from None
            raise

    def _given(self, name, gradient):
        """(by rows, indices, values); a dense gradient has idle indices."""
        if isinstance(gradient, Elements):
            raise TypeError("a gradient is a Tensor or a RowTensor; there is none of single elements")
        if gradient is None:
            raise Unsupported("None is refused as a gradient: a parameter that is not used has a dense one of zeros, and decays and moves")
        if isinstance(gradient, Rows):
            return True, Tensor(np.array(gradient.indices, np.int32)), _tensor(gradient.values)
        return False, Tensor(np.zeros(1, np.int32)), _tensor(gradient)

    def state(self):
        moments = zip(self.names, self.run.moment1, self.run.moment2)
        return {name: {"param": self.params[name].asnumpy(), "exp_avg": m.asnumpy(), "exp_avg_sq": v.asnumpy()} for name, m, v in moments}


def _tensor(array):
    return Tensor(np.array(array, order="C"))


def _first_words(error):
    """The first line of a message that is no rule and no heading."""
    return next((line for line in str(error).splitlines() if line[:1].isalpha()), type(error).__name__)


class LazyCpu(MindSporeRun):
    target = "CPU"


class AdamRun(MindSporeRun):
    optimizer = nn.Adam
    dialects = ("mindspore.Adam",)


class AdamCpu(AdamRun):
    target = "CPU"


class AdamLazy(MindSporeRun):
    optimizer, options = nn.Adam, {"use_lazy": True}


class AdamLazyCpu(AdamLazy):
    target = "CPU"


ROUTES = {
    "lazy-default": MindSporeRun,
    "lazy-cpu": LazyCpu,
    "adam-lazy-default": AdamLazy,
    "adam-lazy-cpu": AdamLazyCpu,
    "adam-default": AdamRun,
    "adam-cpu": AdamCpu,
}

if __name__ == "__main__":
    main(ROUTES)
