"""Small cases for the tests of the backends, and a backend that keeps the protocol unless a test overrides a call."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import coo_array

from refimpl.arithmetic import numpy_dtype
from refimpl.case import Case, Golden, Group, Param, Step
from refimpl.dialects import dialect
from refimpl.gradients import RowGradient


def rows(indices: Any, values: Any = None, shape: tuple[int, ...] = (4, 3), dtype: str = "float32", seed: int = 0) -> RowGradient:
    """A row gradient; its values are random unless they are passed."""
    if values is None:
        values = np.random.default_rng(seed).standard_normal((len(indices), *shape[1:]))
    return RowGradient(np.array(indices, np.int64), np.array(values, numpy_dtype(dtype)).reshape(len(indices), *shape[1:]), shape)


def elements(coords: Any, values: Any, shape: tuple[int, ...] = (4, 3), dtype: str = "float32") -> coo_array:
    """An element gradient with these coordinates and values."""
    # Any: the stub of coo_array accepts two axes only
    entries: Any = (np.array(values, dtype), tuple(np.array(along, np.int64) for along in coords))
    return coo_array(entries, shape=shape)


def table(name: str = "w", shape: tuple[int, ...] = (4, 3), dtype: str = "float32", seed: int = 1, **state: Any) -> Param:
    return Param(name, np.asarray(np.random.default_rng(seed).standard_normal(shape)).astype(numpy_dtype(dtype)), **state)


def case(
    *gradients: Any,
    params: Sequence[Param] | None = None,
    name: str = "torch.SparseAdam",
    error: str | None = None,
    record: Sequence[int] | None = None,
    changes: Mapping[int, Any] | None = None,
    groups: Sequence[Mapping[str, Any]] = ({},),
    slug: str = "one",
) -> Case:
    """A case over one table `w` (or `params`): a step per gradient, each a gradient of `w` or a mapping by name."""
    steps = []
    for number, gradient in enumerate(gradients):
        by_name = gradient if isinstance(gradient, dict) else {"w": gradient}
        hyper = tuple(dict(change) for change in (changes or {}).get(number + 1, [{}] * len(groups)))
        steps.append(Step(by_name, hyper))
    return Case(
        id=f"{name}/made/{slug}",
        about="made in a test",
        dialect=name,
        params=tuple(params or (table(),)),
        groups=tuple(Group({**dialect(name).defaults(), **hyper}) for hyper in groups),
        steps=tuple(steps),
        record=tuple(record or range(1, len(steps) + 1)),
        error=error,
    )


def golden(made: Case, layout: str = "contiguous") -> Golden:
    return Golden(made, {}, layout=layout)


class ToyRun:
    """Subtracts each gradient from its table, which is not Adam but keeps the protocol; `toy` may override each of its calls."""

    def __init__(self, toy: Toy, made: Case) -> None:
        self.toy, self.case = toy, made
        self.tables = {param.name: param.value.copy() for param in made.params}
        self.calls = 0

    def step(self, step: Step) -> None:
        self.calls += 1
        self.toy.before_step(self, step)
        for name, gradient in step.gradients.items():
            if isinstance(gradient, RowGradient):
                np.subtract.at(self.tables[name], gradient.indices, gradient.values)
        self.toy.after_step(self, step)

    def state(self) -> dict[str, Any]:
        return self.toy.state(self)


class Toy:
    """A backend over NumPy; subclasses break one rule each."""

    name, version = "toy", "1"
    dialects: Any = {"torch.SparseAdam": None}  # noqa: RUF012  # never written to

    def start(self, made: Case) -> ToyRun:
        return ToyRun(self, made)

    def before_step(self, run: ToyRun, step: Step) -> None:
        pass

    def after_step(self, run: ToyRun, step: Step) -> None:
        pass

    def state(self, run: ToyRun) -> dict[str, Any]:
        return {name: {"param": value} for name, value in run.tables.items()}


def with_slug(made: Case, slug: str) -> Case:
    return replace(made, id=f"{made.id.rpartition('/')[0]}/{slug}")


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")


def ends(pid: int, within: float = 10.0) -> bool:
    """Whether a process ends within some seconds: a signal takes a moment."""
    deadline = time.monotonic() + within
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not is_alive(pid)
