"""The backend `mindspore`: LazyAdam and Adam of the installed MindSpore themselves, on a CPU.

Every call is compiled as one graph, as TrainOneStepCell does it: only there a gradient by rows (a RowTensor) reaches an optimizer.
The RowTensor is made of the case's own indices and values. EmbeddingLookup's backward in a TrainOneStepCell hands over the same:
both were seen to give the same bits on all routes of mindspore 2.10.0, also with weight decay, loss scale and Nesterov.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_SCRATCH = tempfile.TemporaryDirectory(prefix="mindspore-")
os.environ.setdefault("GLOG_v", "3")  # warnings about deprecation, once per case, would bury what matters
os.environ.setdefault("MS_OM_PATH", _SCRATCH.name)  # a graph that does not compile is dumped, else into the working directory

import mindspore  # noqa: E402  # it reads its environment when it is imported
from mindspore import Parameter, Tensor, nn  # noqa: E402  # as above
from mindspore.common.sparse_tensor import RowTensorInner  # noqa: E402  # as above

from ..case import ARRAYS, Case, Step  # noqa: E402  # as above
from ..dialects.stages import centralizes  # noqa: E402  # as above
from ..errors import Unsupported, UsageError  # noqa: E402  # as above
from ..gradients import Array, gradient_form  # noqa: E402  # as above
from ._protocol import Capabilities  # noqa: E402  # as above

LAZY, DEFAULT_TARGET, ADAM = "mindspore.LazyAdam", "mindspore.LazyAdam.default-target", "mindspore.Adam"


@dataclass(frozen=True)
class Route:
    """One way to use MindSpore. target: what `optimizer.target` is set to, "" where it is left alone; dialects: what may judge it."""

    optimizer: Any
    target: str
    dialects: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


ROUTES = {
    "lazy-default": Route(nn.LazyAdam, "", (LAZY, DEFAULT_TARGET)),
    "lazy-cpu": Route(nn.LazyAdam, "CPU", (LAZY,)),
    "adam-lazy-default": Route(nn.Adam, "", (LAZY, DEFAULT_TARGET), {"use_lazy": True}),
    "adam-lazy-cpu": Route(nn.Adam, "CPU", (LAZY,), {"use_lazy": True}),
    "adam-default": Route(nn.Adam, "", (ADAM,)),
    "adam-cpu": Route(nn.Adam, "CPU", (ADAM,)),
}

BY_DIALECT = {LAZY: "lazy-cpu", DEFAULT_TARGET: "lazy-default", ADAM: "adam-cpu"}
"""The route that each dialect describes."""

OF_GROUPS = {"learning_rate": "lr", "weight_decay": "weight_decay", "grad_centralization": "grad_centralization"}
"""What a group may have of its own, with the name that it has there; the rest is the optimizer's."""


class _Call(nn.Cell):  # type: ignore[misc]  # MindSpore ships no type information
    """One call of an optimizer; forms: per parameter whether its gradient comes by rows."""

    def __init__(self, optimizer: Any, forms: tuple[bool, ...], shapes: tuple[tuple[int, ...], ...]) -> None:
        super().__init__()
        self.optimizer, self.forms, self.shapes = optimizer, forms, shapes

    def construct(self, *tensors):  # type: ignore[no-untyped-def]  # MindSpore compiles this source itself
        gradients = ()  # no annotation: its compiler does not accept one
        for i in range(len(self.forms)):
            if self.forms[i]:
                gradients += (RowTensorInner(tensors[2 * i], tensors[2 * i + 1], self.shapes[i]),)  # type: ignore[assignment]  # above
            else:
                gradients += (tensors[2 * i + 1],)  # type: ignore[assignment]  # above
        return self.optimizer(gradients)


