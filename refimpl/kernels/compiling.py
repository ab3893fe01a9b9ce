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
"""Elements below which one thread does it all: they take 0.2 ms, and where other programs run, a second thread may be that late."""

CHUNKS_PER_THREAD = 4
"""Chunks are larger than a thread's share would be, so that a thread that was held up leaves work to the others."""

LINE = 64
"""Bytes of a cache line."""


def jit(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """numba.njit without fastmath: no sum is reordered and no multiply-add is fused, so the bits do not depend on the CPU.

    error_model: a division by zero gives inf or nan, as in NumPy; the branch that would raise also kept loops from being vectorised.
    """
    if function is None:
        return lambda given: jit(given, **options)
    wanted = {"nogil": True, "error_model": "numpy", **options}
    try:
        return numba.njit(cache=True, **wanted)(function)
    except RuntimeError:  # nowhere to keep a cache, neither beside the file nor for the user: compile in each process
        return numba.njit(**wanted)(function)


@intrinsic  # type: ignore[untyped-decorator]  # numba has no types
def prefetch(_: Any, address: Any) -> Any:  # pragma: no cover - runs in the compiler
    """Ask for the cache line at an address, to be written; nothing is read, and any address is allowed."""

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
    """What to hold while a parallel kernel runs: Numba's own thread pool ends the process when two threads use it at once.

    Which layer it is is known after the first launch; OpenMP and TBB need no lock.
    """
    try:
        layer = numba.threading_layer()
    except ValueError:  # not launched yet
        layer = "workqueue"
    return _one_at_a_time if layer == "workqueue" else nullcontext()


def chunks(items: int, elements: int) -> int:
    """Into how many parts a loop over items is split: 1 where it is small. The split never shows in the result."""
    threads = int(numba.get_num_threads())
    if threads == 1 or elements < SMALL:
        return 1
    return min(items, threads * CHUNKS_PER_THREAD)
