"""The ranks of torch.distributed: who takes part, which parameters are claimed to be replicas, and the store where results are left.

Nothing here is a collective operation: a rank that has ended, or is late, makes no other rank wait longer than it is told to.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import count
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from ..errors import UsageError
from ._ranks import AllRanks, Digests, RankResult, digest, result_of, together
from ._tensors import numpy_of

Tensor = Any  # PyTorch ships no type information that mypy is given here

_numbers = count()
"""Of the watches of a process that take part: every rank opens its watches in the same order."""


class Meeting:
    """This rank among the others, for one watch. members: the ranks that hold the claimed replicas."""

    def __init__(self, replicas: Any) -> None:
        self.rank, self.world = dist.get_rank(), dist.get_world_size()
        self.members, self._claimed = claimed(replicas)
        self.digests = Digests()
        self._store = dist.PrefixStore(f"refimpl.watch/{next(_numbers)}", dist.distributed_c10d._get_default_store())

    def claims(self, tensor: Tensor) -> bool:
        return self._claimed is None or id(tensor) in self._claimed

    def take(self, call: int, arrays: Iterable[tuple[str, Mapping[str, Tensor], float | None]]) -> None:
        """Digest the replicas after a call: (name, arrays, count) each."""
        detail = {f"{array} of {name!r}": digest_of(tensor) for name, own, _ in arrays for array, tensor in own.items()}
        counts = {f"step of {name!r}": repr(number) for name, _, number in arrays if number is not None}
        self.digests.take(call, {**detail, **counts})

    def finish(self, session: Any, patience: float) -> AllRanks | None:
        """Leave what this rank found. On rank 0, wait that many seconds for the others, and return the results of all."""
        own = result_of(self.rank, session, self.members, self.digests)
        if self.rank:
            try:
                self._store.set(str(self.rank), own.written())
            except RuntimeError as error:
                session.note(f"rank 0 has not got this report: {str(error).splitlines()[0]}")
                return None
            session.note(f"this is rank {self.rank} of {self.world}; rank 0 reports of all")
            return None
        deadline = time.monotonic() + patience
        results = [own]
        for rank in range(1, self.world):
            with contextlib.suppress(RuntimeError):  # it did not come in time, or the store is gone: the report says which rank is missing
                self._store.wait([str(rank)], timedelta(seconds=max(deadline - time.monotonic(), 0.01)))
                results.append(RankResult.read(self._store.get(str(rank))))
        return together(self.world, results)


def meet(replicas: Any) -> Meeting | None:
    """The meeting of this process, None where there is no process group, or but one rank in it."""
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() < 2:
        return None
    return Meeting(replicas)


def claimed(replicas: Any) -> tuple[tuple[int, ...], set[int] | None]:
    """The ranks that hold replicas, and the ids of the parameters that are; None for all. Raises UsageError for what is no claim."""
    if replicas is None or replicas is False:
        return (), set()
    everyone = tuple(range(dist.get_world_size()))
    if replicas is True:
        return everyone, None
    if isinstance(replicas, torch.nn.parallel.DistributedDataParallel):
        ignored = set(replicas.parameters_to_ignore)
        own = {id(tensor) for name, tensor in replicas.module.named_parameters() if name not in ignored}
        return tuple(sorted(dist.get_process_group_ranks(replicas.process_group))), own
    if isinstance(replicas, torch.nn.Module):
        return everyone, {id(tensor) for tensor in replicas.parameters()}
    return everyone, {id(tensor) for tensor in replicas}


def check_claim(replicas: Any) -> None:
    """Raise UsageError for what is no claim of replicas."""
    if replicas is None or isinstance(replicas, (bool, torch.nn.Module)):
        return
    if not isinstance(replicas, Sequence) or not all(isinstance(tensor, torch.Tensor) for tensor in replicas):
        raise UsageError(
            f"replicas is a {type(replicas).__name__}", "give the DistributedDataParallel, a list of parameters, or True for all"
        )


def digest_of(tensor: Tensor) -> str:
    """Of the shape, the dtype and every bit."""
    values = np.ascontiguousarray(numpy_of(tensor.detach().cpu())).reshape(-1)
    return f"{digest(values.view(np.uint8))} {tensor.dtype} {tuple(tensor.shape)}"
