"""What `bench.py` measures: refimpl, PyTorch, and a limit that neither can exceed, each over the same arrays."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numba import prange

import refimpl
from refimpl import kernels
from refimpl.dialects import dialect
from refimpl.errors import UsageError
from refimpl.kernels.compiling import chunks, jit, launching
from refimpl.kernels.merging import NONE, group
from refimpl.kernels.scalars import scalars
from refimpl.kernels.stepping import BLOCK, NO_INDICES
from refimpl.kernels.updating import AHEAD, add, prefetch_row, update_rows

Run = Callable[[], object]


@dataclass(frozen=True)
class Cell:
    """A table, the rows that a gradient stores, and whether these are sorted and distinct, or unsorted with a quarter of them repeated."""

    rows: int
    width: int
    touched: int
    duplicated: bool = False

    @property
    def label(self) -> str:
        if not self.touched:
            return f"dense {self.rows * self.width:.3g}"
        kind = "unsorted, 1/4 repeated" if self.duplicated else "sorted, distinct"
        return f"{self.rows:.0e}x{self.width}, {self.touched:.0e} {kind}".replace("e+0", "e")


@jit
def limit_part(p, m, v, values, indices, first, following, row_width, start, stop):  # type: ignore[no-untyped-def]  # typed by the compiler
    """`update_as_given` with an addition in place of each of the three updates: what memory allows."""
    listed, grouped = len(indices) > 0, len(first) > 0
    width, none = np.uint64(row_width), np.uint64(0)
    total = np.empty(row_width if grouped else 0, p.dtype)
    row_bytes = row_width * p.itemsize
    p_at, m_at, v_at, values_at = p.ctypes.data, m.ctypes.data, v.ctypes.data, values.ctypes.data
    for i in range(start, stop):
        if listed:
            later = min(i + AHEAD, stop - 1)
            later = first[later] if grouped else later
            prefetch_row(p_at, indices[later], row_bytes)
            prefetch_row(m_at, indices[later], row_bytes)
            prefetch_row(v_at, indices[later], row_bytes)
            if grouped:
                prefetch_row(values_at, later, row_bytes)
                if following[later] >= 0:
                    prefetch_row(values_at, following[later], row_bytes)
        k = first[i] if grouped else i
        k_at = np.uint64(k) * width
        at = np.uint64(indices[k] if listed else k) * width
        again = following[k] if grouped else -1
        if again < 0:
            for j in range(width):
                g = values[k_at + j]
                m[at + j] += g
                v[at + j] += g
                p[at + j] += g
        else:
            add(total, values, k_at, values, np.uint64(again) * width, width)
            again = following[again]
            while again >= 0:
                add(total, total, none, values, np.uint64(again) * width, width)
                again = following[again]
            add_to_each(p, m, v, at, total, width)


@jit
def add_to_each(p, m, v, at, g, width):  # type: ignore[no-untyped-def]  # typed by the compiler
    for j in range(width):
        m[at + j] += g[j]
        v[at + j] += g[j]
        p[at + j] += g[j]


@jit(parallel=True)
def limit_parts(p, m, v, values, indices, first, following, width, rows, parts):  # type: ignore[no-untyped-def]  # typed by the compiler
    for part in prange(parts):
        limit_part(p, m, v, values, indices, first, following, width, part * rows // parts, (part + 1) * rows // parts)


def limit(arrays: Sequence[Any], values: Any, indices: Any, first: Any, following: Any, width: int, rows: int) -> None:
    """The limit of what `update_rows` does with the same arguments, split as it splits them."""
    parts = chunks(rows, rows * width)
    if parts == 1:
        limit_part(*arrays, values, indices, first, following, width, 0, rows)
        return
    with launching():
        limit_parts(*arrays, values, indices, first, following, width, rows, parts)


@jit
def stream_part(p, m, v, values, indices, row_width, start, stop):  # type: ignore[no-untyped-def]  # typed by the compiler
    """The occurrences from `start` to `stop` as they come, each added to its row: nothing is grouped, or computed."""
    width = np.uint64(row_width)
    row_bytes = row_width * p.itemsize
    p_at, m_at, v_at = p.ctypes.data, m.ctypes.data, v.ctypes.data
    for k in range(start, stop):
        later = indices[min(k + AHEAD, stop - 1)]
        prefetch_row(p_at, later, row_bytes)
        prefetch_row(m_at, later, row_bytes)
        prefetch_row(v_at, later, row_bytes)
        at, k_at = np.uint64(indices[k]) * width, np.uint64(k) * width
        for j in range(width):
            g = values[k_at + j]
            m[at + j] += g
            v[at + j] += g
            p[at + j] += g


@jit(parallel=True)
def stream_parts(p, m, v, values, indices, width, parts):  # type: ignore[no-untyped-def]  # typed by the compiler
    rows = len(indices)
    for part in prange(parts):  # two parts may add to one row at a time, and lose one addition: the sums are not used
        stream_part(p, m, v, values, indices, width, part * rows // parts, (part + 1) * rows // parts)


def stream(arrays: Sequence[Any], values: Any, indices: Any, width: int) -> None:
    """Every occurrence as it comes, split as `update_rows` would split as many rows."""
    parts = chunks(len(indices), len(indices) * width)
    with launching() if parts > 1 else nullcontext():
        stream_parts(*arrays, values, indices, width, parts)


def drawn(cell: Cell, rng: np.random.Generator) -> Any:
    """Row numbers as a cell asks for them."""
    if not cell.duplicated:
        return np.sort(rng.choice(cell.rows, cell.touched, replace=False))
    distinct = rng.choice(cell.rows, cell.touched - cell.touched // 4, replace=False)
    indices = np.concatenate([distinct, rng.choice(distinct, cell.touched // 4)])
    rng.shuffle(indices)
    return indices


def state(cell: Cell, rng: np.random.Generator) -> list[Any]:
    """p, m and v. All of it is written, so that no measured run allocates pages."""
    arrays = [np.empty((cell.rows, cell.width), np.float32) for _ in range(3)]
    for array in arrays:
        rng.random(out=array, dtype=np.float32)
    return arrays


def lazy_contestants(cell: Cell, rng: np.random.Generator) -> dict[str, Run]:
    arrays = state(cell, rng)
    indices = drawn(cell, rng)
    values = rng.random((cell.touched, cell.width), np.float32) * np.float32(1e-3)  # positive: v, which the limit adds to, stays so
    gradient = refimpl.RowGradient(indices, values, (cell.rows, cell.width))
    hyper, picks = dialect("torch.SparseAdam").resolve({})
    numbers = scalars(hyper, picks, 3, arrays[0].dtype)
    groups = group(indices)
    flat = tuple(array.reshape(-1) for array in arrays)
    chained = (indices, groups.first, groups.following)
    optimizer = refimpl.SparseAdam([arrays[0]])
    streamed = {"stream": partial(stream, flat, values.reshape(-1), indices, cell.width)} if cell.duplicated else {}
    return {
        "limit": partial(limit, flat, values.reshape(-1), *chained, cell.width, groups.rows),
        "kernel": partial(update_rows, (*flat, None), values.reshape(-1), *chained, numbers, cell.width, groups.rows),
        "step": partial(kernels.step, *arrays, None, gradient, hyper, picks, 3),  # type: ignore[call-arg]  # mypy does not count *arrays
        "optimizer": partial(optimizer.step, [gradient]),
        **streamed,
        **torch_sparse(arrays, indices, values),
    }


def dense_contestants(cell: Cell, rng: np.random.Generator) -> dict[str, Run]:
    arrays = [array.reshape(-1) for array in state(cell, rng)]
    gradient = rng.random(arrays[0].shape, np.float32) * np.float32(1e-3)
    hyper, picks = dialect("torch.Adam").resolve({})
    numbers = scalars(hyper, picks, 3, arrays[0].dtype)
    whole = len(gradient) // BLOCK
    optimizer = refimpl.Adam([arrays[0]])
    return {
        "limit": partial(limit, arrays, gradient, NO_INDICES, NONE, NONE, BLOCK, whole),
        "kernel": partial(update_rows, (*arrays, None), gradient, NO_INDICES, NONE, NONE, numbers, BLOCK, whole),
        "step": partial(kernels.step, *arrays, None, gradient, hyper, picks, 3),  # type: ignore[call-arg]  # mypy does not count *arrays
        "optimizer": partial(optimizer.step, [gradient]),
        **torch_dense(arrays, gradient),
    }


def torch_sparse(arrays: Sequence[Any], indices: Any, values: Any) -> dict[str, Run]:
    """torch.optim.SparseAdam over the same memory; the gradient comes uncoalesced to every step, as from torch.nn.Embedding."""
    if find_spec("torch") is None:
        return {}
    import torch

    parameter = torch.nn.Parameter(torch.from_numpy(arrays[0]))
    optimizer = torch.optim.SparseAdam([parameter])
    optimizer.state[parameter] = {"step": 3, "exp_avg": torch.from_numpy(arrays[1]), "exp_avg_sq": torch.from_numpy(arrays[2])}

    def step() -> None:
        parameter.grad = torch.sparse_coo_tensor(
            torch.from_numpy(indices)[None, :], torch.from_numpy(values), arrays[0].shape, check_invariants=False
        )
        optimizer.step()

    return {"torch": step}


def torch_dense(arrays: Sequence[Any], gradient: Any) -> dict[str, Run]:
    """torch.optim.Adam in both of its fast forms, over the same memory."""
    if find_spec("torch") is None:
        return {}
    import torch

    def contestant(**form: bool) -> Run:
        parameter = torch.nn.Parameter(torch.from_numpy(arrays[0]))
        parameter.grad = torch.from_numpy(gradient)
        optimizer = torch.optim.Adam([parameter], **form)
        moments = {"exp_avg": torch.from_numpy(arrays[1]), "exp_avg_sq": torch.from_numpy(arrays[2])}
        optimizer.state[parameter] = {"step": torch.tensor(3.0), **moments}
        step: Run = optimizer.step
        return step

    return {"torch fused": contestant(fused=True), "torch foreach": contestant(foreach=True)}


def contenders(cell: Cell, seed: int) -> dict[str, Run]:
    """By name, what is to be measured in this process; torch only where it is installed."""
    return (lazy_contestants if cell.touched else dense_contestants)(cell, np.random.default_rng(seed))


@contextmanager
def contestants(cell: Cell, seed: int, mindspore: str | None = None) -> Iterator[dict[str, Run]]:
    """By name, what is to be measured in a cell; with the Python of an environment that has MindSpore, its fused kernel too."""
    runs = contenders(cell, seed)
    if mindspore is None or not cell.touched:
        yield runs
        return
    rng = np.random.default_rng(seed)
    values = rng.random((cell.touched, cell.width), np.float32) * np.float32(1e-3)
    with TemporaryDirectory() as folder:
        gradient = Path(folder) / "gradient.npz"
        np.savez(gradient, indices=drawn(cell, rng), values=values)
        program = [mindspore, str(Path(__file__).with_name("bench_mindspore.py")), str(cell.rows), str(gradient)]
        with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            _answer(process, program)  # the version: the program is ready
            yield {**runs, "mindspore": partial(_asked, process, program)}
            process.stdin.close()  # type: ignore[union-attr]  # a pipe, as asked for above


def _asked(process: subprocess.Popen[str], program: Sequence[str]) -> float:
    print(file=process.stdin, flush=True)
    return float(_answer(process, program))


def _answer(process: subprocess.Popen[str], program: Sequence[str]) -> str:
    line = process.stdout.readline()  # type: ignore[union-attr]  # a pipe
    if not line:
        raise UsageError(f"{' '.join(program)} ended with status {process.wait()}", "run it by hand: it needs mindspore and numpy")
    return line