class _Decay(nn.Cell):  # type: ignore[misc]  # as above
    """A weight decay that changes from step to step."""

    def __init__(self, values: Sequence[float]) -> None:
        super().__init__()
        self.values = Tensor(np.array(values, np.float32))

    def construct(self, global_step):  # type: ignore[no-untyped-def]  # as above
        return self.values[global_step]


class MindSporeRun:
    """One optimizer, its parameters in its own order, and a compiled call per form of the gradients."""

    def __init__(self, case: Case, route: Route) -> None:
        for reason in _lacking(case):
            raise Unsupported(reason)
        self._params = {param.name: Parameter(_tensor(param.value), name=param.name) for param in case.params}
        self._case = case
        self._groups: list[Mapping[str, Any]] = [group.hyper for group in case.groups]
        self._optimizer = route.optimizer(self._parameters(), **self._arguments(), **route.options)
        if route.target:
            self._optimizer.target = route.target
        self._names = [param.name for param in self._optimizer.parameters]
        self._calls: dict[tuple[bool, ...], _Call] = {}
        if any(param.step or param.exp_avg is not None for param in case.params):
            self._resume()

    def _parameters(self) -> list[Any]:
        decays = any("weight_decay" in change for step in self._case.steps for change in step.hyper)
        if len(self._groups) == 1 and not self._groups[0].get("grad_centralization") and not decays:
            return list(self._params.values())  # LazyAdam takes a decay that changes in groups only
        groups = []
        for index, group in enumerate(self._groups):
            own = {key: self._over_steps(index, name) for name, key in OF_GROUPS.items() if name in group}
            groups.append({"params": [self._params[param.name] for param in self._case.params if param.group == index], **own})
        return [group for group in groups if group["params"]]

    def _arguments(self) -> dict[str, Any]:
        shared = [{name: value for name, value in group.items() if name not in OF_GROUPS} for group in self._groups]
        if any(group != shared[0] for group in shared):
            raise Unsupported("groups share betas, eps, loss_scale and switches")
        changing = {name for step in self._case.steps for change in step.hyper for name in change} - OF_GROUPS.keys()
        if changing or any("grad_centralization" in change for step in self._case.steps for change in step.hyper):
            raise Unsupported(f"{', '.join(sorted(changing)) or 'grad_centralization'} cannot change once the optimizer is made")
        return {**shared[0], "learning_rate": self._over_steps(0, "learning_rate"), "weight_decay": self._groups[0]["weight_decay"]}

    def _over_steps(self, index: int, name: str) -> Any:
        """A number, or what it is at each step where it changes: a list of rates, a Cell for the decay."""
        value = self._groups[index][name]
        if not any(step.hyper and name in step.hyper[index] for step in self._case.steps):
            return value
        values = [value] * self._case.params[0].step
        for step in self._case.steps:
            value = step.hyper[index].get(name, value) if step.hyper else value
            values.append(value)
        return _Decay(values) if name == "weight_decay" else values

    def _resume(self) -> None:
        steps = {param.step for param in self._case.params}
        if len(steps) > 1:
            raise Unsupported("one step count for all parameters")
        (taken,) = steps
        self._optimizer.global_step.set_data(Tensor(np.array([taken], np.int32)))
        for power, beta in ((self._optimizer.beta1_power, "beta1"), (self._optimizer.beta2_power, "beta2")):
            reached = np.float32(1)
            for _ in range(taken):
                reached = reached * np.float32(self._groups[0][beta])  # as it multiplies them up, call by call
            power.set_data(Tensor(reached))
        by_name = {param.name: param for param in self._case.params}
        for name, moments in self._moments():
            for array, moment in moments.items():
                start = getattr(by_name[name], array)
                if start is not None:
                    moment.set_data(_tensor(start))

    def _moments(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Of each parameter m, v and, with use_amsgrad, the maximum of v."""
        maximum = (self._optimizer.vhat,) if self._groups[0].get("use_amsgrad") else ()
        for name, *moments in zip(self._names, self._optimizer.moment1, self._optimizer.moment2, *maximum):
            yield name, dict(zip(ARRAYS[1:], moments))

    def step(self, step: Step) -> None:
        inputs = [self._given(step.gradients[name]) for name in self._names]
        forms = tuple(by_rows for by_rows, _, _ in inputs)
        if forms not in self._calls:
            shapes = tuple(tuple(self._params[name].shape) for name in self._names)
            self._calls[forms] = _Call(self._optimizer, forms, shapes)
        self._calls[forms](*(tensor for _, indices, values in inputs for tensor in (indices, values)))
        mindspore.common.api._pynative_executor.sync()

    def _given(self, gradient: Any) -> tuple[bool, Any, Any]:
        """(by rows, indices, values); a dense gradient has idle indices."""
        form = gradient_form(gradient)
        if form == "elements":
            raise TypeError("a gradient is a Tensor or a RowTensor; there is none of single elements")
        if form == "rows":
            return True, Tensor(np.array(gradient.indices, np.int32)), _tensor(gradient.values)
        return False, Tensor(np.zeros(1, np.int32)), _tensor(gradient)

    def state(self) -> dict[str, dict[str, Array]]:
        tensors = {name: {"param": self._params[name], **moments} for name, moments in self._moments()}
        return {name: {array: tensor.asnumpy() for array, tensor in arrays.items()} for name, arrays in tensors.items()}


def _tensor(array: Array) -> Any:
    return Tensor(np.array(array, order="C"))


def _lacking(case: Case) -> Iterator[str]:
    """Why MindSpore on a CPU cannot run a case, known before anything is compiled."""
    if any(param.value.size == 0 for param in case.params):
        yield "a parameter without elements cannot be given moments: an initializer's shape must be positive"
    gradients = [(param, step.gradients.get(param.name)) for step in case.steps for param in case.params]
    if any(gradient is None for _, gradient in gradients):
        yield "None is refused as a gradient: a parameter that is not used has a dense one of zeros, and decays and moves"
    for param, gradient in gradients:
        if case.groups[param.group].hyper.get("grad_centralization") is not True:
            continue
        # nn/optim/optimizer.py, _apply_grad_centralization: for rows it asks F.shape of the RowTensor, which no graph can compile; for a
        # dense gradient it calls the operator Centralization, which the CPU lacks, where shape[1] % 16 == 0, and else nothing.
        if gradient_form(gradient) == "rows":
            yield "grad_centralization takes no gradient by rows: it fails to compile, asking for the shape of a RowTensor"
        elif centralizes(param.value.shape):
            yield "grad_centralization needs the operator Centralization, which does not exist on the CPU"


class MindSporeBackend:
    """The installed MindSpore: by one route, or each dialect by the route that it describes."""

    def __init__(self, route: str | None) -> None:
        self.name = "mindspore" if route is None else f"mindspore {route}"
        self.version = str(mindspore.__version__)
        self._routes = BY_DIALECT if route is None else dict.fromkeys(ROUTES[route].dialects, route)
        self.dialects = dict.fromkeys(self._routes, Capabilities())

    def start(self, case: Case) -> MindSporeRun:
        if case.dialect not in self._routes:
            raise Unsupported(f"{self.name} has no {case.dialect}")
        return MindSporeRun(case, ROUTES[self._routes[case.dialect]])


def factory(device: str = "cpu", route: str | None = None) -> MindSporeBackend:
    """MindSpore on the CPU; route: one of ROUTES for all dialects that it may be judged by.

    Sets graph mode for the whole process. Raises UsageError for a device that is not there, or an unknown route.
    """
    if route is not None and route not in ROUTES:
        raise UsageError(f"mindspore: no route {route!r}", f"choose from {', '.join(ROUTES)}")
    if device != "cpu":
        raise UsageError(f"mindspore: no device {device!r}", "only cpu has been tried; write a backend of your own for an accelerator")
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    return MindSporeBackend(route)
