"""What `bench.py` measures: refimpl, PyTorch, MindSpore, and a limit that knows nothing of them, each over the same arrays."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from bench_cells import Cell, drawn, state
from bench_limits import dense_programs, quickest, rows_programs

import refimpl
from refimpl import kernels
from refimpl.dialects import dialect
from refimpl.errors import UsageError
from refimpl.kernels.places import placed
from refimpl.kernels.planning import dense, look_over, stored
from refimpl.kernels.scalars import scalars
from refimpl.kernels.working import Target, Values, run

Run = Callable[[], object]


class Contest(NamedTuple):
    """By name what is to be measured, and which program is the limit."""

    runs: dict[str, Run]
    limit: str


def lazy_contestants(cell: Cell, rng: np.random.Generator) -> Contest:
    arrays = state(cell, rng)
    indices = drawn(cell, rng)
    values = (rng.random((cell.touched, cell.width)) * 1e-3).astype(cell.dtype)  # positive: v, which the limit adds to, stays so
    gradient = refimpl.RowGradient(indices, values, (cell.rows, cell.width))
    hyper, picks = dialect("torch.SparseAdam").resolve({})
    target = Target(placed((*arrays, None)), scalars(hyper, picks, 3))
    wide = indices.astype(np.int64)
    optimizer = refimpl.SparseAdam([arrays[0]])
    name, program = quickest(rows_programs(arrays, indices, values))
    arguments: Any = (*arrays, None, gradient, hyper, picks, 3)
    runs: dict[str, Run] = {
        "limit": program,
        "kernel": partial(run, target, Values.of(values), cell.width, stored(wide, cell.width, look_over(wide))),
        "step": partial(kernels.step, *arguments),
        "serial": partial(kernels.prepare, *arguments),
        "optimizer": partial(optimizer.step, [gradient]),
        **torch_sparse(arrays, indices, values),
    }
    return Contest(runs, name)


def dense_contestants(cell: Cell, rng: np.random.Generator) -> Contest:
    arrays = [array.reshape(-1) for array in state(cell, rng)]
    gradient = (rng.random(arrays[0].shape) * 1e-3).astype(cell.dtype)
    hyper, picks = dialect("torch.Adam").resolve({})
    target = Target(placed((*arrays, None)), scalars(hyper, picks, 3))
    optimizer = refimpl.Adam([arrays[0]])
    name, program = quickest(dense_programs(arrays, gradient))
    arguments: Any = (*arrays, None, gradient, hyper, picks, 3)
    runs: dict[str, Run] = {
        "limit": program,
        "kernel": partial(run, target, Values.of(gradient), 1, dense(len(gradient), 1, False)),
        "step": partial(kernels.step, *arguments),
        "optimizer": partial(optimizer.step, [gradient]),
        **torch_dense(arrays, gradient),
    }
    return Contest(runs, name)


def torch_sparse(arrays: Sequence[Any], indices: Any, values: Any) -> dict[str, Run]:
    """torch.optim.SparseAdam over the same memory; the gradient comes uncoalesced to every step, as from torch.nn.Embedding."""
    if find_spec("torch") is None or arrays[0].dtype == np.float16:  # which torch.optim.SparseAdam does not compute on a CPU
        return {}
    import torch

    parameter = torch.nn.Parameter(torch.from_numpy(arrays[0]))
    indices = indices.astype(np.int64)  # its sparse tensors have no other ones
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


def contest(cell: Cell, seed: int) -> Contest:
    """What is to be measured in this process; torch only where it is installed."""
    return (dense_contestants if cell.kind == "dense" else lazy_contestants)(cell, np.random.default_rng(seed))


@contextmanager
def contestants(cell: Cell, seed: int, mindspore: str | None = None) -> Iterator[Contest]:
    """What is to be measured in a cell; with the Python of an environment that has MindSpore, its fused kernel too."""
    made = contest(cell, seed)
    if mindspore is None or cell.kind == "dense" or cell.dtype != "float32":
        yield made
        return
    rng = np.random.default_rng(seed)
    values = rng.random((cell.touched, cell.width), np.float32) * np.float32(1e-3)
    with TemporaryDirectory() as folder:
        gradient = Path(folder) / "gradient.npz"
        np.savez(gradient, indices=drawn(cell, rng), values=values)
        program = [mindspore, str(Path(__file__).with_name("bench_mindspore.py")), str(cell.rows), str(gradient)]
        with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            _answer(process, program)  # the version: the program is ready
            yield made._replace(runs={**made.runs, "mindspore": partial(_asked, process, program)})
            process.stdin.close()  # type: ignore[union-attr]  # a pipe, as asked for above


def _asked(process: subprocess.Popen[str], program: Sequence[str]) -> float:
    print(file=process.stdin, flush=True)
    return float(_answer(process, program))


def _answer(process: subprocess.Popen[str], program: Sequence[str]) -> str:
    line = process.stdout.readline()  # type: ignore[union-attr]  # a pipe
    if not line:
        raise UsageError(f"{' '.join(program)} ended with status {process.wait()}", "run it by hand: it needs mindspore and numpy")
    return line
