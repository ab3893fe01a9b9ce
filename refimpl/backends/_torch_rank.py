"""One rank of torch.distributed: a model whose parameters get the gradients of a case by a backward pass, wrapped as users wrap theirs."""

from __future__ import annotations

import importlib
import io
import os
import signal
import socket
from collections.abc import Mapping
from datetime import timedelta
from multiprocessing.connection import Connection
from operator import attrgetter
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.checkpoint import state_dict as checkpoint
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.distributed.tensor import distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from ..case import Case, Param
from ..gradients import Array, Gradient, Gradients
from ..reference import kept_arrays
from ._torch_tensors import Tensor, array_of, tensor_of
from .processes import end_with_parent

COLLECTIVE = timedelta(seconds=60)
"""After this time a collective operation gives up on a rank that takes no part."""

OPTIMIZERS: dict[str, Any] = {
    "torch.SparseAdam": torch.optim.SparseAdam,
    "torch.Adam": torch.optim.Adam,
    "torch.AdamW": torch.optim.AdamW,
}


class Model(torch.nn.Module):  # type: ignore[misc]  # PyTorch has no types for mypy here
    """A lookup per table, or a product per dense parameter, whose sum is the loss: the gradients are those that are given, to the bit.

    anchor: takes part in every loss, so that a rank without a gradient has a backward pass, too; no optimizer updates it.
    """

    def __init__(self, values: Mapping[str, Tensor], sparse: bool) -> None:
        super().__init__()
        self.sparse = sparse
        dtype = next((value.dtype for value in values.values()), torch.float32)  # FSDP2 takes parameters of one dtype alone
        self.anchor = torch.nn.Parameter(torch.zeros(1, dtype=dtype))
        self.members = {name: f"param{number}" for number, name in enumerate(values)}  # a name of PyTorch's holds no dot
        for name, value in values.items():
            table = torch.nn.Embedding(*value.shape, sparse=True, _weight=value) if sparse else torch.nn.Parameter(value)
            setattr(self, self.members[name], table)

    def parameter(self, name: str) -> Tensor:
        member = getattr(self, self.members[name])
        return member.weight if self.sparse else member

    def forward(self, gradients: Mapping[str, Any]) -> Tensor:
        loss = self.anchor.sum()
        for name, gradient in gradients.items():
            member = getattr(self, self.members[name])
            output, factor = (member(gradient[0]), gradient[1]) if self.sparse else (member, gradient)
            loss = loss + (output * factor).sum()
        return loss


