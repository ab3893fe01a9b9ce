"""Limits: a change of p, or a gradient, that is clipped. The limit is read off the wrong elements of a failing case."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ...arithmetic import FORMATS, Bound, Number
from ...case import Case, Param
from ...dialects import Dialect, Hyper
from ...gradients import Array, Gradient
from ...reference import scheduled
from .._altered import clipped
from .._evidence import Judged
from .._hypothesis import Hypothesis, Plan
from ._fits import rounded_within
from ._inputs import with_gradients, with_values

Read = Callable[[Array, Array, Hyper], Array]
"""From an array at the wrong elements, after and before a step, to the size that a limit may have had."""

ALIKE = 0.02
"""The sizes at the wrong elements may differ by this share for a limit to be read off."""


def read_off(judged: Judged, table: Dialect) -> Iterator[Hypothesis]:
    """The limits that the wrong elements of a failing case have in common, at the first step at which they are wrong."""
    for array, read, make in (
        ("param", lambda after, before, hyper: np.abs(after - before) / hyper.lr, _change_in_lr),
        ("param", lambda after, before, hyper: np.abs(after - before), _change),
        ("exp_avg", lambda after, before, hyper: np.abs(after - hyper.beta1 * before) / (1 - hyper.beta1), _gradient),
    ):
        limit = _limit(judged, table, array, read)
        if limit is not None:
            yield make(limit)


def _limit(judged: Judged, table: Dialect, array: str, read: Read) -> float | None:
    """The size that the largest wrong elements share, rounded to as few digits as its uncertainty allows."""
    record = judged.golden.case.record
    settings = list(scheduled(judged.golden.case))
    for param in judged.golden.case.params:
        wrong = judged.wrong.get((param.name, array))
        if wrong is None or not wrong.any():
            continue
        at = int(np.flatnonzero(wrong.reshape(len(wrong), -1).any(axis=1))[0])
        before = _before(judged, param, array, at)
        if before is None:
            continue
        after = judged.got(param.name, array)[at].astype(np.float64)
        hyper = table.resolve(settings[record[at] - 1][param.group])[0]
        with np.errstate(all="ignore"):
            sizes = read(after, before, hyper)[wrong[at]]
            unit = (
                4
                * FORMATS[judged.golden.case.computed_in(param.name)].u
                * read(np.abs(after) + np.abs(before), np.zeros_like(after), hyper)[wrong[at]]
            )
        if not np.isfinite(sizes).all() or not sizes.min() > 0 or sizes.max() - sizes.min() > ALIKE * sizes.max() + unit.max():
            continue
        return rounded_within(float(np.median(sizes)), float(unit.max()), 0.0)
    return None


def _before(judged: Judged, param: Param, array: str, at: int) -> Array | None:
    """The array before a recorded step; None where the step before was not recorded."""
    record = judged.golden.case.record
    if record[at] == 1:
        start: Array | None = param.value if array == "param" else getattr(param, array)
        return np.zeros(param.value.shape) if start is None else start.astype(np.float64)
    if at and record[at - 1] == record[at] - 1:
        recorded: Array = judged.got(param.name, array)[at - 1].astype(np.float64)
        return recorded
    return None


def _change_in_lr(limit: float) -> Hypothesis:
    return _clips_change(f"the change of p is clipped to +-{limit:g} lr", lambda lr: _times(lr, limit))


def _change(limit: float) -> Hypothesis:
    return _clips_change(f"the change of p is clipped to +-{limit:g}", lambda lr: _times(lr, 0.0, limit), rank=4)


def _clips_change(about: str, limit: Callable[[Number], Number], rank: int = 3) -> Hypothesis:
    def alter(name: str, number: Number, lr: Number | None) -> Number:
        return clipped(number, limit(lr)) if name == "change" and lr is not None else number

    return Hypothesis("update-clipped", "limits", about, lambda case, table: Plan(case, alter=alter), rank=rank, pairs=False)


def _times(lr: Number, factor: float, offset: float = 0.0) -> Number:
    """lr times the factor, and an offset; of a bound, with room for the rounding of the product."""
    if not isinstance(lr, Bound):
        return lr * factor + offset
    size = lr.x * factor + offset
    return Bound(size, lr.e * factor + 2 * lr.rounding.relative * np.abs(size), lr.rounding)


def _gradient(limit: float) -> Hypothesis:
    def change(number: int, param: Param, gradient: Gradient) -> Gradient:
        return with_values(gradient, lambda values: np.clip(values, -limit, limit))

    def plan(case: Case, table: Dialect) -> Plan | None:
        changed = with_gradients(case, change)
        return None if changed is None else Plan(changed)

    return Hypothesis("gradient-clipped", "limits", f"gradients are clipped to +-{limit:g}", plan, rank=3, pairs=False)
