"""A case with a few columns of each parameter: a proof about these columns does not need the others.

Every stage works on a column by itself except those that read a whole row: a mean that is subtracted or divided by, a row that is
skipped because all of its values are zero. The other inputs of a step (row numbers, counts, scalars) stay the same.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from typing import Any

import numpy as np

from ..case import Case, Expected, Param, Step
from ..dialects import Picks
from ..dialects.stages import Centralization, Second, Touch
from ..gradients import Array, RowGradient, is_element_gradient, row_layout
from .expectations import Expectations

COLUMNS = 2
"""How many columns are kept of a parameter: the first one, and the last."""

WIDE = 8
"""The least number of columns of a parameter that is narrowed: with fewer, most of the cost of a step is overhead."""


def sees_rows(picks: Picks) -> bool:
    """Whether some stage reads a whole row, so that its result does not follow from a column alone."""
    return (
        picks.centralization is not Centralization.NONE
        or picks.touch in (Touch.NONZERO, Touch.NONZERO_SUM)
        or picks.second is Second.ROW_SQUARES
    )


def narrowed(case: Case, expected: Expectations) -> tuple[Case, Expectations]:
    """The case and its expectations in the kept columns; themselves where no parameter is wide."""
    # A case with ranks or micro-batches would need the columns of each, and is narrow anyway.
    wide = set() if case.has_ranks or case.has_batches else {param.name for param in case.params if _is_wide(case, param)}
    if not wide:
        return case, expected
    params = tuple(_param(param) if param.name in wide else param for param in case.params)
    steps = tuple(replace(step, gradients=_gradients(step, wide)) for step in case.steps)
    few = {
        name: {array: _expected(value) if name in wide else value for array, value in arrays.items()} for name, arrays in expected.items()
    }
    return replace(case, params=params, steps=steps), few


def _gradients(step: Step, wide: Container[str]) -> dict[str, Any]:
    return {name: _gradient(value) if name in wide and value is not None else value for name, value in step.gradients.items()}


def _is_wide(case: Case, param: Param) -> bool:
    by_elements = any(is_element_gradient(step.gradients.get(param.name)) for step in case.steps)
    return not by_elements and row_layout(param.value.shape)[1] >= WIDE


def _param(param: Param) -> Param:
    moments: dict[str, Any] = {
        name: None if (array := getattr(param, name)) is None else _columns(array, 1)
        for name in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    }
    return replace(param, value=_columns(param.value, 1), **moments)


def _gradient(gradient: Any) -> Any:
    if isinstance(gradient, RowGradient):
        return RowGradient(gradient.indices, _columns(gradient.values, 1), (gradient.shape[0], COLUMNS))
    return _columns(gradient, 1)


def _expected(expected: Expected) -> Expected:
    allowed = None if expected.allowed is None else _columns(expected.allowed, 2)
    return Expected(_columns(expected.value, 2), {name: _columns(bound, 2) for name, bound in expected.bound.items()}, allowed)


def _columns(array: Array, axis: int) -> Array:
    """The first columns but one, and the last; all axes from `axis` on are columns."""
    flat = array.reshape(*array.shape[:axis], int(np.prod(array.shape[axis:])))
    return np.concatenate([flat[..., : COLUMNS - 1], flat[..., -1:]], axis=-1)
