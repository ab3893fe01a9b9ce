"""Runs of an optimizer over recorded gradients, compared with the oracle's bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from refimpl import RowGradient
from refimpl.case import Case, Group, Param, Step
from refimpl.dialects import dialect
from refimpl.oracle import expectations

REQUIRED = "exact-faithful"
"""The class that kernels in double scalars and correctly rounded operations have to satisfy; PyTorch's square root is faithful."""


def rows(indices: Sequence[int], values: Any, shape: tuple[int, ...]) -> RowGradient:
    return RowGradient(np.array(indices, np.int64), np.array(values, np.float32).reshape(len(indices), *shape[1:]), shape)


def random_rows(source: np.random.Generator, shape: tuple[int, ...], count: int) -> RowGradient:
    """Unsorted rows with duplicates."""
    return rows(source.integers(0, shape[0], count).tolist(), source.normal(size=(count, *shape[1:])), shape)


def expected(
    name: str,
    params: Sequence[Param],
    gradients: Sequence[Mapping[str, Any]],
    *groups: Mapping[str, Any],
    changes: Sequence[tuple[Mapping[str, Any], ...]] = (),
) -> Any:
    """What each parameter must be after the last step, and how far off it may be. groups: what differs from the defaults."""
    known = dialect(name).defaults()
    steps = [Step(by_name, changes[k] if changes else ({},) * max(len(groups), 1)) for k, by_name in enumerate(gradients)]
    all_groups = tuple(Group({**known, **group}) for group in groups or ({},))
    return expectations(Case(f"{name}/test/run", "a run of a test", name, tuple(params), all_groups, tuple(steps), (len(steps),)))


def ratio(value: np.ndarray, expected: Any, required: str = REQUIRED) -> float:
    """The largest error of an array as a fraction of what is allowed; infinite where something is wrong that is allowed no error."""
    error = np.abs(value.astype(np.float64) - expected.value[-1])
    bound = expected.bound[required][-1].astype(np.float64)
    return float(np.max(np.where(error == 0, 0.0, error / np.where(bound > 0, bound, 1e-300)), initial=0.0))


def assert_within(optimizer: Any, expectation: Any, required: str = REQUIRED) -> None:
    """Every parameter of the optimizer, and every moment that it keeps, is within its bound."""
    saved = optimizer.state_dict()["state"]
    for number, (name, param) in enumerate(zip(optimizer.names, optimizer.parameters)):
        arrays = {"param": param, **{key: value for key, value in saved.get(number, {}).items() if key in ("exp_avg", "exp_avg_sq")}}
        for array, value in arrays.items():
            assert ratio(value, expectation[name][array], required) <= 1, (name, array)
