"""A table: a parameter that is updated in place, with its name, its moments, its step count and its lock."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import DTypeLike

from ..arithmetic import numpy_dtype
from ..case import HALF
from ..gradients import Array


@dataclass(frozen=True, eq=False)
class Moments:
    """The moments of a parameter; the maximum exists only where amsgrad is on."""

    exp_avg: Array
    exp_avg_sq: Array
    max_exp_avg_sq: Array | None = None


@dataclass(eq=False)
class Table:
    """A parameter that an optimizer updates. started: whether it has had a gradient; `state_dict` holds only these.

    moment_dtype: that of its moments, where it is not the parameter's.
    """

    name: str
    param: Array
    step: int = 0
    started: bool = False
    kept: Moments | None = None
    lock: threading.Lock | None = None
    moment_dtype: np.dtype[Any] | None = None

    def moments(self, amsgrad: bool = False) -> Moments:
        """The moments that are kept, or zeros where none are yet; changes nothing."""
        kept = self.kept or Moments(self._zeros(), self._zeros())
        return replace(kept, max_exp_avg_sq=self._zeros()) if amsgrad and kept.max_exp_avg_sq is None else kept

    @property
    def kept_in(self) -> np.dtype[Any]:
        """The dtype of the moments."""
        return self.param.dtype if self.moment_dtype is None else self.moment_dtype

    def _zeros(self) -> Array:
        return np.zeros(self.param.shape, self.kept_in)


MOMENT_DTYPES = ("float32", *HALF)
"""What moments can be kept in apart from the parameter: the formats that a step reads and writes while it computes in float32."""


def dtype_of_moments(dtype: DTypeLike | None, tables: Iterable[Table]) -> np.dtype[Any] | None:
    """The argument `moment_dtype` as a dtype; raises ValueError for one that moments of these tables cannot have."""
    if dtype is None:
        return None
    chosen = _dtype(dtype)
    if chosen is None or chosen.name not in MOMENT_DTYPES or not chosen.isnative:
        raise ValueError(
            f"Invalid moment_dtype value: {dtype!r}; give one of {', '.join(MOMENT_DTYPES)}, or None for the parameter's dtype"
        )
    for table in tables:
        if getattr(table.param, "dtype", None) == np.float64:
            raise ValueError(f"Invalid moment_dtype value: {dtype!r} for {table.name!r}, which is float64: its moments are float64 too")
    return chosen


def _dtype(dtype: Any) -> np.dtype[Any] | None:
    try:
        return numpy_dtype(dtype) if isinstance(dtype, str) else np.dtype(dtype)
    except TypeError:
        return None


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