class Replica:
    """The model and the optimizer of one rank, for one case and one number of ranks: under DistributedDataParallel.

    A rank without a gradient of a parameter does not use it, where it is dense; of a table, it looks up nothing, since
    DistributedDataParallel refuses a table that a rank does not use. What no rank has a gradient of gets none.
    """

    def __init__(self, case: Case, group: Any, hook: str, complete: bool) -> None:
        """complete: whether every rank has a gradient of every parameter at every step."""
        self.case, self.group, self.complete = case, group, complete
        self.model = Model({param.name: tensor_of(param.value) for param in case.params}, case.dialect == "torch.SparseAdam")
        self.forward = self.wrapped(hook)
        self.optimizer = self.made(self.groups(), **case.groups[0].hyper)
        self.kept = kept_arrays(case)

    def wrapped(self, hook: str) -> Any:
        """The model as the training calls it. hook: `module:function` of a communication hook."""
        searches = not (self.model.sparse or self.complete)
        wrapped = DistributedDataParallel(self.model, process_group=self.group, find_unused_parameters=searches)
        if hook:
            module, _, function = hook.partition(":")
            wrapped.register_comm_hook(self.group, attrgetter(function)(importlib.import_module(module)))
        elif self.case.reduction == "sum":
            # PyTorch compares a hook's annotations with types, and here they are texts; a lambda has none.
            wrapped.register_comm_hook(self.group, lambda group, bucket: summed(group, bucket))
        return wrapped

    def groups(self) -> list[dict[str, Any]]:
        groups: list[dict[str, Any]] = [{"params": [], **group.hyper} for group in self.case.groups]
        for param in self.case.params:
            groups[param.group]["params"].append(self.model.parameter(param.name))
        return groups

    def made(self, groups: list[dict[str, Any]], **hyper: Any) -> Any:
        return OPTIMIZERS[self.case.dialect](groups, **hyper)

    def resume(self) -> None:
        """Put the moments and counts of the case in place, by way of a plain optimizer's file."""
        plain = OPTIMIZERS[self.case.dialect](self.groups(), **self.case.groups[0].hyper)
        for param in self.case.params:
            if param.exp_avg is not None or param.step:
                plain.state[self.model.parameter(param.name)] = self.state_of(param)
        self.optimizer.load_state_dict(plain.state_dict())

    def state_of(self, param: Param) -> dict[str, Tensor]:
        """The state that the case gives, as an optimizer keeps it: SparseAdam counts in an int, the others in a float32 tensor."""
        step = param.step if self.model.sparse else torch.tensor(float(param.step))
        moments = {array: getattr(param, array) for array in self.kept[param.name][1:]}
        zeros = torch.zeros(param.value.shape, dtype=tensor_of(param.value).dtype)
        return {"step": step, **{array: zeros.clone() if value is None else tensor_of(value) for array, value in moments.items()}}

    def step(self, gradients: Gradients, shared: frozenset[str], hyper: tuple[Mapping[str, object], ...]) -> None:
        """One call. gradients: of this rank; shared: the parameters that some rank has a gradient of."""
        for group, change in zip(self.optimizer.param_groups, hyper):
            group.update(change)
        self.model.zero_grad(set_to_none=True)
        self.forward(self.inputs(gradients, shared)).backward()
        for name in self.model.members.keys() - shared:
            self.model.parameter(name).grad = None
        self.optimizer.step()

    def inputs(self, gradients: Gradients, shared: frozenset[str]) -> dict[str, Any]:
        """What the model multiplies the parameters with."""
        if not self.model.sparse:
            return {name: tensor_of(gradient) for name, gradient in gradients.items() if gradient is not None}
        return {name: self._lookup(name, gradients.get(name)) for name in self.model.members}

    def _lookup(self, name: str, gradient: Gradient | None) -> tuple[Tensor, Tensor]:
        if gradient is None:
            table = self.model.parameter(name)
            return torch.zeros(0, dtype=torch.int64), torch.zeros((0, *table.shape[1:]), dtype=table.dtype)
        return tensor_of(gradient.indices), tensor_of(gradient.values)

    def state(self) -> dict[str, dict[str, Array]]:
        """What this rank holds: the parameters, and the moments; those that the optimizer has not made yet are zero."""
        return {name: {array: self._array(name, array) for array in self.shown(name)} for name in self.model.members}

    def shown(self, name: str) -> tuple[str, ...]:
        return self.kept[name]

    def _array(self, name: str, array: str) -> Array:
        param = self.model.parameter(name)
        tensor = param if array == "param" else self.states().get(param, {}).get(array)
        return array_of(self.whole(torch.zeros_like(param) if tensor is None else tensor))

    def states(self) -> Any:
        return self.optimizer.state

    def whole(self, tensor: Tensor) -> Tensor:
        return tensor

    def save(self) -> bytes:
        """The optimizer's state as its file holds it."""
        file = io.BytesIO()
        torch.save(self.state_dict(), file)
        return file.getvalue()

    def state_dict(self) -> Any:
        return self.optimizer.state_dict()

    def load(self, saved: bytes) -> None:
        self.load_state_dict(torch.load(io.BytesIO(saved), weights_only=True))

    def load_state_dict(self, state: Any) -> None:
        self.optimizer.load_state_dict(state)


def summed(group: Any, bucket: Any) -> Any:
    """A communication hook that adds up the gradients of the ranks."""
    return dist.all_reduce(bucket.buffer(), group=group, async_op=True).get_future().then(lambda future: future.value()[0])


