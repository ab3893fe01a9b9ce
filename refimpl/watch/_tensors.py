"""Reading tensors of torch: a few rows or elements of each as arrays of NumPy, and what cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from ..arithmetic import numpy_dtype
from ..gradients import Array

Tensor = Any  # PyTorch ships no type information that mypy is given here

FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a parameter laid out as (rows, width), by number; width 0: elements by their number in C order."""

    numbers: Array
    width: int

    def __len__(self) -> int:
        return len(self.numbers)

    def first(self, n: int) -> Rows:
        return Rows(self.numbers[:n], self.width)


def is_shard(tensor: Tensor) -> bool:
    """Whether a tensor is a DTensor: each rank holds a part of it (FSDP2), or a replica."""
    return hasattr(tensor, "placements") and hasattr(tensor, "to_local")


def local(tensor: Tensor) -> Tensor:
    """What this rank holds of a tensor, with its gradient: Adam updates each element by itself, so that a shard can be judged alone."""
    if not is_shard(tensor):
        return tensor
    own = tensor.detach().to_local()
    if tensor.is_leaf and tensor.grad is not None:
        own.grad = tensor.grad.detach().to_local()
    return own


def not_watched(tensor: Tensor, group: Mapping[str, Any]) -> str:
    """Why a parameter cannot be watched, in words; empty where it can."""
    if is_shard(tensor):
        gradient = tensor.grad
        if any(placement.is_partial() for part in (tensor, gradient) if is_shard(part) for placement in part.placements):
            return "it is a DTensor of which each rank holds a summand"
        if gradient is not None and (not is_shard(gradient) or gradient.placements != tensor.placements):
            return "it is a DTensor, and its gradient is laid out in another way"
        tensor = local(tensor)
    if tensor.is_complex():
        return "it is complex"
    if type(tensor) not in (torch.Tensor, torch.nn.Parameter, torch.nn.Buffer):
        return f"it is a {type(tensor).__name__}"
    if tensor.layout is not torch.strided or tensor.dtype not in FLOATS:
        return f"it is a tensor of {tensor.dtype} with layout {tensor.layout}"
    if tensor.device.type == "meta":
        return "it has no memory"
    if tensor.dtype is torch.float64 and (group.get("capturable") or group.get("differentiable")):
        return "its scalars are computed in float32, beside arrays of float64"
    gradient = tensor.grad
    if gradient is None:
        return ""
    if gradient.layout not in (torch.strided, torch.sparse_coo) or gradient.dtype not in FLOATS:
        return f"its gradient is a tensor of {gradient.dtype} with layout {gradient.layout}"
    if gradient.layout is torch.sparse_coo and not 0 < gradient.sparse_dim() <= tensor.dim():
        return "its gradient has no sparse dimension"
    return ""


def count_of(state: Mapping[str, Any], group: Mapping[str, Any]) -> float | None:
    """The step count of a parameter, 0 before its first step; None where the state has one nowhere."""
    count = state.get("step", group.get("step")) if state else 0
    return None if count is None else float(count)


def numpy_of(tensor: Tensor) -> Array:
    """The memory of a tensor on the CPU as an array, not copied; bfloat16 by its bits."""
    tensor = tensor.detach()
    array: Array = tensor.view(torch.int16).numpy() if tensor.dtype is torch.bfloat16 else tensor.numpy()
    return array


def take(tensor: Tensor, rows: Rows) -> Array:
    """A copy of these rows, (n, width), or elements, (n, 1)."""
    return take_values(tensor, rows) if not rows.width else _take_rows(tensor, rows)


def take_values(tensor: Tensor, rows: Rows) -> Array:
    taken: Array
    if tensor.device.type == "cpu":
        values = numpy_of(tensor)
        taken = values.reshape(-1).take(rows.numbers) if values.flags.c_contiguous else values[np.unravel_index(rows.numbers, values.shape)]
    else:
        taken = _fetched(tensor, np.unravel_index(rows.numbers, tuple(tensor.shape)) if tensor.dim() else ())
    return _typed(taken, tensor).reshape(-1, 1)


def _take_rows(tensor: Tensor, rows: Rows) -> Array:
    laid_out = tensor.detach().reshape(-1, rows.width)
    taken = numpy_of(laid_out).take(rows.numbers, axis=0) if tensor.device.type == "cpu" else _fetched(laid_out, (rows.numbers,))
    return _typed(taken, tensor)


def _fetched(tensor: Tensor, index: tuple[Array, ...]) -> Array:
    """Elements of a tensor on another device: they are gathered there, and only they are fetched."""
    places = tuple(torch.from_numpy(np.ascontiguousarray(axis)).to(tensor.device) for axis in index)
    return numpy_of(tensor.detach()[places].cpu())


def _typed(taken: Array, tensor: Tensor) -> Array:
    typed: Array = taken.view(numpy_dtype("bfloat16")) if tensor.dtype is torch.bfloat16 else taken
    return typed


@dataclass(frozen=True, eq=False)
class StoredRows:
    """The rows that a sparse gradient stores. indices: of each occurrence; rows, width: the layout of the parameter."""

    indices: Array
    values: Tensor
    rows: int
    width: int

    @cached_property
    def _unique(self) -> tuple[Array, Array]:
        if (self.indices[1:] > self.indices[:-1]).all():
            return self.indices, np.arange(len(self.indices))
        distinct, occurrences = np.unique(self.indices, return_inverse=True)
        return distinct, occurrences.reshape(-1)

    @property
    def distinct(self) -> Array:
        return self._unique[0]

    def of(self, chosen: Array) -> tuple[Array, Array]:
        """The occurrences of some of the distinct rows: their values, (k, width), and which of the chosen rows each is of."""
        distinct, occurrences = self._unique
        if len(chosen) == len(distinct):
            return _typed(np.array(self._array()), self.values), occurrences
        place = np.full(len(distinct), -1, np.int64)
        place[chosen] = np.arange(len(chosen))
        mine = place[occurrences]
        kept = np.flatnonzero(mine >= 0)
        return _typed(self._array()[kept], self.values), mine[kept]

    def _array(self) -> Array:
        return numpy_of(self.values.reshape(-1, self.width).cpu())


def rows_of_gradient(tensor: Tensor) -> StoredRows:
    """A sparse gradient by rows: all of its sparse dimensions together count them."""
    gradient = tensor.grad
    sparse = gradient.sparse_dim()
    shape = tuple(tensor.shape)
    indices = gradient._indices().cpu().numpy()
    flat = indices[0] if sparse == 1 else np.ravel_multi_index(tuple(indices), shape[:sparse])
    rows = int(np.prod(shape[:sparse], dtype=np.int64))
    width = int(np.prod(shape[sparse:], dtype=np.int64))
    return StoredRows(flat, gradient._values(), rows, width)


def take_gradient(tensor: Tensor, drawn: Any) -> Array:
    """What the gradient now has where the sample was drawn."""
    if not tensor.grad.is_sparse:
        return take_values(tensor.grad, drawn.rows)
    stored = rows_of_gradient(tensor)
    chosen = np.searchsorted(stored.distinct, drawn.rows.numbers[: drawn.updated])
    return stored.of(chosen)[0]


def same_bits(a: Array, b: Array) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
