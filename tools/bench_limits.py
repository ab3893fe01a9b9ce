"""Limits that know nothing of the kernels: plain programs with a step's reads and writes, and how fast this machine's memory is.

Each program reads and writes p, m and v where the gradient stores rows, reads its values and its row numbers, and makes one addition for
each element; there is no Adam in it. What a correct step has to find out, which occurrences belong together, is given to it beforehand.
It is tried with every number of threads, looking ahead by none, 4, 8 or 16 rows, in every order that is offered; what is quickest on this
machine is the limit of a cell.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.extending import intrinsic

from refimpl.kernels.compiling import jit, prefetch_row

LOOK_AHEAD = (0, 4, 8, 16)
TRIES = 5
"""How often each variant of a program is tried before one of them is chosen."""

Program = Callable[[], object]


@jit
def prefetch_state(p_at, m_at, v_at, row, size):  # type: ignore[no-untyped-def]  # typed by the compiler
    """Prefetch a row of p, m and v, given their addresses."""
    prefetch_row(p_at, row, size)
    prefetch_row(m_at, row, size)
    prefetch_row(v_at, row, size)


@jit(parallel=True)
def add_rows(p, m, v, values, rows, ahead, threads):  # type: ignore[no-untyped-def]  # typed by the compiler
    """p, m and v of each listed row <- their sum with the values, one after the other; each thread has one run of the rows."""
    count, width = len(rows), np.uint64(values.shape[1])
    size = np.int64(values.shape[1] * p.itemsize)
    for thread in prange(threads):
        p_at, m_at, v_at = np.int64(p.ctypes.data), np.int64(m.ctypes.data), np.int64(v.ctypes.data)
        stop = (thread + 1) * count // threads
        for i in range(thread * count // threads, stop):
            if ahead > 0 and i + ahead < stop:
                prefetch_state(p_at, m_at, v_at, np.int64(rows[i + ahead]), size)
            row, k = np.uint64(rows[i]), np.uint64(i)
            for j in range(width):
                g = values[k, j]
                m[row, j] += g
                v[row, j] += g
                p[row, j] += g


@jit(parallel=True)
def add_groups(p, m, v, values, rows, ends, places, ahead, threads):  # type: ignore[no-untyped-def]  # typed by the compiler
    """The same where the occurrences of row i are values[places[ends[i - 1] : ends[i]]]; each row is read and written once from memory."""
    count, width = len(rows), np.uint64(values.shape[1])
    size = np.int64(values.shape[1] * p.itemsize)
    for thread in prange(threads):
        p_at, m_at, v_at, values_at = (
            np.int64(p.ctypes.data),
            np.int64(m.ctypes.data),
            np.int64(v.ctypes.data),
            np.int64(values.ctypes.data),
        )
        stop = (thread + 1) * count // threads
        for i in range(thread * count // threads, stop):
            if ahead > 0 and i + ahead < stop:
                prefetch_state(p_at, m_at, v_at, np.int64(rows[i + ahead]), size)
                for o in range(ends[i + ahead - 1] if i + ahead > 0 else 0, ends[i + ahead]):
                    prefetch_row(values_at, np.int64(places[o]), size)
            row = np.uint64(rows[i])
            for o in range(ends[i - 1] if i > 0 else 0, ends[i]):
                k = np.uint64(places[o])
                for j in range(width):
                    g = values[k, j]
                    m[row, j] += g
                    v[row, j] += g
                    p[row, j] += g


@jit(parallel=True)
def add_all(p, m, v, values, threads):  # type: ignore[no-untyped-def]  # typed by the compiler
    """The same for every element."""
    for thread in prange(threads):
        for j in range(np.uint64(thread * len(p) // threads), np.uint64((thread + 1) * len(p) // threads)):
            m[j] += values[j]
            v[j] += values[j]
            p[j] += values[j]


@intrinsic  # type: ignore[untyped-decorator]  # numba has no types
def stream_four(_: Any, into: Any, a: Any, b: Any) -> Any:
    """Four float32 at an address <- the sum of those at two others, written past the caches; `into` is a multiple of 16."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        four = ir.VectorType(ir.FloatType(), 4).as_pointer()
        target, first, second = (builder.inttoptr(argument, four) for argument in arguments)
        total = builder.fadd(builder.load(first, align=4), builder.load(second, align=4))
        store = builder.store(total, target, align=16)
        store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@jit(parallel=True)
