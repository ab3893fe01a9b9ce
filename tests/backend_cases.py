"""Small cases for the tests of the backends, and a backend that keeps the protocol until a test makes it break it."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array

from refimpl.arithmetic import numpy_dtype
from refimpl.case import Case, Golden, Group, Param, Step
from refimpl.dialects import dialect
from refimpl.gradients import RowGradient


def rows(indices, values=None, shape=(4, 3), dtype="float32", seed=0):
    """A row gradient; values are drawn where none are given."""
    if values is None:
        values = np.random.default_rng(seed).standard_normal((len(indices), *shape[1:]))
    return RowGradient(np.array(indices, np.int64), np.array(values, numpy_dtype(dtype)).reshape(len(indices), *shape[1:]), shape)


def elements(coords, values, shape=(4, 3), dtype="float32"):
    """An element gradient, its entries as they come."""
    return coo_array((np.array(values, dtype), tuple(np.array(along, np.int64) for along in coords)), shape=shape)


def table(name="w", shape=(4, 3), dtype="float32", seed=1, **state):
    return Param(name, np.asarray(np.random.default_rng(seed).standard_normal(shape)).astype(numpy_dtype(dtype)), **state)


def case(*gradients, params=None, name="torch.SparseAdam", error=None, record=None, changes=None, groups=({},), slug="one"):
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


def golden(made, layout="contiguous"):
    return Golden(made, {}, layout=layout)


class ToyRun:
    """Subtracts what it is given, which is no Adam but keeps the protocol; `toy` may override each of its calls."""

    def __init__(self, toy, made):
        self.toy, self.case = toy, made
        self.tables = {param.name: param.value.copy() for param in made.params}
        self.calls = 0

    def step(self, step):
        self.calls += 1
        self.toy.before_step(self, step)
        for name, gradient in step.gradients.items():
            if isinstance(gradient, RowGradient):
                np.subtract.at(self.tables[name], gradient.indices, gradient.values)
        self.toy.after_step(self, step)

    def state(self):
        return self.toy.state(self)


class Toy:
    """A backend over NumPy; subclasses break one rule each."""

    name, version = "toy", "1"
    dialects = {"torch.SparseAdam": None}  # noqa: RUF012  # never written to

    def start(self, made):
        return ToyRun(self, made)

    def before_step(self, run, step):
        pass

    def after_step(self, run, step):
        pass

    def state(self, run):
        return {name: {"param": value} for name, value in run.tables.items()}


def with_slug(made, slug):
    return replace(made, id=f"{made.id.rpartition('/')[0]}/{slug}")


def is_alive(pid):
    """Whether a process runs; one that has ended but was adopted by nobody who waits for it does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")


def dies(pid, within=10.0):
    """Whether a process is gone before long: what is killed takes a moment."""
    deadline = time.monotonic() + within
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not is_alive(pid)
