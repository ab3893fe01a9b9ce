"""The backend `torch-distributed`: PyTorch's optimizers under torch.distributed, on real processes that talk over gloo.

Each rank gets its own gradients by a backward pass of a small model. Replicas are compared bit by bit: where a rank holds another number
than the first one does, the case fails, and the message names the rank. A case without ranks runs on one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ..case import Case, Step
from ..errors import Unsupported, UsageError
from ..gradients import Array
from ..reference import kept_arrays
from ._protocol import Capabilities
from ._rank_pool import RankError, RankPool
from .features import BATCHES, FEATURES

VARIANTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "ddp": ("DistributedDataParallel", ("torch.SparseAdam", "torch.Adam", "torch.AdamW")),
    "zero": ("DistributedDataParallel and ZeroRedundancyOptimizer", ("torch.SparseAdam", "torch.Adam", "torch.AdamW")),
    "fsdp": ("FSDP2, fully_shard", ("torch.Adam", "torch.AdamW")),
}
"""How the model is wrapped, and for which optimizers; FSDP2 has no sparse gradients (NotImplementedError)."""

OTHERS = ("elements", "grad_scale", "found_inf", "mixed", "mixed_params", "compensation", "master", "rank_occurrences", *BATCHES)
"""Features that it does not have."""

RANK = f"{__package__}._torch_rank"
"""The module that a rank runs: it is imported there alone."""

RANKS = 3
"""Ranks that are started at least, so that cases of fewer ranks use the same processes."""

ANSWER = 120.0
"""Seconds that the ranks may take for one request: longer than a collective operation, which gives up by itself."""


class DistributedRun:
    """A case on the ranks of a pool: the first ones, as many as the step has."""

    def __init__(self, case: Case, pool: RankPool, route: str, hook: str) -> None:
        self._case, self._pool, self._route, self._hook = case, pool, route, hook
        self._kept = kept_arrays(case)
        ranks = [gradients for step in case.steps for gradients in step.ranks or (step.gradients,)]
        self._complete = all(gradients.get(param.name) is not None for gradients in ranks for param in case.params)
        self._world = 0
        self._begin(case, len(case.steps[0].ranks) or 1 if case.steps else 1, None)

    def _begin(self, case: Case, world: int, saved: bytes | None) -> None:
        params = tuple(replace(param, value=param.value.copy()) for param in case.params)  # what is sent lies in C order
        steps = tuple(replace(step, gradients={}, ranks=()) for step in case.steps)  # the settings tell which arrays are kept
        self._world = world
        self._all("begin", replace(case, params=params, steps=steps), self._route, self._hook, self._complete, world, saved)

    def _all(self, *request: Any) -> list[Any]:
        return self._pool.ask(dict.fromkeys(range(self._world), request), ANSWER)

    def step(self, step: Step) -> None:
        ranks = step.ranks or (step.gradients,)
        if step.reload:
            self._reload(len(ranks))
        if len(ranks) != self._world:
            raise ValueError(f"a step of {len(ranks)} ranks follows one of {self._world}, and does not load a state")
        shared = frozenset(name for gradients in ranks for name, gradient in gradients.items() if gradient is not None)
        requests = {rank: ("step", dict(gradients), shared, step.hyper) for rank, gradients in enumerate(ranks)}
        self._pool.ask(requests, ANSWER)

    def _reload(self, world: int) -> None:
        """Save the optimizer's state, and load it into a new model of that many ranks."""
        state = self.state()
        saved = self._all("save")[0]
        params = tuple(replace(param, value=state[param.name]["param"], exp_avg=None, exp_avg_sq=None) for param in self._case.params)
        self._begin(replace(self._case, params=params), world, saved)

    def state(self) -> dict[str, dict[str, Array]]:
        """The arrays of all ranks together. Raises RankError where ranks that hold the same array hold other numbers."""
        shown: list[dict[str, dict[str, Array]]] = self._all("state")
        differing = next(differences(shown), None)
        if differing:
            raise RankError(differing)
        together: dict[str, dict[str, Array]] = {name: {} for name in self._kept}
        for of_rank in reversed(shown):  # the first rank's last
            for name, arrays in of_rank.items():
                together[name].update(arrays)
        return {name: {array: together[name][array] for array in kept} for name, kept in self._kept.items()}


def differences(shown: Sequence[Mapping[str, Mapping[str, Array]]]) -> Iterator[str]:
    """Where a rank holds another array than the first rank that holds one, in words."""
    first: dict[tuple[str, str], tuple[int, Array]] = {}
    for rank, of_rank in enumerate(shown):
        for name, arrays in of_rank.items():
            for array, value in arrays.items():
                before, other = first.setdefault((name, array), (rank, value))
                if other.tobytes() != value.tobytes():
                    at = int(np.argmax(other.reshape(-1).view(f"V{other.itemsize}") != value.reshape(-1).view(f"V{value.itemsize}")))
                    index = ", ".join(str(i) for i in np.unravel_index(at, value.shape))
                    words = f"[{index}] is {value.flat[at]!s}, and {other.flat[at]!s} on the other"
                    yield f"rank {rank} differs from rank {before}: {array} of {name!r} {words}"


class DistributedBackend:
    """The installed PyTorch on several ranks of this machine."""

    def __init__(self, variant: str, hook: str) -> None:
        self.name = " ".join(["torch-distributed", *([variant] if variant != "ddp" else []), *([f"with {hook}"] if hook else [])])
        self.version = str(torch.__version__)
        features = tuple(name for name in FEATURES if name not in OTHERS and not (hook and name == "rank_sum"))
        self.dialects = {name: Capabilities(("float32", "float64"), features) for name in VARIANTS[variant][1]}
        self._variant, self._hook = variant, hook
        self._pool: RankPool | None = None

    def start(self, case: Case) -> DistributedRun:
        reason = _unsupported(case, self.dialects)
        if reason:
            raise Unsupported(reason)
        world = max((len(step.ranks) for step in case.steps), default=1)
        if self._pool is not None and (self._pool.closed or self._pool.world < world):
            self.close()
        if self._pool is None:
            self._pool = RankPool(max(world, RANKS), RANK)
        return DistributedRun(case, self._pool, self._variant, self._hook)

    def close(self) -> None:
        """End the processes; the next case starts others."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()


def _unsupported(case: Case, claimed: Mapping[str, Capabilities]) -> str:
    """Why a case is not run, or nothing."""
    if case.dialect not in claimed:
        return f"it has no {case.dialect}"
    if case.dialect == "torch.SparseAdam" and any(param.value.ndim != 2 for param in case.params):
        return "torch.nn.Embedding has tables of two dimensions"
    if any(param.value.ndim == 0 or not param.value.size for param in case.params):
        return "a parameter that is a scalar, or is empty, is not divided among ranks"
    return ""


def factory(variant: str = "ddp", hook: str = "") -> DistributedBackend:
    """PyTorch under torch.distributed. variant: ddp, zero or fsdp; hook: `module:function`, a communication hook for DDP to reduce by.

    Raises UsageError for a variant that does not exist, or a hook where no DDP is.
    """
    if variant not in VARIANTS:
        raise UsageError(f"torch-distributed: no variant {variant!r}", f"choose from {', '.join(VARIANTS)}")
    if hook and (variant == "fsdp" or not all(hook.partition(":"))):
        raise UsageError(f"torch-distributed: no hook {hook!r} for {variant}", "name one for ddp or zero as package.module:function")
    if not torch.distributed.is_available():
        raise UsageError("torch-distributed: this PyTorch was built without torch.distributed", "install one that has it")
    return DistributedBackend(variant, hook)
