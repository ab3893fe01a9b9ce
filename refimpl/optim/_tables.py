"""A table: a parameter that is updated in place, with its name, its moments, its step count and its lock."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from weakref import WeakValueDictionary

import numpy as np

from ..gradients import Array


@dataclass(frozen=True, eq=False)
class Moments:
    """The moments of a parameter; the maximum exists only where amsgrad is on."""

    exp_avg: Array
    exp_avg_sq: Array
    max_exp_avg_sq: Array | None = None


@dataclass(eq=False)
class Table:
    """A parameter that an optimizer updates. started: whether it has had a gradient; `state_dict` holds only these."""

    name: str
    param: Array
    step: int = 0
    started: bool = False
    kept: Moments | None = None
    lock: threading.Lock | None = None

    def moments(self, amsgrad: bool = False) -> Moments:
        """The moments that are kept, or zeros where none are yet; changes nothing."""
        kept = self.kept or Moments(self._zeros(), self._zeros())
        return replace(kept, max_exp_avg_sq=self._zeros()) if amsgrad and kept.max_exp_avg_sq is None else kept

    def _zeros(self) -> Array:
        return np.zeros(self.param.shape, self.param.dtype)


_LOCKS: WeakValueDictionary[int, threading.Lock] = WeakValueDictionary()
_REGISTRY = threading.Lock()


def lock_of(array: Array) -> threading.Lock:
    """The lock of the memory that an array lies in: the same for every view of it, and for every optimizer that updates it.

    The key is the address of the owner, which cannot be reused while a table holds both the lock and the array.
    """
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    with _REGISTRY:
        return _LOCKS.setdefault(owner.ctypes.data, threading.Lock())


@contextmanager
def held(tables: Iterable[Table]) -> Iterator[None]:
    """Hold the lock of each table, each lock once and in one order for all callers, so that no two wait for each other."""
    locks = {id(table.lock): table.lock for table in tables if table.lock is not None}
    with ExitStack() as stack:
        for key in sorted(locks):
            stack.enter_context(locks[key])
        yield
