"""Calls: what becomes of a call of the optimizer and of a gradient that is missing, repeated or late."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...case import Case, Param
from ...dialects import Dialect
from ...gradients import Gradient, RowGradient
from ...reference.counters import is_empty
from ...reference.hooks import Hooks, Tick, Updated
from .._hypothesis import Hypothesis, Plan, Planner
from ._inputs import with_gradients
from ._settings import DECOUPLED

Inputs = Callable[[Case, Dialect], "Case | None"]


def hypotheses(table: Dialect) -> Iterator[Hypothesis]:
    yield Hypothesis("missing-as-zeros", "calls", "a missing gradient counts as a gradient of zeros", _inputs(_missing_as_zeros), rank=2)
    if "rows" in table.gradients:
        yield Hypothesis("missing-as-empty", "calls", "a missing gradient counts as an empty one", _inputs(_missing_as_empty), rank=2)
        yield Hypothesis("empty-as-missing", "calls", "an empty gradient counts as a missing one", _inputs(_empty_as_missing), rank=4)
    yield Hypothesis(
        "zeros-as-missing", "calls", "a gradient of zeros, an empty one too, counts as a missing one", _inputs(_zeros_as_missing), rank=5
    )
    yield Hypothesis("missing-still-decays", "calls", "a parameter without a gradient still decays", _missing_decays, rank=2)
    for words, is_lost in LOST:
        yield Hypothesis("call-lost", "calls", words, _inputs(_lost(is_lost)), rank=3)
    yield Hypothesis("gradient-of-last-call", "calls", "a call uses the gradient of the call before", _inputs(_stale), rank=3)
    words = "a call uses the gradient of the call before, and the first call has none"
    yield Hypothesis("gradient-of-last-call", "calls", words, _inputs(_late), rank=3)
    yield Hypothesis("gradients-accumulate", "calls", "a call uses the sum of all gradients so far", _inputs(_accumulated), rank=3)
    for id, words, fields in SHARED:
        yield Hypothesis(id, "calls", words, _shared_by_shape(fields, from_start=False), rank=3)
        yield Hypothesis(id, "calls", words, _shared_by_shape(fields, from_start=True), rank=4)
    yield Hypothesis("state-by-position", "calls", BY_POSITION, _by_position, rank=3)


def _inputs(change: Inputs) -> Planner:
    def plan(case: Case, table: Dialect) -> Plan | None:
        changed = change(case, table)
        return None if changed is None else Plan(changed)

    return plan


def _missing_as_zeros(case: Case, table: Dialect) -> Case | None:
    by_rows = table.gradients[0] == "rows"

    def change(number: int, param: Param, gradient: Gradient) -> Gradient:
        if gradient is not None:
            return gradient
        zeros = np.zeros(param.value.shape, param.value.dtype)
        return RowGradient(np.arange(len(zeros)), zeros, zeros.shape) if by_rows else zeros

    return with_gradients(case, change)


def _missing_as_empty(case: Case, table: Dialect) -> Case | None:
    def change(number: int, param: Param, gradient: Gradient) -> Gradient:
        if gradient is not None or not param.value.ndim:
            return gradient
        return RowGradient(np.zeros(0, np.int64), np.zeros((0, *param.value.shape[1:]), param.value.dtype), param.value.shape)

    return with_gradients(case, change)


def _empty_as_missing(case: Case, table: Dialect) -> Case | None:
    return with_gradients(case, lambda number, param, gradient: None if is_empty(gradient) else gradient)


def _zeros_as_missing(case: Case, table: Dialect) -> Case | None:
    return with_gradients(case, lambda number, param, gradient: None if _is_zero(gradient) else gradient)


def _is_zero(gradient: Gradient) -> bool:
    if gradient is None or isinstance(gradient, np.ndarray):
        return gradient is not None and not np.any(gradient)
    return not np.any(gradient.values if isinstance(gradient, RowGradient) else gradient.data)


LOST: tuple[tuple[str, Callable[[int, int], bool]], ...] = (
    ("the first call is lost", lambda number, last: number == 0),
    ("the last call is lost", lambda number, last: number == last),
    ("the second call is lost", lambda number, last: number == 1),
    ("every second call is lost, from the first", lambda number, last: number % 2 == 0),
    ("every second call is lost, from the second", lambda number, last: number % 2 == 1),
    ("every third call is lost", lambda number, last: number % 3 == 2),
    ("every call after the first is lost", lambda number, last: number > 0),
    ("every call after the second is lost", lambda number, last: number > 1),
    ("every call after the third is lost", lambda number, last: number > 2),
)


def _lost(is_lost: Callable[[int, int], bool]) -> Inputs:
    def change(case: Case, table: Dialect) -> Case | None:
        last = len(case.steps) - 1
        return with_gradients(case, lambda number, param, gradient: None if is_lost(number, last) else gradient)

    return change


def _stale(case: Case, table: Dialect) -> Case | None:
    def change(number: int, param: Param, gradient: Gradient) -> Gradient:
        return gradient if number == 0 or gradient is None else case.steps[number - 1].gradients.get(param.name)

    return with_gradients(case, change) if len(case.steps) > 1 else None


def _late(case: Case, table: Dialect) -> Case | None:
    def change(number: int, param: Param, gradient: Gradient) -> Gradient:
        return case.steps[number - 1].gradients.get(param.name) if number else None

    return with_gradients(case, change)


def _accumulated(case: Case, table: Dialect) -> Case | None:
    total: dict[str, Any] = {}

    def change(number: int, param: Param, gradient: Gradient) -> Gradient:
        before = total.get(param.name)
        total[param.name] = gradient if before is None else before if gradient is None else _sum(before, gradient)
        return gradient if gradient is None or before is None else total[param.name]

    return with_gradients(case, change) if len(case.steps) > 1 else None


def _sum(first: Gradient, second: Gradient) -> Gradient:
    if isinstance(first, RowGradient) and isinstance(second, RowGradient):
        return RowGradient(np.concatenate([first.indices, second.indices]), np.concatenate([first.values, second.values]), first.shape)
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        return first + second
    return second  # forms that are not summed: the prediction fails


def _missing_decays(case: Case, table: Dialect) -> Plan | None:
    """Zeros in the place of a missing gradient, after which all but the shrunk parameter and the count is put back."""
    missing = [{name for name, gradient in step.gradients.items() if gradient is None} for step in case.steps]
    decays = any(table.resolve(group.hyper)[1].decay in DECOUPLED for group in case.groups)
    filled = _missing_as_zeros(case, table) if decays else None
    if filled is None:
        return None

    def clock(tick: Tick) -> int:
        return max(tick.t - sum(tick.name in names for names in missing[: tick.number]), 1)

    def after(updated: Updated) -> None:
        if updated.tick.name in missing[updated.tick.number - 1]:
            a, old, hyper = updated.arithmetic, updated.old, updated.hyper
            kept = a.meet(a.scalar(1.0) - a.scalar(hyper.lr) * a.scalar(hyper.weight_decay))
            updated.new.p, updated.new.m, updated.new.v, updated.new.v_max = old.p * kept, old.m, old.v, old.v_max

    return Plan(filled, hooks=Hooks(clock=clock, after=after))


SHARED: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("state-shared-by-shape", "parameters of one shape share their moments", ("m", "v", "v_max")),
    ("maximum-shared-by-shape", "parameters of one shape share the maximum of amsgrad", ("v_max",)),
    ("exp-avg-shared-by-shape", "parameters of one shape share their first moment", ("m",)),
    ("exp-avg-sq-shared-by-shape", "parameters of one shape share their second moment", ("v",)),
)
"""Name, words, and which arrays are shared."""

BY_POSITION = "moments belong to the position of a gradient in the call, not to its parameter"


def _shared_by_shape(fields: tuple[str, ...], from_start: bool) -> Planner:
    """from_start: before a parameter makes its first step, too."""

    def plan(case: Case, table: Dialect) -> Plan | None:
        shapes = [param.value.shape for param in case.params]
        if len(set(shapes)) == len(shapes):
            return None
        if from_start:
            return Plan(case, hooks=Hooks(alike=lambda shape: shape, shared=fields))
        return Plan(case, hooks=Hooks(owner=lambda tick, shape: shape, shared=fields))

    return plan


def _by_position(case: Case, table: Dialect) -> Plan | None:
    """The k-th gradient of a call takes the moments of the k-th parameter, where these have its shape, or else those of its own."""
    shapes = [param.value.shape for param in case.params]

    def owner(tick: Tick, shape: tuple[int, ...]) -> str:
        place = tick.active.index(tick.name)
        return case.params[place].name if shapes[place] == shape else tick.name

    return Plan(case, hooks=Hooks(owner=owner)) if len(set(shapes)) < len(shapes) else None
