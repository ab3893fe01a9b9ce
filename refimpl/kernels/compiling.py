"""How the kernels are compiled and launched: IEEE arithmetic in the order as written, cached on disk, with the GIL released."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numba
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

SMALL = 1 << 19
"""Below this many elements one thread does all: it takes 0.2 ms, and a second thread may start that late when other programs run."""

CHUNKS_PER_THREAD = 4
"""More chunks than threads, so that a delayed thread leaves its remaining chunks to the others."""

LINE = 64
"""Bytes of a cache line."""


def jit(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """numba.njit without fastmath: no sum is reordered and no multiply-add is fused, so the bits do not depend on the CPU.

    error_model: a division by zero gives inf or nan, as in NumPy; the branch that would raise also kept loops from being vectorised.
    """
    if function is None:
        return lambda decorated: jit(decorated, **options)
    wanted = {"nogil": True, "error_model": "numpy", **options}
    try:
        return numba.njit(cache=True, **wanted)(function)
    except RuntimeError:  # no directory for the cache can be written: compile in each process
        return numba.njit(**wanted)(function)


@intrinsic  # type: ignore[untyped-decorator]  # numba has no types
def prefetch(_: Any, address: Any) -> Any:  # pragma: no cover - runs in the compiler
    """Prefetch the cache line at an address for writing; nothing is read, and any address is allowed."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer, word, word, word])
        llvm = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        write, keep, data = (ir.Constant(word, value) for value in (1, 3, 1))
        builder.call(llvm, [builder.inttoptr(arguments[0], pointer), write, keep, data])
        return context.get_dummy_value()

    return types.void(address), generate


_one_at_a_time = threading.Lock()


def launching() -> AbstractContextManager[Any]:
    """The lock to hold while a parallel kernel runs: Numba's own thread pool ends the process when two threads use it at once.

    OpenMP and TBB need no lock. The threading layer is known only after the first launch.
    """
    try:
        layer = numba.threading_layer()
    except ValueError:  # not launched yet
        layer = "workqueue"
    return _one_at_a_time if layer == "workqueue" else nullcontext()


def chunks(items: int, elements: int) -> int:
    """The number of parts that a loop over items is split into, 1 for a small loop. The result does not depend on it."""
    threads = int(numba.get_num_threads())
    if threads == 1 or elements < SMALL:
        return 1
    return min(items, threads * CHUNKS_PER_THREAD)
