"""Which deviations a case catches: those that are proven to leave its expectation by far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from ..arithmetic import CLASSES, Float
from ..case import KINDS, Case, Expected
from ..dialects import Deviation, dialect, differing_stages
from ..gradients import Array, RowGradient, is_element_gradient
from ..reference import FIELDS, scheduled, trajectory
from .expectations import Expectations, Recorded, recorded

CATCH_DISTANCE = 10
"""How many bounds (of the loosest class) a deviation must be away for a case to claim that it catches it."""


def catches(case: Case, expected: Expectations, candidates: Iterable[Deviation]) -> tuple[str, ...]:
    """The ids of the deviations whose exact result is proven to be farther than CATCH_DISTANCE bounds from the expectation."""
    return tuple(deviation.id for deviation in candidates if changes(case, (deviation,)) and _is_caught(case, expected, deviation))


def changes(case: Case, cause: tuple[Deviation, ...]) -> bool:
    """Whether each of these deviations picks anything else than the dialect does, for any group at any step of the case."""
    table = dialect(case.dialect)
    idle = {stage for stage, is_idle in IDLE_STAGES.items() if is_idle(case)}
    hypers = [group.hyper for group in case.groups]
    if any(change for step in case.steps for change in step.hyper):
        hypers = [hyper for of_groups in scheduled(case) for hyper in of_groups]
    picks = {deviation: {(table.resolve(hyper)[1], table.resolve(hyper, (deviation,))[1]) for hyper in hypers} for deviation in cause}
    return all(
        any(stage not in idle for plain, other in pairs for stage, _, _ in differing_stages(plain, other)) for pairs in picks.values()
    )


def has_duplicates(case: Case) -> bool:
    return any(
        (isinstance(gradient, RowGradient) and len(np.unique(gradient.indices)) < len(gradient.indices)) or is_element_gradient(gradient)
        for step in case.steps
        for gradient in step.gradients.values()
    )


IDLE_STAGES: dict[str, Callable[[Case], bool]] = {
    "resume": lambda case: all(param.exp_avg is None for param in case.params),
    "schedule": lambda case: not any(change for step in case.steps for change in step.hyper),
    "merge": lambda case: not has_duplicates(case),
    "precision": lambda case: case.dtype != "float64",
}
"""Stages that a case does not exercise, whatever is picked."""


def _is_caught(case: Case, expected: Expectations, deviation: Deviation) -> bool:
    from ..arithmetic.balls import Ball, midpoint, radius

    table = dialect(case.dialect)
    run: Recorded | None = None
    at = 0  # among the recorded steps
    for number, states in enumerate(trajectory(case, Ball(), table, (deviation,)), start=1):
        if number not in case.record:
            continue
        for name, of in expected.items():
            tame = _tame(of, at)
            for array, one in of.items():
                ball = getattr(states[name], FIELDS[array])
                middle, spread = midpoint(ball).reshape(tame.shape), radius(ball).reshape(tame.shape)
                bound = one.bound[CLASSES[-1]][at].astype(np.float64)
                with np.errstate(invalid="ignore"):
                    far = np.abs(middle - one.value[at]) - spread > CATCH_DISTANCE * bound
                if (far & tame & np.isfinite(bound)).any():
                    return True
                undefined = ~np.isfinite(middle) & tame
                if undefined.any():  # a division by an exact zero: what it comes to is for floats to say
                    run = run or recorded(case, Float(case.dtype), table, (deviation,))
                    if not np.isfinite(run[name, array][at][undefined]).all():
                        return True
        at += 1
    return False


def _tame(of: Mapping[str, Expected], at: int) -> Array:
    """Elements that have stayed finite in every array up to a recorded step: their expectation is the real-number result."""
    wild = np.zeros(of["param"].value[at].shape, bool)
    for one in of.values():
        if one.allowed is not None:
            wild |= (one.allowed[: at + 1] != KINDS["finite"]).any(axis=0)
    return ~wild
