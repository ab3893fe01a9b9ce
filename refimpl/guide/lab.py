"""A small bench for the guide: a table of one column, gradients written by hand, and any choice of any stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arithmetic import Arithmetic, Bound, Float, numpy_dtype
from ..case import ALWAYS_KEPT, Case, Group, Param, Step
from ..dialects import STAGES, Deviation, dialect
from ..gradients import Array, RowGradient
from ..reference import FIELDS, ONE, Forms, trajectory
from ..reference.inputs import at_start

StepGradient = Sequence[tuple[int, float]] | Array | None
"""A step's gradient: (row, value) pairs, in which a row may come twice; or a dense column; or None, no gradient at all."""


@dataclass(frozen=True)
class History:
    """A parameter and its moments before the first step and after each: arrays of shape (steps + 1, rows), in double.

    bound: field ("p", "m", "v") to how far an admissible result may be off, shape (steps + 1, classes, rows), if it was computed.
    """

    p: Array
    m: Array
    v: Array
    bound: Mapping[str, Array]


def run(
    gradients: Sequence[StepGradient],
    *,
    rows: int = 1,
    start: float | Sequence[float] = 0.0,
    like: str = "torch.SparseAdam",
    change: Mapping[str, str] | None = None,
    schedule: Mapping[int, Mapping[str, Any]] | None = None,
    dtype: str = "float64",
    arithmetic: Arithmetic | None = None,
    forms: Forms = ONE,
    resumed: tuple[float, float, int] | None = None,
    **hyper: Any,
) -> History:
    """Run the reference: a dialect (`like`), with the picks of some stages exchanged (`change`).

    schedule: step, from 1, to the hyper-parameters that change there; hyper: hyper-parameters in the dialect's own names.
    arithmetic: the number system; by default floats of `dtype`. resumed: m, v and the count of steps to go on from.
    """
    table = dialect(like)
    m, v, steps = resumed or (0.0, 0.0, 0)
    zero = np.zeros((rows, 1), numpy_dtype(dtype))
    exp_avg, exp_avg_sq = (zero + zero.dtype.type(m), zero + zero.dtype.type(v)) if resumed else (None, None)
    param = Param("w", np.full((rows, 1), np.reshape(start, (-1, 1)), zero.dtype), 0, exp_avg, exp_avg_sq, steps)
    made = tuple(
        Step({"w": _gradient(gradient, rows, dtype)}, (dict((schedule or {}).get(t, {})),)) for t, gradient in enumerate(gradients, start=1)
    )
    case = Case("guide/lab/run", "", like, (param,), (Group({**table.defaults(), **hyper}),), made, tuple(range(1, len(made) + 1)))
    picks = {stage: STAGES[stage][pick.upper()] for stage, pick in (change or {}).items()}
    exchanged = (Deviation("exchanged", "D", "", picks, ()),) if picks else ()
    states = trajectory(case, arithmetic or Float(dtype), table, exchanged, forms)
    kept = {FIELDS[array]: [_double(values)] for array, values in at_start(param, ALWAYS_KEPT).items()}
    bounds: dict[str, list[Array]] = {}
    for state in states:
        for field in kept:
            value = getattr(state["w"], field)
            kept[field].append(_double(value))
            if isinstance(value, Bound):
                bounds.setdefault(field, []).append(np.maximum.accumulate(value.e[..., 0], axis=0))
    history = {field: np.stack(steps) for field, steps in kept.items()}
    return History(**history, bound={field: np.stack([0 * steps[0], *steps]) for field, steps in bounds.items()})


def alternatives(stage: str, picks: Mapping[str, str], gradients: Sequence[StepGradient], **options: Any) -> dict[str, History]:
    """The same run under several picks of one stage. picks: label to pick."""
    return {label: run(gradients, change={stage: pick}, **options) for label, pick in picks.items()}


def _gradient(gradient: StepGradient, rows: int, dtype: str) -> Any:
    if gradient is None:
        return None
    if isinstance(gradient, np.ndarray):
        return gradient.astype(numpy_dtype(dtype)).reshape(rows, 1)
    indices = np.array([row for row, _ in gradient], np.int64)
    return RowGradient(indices, np.array([[value] for _, value in gradient], numpy_dtype(dtype)).reshape(-1, 1), (rows, 1))


def _double(value: Any) -> Array:
    """A tensor of any number system as doubles, one per row."""
    if isinstance(value, Bound):
        return value.x[:, 0].copy()
    if value.dtype == object:
        from ..arithmetic.balls import midpoint

        return midpoint(value)[:, 0]
    return np.array(value[:, 0], np.float64)
