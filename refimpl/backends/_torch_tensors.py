"""Arrays as tensors of PyTorch, and back; gradients in the forms that its optimizers get."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from ..arithmetic import numpy_dtype
from ..gradients import Array

Tensor = Any  # PyTorch ships no type information that mypy is given here


def tensor_of(array: Array, device: str = "cpu") -> Tensor:
    """A copy of an array on a device; bfloat16, which torch.from_numpy does not know, goes by its bits."""
    fresh = np.array(array, order="C")
    if str(fresh.dtype) == "bfloat16":
        return torch.from_numpy(fresh.view(np.int16)).view(torch.bfloat16).to(device)
    return torch.from_numpy(fresh).to(device)


def array_of(tensor: Tensor) -> Array:
    """A copy of a tensor as an array."""
    there = tensor.detach().cpu().contiguous()
    plain = there.view(torch.int16).numpy().view(numpy_dtype("bfloat16")) if there.dtype is torch.bfloat16 else there.numpy()
    return np.array(plain)


def _rows(gradient: Any, device: str) -> Tensor:
    """A hybrid COO tensor, as torch.nn.Embedding(sparse=True) gives it: one sparse dimension, uncoalesced."""
    return _sparse(gradient.indices[None, :], gradient.values, gradient.shape, device)


def _elements(gradient: Any, device: str) -> Tensor:
    """A COO tensor that is sparse in every dimension, uncoalesced."""
    return _sparse(np.stack(gradient.coords), gradient.data, gradient.shape, device)


def _sparse(indices: Array, values: Array, shape: tuple[int, ...], device: str) -> Tensor:
    return torch.sparse_coo_tensor(tensor_of(indices, device), tensor_of(values, device), tuple(shape), check_invariants=True)


GRADIENT: Mapping[str, Callable[[Any, str], Tensor]] = {"rows": _rows, "elements": _elements, "dense": tensor_of}
"""The form of a gradient to the function that makes the tensor."""