def add_all_streaming(p, m, v, values, threads):  # type: ignore[no-untyped-def]  # typed by the compiler
    """`add_all` for float32 with streaming stores."""
    fours = len(p) // 4
    for thread in prange(threads):
        p_at, m_at, v_at, g_at = np.int64(p.ctypes.data), np.int64(m.ctypes.data), np.int64(v.ctypes.data), np.int64(values.ctypes.data)
        for four in range(thread * fours // threads, (thread + 1) * fours // threads):
            place = four * 16
            stream_four(m_at + place, m_at + place, g_at + place)
            stream_four(v_at + place, v_at + place, g_at + place)
            stream_four(p_at + place, p_at + place, g_at + place)


@jit(parallel=True)
def copy_plain(into, source, threads):  # type: ignore[no-untyped-def]  # typed by the compiler
    for thread in prange(threads):
        for j in range(np.uint64(thread * len(into) // threads), np.uint64((thread + 1) * len(into) // threads)):
            into[j] = source[j]


@jit(parallel=True)
def copy_streaming(into, source, zero, threads):  # type: ignore[no-untyped-def]  # typed by the compiler
    """zero: four zeros."""
    fours = len(into) // 4
    for thread in prange(threads):
        into_at, at, zero_at = np.int64(into.ctypes.data), np.int64(source.ctypes.data), np.int64(zero.ctypes.data)
        for four in range(thread * fours // threads, (thread + 1) * fours // threads):
            stream_four(into_at + four * 16, at + four * 16, zero_at)


def threads() -> range:
    """Every number of threads that this process may use."""
    return range(1, numba.get_num_threads() + 1)


def rows_programs(arrays: list[Any], indices: Any, values: Any) -> Iterator[tuple[str, Program]]:
    """The programs for a gradient by rows, with a name for each. Arrays of half precision are added as integers."""
    p, m, v, g = (_plain(array) for array in (*arrays, values))
    unique, first, inverse, counts = np.unique(indices, return_index=True, return_inverse=True, return_counts=True)
    repeated = len(unique) < len(indices)
    for count in threads():
        for ahead in LOOK_AHEAD:
            variant = f"{count} threads, {ahead} ahead"
            yield f"as they come, {variant}", partial(add_rows, p, m, v, g, indices, ahead, count)
            if repeated:
                places = np.argsort(inverse, kind="stable")
                yield f"by row, {variant}", partial(add_groups, p, m, v, g, unique, np.cumsum(counts), places, ahead, count)
                order = np.argsort(first)  # of the rows, by their first occurrence
                ends = np.cumsum(counts[order])
                starts = (np.cumsum(counts) - counts)[order]
                by_first = places[np.repeat(starts - (ends - counts[order]), counts[order]) + np.arange(len(indices))]
                yield f"by first occurrence, {variant}", partial(add_groups, p, m, v, g, unique[order], ends, by_first, ahead, count)


def dense_programs(arrays: list[Any], gradient: Any) -> Iterator[tuple[str, Program]]:
    """The programs for a dense gradient."""
    for count in threads():
        yield f"plain, {count} threads", partial(add_all, *arrays, gradient, count)
        if arrays[0].dtype == np.float32:
            yield f"streaming, {count} threads", partial(add_all_streaming, *arrays, gradient, count)


def quickest(programs: Iterator[tuple[str, Program]]) -> tuple[str, Program]:
    """The program with the least median of a few tries, all of them in turn."""
    every = dict(programs)
    seconds = _tried(every)
    name = min(seconds, key=lambda each: seconds[each])
    return name, every[name]


def _tried(programs: Mapping[str, Program]) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(TRIES + 1):
        for name, program in programs.items():
            began = time.perf_counter()
            program()
            times[name].append(time.perf_counter() - began)
    return {name: float(np.median(measured[1:])) for name, measured in times.items()}  # the first one compiles


def bandwidths(megabytes: int = 256, row_bytes: int = 256) -> dict[str, float]:
    """Gigabytes per second that are read and written: by a copy, and by adding to random rows of a table of three times the size.

    In either case what is quickest with any number of threads; a copy also with streaming stores.
    """
    size = megabytes * 2**18
    source, into, zero = np.ones(size, np.float32), np.zeros(size, np.float32), np.zeros(4, np.float32)
    copies = {f"plain {count}": partial(copy_plain, into, source, count) for count in threads()}
    copies |= {f"streaming {count}": partial(copy_streaming, into, source, zero, count) for count in threads()}
    width = row_bytes // 4
    table = [array[: size // width * width].reshape(-1, width) for array in (source, into, np.ones(size, np.float32))]
    touched = np.random.default_rng(0).permutation(len(table[0]))[: max(len(table[0]) // 8, 1)]
    values = np.zeros((len(touched), width), np.float32)
    rows = {f"{count} {ahead}": partial(add_rows, *table, values, touched, ahead, count) for count in threads() for ahead in LOOK_AHEAD}
    return {
        "copy": 2 * source.nbytes / min(_tried(copies).values()) / 1e9,
        "random rows": 7 * values.nbytes / min(_tried(rows).values()) / 1e9,
    }


def _plain(array: Any) -> Any:
    return array.view(np.int16) if array.dtype.itemsize == 2 else array
