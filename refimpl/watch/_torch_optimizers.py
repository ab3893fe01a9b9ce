"""What an optimizer of torch is: the dialect of its class or of a claim, and the settings of its groups."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from ..backends.torch import OPTIMIZERS
from ..dialects import dialect as dialect_named
from ..errors import UsageError

DIALECTS: Mapping[Any, str] = {
    made: name
    for name, made in sorted(OPTIMIZERS.items(), key=lambda item: -len(item[1].__mro__))  # AdamW before Adam, its base
}


def inner(optimizer: Any) -> Any:
    """The optimizer that makes the steps: of ZeroRedundancyOptimizer the one that it holds, for the parameters of this rank."""
    if type(optimizer).__name__ != "ZeroRedundancyOptimizer":
        return optimizer
    if getattr(optimizer, "_overlap_with_ddp", False):
        raise UsageError("cannot watch a ZeroRedundancyOptimizer with overlap_with_ddp: it makes no call of its own")
    return optimizer.optim


def unwrapped(optimizer: Any) -> Any:
    """The optimizer within that of accelerate (Hugging Face), which only passes calls on."""
    return optimizer.optimizer if type(optimizer).__name__ == "AcceleratedOptimizer" else optimizer


def claimed_by(optimizer: Any, claimed: str | None) -> str:
    """The dialect of an optimizer: that of its class, or the one that is claimed. Raises UsageError where there is none."""
    if not isinstance(optimizer, torch.optim.Optimizer):
        hint = "an optimizer of another framework: see refimpl.watch.record, which any framework can call"
        raise UsageError(f"cannot watch a {type(optimizer).__name__}: it is no torch.optim.Optimizer", hint)
    if claimed is not None:
        name = dialect_named(claimed).name
        if name not in DIALECTS.values():
            raise UsageError(f"dialect={claimed!r}: the hooks read states as PyTorch keeps them", f"one of {', '.join(DIALECTS.values())}")
        return name
    step: Any = type(optimizer).step
    for kind, name in DIALECTS.items():
        if isinstance(optimizer, kind) and inspect.unwrap(step) is inspect.unwrap(kind.step):
            return name
    base = next((name for kind, name in DIALECTS.items() if isinstance(optimizer, kind)), None)
    if base:
        hint = f"if it claims to compute what {base} does, say so: dialect={base!r}"
        raise UsageError(f"cannot watch a {type(optimizer).__name__}: it has a step of its own", hint)
    hint = f"if it claims to compute what one of these does, say dialect=: {', '.join(DIALECTS.values())}"
    raise UsageError(f"cannot watch a {type(optimizer).__name__}: refimpl knows no exact step of it", hint)


def settings_of(name: str, groups: Iterable[Mapping[str, Any]]) -> tuple[str, tuple[Mapping[str, object], ...]]:
    """The dialect, and its settings per group. An AdamW whose group has the coupled decay of Adam computes as Adam with that switch."""
    groups = list(groups)
    if name == "torch.AdamW" and not all(group.get("decoupled_weight_decay", True) for group in groups):
        name = "torch.Adam"
    table = dialect_named(name)
    return name, tuple({key: _plain(group.get(key, parameter.default)) for key, parameter in table.parameters.items()} for group in groups)


def _plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return float(value)
    return tuple(map(_plain, value)) if isinstance(value, (list, tuple)) else value