class ZeroReplica(Replica):
    """ZeroRedundancyOptimizer: the moments of each parameter are on one rank, which sends the others the parameter."""

    def made(self, groups: list[dict[str, Any]], **hyper: Any) -> Any:
        return ZeroRedundancyOptimizer(groups, OPTIMIZERS[self.case.dialect], process_group=self.group, **hyper)

    def states(self) -> Any:
        return self.optimizer.optim.state

    def shown(self, name: str) -> tuple[str, ...]:
        param = self.model.parameter(name)
        is_mine = any(param is own for group in self.optimizer.optim.param_groups for own in group["params"])
        return self.kept[name] if is_mine else ("param",)

    def state_dict(self) -> Any:
        self.optimizer.consolidate_state_dict(to=0)
        return self.optimizer.state_dict() if dist.get_rank(self.group) == 0 else None


class ShardedReplica(Replica):
    """FSDP2: each rank holds some rows of each parameter and of its moments. A rank without a gradient brings zeros: all must take part."""

    def wrapped(self, hook: str) -> Any:
        wrapped = fully_shard(self.model, mesh=DeviceMesh.from_group(self.group, "cpu"))
        if self.case.reduction == "sum":
            wrapped.set_gradient_divide_factor(1.0)
            wrapped.set_force_sum_reduction_for_comms(True)  # by default it multiplies within the reduction, which only NCCL can
        return wrapped

    def resume(self) -> None:
        for param in self.case.params:
            if param.exp_avg is not None or param.step:
                sharded = self.model.parameter(param.name)
                state = self.state_of(param)
                moments = {
                    array: distribute_tensor(value, sharded.device_mesh, sharded.placements)
                    for array, value in state.items()
                    if array != "step"
                }
                self.optimizer.state[sharded] = {"step": state["step"], **moments}

    def inputs(self, gradients: Gradients, shared: frozenset[str]) -> dict[str, Any]:
        given = super().inputs(gradients, shared)
        return {name: given.get(name, torch.zeros(self.model.parameter(name).shape)) for name in self.model.members if name in shared}

    def whole(self, tensor: Tensor) -> Tensor:
        return tensor.full_tensor()

    def state_dict(self) -> Any:
        return checkpoint.get_optimizer_state_dict(self.model, self.optimizer, options=FULL)

    def load_state_dict(self, state: Any) -> None:
        checkpoint.set_optimizer_state_dict(self.model, self.optimizer, state, options=FULL)


FULL = checkpoint.StateDictOptions(full_state_dict=True)

ROUTES: dict[str, type[Replica]] = {"ddp": Replica, "zero": ZeroReplica, "fsdp": ShardedReplica}


class Server:
    """A rank's answers to the requests of the backend."""

    def __init__(self, groups: Mapping[int, Any]) -> None:
        self.groups = groups
        self.replica: Replica | None = None

    def begin(self, case: Case, route: str, hook: str, complete: bool, world: int, saved: bytes | None) -> None:
        self.replica = None
        replica = ROUTES[route](case, self.groups[world], hook, complete)
        if saved is None:
            replica.resume()
        else:
            replica.load(saved)
        self.replica = replica

    def answer(self, request: tuple[Any, ...]) -> Any:
        method, *arguments = request
        return getattr(self if method == "begin" else self.replica, method)(*arguments)


def serve(rank: int, world: int, store: str, connection: Connection) -> None:
    """Meet the other ranks, then answer requests until the backend closes the channel."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the process that asks
    os.environ.setdefault("GLOO_SOCKET_IFNAME", _loopback())
    torch.set_num_threads(1)
    torch.sparse.check_sparse_tensor_invariants.enable()
    try:
        dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world, timeout=COLLECTIVE)
        server = Server({size: dist.new_group(list(range(size)), timeout=COLLECTIVE) for size in range(1, world + 1)})
    except Exception as error:
        connection.send((False, _in_words(error)))
        return
    connection.send((True, None))
    while True:
        try:
            request = connection.recv()
        except EOFError:
            os._exit(0)
        try:
            reply = True, server.answer(request)
        except Exception as error:
            reply = False, _in_words(error)
        connection.send(reply)


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _loopback() -> str:
    """The interface over which processes of one machine reach each other, whatever the machine is called."""
    return next((name for _, name in socket.if_nameindex() if name.startswith("lo")), "lo")
