"""Inputs: a case with other gradients. Most families express in this way what an implementation reads."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ...case import Case, Param
from ...dialects import Dialect
from ...gradients import Array, Gradient, RowGradient, gradient_form, is_element_gradient
from .._hypothesis import Hypothesis, Plan, Planner, numbered


def with_gradients(case: Case, change: Callable[[int, Param, Gradient], Gradient]) -> Case | None:
    """The case with other gradients (change gets the number of the step, from 0); None where none changes, or where there are ranks.

    Of several ranks or micro-batches, an implementation may change each one's gradient or what they give together: these are different
    hypotheses.
    """
    if case.has_ranks or case.has_batches:
        return None
    params = {param.name: param for param in case.params}
    changed = False
    steps = []
    for number, step in enumerate(case.steps):
        gradients: dict[str, Any] = {}
        for name, param in params.items():
            before = step.gradients.get(name)
            gradients[name] = change(number, param, before)
            changed |= gradients[name] is not before
        steps.append(replace(step, gradients=gradients))
    return replace(case, steps=tuple(steps)) if changed else None


Occurrences = tuple[Array, Array]
"""Row numbers and values, one each per occurrence."""

Change = Callable[[Array, Array], Occurrences]


def occurrence_rows(gradient: Gradient) -> Array:
    """The rows of a gradient as they come, of one by element its flat positions; none of a dense one."""
    if isinstance(gradient, RowGradient):
        return np.asarray(gradient.indices, np.int64)
    if gradient is not None and is_element_gradient(gradient):
        return np.asarray(np.ravel_multi_index(tuple(gradient.coords), gradient.shape), np.int64)
    return np.zeros(0, np.int64)


def with_occurrences(gradient: Gradient, change: Callable[[Array, Array], Occurrences]) -> Gradient:
    """The gradient with other occurrences; the gradient itself where it has none, or where none changes."""
    rows = occurrence_rows(gradient)
    if not len(rows):
        return gradient
    values = gradient.values if isinstance(gradient, RowGradient) else gradient.data
    after, new = change(rows, values)
    same = np.array_equal(after, rows) and (new is values or np.array_equal(new, values, equal_nan=True))
    return gradient if same else _rebuilt(gradient, after, new)


def with_values(gradient: Gradient, change: Callable[[Array], Array]) -> Gradient:
    """The gradient, in its own form, with other values; the gradient itself where none changes."""
    if gradient is None:
        return None
    if isinstance(gradient, np.ndarray):
        values = change(gradient)
        return gradient if np.array_equal(values, gradient, equal_nan=True) else values
    return with_occurrences(gradient, lambda rows, values: (rows, change(values)))


def changing(change: Change, concerns: Callable[[Array], bool], form: str = "") -> Planner:
    """Gradients with other occurrences, where these concern it. form: of those that are changed, where that is not every one."""

    def changed(rows: Array, values: Array) -> Occurrences:
        return change(rows, values) if concerns(rows) else (rows, values)

    def plan(case: Case, table: Dialect) -> Plan | None:
        def of_form(number: int, param: Param, gradient: Gradient) -> Gradient:
            other = gradient is None or (form and gradient_form(gradient) != form)
            return gradient if other else with_occurrences(gradient, changed)

        new = with_gradients(case, of_form)
        return None if new is None else Plan(new)

    return plan


def _rebuilt(gradient: Gradient, rows: Array, values: Array) -> Gradient:
    if isinstance(gradient, RowGradient):
        return RowGradient(rows, values, gradient.shape)
    fresh: Any = copy.copy(gradient)
    fresh.data, fresh.coords = values, np.unravel_index(rows, gradient.shape)
    return fresh


def dropping(id: str, pattern: str, n: int, change: Change, concerns: Callable[[Array], bool]) -> Hypothesis:
    """One of the hypotheses of `merging` that differ by a number alone: gradients with other occurrences."""
    return numbered(id, "merging", pattern, n, changing(change, concerns), rank=3, pairs=False)
