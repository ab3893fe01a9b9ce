"""How the kernels are compiled: IEEE arithmetic in the order as written, cached on disk, with the GIL released; what NumPy cannot say."""

from __future__ import annotations

import contextlib
import hashlib
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numba
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.ccallback import CFunc
from numba.extending import intrinsic

from ..common.cli import say
from ..common.progress import is_terminal

PATIENCE = 1.0
"""Seconds of compiling that need no word."""

LINE = 64
"""Bytes of a cache line."""

SOURCES = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py")))).hexdigest()
"""What tells the present text of the kernels from another one."""


def jit(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """numba.njit without fastmath: no sum is reordered and no multiply-add is fused, so the bits do not depend on the CPU.

    error_model: a division by zero gives inf or nan, as in NumPy; the branch that would raise also kept loops from being vectorised.
    """
    if function is None:
        return lambda decorated: jit(decorated, **options)
    wanted = {"nogil": True, "error_model": "numpy", **options}
    try:
        return _stamped(numba.njit(cache=True, **wanted)(function), function)
    except RuntimeError:  # no directory for the cache can be written: compile in each process
        return numba.njit(**wanted)(function)


def _stamped(compiled: Any, function: Callable[..., Any]) -> Any:
    """The same, with a cache that an edit to any of the kernels' modules makes stale: Numba looks only at the module of the function."""
    file = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if file is not None and function.__module__.startswith(str(__package__)):
        file._source_stamp = (file._source_stamp, SOURCES)
    return compiled


def _prefetch(builder: Any, place: Any) -> None:
    pointer, word = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [pointer, word, word, word])
    llvm = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    write, keep, data = (ir.Constant(word, value) for value in (1, 3, 1))
    builder.call(llvm, [builder.inttoptr(place, pointer), write, keep, data])


@intrinsic  # type: ignore[untyped-decorator]  # numba has no types
def prefetch(_: Any, address: Any) -> Any:  # pragma: no cover - runs in the compiler
    """Prefetch the cache line at an address for writing; nothing is read, and any address is allowed."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _prefetch(builder, arguments[0])
        return context.get_dummy_value()

    return types.void(address), generate


@intrinsic  # type: ignore[untyped-decorator]
def prefetch_row(_: Any, array_at: Any, row: Any, row_bytes: Any) -> Any:  # pragma: no cover - runs in the compiler
    """Prefetch a row of an array, given its address. A row seldom begins at a cache line, so its last byte may need one more."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, index, size = arguments
        start = builder.add(array, builder.mul(index, size))
        last = builder.sub(builder.add(start, size), ir.Constant(size.type, 1))
        with cgutils.for_range_slice(builder, start, last, ir.Constant(size.type, LINE), inc=True) as (place, _):
            _prefetch(builder, place)
        _prefetch(builder, last)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def fetch_add(_: Any, address: Any) -> Any:  # pragma: no cover - runs in the compiler
    """Add 1 to the 64-bit integer at an address, and give its value before; no two threads get the same one."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        integer = ir.IntType(64)
        return builder.atomic_rmw("add", builder.inttoptr(arguments[0], integer.as_pointer()), ir.Constant(integer, 1), "acq_rel")

    return types.int64(address), generate


@intrinsic  # type: ignore[untyped-decorator]
def load_acquire(_: Any, address: Any) -> Any:  # pragma: no cover - runs in the compiler
    """The 64-bit integer at an address, and with it all that other threads wrote before they added to it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()), "acquire", 8)

    return types.int64(address), generate


@intrinsic  # type: ignore[untyped-decorator]
def call(_: Any, address: Any, arguments: Any) -> Any:  # pragma: no cover - runs in the compiler
    """Call the C function at an address, which returns nothing, with a tuple of 64-bit integers: addresses, or numbers."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(64)] * len(arguments))
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), cgutils.unpack_tuple(builder, values[1]))
        return context.get_dummy_value()

    return types.void(address, arguments), generate


@contextmanager
def told() -> Iterator[None]:
    """Tell a person at a terminal, after a second, why the first step takes so long."""
    timer = threading.Timer(
        PATIENCE, say, ["refimpl: compiling, once: the machine code is kept (`refimpl warm` does all of it beforehand)"]
    )
    timer.daemon = True
    if is_terminal(sys.stderr):
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def c_function(function: Callable[..., Any], signature: Any) -> Any:
    """numba.cfunc with the same arithmetic and cache as `jit`: the machine code for one signature, with an address."""
    compiled = CFunc(function, (signature.args, signature.return_type), locals={}, options={"error_model": "numpy", "nopython": True})
    with contextlib.suppress(RuntimeError):  # no directory for the cache can be written
        compiled.enable_caching()
        _stamped(compiled, function)
    with told():
        compiled.compile()
    return compiled


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
