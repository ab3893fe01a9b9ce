"""Campaigns in this process: the backend is called without a worker, so that a test takes milliseconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refimpl.backends._protocol import Capabilities, claims
from refimpl.backends.execute import execute
from refimpl.backends.outcome import Outcome
from refimpl.backends.reference import factory as reference
from refimpl.case import Case, Golden, Group, Param, Step
from refimpl.cases import random_sizes
from refimpl.dialects import dialect
from refimpl.fuzz import _campaign
from refimpl.fuzz._campaign import Session, Settings
from refimpl.gradients import RowGradient

SETTINGS = Settings("toy", ("torch.SparseAdam",), "", (), "tensor-faithful", 3, 6, 60.0)


def small_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random cases of the kind `small` alone, and no diagnosis: the other kinds, and a search for causes, take seconds."""
    monkeypatch.setattr(random_sizes, "KINDS", {"small": (1.0, lambda rng: random_sizes.Plan(((3, 5), (2, 2)), 3))})
    monkeypatch.setattr(_campaign, "DIAGNOSED", 0)


class InProcess:
    """A backend as a campaign runs it. calls: how many cases were run."""

    def __init__(self, backend: Any) -> None:
        self.backend, self.name, self.version, self.calls = backend, backend.name, backend.version, 0
        self.dialects = claims(backend.dialects)

    def outcome(self, golden: Golden) -> Outcome:
        self.calls += 1
        return execute(self.backend, golden)


def campaign(backend: Any, settings: Settings = SETTINGS) -> Session:
    run: Any = InProcess(backend)
    names = settings.dialects or tuple(run.dialects)
    return Session(run, replace(settings, dialects=names), names, run.dialects)


def sessions(backend: Any) -> Any:
    """What stands in for `session`: a campaign in this process, whatever backend the settings name."""

    @contextmanager
    def session(settings: Settings) -> Iterator[Session]:
        yield campaign(backend, settings)

    return session


class Broken:
    """The reference, but what a function makes of each state after a step is shown: fault(case, step number, state)."""

    name, version = "broken", "1"

    def __init__(self, fault: Any, names: tuple[str, ...] = ("torch.SparseAdam",)) -> None:
        self.fault, self.inner = fault, reference()
        self.dialects: dict[str, Capabilities] = dict.fromkeys(names, Capabilities())

    def start(self, case: Case) -> Any:
        return _BrokenRun(case, self.inner.start(case), self.fault)


class _BrokenRun:
    def __init__(self, case: Case, run: Any, fault: Any) -> None:
        self.case, self.run, self.fault, self.number = case, run, fault, 0

    def step(self, step: Step) -> None:
        self.number += 1
        self.run.step(step)

    def state(self) -> Any:
        return self.fault(self.case, self.number, {name: dict(arrays) for name, arrays in self.run.state().items()})


def right(case: Case, number: int, state: Any) -> Any:
    return state


def table(rows: int, width: int, stored: list[int], steps: int = 1, dtype: str = "float32", name: str = "torch.SparseAdam") -> Golden:
    """A case of one table whose gradients store these rows."""
    rng = np.random.default_rng(5)
    value = rng.normal(size=(rows, width)).astype(dtype)
    gradients = [RowGradient(np.array(stored), rng.normal(size=(len(stored), width)).astype(dtype), value.shape) for _ in range(steps)]
    case = Case(
        id=f"{name}/made/one",
        about="A case of a test.",
        dialect=name,
        params=(Param("w", value),),
        groups=(Group(dialect(name).defaults()),),
        steps=tuple(Step({"w": gradient}, ({},)) for gradient in gradients),
        record=tuple(range(1, steps + 1)),
    )
    return Golden(case, {})
